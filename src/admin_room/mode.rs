//! `mode`

use rtc_janitor_core::{mode::Mode, render::answer};

use super::asked::{Asked, Gone, Reply};
use crate::janitor::wishes::Wish;

pub(super) async fn answer(asked: &Asked<'_>, mode: Mode) -> Result<Reply, Gone> {
    let by = asked.by.clone();
    let holds = asked.janitor(move |janitor| {
        Box::pin(async move {
            janitor.wish(&Wish::Mode(mode), &by)?;
            Ok((janitor.mode(), janitor.is_carrying_out_a_plan()))
        })
    });
    let (holds, plans_go_on) = holds.await?;
    Ok(answer::mode(mode, holds, plans_go_on, &asked.house.prefix).into())
}
