//! `pause`

use rtc_janitor_core::{command::PauseLength, mode::Pause, render::answer};

use super::request::{Reply, Request, Stopped};
use crate::janitor::overrides::Override;

pub(super) async fn answer(request: &Request<'_>, length: Option<PauseLength>) -> Result<Reply, Stopped> {
    let by = request.by.clone();
    let until = request.janitor(move |janitor| {
        let now = janitor.now();
        let pause = length.map_or(Pause::UntilResume, |PauseLength(span)| Pause::Until(now + span));
        janitor.set_override(&Override::Pause(pause), &by)?;
        Ok((pause.ends(), now))
    });
    let (until, now) = until.await?;
    Ok(answer::paused(until, now, &request.context.prefix).into())
}
