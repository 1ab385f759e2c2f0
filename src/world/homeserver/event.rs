//! One event of an answer, read so that nothing anybody put into it makes the rest of it unreadable.

use std::collections::BTreeMap;

use matrix_sdk::ruma::serde::Raw;
use serde_json::{Map, Value};

/// Reads one event. What is nested deeper than a parser follows is null in it: a membership whose content
/// is null is none, and that is something to be known. The event after one that is just not too deep holds
/// that one in its `unsigned`, and is.
///
/// # Errors
/// When it is no JSON object.
pub(super) fn read(json: &str) -> serde_json::Result<Value> {
    serde_json::from_str(json).or_else(|_| {
        let mut parts = parts(json)?;
        let unsigned = parts.remove("unsigned").and_then(|part| self::parts(part.json().get()).ok());
        let mut event: Map<String, Value> = readable(parts).collect();
        event.extend(unsigned.map(|parts| ("unsigned".to_owned(), readable(parts).collect())));
        Ok(event.into())
    })
}

/// Cutting JSON into its parts follows no nesting.
fn parts(json: &str) -> serde_json::Result<BTreeMap<String, Raw<Value>>> {
    serde_json::from_str(json)
}

fn readable(parts: BTreeMap<String, Raw<Value>>) -> impl Iterator<Item = (String, Value)> {
    parts.into_iter().map(|(name, part)| (name, serde_json::from_str(part.json().get()).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_too_deep_is_null_and_the_rest_is_read() {
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        let event = read(&format!(
            r#"{{"type":"t","content":{{"a":{deep}}},"unsigned":{{"prev_content":{{"a":{deep}}},"replaces_state":"$a"}}}}"#
        ));
        let expected =
            json!({"type": "t", "content": null, "unsigned": {"prev_content": null, "replaces_state": "$a"}});
        assert_eq!(event.unwrap(), expected);
        assert_eq!(read(r#"{"content":{"a":1}}"#).unwrap(), json!({"content": {"a": 1}}));
        assert!(read("[").is_err());
        assert!(read(&deep).is_err());
    }
}
