//! Which command is carried out where.

use rtc_janitor_core::command::{Command, HistoryFilter, RoomName, Target};

use super::asked::{Asked, Gone, Reply};

/// Carries out one command, by the file that is named after it.
pub(super) async fn run(asked: &Asked<'_>, command: Command) -> Result<Reply, Gone> {
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

/// Whether a command cannot be carried out before everything was seen since the start: it would tell that
/// there are no calls and no rooms, or know no room by its name, or take it for another's.
pub(super) fn needs_full_view(command: &Command) -> bool {
    let is_named = |target: &Target| matches!(target, Target::Room(RoomName::Name(_)));
    match command {
        Command::Calls { .. }
        | Command::Explain { .. }
        | Command::Sweep { .. }
        | Command::Clear { .. }
        | Command::Rooms { .. }
        | Command::Leave { .. } => true,
        Command::Exclude { target } | Command::Include { target } => is_named(target),
        Command::History { filter } => {
            filter.iter().any(|filter| matches!(filter, HistoryFilter::About(target) if is_named(target)))
        }
        // It says itself what it has not seen.
        Command::Status
        | Command::Help { .. }
        | Command::Apply { .. }
        | Command::Mode { .. }
        | Command::Pause { .. }
        | Command::Resume
        | Command::Grace { .. }
        | Command::Config { .. }
        | Command::Join { .. }
        | Command::Breaker { .. }
        | Command::Version => false,
    }
}
