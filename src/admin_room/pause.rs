//! `pause`

use rtc_janitor_core::{command::PauseLength, mode::Pause, render::answer};

use super::request::{Reply, Request, Stopped};
use crate::janitor::overrides::Override;

pub(super) async fn answer(request: &Request<'_>, length: Option<PauseLength>) -> Result<Reply, Stopped> {
    let by = request.by.clone();
    let until = request.janitor(move |janitor| {
        let now = janitor.now();
        let pause = match &length {
            Some(PauseLength::For(span)) => Pause::Until(now + *span),
            Some(PauseLength::NotUnderstood(_)) | None => Pause::UntilResume,
        };
        janitor.set_override(&Override::Pause(pause), &by)?;
        let not_understood = match length {
            Some(PauseLength::NotUnderstood(text)) => Some(text),
            _ => None,
        };
        Ok((pause.ends(), now, not_understood))
    });
    let (until, now, not_understood) = until.await?;
    Ok(answer::paused(until, not_understood.as_deref(), now, &request.context.prefix).into())
}
