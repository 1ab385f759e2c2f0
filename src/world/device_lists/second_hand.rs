//! What another server's device list lacks. A homeserver answers from a cache for a server that is down, and does not say
//! so; and the news of a device that has just signed in is then still on its way.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use rtc_janitor_core::ids::{DeviceId, UserId};
use tokio::time::sleep;

use super::{DeviceAnswers, UnknownDevices};
use crate::world::{
    NeighbourError,
    homeserver::{Homeserver, request::JsonRequest},
};

/// How long other servers have to show that they are there, all of them together.
const PATIENCE: Duration = Duration::from_secs(10);

/// One that hangs costs all the time there is, so the others do not wait for it.
const AT_ONCE: usize = 20;

/// So many users of a server are asked for until it shows the profile of one: some may have none.
const MOST_ASKED: usize = 3;

/// Makes those lists of other servers unknown that lack a device in `wanted`, unless their server answers now.
pub(super) async fn doubt_the_unreachable(
    homeserver: &Homeserver,
    wanted: &BTreeMap<UserId, BTreeSet<DeviceId>>,
    answers: &mut DeviceAnswers,
) {
    let here = homeserver.user_id().server_name();
    let mut lacking: BTreeMap<String, Vec<UserId>> = BTreeMap::new();
    for (user, answer) in &*answers {
        let (Ok(list), Some(devices)) = (answer, wanted.get(user)) else { continue };
        let server = user.server_name().filter(|server| Some(*server) != here);
        if let Some(server) = server.filter(|_| devices.iter().any(|it| !list.devices.contains_key(it))) {
            lacking.entry(server.to_owned()).or_default().push(user.clone());
        }
    }
    let seen: BTreeMap<_, _> = stream::iter(lacking.clone())
        .map(|(server, users)| async move { (server, contact(homeserver, &users).await) })
        .buffer_unordered(AT_ONCE)
        .take_until(sleep(PATIENCE))
        .collect()
        .await;
    for (server, users) in lacking {
        let why = match seen.get(&server) {
            Some(Ok(())) => continue,
            Some(Err(why)) => why.to_string(),
            None => "no answer in time".to_owned(),
        };
        for user in users {
            let failed = UnknownDevices::ServerFailed { server: server.clone(), message: why.clone() };
            answers.insert(user, Err(failed));
        }
    }
}

/// Whether the server of these users can be reached now. Profiles of other servers are asked for there each time, even
/// where the homeserver has given a server up for a while. Only a profile counts: that there is none, or that it may not
/// be seen, can be the word of this homeserver, or of a proxy before a server that is down.
async fn contact(homeserver: &Homeserver, users: &[UserId]) -> Result<(), NeighbourError> {
    let mut refusal = NeighbourError::Unreachable("nobody was asked for".to_owned());
    for user in users.iter().take(MOST_ASKED) {
        let path = ["_matrix", "client", "v3", "profile", user.as_str()];
        match JsonRequest::get(&path).patience(PATIENCE).send(homeserver.transport()).await {
            Ok(_) => return Ok(()),
            Err(refused @ NeighbourError::Refused { .. }) => refusal = refused,
            Err(why) => return Err(why),
        }
    }
    Err(refusal)
}
