//! `sweep`: a plan of what is dead and due.

use rtc_janitor_core::{command::RoomName, render::answer};

use super::{
    request::{Reply, Request, Stopped},
    rooms_by_name::{Found, find_watched},
};

pub(super) async fn answer(request: &Request<'_>, room: Option<RoomName>) -> Result<Reply, Stopped> {
    let only = match room {
        None => None,
        Some(name) => match find_watched(request, &name, None).await? {
            Found::Room(room) => Some(room),
            Found::Nothing(why) => return Ok(why.into()),
        },
    };
    let looked_up = request.look_up(only.as_ref()).await?;
    // Of all rooms, one that cannot be read is no reason to say nothing of the others.
    if let (Some(why), Some(_)) = (looked_up.failed, &only) {
        return Ok(answer::failed(&why).into());
    }
    request.janitor(move |janitor| janitor.propose_sweep(only.as_ref())).await.map(Reply::Plan)
}
