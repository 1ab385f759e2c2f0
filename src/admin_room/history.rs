//! `history`

use rtc_janitor_core::command::{HISTORY, HistoryFilter, Target};

use super::{
    request::{Reply, Request, Stopped},
    rooms_by_name::{MustBe, find},
};

pub(super) async fn answer(request: &Request<'_>, filter: Vec<HistoryFilter>) -> Result<Reply, Stopped> {
    let (mut room, mut user, mut lines) = (None, None, HISTORY);
    for one in filter {
        match one {
            HistoryFilter::Lines(number) => lines = number.get(),
            HistoryFilter::About(Target::User(of)) => user = Some(of),
            HistoryFilter::About(Target::Room(name)) => match find(request, &name, MustBe::Any).await? {
                Ok(found) => room = Some(found),
                Err(why) => return Ok(why.into()),
            },
        }
    }
    let history = request.janitor(move |janitor| janitor.history(room.as_ref(), user.as_ref(), lines));
    Ok(history.await?.message().into())
}
