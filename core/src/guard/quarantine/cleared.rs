//! A key that was cleared, and whether what stands there again is what stood there before.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    rtc::{
        membership::{Content, FirstSeen, read},
        state_event::{StateEvent, saturating_integer},
    },
    time::Timestamp,
};

/// A membership that returns within this long of being cleared was alive. (A live client re-joins in
/// under a second; its server may be slow, or far away.)
pub const RETURN_WINDOW: Duration = Duration::from_mins(2);

/// Clients that do not watch their own event put the old content back at their next refresh, with the
/// `created_ts` that it had: at most an hour later, and a server may be slow.
pub const SAME_WINDOW: Duration = Duration::from_mins(75);

/// What has to be kept of a key that was cleared, until [`Self::is_over`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cleared {
    at: Timestamp,
    /// Every `created_ts` that stood there, as it was written.
    created: BTreeSet<i64>,
}

impl Cleared {
    /// From the content that was overwritten.
    pub fn new(at: Timestamp, old_content: &Value) -> Self {
        Self { at, created: created(old_content).collect() }
    }

    /// Whether somebody who was cleared is back by this event, which was seen at `seen`. Who leaves, or
    /// writes what no client shows, is not.
    pub fn is_back(&self, event: &StateEvent, seen: Timestamp) -> bool {
        let since = seen.since(self.at);
        let is_same = || created(&event.content).any(|created| self.created.contains(&created));
        let is_open = || match read(event, FirstSeen { at: seen, live: true }) {
            Content::Entries(entries) => entries.iter().any(Result::is_ok),
            Content::Left | Content::Malformed(_) => false,
        };
        (since <= RETURN_WINDOW || (since <= SAME_WINDOW && is_same())) && is_open()
    }

    /// Whether nothing that comes now is a return any more.
    pub fn is_over(&self, now: Timestamp) -> bool {
        let window = if self.created.is_empty() { RETURN_WINDOW } else { SAME_WINDOW };
        now.since(self.at) > window
    }
}

/// Each `created_ts` in a membership event, of the session and of each entry of an array.
fn created(content: &Value) -> impl Iterator<Item = i64> {
    let entries = content.get("memberships").and_then(Value::as_array).into_iter().flatten();
    std::iter::once(content)
        .chain(entries)
        .filter_map(|one| one.get("created_ts").and_then(saturating_integer))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const AT: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn session(created: Option<i64>) -> Value {
        let mut content = json!({"application": "m.call", "call_id": "", "device_id": "D",
            "focus_active": {"type": "livekit"}});
        if let Some(created) = created {
            content["created_ts"] = json!(created);
        }
        content
    }

    fn event(content: &Value) -> StateEvent {
        StateEvent::from_json(
            json!({"type": "org.matrix.msc3401.call.member", "state_key": "_@a:hs_D", "sender": "@a:hs",
            "event_id": "$e", "origin_server_ts": AT.as_millis(), "content": content}),
        )
        .expect("an event")
    }

    #[test]
    fn who_is_back_within_two_minutes_was_alive_and_after_that_only_with_the_old_created_ts() {
        let second = Duration::from_secs(1);
        let made = AT.as_millis() - 7;
        for (old, new, after, is_back) in [
            (None, session(None), RETURN_WINDOW, true),
            (None, session(None), RETURN_WINDOW + second, false),
            (Some(made), session(Some(made)), RETURN_WINDOW + second, true),
            (Some(made), session(Some(made)), SAME_WINDOW, true),
            (Some(made), session(Some(made)), SAME_WINDOW + second, false),
            (Some(made), session(Some(made + 1)), RETURN_WINDOW + second, false),
            (Some(made), session(None), RETURN_WINDOW + second, false),
            (Some(made), json!({}), second, false),
            (Some(made), json!({"created_ts": made}), second, false),
            (Some(made), json!({"memberships": [session(Some(made))]}), SAME_WINDOW, true),
        ] {
            let cleared = Cleared::new(AT, &session(old));
            assert_eq!(cleared.is_back(&event(&new), AT + after), is_back, "{old:?} {new} after {after:?}");
            assert!(!is_back || !cleared.is_over(AT + after), "it is remembered for as long as it matters");
        }
    }

    #[test]
    fn a_created_ts_from_the_future_is_compared_as_it_was_written() {
        let ahead = AT.as_millis() + 3_600_000;
        let cleared = Cleared::new(AT, &session(Some(ahead)));
        assert!(cleared.is_back(&event(&session(Some(ahead))), AT + SAME_WINDOW));
    }
}
