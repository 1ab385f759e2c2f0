//! `mode`

use rtc_janitor_core::{mode::Mode, render::answer};

use super::request::{Reply, Request, Stopped};
use crate::janitor::overrides::Override;

pub(super) async fn answer(request: &Request<'_>, mode: Mode) -> Result<Reply, Stopped> {
    let by = request.by.clone();
    let holds = request.janitor(move |janitor| {
        janitor.set_override(&Override::Mode(mode), &by)?;
        Ok((janitor.mode(), janitor.is_carrying_out_a_plan()))
    });
    let (holds, plans_go_on) = holds.await?;
    Ok(answer::mode(mode, holds, plans_go_on, &request.context.prefix).into())
}
