//! `pause`

use rtc_janitor_core::{command::PauseLength, render::answer};

use super::front_desk::{Asked, Gone, Reply};
use crate::janitor::wishes::Wish;

pub(super) async fn answer(asked: &Asked<'_>, length: Option<PauseLength>) -> Result<Reply, Gone> {
    let by = asked.by.clone();
    let until = asked.janitor(move |janitor| {
        Box::pin(async move {
            let now = janitor.now();
            let until = length.map(|PauseLength(span)| now + span);
            janitor.wish(&Wish::Pause(until), &by)?;
            Ok((until, now))
        })
    });
    let (until, now) = until.await?;
    Ok(answer::paused(until, now).into())
}
