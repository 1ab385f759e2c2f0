//! `pause`

use rtc_janitor_core::{command::PauseLength, mode::Pause, render::answer};

use super::asked::{Asked, Gone, Reply};
use crate::janitor::wishes::Wish;

pub(super) async fn answer(asked: &Asked<'_>, length: Option<PauseLength>) -> Result<Reply, Gone> {
    let by = asked.by.clone();
    let until = asked.janitor(move |janitor| {
        Box::pin(async move {
            let now = janitor.now();
            let pause = length.map_or(Pause::UntilResume, |PauseLength(span)| Pause::Until(now + span));
            janitor.wish(&Wish::Pause(pause), &by)?;
            Ok((pause.ends(), now))
        })
    });
    let (until, now) = until.await?;
    Ok(answer::paused(until, now, &asked.house.prefix).into())
}
