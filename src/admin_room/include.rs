//! `include`: undoes `exclude`, and nothing else.

use rtc_janitor_core::{
    command::Target,
    render::{answer, message},
};

use super::{
    asked::{Asked, Gone, Reply},
    rooms_by_name::{Found, find_any},
};
use crate::janitor::wishes::Wish;

pub(super) async fn answer(asked: &Asked<'_>, target: Target) -> Result<Reply, Gone> {
    let room = match &target {
        Target::User(_) => None,
        Target::Room(name) => match find_any(asked, name).await? {
            Found::Room(room) => Some(room),
            Found::Nothing(why) => return Ok(why.into()),
        },
    };
    let included = asked.janitor(move |janitor| {
        Box::pin(async move {
            let (wish, shown, was_excluded, by_settings) = match (room, target) {
                (Some(room), _) => {
                    let shown = message::room(&room, janitor.name_of(&room).as_deref());
                    let was_excluded = janitor.wishes().rooms.contains(&room);
                    let by_settings = !janitor.file().covers(&room);
                    (Wish::Room(room), shown, was_excluded, by_settings)
                }
                (None, Target::User(user)) => {
                    let was_excluded = janitor.wishes().users.contains(&user);
                    let by_settings = janitor.file().leaves_alone(&user);
                    (Wish::User(user.clone()), message::user(&user), was_excluded, by_settings)
                }
                (None, Target::Room(_)) => return Ok(None),
            };
            janitor.unwish(&wish)?;
            Ok(Some(answer::included(&shown, was_excluded, by_settings)))
        })
    });
    Ok(included.await?.map_or(Reply::Elsewhere, Reply::from))
}
