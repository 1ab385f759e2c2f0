//! What is left of an event when some of its entries are taken out. Nothing else can be written under a
//! key: there is no other way to make one, so no write can put anybody into a call or change what they say.

use serde::Serialize;
use serde_json::{Map, Value};

use super::validity;

/// The content that takes the place of another: the same without some of its entries.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Remainder(Value);

impl Remainder {
    /// `{}`: nobody is left.
    pub fn nothing() -> Self {
        Self(Value::Object(Map::new()))
    }

    /// The content without the entries at these places, counted as [`super::read`] does. The rest stays as
    /// it is, whatever it is.
    ///
    /// `None` where they cannot be taken out by themselves: the session form is one piece, and a place may
    /// not exist.
    pub fn without(content: &Value, places: &[u32]) -> Option<Self> {
        let fields = content.as_object()?;
        if validity::session(fields).is_ok() {
            return None;
        }
        let mut content = content.clone();
        let mut entry = 0;
        let mut taken = 0;
        let mut keep = |_: &Value| {
            let goes = places.contains(&entry);
            entry += 1;
            taken += usize::from(goes);
            !goes
        };
        if let Some(memberships) = content.get_mut("memberships").and_then(Value::as_array_mut) {
            memberships.retain(&mut keep);
        }
        for call in content.get_mut("m.calls").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(devices) = call.get_mut("m.devices").and_then(Value::as_array_mut) {
                devices.retain(&mut keep);
            }
        }
        (taken > 0 && taken == places.len()).then_some(Self(content))
    }

    /// The content.
    pub fn content(&self) -> &Value {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn session() -> Value {
        json!({"application": "m.call", "call_id": "", "device_id": "D", "focus_active": {"type": "livekit"},
            "foci_preferred": []})
    }

    #[test]
    fn only_the_named_entries_go_and_the_rest_stays_as_it_is() {
        let content = json!({
            "memberships": [{"device_id": "A", "odd": [1, {"b": null}]}, 7, {"device_id": "B"}],
            "m.calls": [{"m.call_id": "c", "m.devices": [{"device_id": "C"}, {"device_id": "D"}]}, "odd"],
            "more": {"z": 1, "a": 9_007_199_254_740_991_i64},
        });
        let without = |places: &[u32]| Remainder::without(&content, places).map(|rest| rest.0);
        let mut expected = content.clone();
        expected["memberships"] = json!([{"device_id": "A", "odd": [1, {"b": null}]}, 7]);
        assert_eq!(without(&[2]), Some(expected.clone()));
        expected["m.calls"][0]["m.devices"] = json!([{"device_id": "D"}]);
        assert_eq!(without(&[3, 2]), Some(expected));
        for none in [&[][..], &[5], &[2, 5], &[2, 2]] {
            assert_eq!(without(none), None, "{none:?}");
        }
    }

    #[test]
    fn a_session_is_one_piece() {
        assert_eq!(Remainder::without(&session(), &[0]), None);
        let mut both = session();
        both["memberships"] = json!([{"device_id": "A"}]);
        assert_eq!(Remainder::without(&both, &[1]), None);
        assert_eq!(Remainder::without(&json!("odd"), &[0]), None);
        assert_eq!(Remainder::nothing().content(), &json!({}));
    }
}
