//! `history`

use rtc_janitor_core::command::{HISTORY, HistoryFilter, Whom};

use super::{
    request::{Reply, Request, Stopped},
    rooms_by_name::{MustBe, Naming, find, user_of},
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
                match (find(request, &name, Naming::Part, MustBe::Any).await?, user_of(&name)) {
                    (Ok(found), _) => room = Some(found),
                    // Where no room is called so, somebody may be.
                    (Err(no_room), Some(name)) => {
                        match request.janitor(move |janitor| janitor.users_of_history(&name)).await? {
                            Ok(found) => user = Some(found),
                            Err(_) => return Ok(no_room.into()),
                        }
                    }
                    (Err(no_room), None) => return Ok(no_room.into()),
                }
            }
        }
    }
    let history = request.janitor(move |janitor| janitor.history(room.as_ref(), user.as_ref(), day, lines));
    Ok(history.await?.message().into())
}
