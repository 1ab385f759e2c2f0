//! `grace`

use rtc_janitor_core::{
    command::{GraceChange, GraceKey},
    judge::policy::Grace,
    render::answer,
};

use super::request::{Reply, Request, Stopped};
use crate::janitor::overrides::Override;

pub(super) async fn answer(
    request: &Request<'_>,
    key: GraceKey,
    change: GraceChange,
) -> Result<Reply, Stopped> {
    let by = request.by.clone();
    let now = request.janitor(move |janitor| {
        match change {
            GraceChange::To(grace) => janitor.set_override(&Override::Grace(key, grace), &by)?,
            GraceChange::Reset => janitor.clear_override(&Override::Grace(key, Grace::Never))?,
        }
        Ok(janitor.grace_now(key))
    });
    Ok(answer::grace(key, now.await?, change == GraceChange::Reset, &request.context.prefix).into())
}
