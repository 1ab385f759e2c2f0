//! `rtc-janitor survey`: a look through all rooms of the server, and, once that is approved, getting into them.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
};

use rtc_janitor_core::{
    ids::RoomId,
    render::{
        answer::{proposed_joins, survey_lines, survey_totals},
        message::{harmless, room_and_id},
        survey as say,
    },
    survey::{JoinOutcome, Scope, Survey, SurveyRow, SurveyedRoom},
};
use tokio::task::spawn_blocking;

use super::{
    CliError, logging,
    set_up::{self, Patience},
    status_line::StatusLine,
};
use crate::{
    config::Config,
    janitor::{is_paused, once::PATIENCE, settings_in_effect},
    metrics::Metrics,
    survey::{SurveyError, Surveyor},
    world::{
        clock::{Clock as _, SystemClock},
        homeserver::Homeserver,
    },
};

/// Look through all rooms of the server for calls, also where the bot is not
///
/// Which rooms have open memberships, what of that is stale, whether the bot can see and clear it, and what it takes
/// where not. It asks the admin API of a Synapse, by the token of synapse_admin, or by the bot's own where its account
/// is a server admin. Changes nothing without --join.
///
/// Exits with 0 when the bot can see and clear all that is open; with 3 when a room remains where it cannot, or that
/// could not be read; and with 1 when the homeserver does not answer.
#[derive(Clone, Debug, clap::Args)]
#[expect(clippy::doc_markdown, reason = "shown in the terminal as it stands here")]
pub struct Args {
    /// Only these rooms: a space, ids and aliases with commas between them, a part of a name, or a pattern with *
    #[arg(value_name = "WHAT", value_parser = |text: &str| text.parse::<Scope>())]
    pub what: Option<Scope>,

    /// Then have the bot get into the rooms where it can by itself, after you have seen which and said yes
    #[arg(long)]
    pub join: bool,

    /// With --join: do not ask
    #[arg(long, requires = "join")]
    pub yes: bool,

    /// Print one array with an object for each room with open memberships
    #[arg(long)]
    pub json: bool,
}

/// Exit code: rooms remain that the bot cannot see or clear, or nobody knows.
const REMAINS: u8 = 3;

/// Makes a survey.
///
/// # Errors
/// As for `sweep`, and where the admin API may not be asked.
pub async fn main(args: Args, config: Config) -> Result<ExitCode, CliError> {
    logging::start(&config.log)?;
    if args.join && !args.yes && !io::stdin().is_terminal() {
        return Err(CliError::mistake(
            "--join asks before it changes anything, and nobody is at this terminal: add --yes",
        ));
    }
    let (shutdown, _signals) = set_up::shutdown_on_signals()?;
    let (store, journal) = set_up::open_store(&config)?;
    let patience = Patience { shutdown: &shutdown, longest: Some(PATIENCE) };
    let Some(homeserver) = Box::pin(set_up::sign_in_watch(&config, &store, patience)).await? else {
        return Ok(REMAINS.into());
    };
    journal.bind_account(&config.homeserver.user_id)?;
    let Some(settings) = set_up::settings(&config, &homeserver, &journal, patience).await? else {
        return Ok(REMAINS.into());
    };
    let settings = settings_in_effect(&settings, &journal)?;
    if args.join && is_paused(&journal, SystemClock.now())? {
        return Err(CliError::mistake("the bot is paused by command: give `!janitor resume` first"));
    }
    let Some(admin) = set_up::synapse_admin(&config, &homeserver, &Metrics::new()).await?.granted() else {
        return Err(CliError::mistake(say::NO_ADMIN_API));
    };
    let surveyor = Surveyor { admin: &*admin, rooms: &homeserver, clock: &SystemClock, settings: &settings };
    let scope = args.what.clone().unwrap_or_default();
    let line = StatusLine::new(false);
    let tell = |progress| line.show(&say::progress(progress));
    let survey = shutdown.or(surveyor.survey(&scope, &tell)).await;
    line.clear();
    let Some(survey) = survey else {
        eprintln!("warning: stopped before all rooms were read");
        return Ok(REMAINS.into());
    };
    let survey = survey.map_err(|error| in_words(&error))?;
    let address = config.synapse_admin.as_ref().and_then(|keys| keys.url.as_ref());
    let address = address.unwrap_or_else(|| homeserver.address()).to_string();
    if !args.json {
        super::print(&text(&survey, &homeserver, &address))?;
    }
    let mut outcomes = BTreeMap::new();
    if args.join && approve(&survey, args.yes).await? {
        let _: Option<()> = shutdown.or(join(surveyor, &survey, &line, &mut outcomes)).await;
        line.clear();
    }
    if args.json {
        let row = |room: &SurveyedRoom| {
            let outcome = outcomes.get(&room.listed.room);
            SurveyRow::new(room, homeserver.user_id(), &address).with_outcome(outcome)
        };
        let json = serde_json::to_string_pretty(&survey.rooms.iter().map(row).collect::<Vec<_>>())
            .map_err(|error| CliError::unexpected("cannot write JSON", &error))?;
        super::print(&format!("{json}\n"))?;
    } else if args.join {
        super::print(&joined(&survey, &outcomes))?;
    }
    for (room, why) in survey.unread.iter().filter(|_| args.json) {
        eprintln!("warning: {} could not be read: {}", harmless(room.room.as_str()), harmless(why));
    }
    let is_fine = |room: &SurveyedRoom| {
        let came = outcomes.get(&room.listed.room);
        room.can_clear()
            || room.is_excluded
            || matches!(came, Some(JoinOutcome::Joined | JoinOutcome::Raised))
    };
    let is_done = survey.rooms.iter().all(is_fine) && survey.unread.is_empty() && !shutdown.is_requested();
    Ok(if is_done { ExitCode::SUCCESS } else { REMAINS.into() })
}

fn in_words(error: &SurveyError) -> CliError {
    match error {
        SurveyError::Refused(_) | SurveyError::NoSuchRoom(_) => CliError::Mistake(error.to_string()),
        SurveyError::Unreachable(_) => CliError::Unexpected(error.to_string()),
    }
}

/// All of it, room by room.
fn text(survey: &Survey, homeserver: &Homeserver, address: &str) -> String {
    let mut text = survey_totals(survey).join("\n");
    text.push('\n');
    for lines in survey_lines(survey, homeserver.user_id(), address) {
        let _ = write!(text, "\n{}\n", lines.join("\n    "));
    }
    for (room, why) in &survey.unread {
        let name = room_and_id(&room.room, room.shown_name().as_deref()).plain;
        let _ = write!(text, "\n{name} could not be read: {}\n", harmless(why));
    }
    text
}

/// Shows what would be done and asks for a yes.
async fn approve(survey: &Survey, is_sure: bool) -> Result<bool, CliError> {
    let lines = proposed_joins(survey);
    let mut stderr = io::stderr().lock();
    // Nobody is left to ask when stderr is closed.
    let _ = writeln!(stderr, "\n{}", lines.join("\n"));
    drop(stderr);
    if !survey.rooms.iter().any(|room| room.proposal().is_ok()) {
        return Ok(false);
    }
    if is_sure {
        return Ok(true);
    }
    eprint!("\nType \"yes\" to do this: ");
    let mut said = String::new();
    let read = spawn_blocking(move || io::stdin().read_line(&mut said).map(|_| said)).await;
    let said = read
        .map_err(|error| CliError::unexpected("cannot ask", &error))?
        .map_err(|error| CliError::unexpected("cannot ask", &error))?;
    let is_yes = said.trim().eq_ignore_ascii_case("yes");
    if !is_yes {
        eprintln!("Nothing was changed.");
    }
    Ok(is_yes)
}

/// Gets into one room after the other; what came of each is kept also when that is cut short.
async fn join(
    surveyor: Surveyor<'_>,
    survey: &Survey,
    line: &StatusLine,
    outcomes: &mut BTreeMap<RoomId, JoinOutcome>,
) {
    let proposals: Vec<_> = survey.rooms.iter().filter_map(|room| room.proposal().ok()).collect();
    let joining = surveyor.joining();
    for (done, proposal) in proposals.iter().enumerate() {
        line.show(&say::joining(done, proposals.len()));
        outcomes.insert(proposal.room.clone(), joining.get_into(proposal).await);
    }
}

fn joined(survey: &Survey, outcomes: &BTreeMap<RoomId, JoinOutcome>) -> String {
    let mut text = String::new();
    for room in &survey.rooms {
        let Some(outcome) = outcomes.get(&room.listed.room) else { continue };
        let name = room_and_id(&room.listed.room, room.listed.shown_name().as_deref()).plain;
        let _ = writeln!(text, "{name}: {}", say::outcome(outcome));
    }
    text
}
