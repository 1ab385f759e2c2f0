//! Which command is carried out where.

use std::time::Duration;

use rtc_janitor_core::{command::Command, render::answer};
use tokio::time::timeout;

use super::asked::{Asked, Gone, Reply};

/// How long a command waits after a start until everything was seen.
const FULL_VIEW: Duration = Duration::from_secs(30);

/// Carries out one command, by the file that is named after it.
pub(super) async fn run(asked: &Asked<'_>, command: Command) -> Result<Reply, Gone> {
    if tells_of_calls(&command) && !has_seen_all(asked).await? {
        return Ok(answer::has_not_seen_all().into());
    }
    match command {
        Command::Help { command } => Ok(super::help::answer(asked, command.as_deref())),
        Command::Status => super::status::answer(asked).await,
        Command::Calls { room } => super::calls::answer(asked, room).await,
        Command::Explain { room, user } => super::explain::answer(asked, room, user).await,
        Command::Sweep { room } => super::sweep::answer(asked, room).await,
        Command::Apply { plan } => super::apply::answer(asked, plan).await,
        Command::Clear { room, user } => super::clear::answer(asked, room, user).await,
        Command::Mode { mode } => super::mode::answer(asked, mode).await,
        Command::Pause { length } => super::pause::answer(asked, length).await,
        Command::Resume => super::resume::answer(asked).await,
        Command::Exclude { target } => super::exclude::answer(asked, target).await,
        Command::Include { target } => super::include::answer(asked, target).await,
        Command::Grace { reason, change } => super::grace::answer(asked, reason, change).await,
        Command::Config { all } => super::config::answer(asked, all.is_some()).await,
        Command::Rooms { problems } => super::rooms::answer(asked, problems.is_some()).await,
        Command::Join { room } => super::join::answer(asked, room).await,
        Command::Leave { room } => super::leave::answer(asked, room).await,
        Command::History { filter } => super::history::answer(asked, filter).await,
        Command::Breaker { action, neighbour } => super::breaker::answer(asked, action, neighbour).await,
        Command::Version => Ok(super::version::answer()),
    }
}

/// Whether a command is about the calls or the rooms there are: an answer that is given before they were
/// seen would say that there are none.
const fn tells_of_calls(command: &Command) -> bool {
    match command {
        Command::Calls { .. }
        | Command::Explain { .. }
        | Command::Sweep { .. }
        | Command::Clear { .. }
        | Command::Rooms { .. }
        | Command::Leave { .. } => true,
        // It says itself what it has not seen.
        Command::Status
        | Command::Help { .. }
        | Command::Apply { .. }
        | Command::Mode { .. }
        | Command::Pause { .. }
        | Command::Resume
        | Command::Exclude { .. }
        | Command::Include { .. }
        | Command::Grace { .. }
        | Command::Config { .. }
        | Command::Join { .. }
        | Command::History { .. }
        | Command::Breaker { .. }
        | Command::Version => false,
    }
}

/// Waits until everything was seen since the start, for a while; false when that takes longer.
async fn has_seen_all(asked: &Asked<'_>) -> Result<bool, Gone> {
    let mut seen = asked.janitor(|janitor| Box::pin(async move { Ok(janitor.has_seen_all()) })).await?;
    Ok(timeout(FULL_VIEW, seen.wait_for(|seen| *seen)).await.is_ok_and(|seen| seen.is_ok()))
}
