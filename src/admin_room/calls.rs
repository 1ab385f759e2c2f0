//! `calls`

use rtc_janitor_core::command::Whom;

use super::{
    request::{Reply, Request, Stopped},
    rooms_by_name::{MustBe, Naming, find_and, user_of},
};
use crate::janitor::Janitor;

pub(super) async fn answer(request: &Request<'_>, only: Option<Whom>) -> Result<Reply, Stopped> {
    let answer = match only {
        None => request.janitor(|janitor| janitor.calls(None).map(Ok)).await?,
        Some(Whom::User(user)) => request.janitor(move |janitor| janitor.calls_of(&user)).await?,
        Some(Whom::Room(name)) => {
            let calls = |janitor: &mut Janitor, room| janitor.calls(Some(&room));
            match (find_and(request, &name, Naming::Part, MustBe::Joined, calls).await?, user_of(&name)) {
                // Where no room is called so, somebody may be.
                (Err(no_room), Some(user)) => {
                    let calls = request.janitor(move |janitor| janitor.calls_of(&user)).await?;
                    calls.map_err(|_| no_room)
                }
                (found, _) => found,
            }
        }
    };
    Ok(match answer {
        Ok(calls) => calls.message(&request.context.prefix).into(),
        Err(why) => why.into(),
    })
}
