//! `apply`, and ✅, which does the same without a name.

use rtc_janitor_core::{command::PlanId, render::answer};

use super::request::{Reply, Request, Stopped};
use crate::janitor::{
    Janitor,
    plans::{Approved, Which},
};

pub(super) async fn answer(request: &Request<'_>, plan: PlanId) -> Result<Reply, Stopped> {
    approve(request, Which::Named(plan)).await
}

/// An approval, by ✅ or by `apply`.
pub(super) async fn approve(request: &Request<'_>, which: Which) -> Result<Reply, Stopped> {
    let (by, event, named) = (request.by.clone(), request.event.clone(), which.clone());
    let work = move |janitor: &mut Janitor| janitor.approve(&which, &by, &event);
    let approved = request.janitor(work).await?;
    let prefix = &request.context.prefix;
    Ok(match (approved, named) {
        (Approved::Joins(plan), _) => match &request.context.surveys {
            Some(surveys) => {
                surveys.carry_out(plan, request.event.clone());
                Reply::Elsewhere
            }
            None => answer::no_admin_api().into(),
        },
        (Approved::TooOld(id), _) => answer::plan_too_old(&id, prefix).into(),
        (Approved::Unreadable, _) => answer::plan_unreadable(prefix).into(),
        (Approved::Paused(id), _) => answer::plan_waits(&id, prefix).into(),
        (Approved::Taken(id, by), Which::Named(_)) => answer::plan_taken(&id, &by).into(),
        (Approved::Unknown, Which::Named(id)) => answer::no_such_plan(&id, prefix).into(),
        // Its progress is said with the plan; and a second ✅ is no question.
        (Approved::Begun, _) | (Approved::Taken(..) | Approved::Unknown, Which::ShownIn(_)) => {
            Reply::Elsewhere
        }
    })
}
