//! `sweep`: a plan of what is dead and due.

use rtc_janitor_core::command::RoomName;

use super::{
    request::{Reply, Request, Stopped},
    rooms_by_name::{MustBe, find_and_look_up},
};

pub(super) async fn answer(request: &Request<'_>, name: Option<RoomName>) -> Result<Reply, Stopped> {
    let only = match name {
        None => {
            let begun = request.janitor(|janitor| Ok(janitor.look_up(None))).await?;
            // One room that cannot be read is no reason to say nothing of the others.
            request.looked_up(begun).await?;
            None
        }
        Some(name) => match find_and_look_up(request, &name, MustBe::Watched(None)).await? {
            Ok((room, _)) => Some(room),
            Err(why) => return Ok(why.into()),
        },
    };
    request.janitor(move |janitor| janitor.propose_sweep(only.as_ref())).await.map(Reply::Plan)
}
