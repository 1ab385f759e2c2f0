//! `rooms`

use super::request::{Reply, Request, Stopped};

pub(super) async fn answer(request: &Request<'_>, only_problems: bool) -> Result<Reply, Stopped> {
    let rooms = request.janitor(move |janitor| Ok(janitor.rooms_answer(only_problems))).await?;
    Ok(rooms.message(&request.context.prefix).into())
}
