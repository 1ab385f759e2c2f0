//! `history`

use rtc_janitor_core::command::{HISTORY, HistoryFilter, Target};

use super::{
    request::{Reply, Request, Stopped},
    rooms_by_name::{Found, find_any},
};

pub(super) async fn answer(request: &Request<'_>, filter: Vec<HistoryFilter>) -> Result<Reply, Stopped> {
    let (mut room, mut user, mut lines) = (None, None, HISTORY);
    for one in filter {
        match one {
            HistoryFilter::Lines(number) => lines = number.get(),
            HistoryFilter::About(Target::User(of)) => user = Some(of),
            HistoryFilter::About(Target::Room(name)) => match find_any(request, &name).await? {
                Found::Room(found) => room = Some(found),
                Found::Nothing(why) => return Ok(why.into()),
            },
        }
    }
    let history = request.janitor(move |janitor| janitor.history(room.as_ref(), user.as_ref(), lines));
    Ok(history.await?.message().into())
}
