//! `clear`: a plan of everything in a room, active or not.

use rtc_janitor_core::{
    command::RoomName,
    ids::UserId,
    render::{Message, answer},
};

use super::{
    request::{Reply, Request, Stopped},
    rooms_by_name::{MustBe, Naming, find, look_up},
};

pub(super) async fn answer(
    request: &Request<'_>,
    name: RoomName,
    user: Option<UserId>,
) -> Result<Reply, Stopped> {
    let room = match find(request, &name, Naming::Whole, MustBe::Watched(user.clone())).await? {
        Ok(room) => room,
        Err(why) => return Ok(for_one_user(request, &name).await?.unwrap_or(why).into()),
    };
    if let Err(why) = look_up(request, &room).await? {
        return Ok(why.into());
    }
    request.janitor(move |janitor| janitor.propose_clear(&room, user.as_ref())).await.map(Reply::Plan)
}

/// What to say of `clear Team Meeting bob`: whoever follows a hint at the room alone would drop everybody.
async fn for_one_user(request: &Request<'_>, name: &RoomName) -> Result<Option<Message>, Stopped> {
    let RoomName::Name(text) = name else { return Ok(None) };
    let Some((room, user)) = text.rsplit_once(' ') else { return Ok(None) };
    let room = RoomName::Name(room.to_owned());
    let found = find(request, &room, Naming::Whole, MustBe::Joined).await?;
    Ok(found.ok().map(|_| answer::clear_needs_full_id(user)))
}
