//! `mode`

use rtc_janitor_core::{command::ModeChange, mode::Mode, render::answer};

use super::request::{Reply, Request, Stopped};
use crate::janitor::overrides::Override;

pub(super) async fn answer(request: &Request<'_>, change: ModeChange) -> Result<Reply, Stopped> {
    let by = request.by.clone();
    let holds = request.janitor(move |janitor| {
        match change {
            ModeChange::To(mode) => janitor.set_override(&Override::Mode(mode), &by)?,
            // Whichever it was.
            ModeChange::Reset => janitor.clear_override(&Override::Mode(Mode::Report))?,
        }
        let is_forgotten = janitor.overrides().are_forgotten();
        Ok((janitor.mode(), janitor.is_carrying_out_a_plan(), is_forgotten))
    });
    let (holds, plans_go_on, is_forgotten) = holds.await?;
    if is_forgotten {
        return Ok(answer::mode_is_forgotten(&request.context.prefix).into());
    }
    Ok(answer::mode(change, holds, plans_go_on, &request.context.prefix).into())
}
