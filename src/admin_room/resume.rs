//! `resume`

use rtc_janitor_core::{mode::Pause, render::answer};

use super::asked::{Asked, Gone, Reply};
use crate::janitor::wishes::Wish;

pub(super) async fn answer(asked: &Asked<'_>) -> Result<Reply, Gone> {
    let resumed = asked.janitor(|janitor| {
        Box::pin(async move {
            let was_paused = janitor.wishes().is_paused(janitor.now());
            janitor.unwish(&Wish::Pause(Pause::UntilResume))?;
            Ok(answer::resumed(was_paused, janitor.mode()))
        })
    });
    Ok(resumed.await?.into())
}
