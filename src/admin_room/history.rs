//! `history`

use rtc_janitor_core::command::{HISTORY, HistoryFilter, Target};

use super::{
    asked::{Asked, Gone, Reply},
    rooms_by_name::{Found, find_any},
};

pub(super) async fn answer(asked: &Asked<'_>, filter: Vec<HistoryFilter>) -> Result<Reply, Gone> {
    let (mut room, mut user, mut lines) = (None, None, HISTORY);
    for one in filter {
        match one {
            HistoryFilter::Lines(number) => lines = number.get(),
            HistoryFilter::About(Target::User(of)) => user = Some(of),
            HistoryFilter::About(Target::Room(name)) => match find_any(asked, &name).await? {
                Found::Room(found) => room = Some(found),
                Found::Nothing(why) => return Ok(why.into()),
            },
        }
    }
    let history = asked.janitor(move |janitor| {
        Box::pin(async move { janitor.history(room.as_ref(), user.as_ref(), lines) })
    });
    Ok(history.await?.message().into())
}
