//! `calls`

use rtc_janitor_core::command::RoomName;

use super::{
    request::{Reply, Request, Stopped},
    rooms_by_name::{MustBe, find_and},
};
use crate::janitor::Janitor;

pub(super) async fn answer(request: &Request<'_>, room: Option<RoomName>) -> Result<Reply, Stopped> {
    let calls = match room {
        None => request.janitor(|janitor| Ok(janitor.calls(None))).await?,
        Some(name) => {
            let calls = |janitor: &mut Janitor, room| janitor.calls(Some(&room));
            match find_and(request, &name, MustBe::Joined, calls).await? {
                Ok(calls) => calls,
                Err(why) => return Ok(why.into()),
            }
        }
    };
    Ok(calls.message(&request.context.prefix).into())
}
