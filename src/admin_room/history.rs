//! `history`

use rtc_janitor_core::command::{HISTORY, HistoryFilter, Whom};

use super::{
    request::{Reply, Request, Stopped},
    rooms_by_name::{MustBe, Naming, find},
};

pub(super) async fn answer(request: &Request<'_>, filter: Vec<HistoryFilter>) -> Result<Reply, Stopped> {
    let (mut room, mut user, mut day, mut lines) = (None, None, None, HISTORY);
    for one in filter {
        match one {
            HistoryFilter::Lines(number) => lines = number.get(),
            HistoryFilter::Day(on) => day = Some(on),
            HistoryFilter::About(Whom::User(name)) => {
                match request.janitor(move |janitor| janitor.users_of_history(&name)).await? {
                    Ok(found) => user = Some(found),
                    Err(why) => return Ok(why.into()),
                }
            }
            HistoryFilter::About(Whom::Room(name)) => {
                match find(request, &name, Naming::Part, MustBe::Any).await? {
                    Ok(found) => room = Some(found),
                    Err(why) => return Ok(why.into()),
                }
            }
        }
    }
    let history = request.janitor(move |janitor| janitor.history(room.as_ref(), user.as_ref(), day, lines));
    Ok(history.await?.message().into())
}
