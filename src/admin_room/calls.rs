//! `calls`

use rtc_janitor_core::command::RoomName;

use super::{
    request::{Reply, Request, Stopped},
    rooms_by_name::{Found, find},
};

pub(super) async fn answer(request: &Request<'_>, room: Option<RoomName>) -> Result<Reply, Stopped> {
    let only = match room {
        None => None,
        Some(name) => match find(request, &name).await? {
            Found::Room(room) => Some(room),
            Found::Nothing(why) => return Ok(why.into()),
        },
    };
    let calls = request.janitor(move |janitor| Ok(janitor.calls(only.as_ref()))).await?;
    Ok(calls.message(&request.context.prefix).into())
}
