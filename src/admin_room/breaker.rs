//! `breaker close`

use rtc_janitor_core::{command::BreakerAction, judge::policy::Neighbour, render::answer};

use super::asked::{Asked, Gone, Reply};

pub(super) async fn answer(
    asked: &Asked<'_>,
    BreakerAction::Close: BreakerAction,
    neighbour: Option<Neighbour>,
) -> Result<Reply, Gone> {
    let closed =
        asked.janitor(move |janitor| Box::pin(async move { janitor.close_breakers(neighbour) })).await?;
    Ok(answer::breaker_closed(&closed).into())
}
