//! `sweep`: a plan of what is stale and due.

use rtc_janitor_core::command::RoomName;

use super::{
    request::{Reply, Request, Stopped},
    rooms_by_name::{MustBe, Naming, find, look_up},
};

pub(super) async fn answer(request: &Request<'_>, name: Option<RoomName>) -> Result<Reply, Stopped> {
    let only = match name {
        None => {
            let begun = request.janitor(|janitor| Ok(janitor.look_up(None))).await?;
            // One room that cannot be read is no reason to say nothing of the others.
            request.looked_up(begun).await?;
            None
        }
        Some(name) => match find(request, &name, Naming::Part, MustBe::Watched(None)).await? {
            Ok(room) => match look_up(request, &room).await? {
                Ok(_) => Some(room),
                Err(why) => return Ok(why.into()),
            },
            Err(why) => return Ok(why.into()),
        },
    };
    request.janitor(move |janitor| janitor.propose_sweep(only.as_ref())).await.map(Reply::Plan)
}
