//! `apply`, and ✅, which does the same without a name.

use rtc_janitor_core::{command::PlanId, render::answer};

use super::asked::{Asked, Gone, Reply};
use crate::janitor::{
    Janitor,
    plans::{Approved, Which},
};

pub(super) async fn answer(asked: &Asked<'_>, plan: PlanId) -> Result<Reply, Gone> {
    approve(asked, Which::Named(plan)).await
}

/// An approval, by ✅ or by `apply`.
pub(super) async fn approve(asked: &Asked<'_>, which: Which) -> Result<Reply, Gone> {
    let (by, event, named) = (asked.by.clone(), asked.event.clone(), which.clone());
    let work = move |janitor: &mut Janitor| janitor.approve(&which, &by, &event);
    let approved = asked.janitor(|janitor| Box::pin(async move { work(janitor) })).await?;
    let prefix = &asked.house.prefix;
    Ok(match (approved, named) {
        (Approved::TooOld(id), _) => answer::plan_too_old(&id, prefix).into(),
        (Approved::Paused(id), _) => answer::plan_waits(&id, prefix).into(),
        (Approved::Taken(id, by), Which::Named(_)) => answer::plan_taken(&id, &by).into(),
        (Approved::Unknown, Which::Named(id)) => answer::no_such_plan(&id, prefix).into(),
        // Its progress is said with the plan; and a second ✅ is no question.
        (Approved::Begun, _) | (Approved::Taken(..) | Approved::Unknown, Which::ShownIn(_)) => {
            Reply::Elsewhere
        }
    })
}
