//! `sweep`: a plan of what is dead and due.

use rtc_janitor_core::{command::RoomName, ids::RoomId, render::answer};

use super::{
    request::{Reply, Request, Stopped},
    rooms_by_name::{MustBe, find_and},
};
use crate::janitor::Janitor;

pub(super) async fn answer(request: &Request<'_>, room: Option<RoomName>) -> Result<Reply, Stopped> {
    let (begun, only) = match room {
        None => (request.janitor(|janitor| Ok(janitor.look_up(None))).await?, None),
        Some(name) => {
            let look_up = |janitor: &mut Janitor, room: RoomId| (janitor.look_up(Some(&room)), Some(room));
            match find_and(request, &name, MustBe::Watched(None), look_up).await? {
                Ok(found) => found,
                Err(why) => return Ok(why.into()),
            }
        }
    };
    let looked_up = request.looked_up(begun).await?;
    // Of all rooms, one that cannot be read is no reason to say nothing of the others.
    if let (Some(why), Some(_)) = (looked_up.failed, &only) {
        return Ok(answer::failed(&why).into());
    }
    request.janitor(move |janitor| janitor.propose_sweep(only.as_ref())).await.map(Reply::Plan)
}
