//! What the homeserver says that it can do. What no server says of itself is seen by how it behaves, and that is for
//! the janitor to see.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use serde_json::Value;

use super::{Homeserver, request::JsonRequest};
use crate::world::{NeighbourError, ServerAbilities};

/// Simplified sliding sync (MSC4186): its name among the unstable features, and in its path.
pub(super) const SLIDING_SYNC: &str = "org.matrix.simplified_msc3575";

/// Sticky events (MSC4354).
const STICKY_EVENTS: &str = "org.matrix.msc4354";

/// How long is waited for what is good to know and no more.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct Versions {
    #[serde(default)]
    unstable_features: BTreeMap<String, Value>,
}

/// Asks for everything that a server says of itself.
///
/// # Errors
///
/// When it does not say which versions of Matrix it speaks, as every homeserver does. The rest may stay unknown.
pub(super) async fn ask(homeserver: &Homeserver) -> Result<ServerAbilities, NeighbourError> {
    let versions = JsonRequest::get(&["_matrix", "client", "versions"]);
    let (versions, newest_room_version, name) = tokio::join!(
        versions.send(homeserver.transport()),
        newest_room_version(homeserver),
        name(homeserver)
    );
    let versions: Versions = versions?.json("the server's versions")?;
    let has = |feature| versions.unstable_features.get(feature) == Some(&Value::Bool(true));
    Ok(ServerAbilities {
        name,
        sliding_sync: has(SLIDING_SYNC),
        sticky_events: has(STICKY_EVENTS),
        newest_room_version,
        takes_wildcards: None,
    })
}

async fn newest_room_version(homeserver: &Homeserver) -> Option<u32> {
    let request = JsonRequest::get(&["_matrix", "client", "v3", "capabilities"]).patience(PATIENCE);
    let answer = request.send(homeserver.transport()).await.ok()?;
    newest_stable(&answer.json("the server's capabilities").ok()?)
}

/// The newest of the room versions that a server calls stable. Those with names instead of numbers are experiments.
fn newest_stable(capabilities: &Value) -> Option<u32> {
    let available = capabilities["capabilities"]["m.room_versions"]["available"].as_object()?;
    let stable = available.iter().filter(|(_, stability)| *stability == "stable");
    stable.filter_map(|(version, _)| version.parse().ok()).max()
}

/// Its make and version. Nothing may rest on it: it is for other servers to read, and many a proxy leads nowhere there.
async fn name(homeserver: &Homeserver) -> Option<String> {
    let request = JsonRequest::get(&["_matrix", "federation", "v1", "version"]).patience(PATIENCE);
    named(&request.send(homeserver.transport()).await.ok()?.json("the server's name").ok()?)
}

fn named(answer: &Value) -> Option<String> {
    let part = |name: &str| answer["server"][name].as_str().map(str::trim).filter(|part| !part.is_empty());
    let name = part("name")?;
    Some(part("version").map_or_else(|| name.to_owned(), |version| format!("{name} {version}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_server_is_named_with_its_version_where_it_has_one() {
        let of = |server| named(&json!({"server": server}));
        assert_eq!(of(json!({"name": "Dendrite", "version": "0.13.8"})).as_deref(), Some("Dendrite 0.13.8"));
        assert_eq!(of(json!({"name": "Dendrite", "version": ""})).as_deref(), Some("Dendrite"));
        assert_eq!(of(json!({"version": "0.13.8"})), None);
        assert_eq!(named(&json!([])), None);
    }

    #[test]
    fn the_newest_room_version_is_the_highest_number_that_is_stable() {
        let of = |available| {
            newest_stable(&json!({"capabilities": {"m.room_versions": {"available": available}}}))
        };
        let available = json!({"9": "stable", "10": "stable", "11": "stable", "12": "unstable", "org.matrix.hydra.11": "stable"});
        assert_eq!(of(available), Some(11));
        assert_eq!(of(json!({})), None);
        assert_eq!(of(json!([12])), None);
        assert_eq!(newest_stable(&json!({"capabilities": 7})), None);
    }
}
