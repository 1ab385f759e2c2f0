//! `grace`

use rtc_janitor_core::{
    command::{GraceChange, GraceKey},
    judge::policy::Grace,
    render::answer,
};

use super::asked::{Asked, Gone, Reply};
use crate::janitor::wishes::Wish;

pub(super) async fn answer(asked: &Asked<'_>, key: GraceKey, change: GraceChange) -> Result<Reply, Gone> {
    let by = asked.by.clone();
    let now = asked.janitor(move |janitor| {
        Box::pin(async move {
            match change {
                GraceChange::To(grace) => janitor.wish(&Wish::Grace(key, grace), &by)?,
                GraceChange::Reset => janitor.unwish(&Wish::Grace(key, Grace::Never))?,
            }
            Ok(janitor.grace_now(key))
        })
    });
    Ok(answer::grace(key, now.await?, change == GraceChange::Reset, &asked.house.prefix).into())
}
