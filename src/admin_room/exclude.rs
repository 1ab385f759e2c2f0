//! `exclude`: an override that keeps a room or a user from being cleared.

use rtc_janitor_core::{
    command::Target,
    render::{answer, message},
};

use super::{
    request::{Reply, Request, Stopped},
    rooms_by_name::{MustBe, Naming, find},
};
use crate::janitor::overrides::Override;

pub(super) async fn answer(request: &Request<'_>, target: Target) -> Result<Reply, Stopped> {
    let requested = match target {
        Target::User(user) => Override::User(user),
        Target::Room(name) => match find(request, &name, Naming::Whole, MustBe::Any).await? {
            Ok(room) => Override::Room(room),
            Err(why) => return Ok(why.into()),
        },
    };
    let (by, prefix) = (request.by.clone(), request.context.prefix.clone());
    let excluded = request.janitor(move |janitor| {
        let (shown, id, was_excluded) = match &requested {
            Override::Room(room) => {
                let shown = message::room(room, janitor.name_of(room).as_deref());
                (shown, room.as_str(), janitor.overrides().rooms.contains(room))
            }
            Override::User(user) => {
                (message::user(user), user.as_str(), janitor.overrides().users.contains(user))
            }
            _ => return Ok(None),
        };
        janitor.set_override(&requested, &by)?;
        Ok(Some(answer::excluded(&shown, id, !was_excluded, &prefix)))
    });
    Ok(excluded.await?.map_or(Reply::Elsewhere, Reply::from))
}
