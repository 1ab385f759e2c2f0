//! `include`: undoes `exclude`, and nothing else.

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
    let room = match &target {
        Target::User(_) => None,
        Target::Room(name) => match find(request, name, Naming::Whole, MustBe::Any).await? {
            Ok(room) => Some(room),
            Err(why) => return Ok(why.into()),
        },
    };
    let included = request.janitor(move |janitor| {
        let (requested, shown, was_excluded, by_settings) = match (room, target) {
            (Some(room), _) => {
                let shown = message::room(&room, janitor.name_of(&room).as_deref());
                let was_excluded = janitor.overrides().rooms.contains(&room);
                let by_settings = !janitor.file().covers(&room);
                (Override::Room(room), shown, was_excluded, by_settings)
            }
            (None, Target::User(user)) => {
                let was_excluded = janitor.overrides().users.contains(&user);
                let by_settings = janitor.file().leaves_alone(&user);
                (Override::User(user.clone()), message::user(&user), was_excluded, by_settings)
            }
            (None, Target::Room(_)) => return Ok(None),
        };
        janitor.clear_override(&requested)?;
        Ok(Some(answer::included(&shown, was_excluded, by_settings)))
    });
    Ok(included.await?.map_or(Reply::Elsewhere, Reply::from))
}
