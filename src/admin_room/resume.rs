//! `resume`

use rtc_janitor_core::{mode::Pause, render::answer};

use super::request::{Reply, Request, Stopped};
use crate::janitor::overrides::Override;

pub(super) async fn answer(request: &Request<'_>) -> Result<Reply, Stopped> {
    let resumed = request.janitor(|janitor| {
        let was_paused = janitor.overrides().is_paused(janitor.now());
        janitor.clear_override(&Override::Pause(Pause::UntilResume))?;
        Ok(answer::resumed(was_paused, janitor.mode()))
    });
    Ok(resumed.await?.into())
}
