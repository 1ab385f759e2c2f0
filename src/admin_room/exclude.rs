//! `exclude`

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
    let wish = match target {
        Target::User(user) => Wish::User(user),
        Target::Room(name) => match find_any(asked, &name).await? {
            Found::Room(room) => Wish::Room(room),
            Found::Nothing(why) => return Ok(why.into()),
        },
    };
    let (by, prefix) = (asked.by.clone(), asked.house.prefix.clone());
    let excluded = asked.janitor(move |janitor| {
        Box::pin(async move {
            let (shown, was_excluded) = match &wish {
                Wish::Room(room) => {
                    let name = janitor.name_of(room);
                    (message::room(room, name.as_deref()), janitor.wishes().rooms.contains(room))
                }
                Wish::User(user) => (message::user(user), janitor.wishes().users.contains(user)),
                _ => return Ok(None),
            };
            janitor.wish(&wish, &by)?;
            Ok(Some(answer::excluded(&shown, !was_excluded, &prefix)))
        })
    });
    Ok(excluded.await?.map_or(Reply::Elsewhere, Reply::from))
}
