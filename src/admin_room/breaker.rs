//! `breaker close`

use rtc_janitor_core::{command::BreakerAction, judge::policy::Neighbour, render::answer};

use super::request::{Reply, Request, Stopped};

pub(super) async fn answer(
    request: &Request<'_>,
    BreakerAction::Close: BreakerAction,
    neighbour: Option<Neighbour>,
) -> Result<Reply, Stopped> {
    let closed = request.janitor(move |janitor| Ok(janitor.close_breakers(neighbour))).await?;
    Ok(answer::breaker_closed(&closed).into())
}
