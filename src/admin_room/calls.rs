//! `calls`

use rtc_janitor_core::command::RoomName;

use super::{
    asked::{Asked, Gone, Reply},
    rooms_by_name::{Found, find},
};

pub(super) async fn answer(asked: &Asked<'_>, room: Option<RoomName>) -> Result<Reply, Gone> {
    let only = match room {
        None => None,
        Some(name) => match find(asked, &name).await? {
            Found::Room(room) => Some(room),
            Found::Nothing(why) => return Ok(why.into()),
        },
    };
    let calls =
        asked.janitor(move |janitor| Box::pin(async move { Ok(janitor.calls(only.as_ref())) })).await?;
    Ok(calls.message(&asked.house.prefix).into())
}
