//! `join`

use rtc_janitor_core::{
    command::RoomName,
    ids::RoomId,
    render::{answer, message},
};

use super::{
    request::{Reply, Request, Stopped},
    rooms_by_name::{MustBe, Naming, find_and},
};
use crate::{janitor::Janitor, world::NeighbourError};

pub(super) async fn answer(request: &Request<'_>, name: RoomName) -> Result<Reply, Stopped> {
    let about = |janitor: &mut Janitor, room: RoomId| {
        Ok((janitor.is_in(&room).then(|| janitor.name_of(&room)), room))
    };
    let (joined, room) = match find_and(request, &name, Naming::Whole, MustBe::Any, about).await? {
        Ok(found) => found,
        Err(why) => return Ok(why.into()),
    };
    if let Some(known) = joined {
        return Ok(answer::joined_before(&message::room(&room, known.as_deref())).into());
    }
    let shown = message::room(&room, matches!(name, RoomName::Alias(_)).then(|| name.to_string()).as_deref());
    Ok(match request.context.rooms.join(&room, &via(&name, &room, request)).await {
        Ok(()) => {
            let id = room.clone();
            let is_looked_after = request.janitor(move |janitor| Ok(janitor.looks_after(&id))).await?;
            answer::joined(&shown, is_looked_after).into()
        }
        Err(NeighbourError::Refused { message, .. }) => answer::not_let_in(&shown, &message).into(),
        Err(error) => answer::failed(&error.to_string()).into(),
    })
}

/// Servers that may be in a room: the one of its alias or id, and that of whoever asks.
fn via(name: &RoomName, room: &RoomId, request: &Request<'_>) -> Vec<String> {
    let alias = if let RoomName::Alias(alias) = name { Some(alias.as_str()) } else { None };
    let servers = [alias, Some(room.as_str()), Some(request.by.as_str())];
    let mut servers: Vec<_> = servers
        .into_iter()
        .flatten()
        .filter_map(|id| id.split_once(':'))
        .map(|(_, s)| s.to_owned())
        .collect();
    servers.dedup();
    servers
}
