//! The filters of `/sync` v2, as far as the bot's two connections use them.

use serde_json::Value;

/// Which types of events.
#[derive(Debug, Default)]
pub(super) struct Types {
    wanted: Option<Vec<String>>,
    unwanted: Vec<String>,
    /// How many at most, the newest.
    pub(super) limit: usize,
    /// Members only where they matter for the other events.
    pub(super) lazy_members: bool,
}

/// A whole filter.
#[derive(Debug, Default)]
pub(super) struct Filter {
    rooms: Option<Vec<String>>,
    not_rooms: Vec<String>,
    pub(super) state: Types,
    pub(super) timeline: Types,
    pub(super) account_data: Types,
}

impl Types {
    fn read(json: &Value) -> Self {
        Self {
            // An empty list of types means all of them.
            wanted: list(&json["types"]).filter(|types| !types.is_empty()),
            unwanted: list(&json["not_types"]).unwrap_or_default(),
            limit: json["limit"].as_u64().and_then(|limit| limit.try_into().ok()).unwrap_or(10),
            lazy_members: json["lazy_load_members"] == true,
        }
    }

    pub(super) fn passes(&self, kind: &str) -> bool {
        !self.unwanted.iter().any(|pattern| matches(pattern, kind))
            && self.wanted.as_ref().is_none_or(|wanted| wanted.iter().any(|pattern| matches(pattern, kind)))
    }
}

impl Filter {
    pub(super) fn read(json: &Value) -> Self {
        let room = &json["room"];
        Self {
            rooms: list(&room["rooms"]),
            not_rooms: list(&room["not_rooms"]).unwrap_or_default(),
            state: Types::read(&room["state"]),
            timeline: Types::read(&room["timeline"]),
            account_data: Types::read(&json["account_data"]),
        }
    }

    pub(super) fn wants_room(&self, id: &str) -> bool {
        !self.not_rooms.iter().any(|room| room == id)
            && self.rooms.as_ref().is_none_or(|rooms| rooms.iter().any(|room| room == id))
    }
}

fn list(json: &Value) -> Option<Vec<String>> {
    let list = json.as_array()?;
    Some(list.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect())
}

fn matches(pattern: &str, kind: &str) -> bool {
    match pattern.split_once('*') {
        Some((start, _)) => kind.starts_with(start),
        None => pattern == kind,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_filter_passes_what_it_names_and_nothing_it_excludes() {
        let filter = Filter::read(&json!({
            "room": {"rooms": ["!a"], "state": {"types": ["m.room.*"]}, "timeline": {"types": []}},
            "account_data": {"not_types": ["*"]},
        }));

        assert!(filter.wants_room("!a") && !filter.wants_room("!b"));
        assert!(filter.state.passes("m.room.name") && !filter.state.passes("m.reaction"));
        assert!(filter.timeline.passes("anything"));
        assert!(!filter.account_data.passes("m.push_rules"));
    }
}
