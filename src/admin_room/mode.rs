//! `mode`

use rtc_janitor_core::{mode::Mode, render::answer};

use super::asked::{Asked, Gone, Reply};
use crate::janitor::wishes::Wish;

pub(super) async fn answer(asked: &Asked<'_>, mode: Mode) -> Result<Reply, Gone> {
    let by = asked.by.clone();
    let holds = asked.janitor(move |janitor| {
        Box::pin(async move {
            janitor.wish(&Wish::Mode(mode), &by)?;
            Ok(janitor.mode())
        })
    });
    Ok(answer::mode(mode, holds.await?, &asked.house.prefix).into())
}
