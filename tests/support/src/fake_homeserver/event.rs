//! One event of the fake's rooms, kept small and written out when somebody asks for it.

use std::{borrow::Cow, fmt::Write as _, sync::Arc};

use serde_json::Value;

/// What stood under a state key before.
#[derive(Debug, Clone)]
pub(super) struct Replaced {
    /// Number of the event that was replaced.
    pub(super) number: u64,
    /// Who had sent it.
    pub(super) sender: Arc<str>,
}

/// An event. Its id is made from its number, so that it takes no room.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) number: u64,
    pub(super) kind: Cow<'static, str>,
    /// `None` for what is no state.
    pub(super) state_key: Option<Arc<str>>,
    pub(super) sender: Arc<str>,
    /// `origin_server_ts`.
    pub(super) at_ms: i64,
    /// JSON.
    pub(super) content: Arc<str>,
    pub(super) replaced: Option<Replaced>,
    /// The sender's own transaction id: a client recognises by it what it has sent itself.
    pub(super) transaction: Option<String>,
    /// What has emptied it.
    pub(super) redaction: Option<Arc<Event>>,
}

/// The id of the event with this number: a `$` and 43 characters, as since room version 4.
pub(super) fn event_id(number: u64) -> String {
    format!("${number:0>43}")
}

/// Appends a JSON string.
pub(super) fn quote(into: &mut String, text: &str) {
    if text.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        into.push_str(&Value::from(text).to_string());
    } else {
        into.push('"');
        into.push_str(text);
        into.push('"');
    }
}

impl Event {
    pub(super) fn id(&self) -> String {
        event_id(self.number)
    }

    /// The content, parsed.
    pub(super) fn content(&self) -> Value {
        serde_json::from_str(&self.content).unwrap_or_default()
    }

    /// Appends it as a client gets it.
    pub(super) fn write(&self, into: &mut String) {
        self.write_head(into);
        // Writing to a string does not fail.
        _ = write!(
            into,
            r#","event_id":"{}","origin_server_ts":{},"unsigned":{{"age":1"#,
            self.id(),
            self.at_ms
        );
        if let Some(replaced) = &self.replaced {
            _ = write!(into, r#","replaces_state":"{}","prev_sender":"#, event_id(replaced.number));
            quote(into, &replaced.sender);
        }
        if let Some(transaction) = &self.transaction {
            into.push_str(r#","transaction_id":"#);
            quote(into, transaction);
        }
        if let Some(redaction) = &self.redaction {
            _ = write!(into, r#","redacted_by":"{}","redacted_because":"#, redaction.id());
            redaction.write(into);
        }
        into.push_str("}}");
    }

    /// Appends it stripped, as beside an invitation.
    pub(super) fn write_stripped(&self, into: &mut String) {
        self.write_head(into);
        into.push('}');
    }

    /// It as a client gets it.
    pub(super) fn json(&self) -> String {
        let mut json = String::new();
        self.write(&mut json);
        json
    }

    fn write_head(&self, into: &mut String) {
        into.push_str(r#"{"type":"#);
        quote(into, &self.kind);
        if let Some(key) = &self.state_key {
            into.push_str(r#","state_key":"#);
            quote(into, key);
        }
        into.push_str(r#","sender":"#);
        quote(into, &self.sender);
        into.push_str(r#","content":"#);
        into.push_str(&self.content);
    }
}

/// Appends a JSON array of events.
pub(super) fn write_all<'a>(into: &mut String, events: impl IntoIterator<Item = &'a Arc<Event>>) {
    into.push('[');
    for (index, event) in events.into_iter().enumerate() {
        if index > 0 {
            into.push(',');
        }
        event.write(into);
    }
    into.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_written_as_json_whatever_its_key_is() {
        let event = Event {
            number: 7,
            kind: "t".into(),
            state_key: Some(r#"a"b\c"#.into()),
            sender: "@a:b".into(),
            at_ms: 5,
            content: r#"{"x":1}"#.into(),
            replaced: Some(Replaced { number: 6, sender: "@c:d".into() }),
            transaction: None,
            redaction: None,
        };
        let json: Value = serde_json::from_str(&event.json()).unwrap();
        assert_eq!(json["state_key"], r#"a"b\c"#);
        assert_eq!(json["event_id"].as_str().unwrap().len(), 44);
        assert_eq!(json["unsigned"]["replaces_state"], event_id(6));
        assert_eq!(json["content"]["x"], 1);
    }
}
