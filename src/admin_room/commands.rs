//! Which command is carried out where.

use rtc_janitor_core::{
    command::{Command, HistoryFilter, ModeChange, RoomName, SurveyOrder, Target, Whom},
    mode::Mode,
};

use super::request::{Reply, Request, Stopped};

/// Carries out one command, by the file that is named after it.
pub(super) async fn run(request: &Request<'_>, command: Command) -> Result<Reply, Stopped> {
    match command {
        Command::Help { command } => Ok(super::help::answer(request, command.as_deref())),
        Command::Status => super::status::answer(request).await,
        Command::Calls { only } => super::calls::answer(request, only).await,
        Command::Explain { place } => super::explain::answer(request, place).await,
        Command::Survey { order } => super::survey::answer(request, order.unwrap_or_default()).await,
        Command::Sweep { room } => super::sweep::answer(request, room).await,
        Command::Apply { plan } => super::apply::answer(request, plan).await,
        Command::Clear { room, user } => super::clear::answer(request, room, user).await,
        Command::Mode { mode } => super::mode::answer(request, mode).await,
        Command::Pause { length } => super::pause::answer(request, length).await,
        Command::Resume => super::resume::answer(request).await,
        Command::Exclude { target } => super::exclude::answer(request, target).await,
        Command::Include { target } => super::include::answer(request, target).await,
        Command::Grace { reason, change } => super::grace::answer(request, reason, change).await,
        Command::Config { all } => super::config::answer(request, all.is_some()).await,
        Command::Rooms { problems } => super::rooms::answer(request, problems.is_some()).await,
        Command::Join { room } => super::join::answer(request, room).await,
        Command::Leave { room, sure } => super::leave::answer(request, room, sure.is_some()).await,
        Command::History { filter } => super::history::answer(request, filter).await,
        Command::Breaker { action, source } => super::breaker::answer(request, action, source).await,
        Command::Version => Ok(super::version::answer(request)),
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
            filter.iter().any(|filter| matches!(filter, HistoryFilter::About(Whom::Room(RoomName::Name(_)))))
        }
        // It says itself what it has not seen.
        Command::Status
        | Command::Help { .. }
        | Command::Survey { .. }
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

/// When a command is carried out, beside others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// At once, whatever else hangs: it can only make the janitor do less.
    Now,
    /// After those before it: it changes how the janitor behaves, or tells of it.
    InTurn,
    /// Beside all others: it asks the homeserver for something.
    Beside,
}

/// The course of a command.
pub(super) fn course(command: &Command) -> Course {
    match command {
        Command::Pause { .. }
        | Command::Mode { mode: ModeChange::To(Mode::Report) }
        | Command::Survey { order: Some(SurveyOrder::Stop) } => Course::Now,
        Command::Status
        | Command::Help { .. }
        | Command::Apply { .. }
        | Command::Mode { mode: ModeChange::To(Mode::Clean) | ModeChange::Reset }
        | Command::Resume
        | Command::Grace { .. }
        | Command::Config { .. }
        | Command::Rooms { .. }
        | Command::Breaker { .. }
        | Command::Version => Course::InTurn,
        Command::Calls { .. }
        | Command::Explain { .. }
        | Command::Survey { .. }
        | Command::Sweep { .. }
        | Command::Clear { .. }
        | Command::Exclude { .. }
        | Command::Include { .. }
        | Command::History { .. }
        | Command::Join { .. }
        | Command::Leave { .. } => Course::Beside,
    }
}

/// Whether a command can make the janitor do more than before, so that one which came later and was to end that must not
/// be undone by it.
pub(super) fn can_do_more(command: &Command) -> bool {
    matches!(
        command,
        Command::Apply { .. }
            | Command::Mode { mode: ModeChange::To(Mode::Clean) | ModeChange::Reset }
            | Command::Resume
            | Command::Grace { .. }
            | Command::Include { .. }
            | Command::Breaker { .. }
            | Command::Survey { order: None | Some(SurveyOrder::Make { .. }) }
    )
}
