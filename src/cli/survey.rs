//! `rtc-janitor survey`: a look through all rooms of the server, and, once that is approved, getting into them.

mod join;

use std::{collections::BTreeMap, fmt::Write as _, process::ExitCode};

use rtc_janitor_core::{
    ids::{RoomId, UserId},
    render::{
        answer::{survey_lines, survey_totals},
        message::{harmless, room_and_id},
        survey as say,
    },
    survey::{Cut, JoinOutcome, Scope, Survey, SurveyRow, SurveyedRoom},
};

use self::join::{Approval, Joins, approve};
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
    world::clock::{Clock as _, SystemClock},
};

/// Look through all rooms of the server for calls, also where the bot is not
///
/// Which rooms have open memberships, what of that is stale, whether the bot can see and clear it, and what it takes
/// where not. It asks the admin API of a Synapse, by the token of synapse_admin, or by the bot's own where its account
/// is a server admin. Changes nothing without --join.
///
/// It ends after 1 h; then, or stopped by Ctrl-C, it prints what it found so far and says that this is not all.
///
/// Exits with 0 when the bot can see and clear all that is open; with 3 when a room remains where it cannot, or that
/// was not read; and with 1 when the homeserver does not answer.
#[derive(Clone, Debug, clap::Args)]
#[expect(clippy::doc_markdown, reason = "shown in the terminal as it stands here")]
pub struct Args {
    /// Only these rooms: a space, ids and aliases with commas between them, a part of a name, or a pattern with *
    #[arg(value_name = "WHAT", value_parser = |text: &str| text.parse::<Scope>())]
    pub what: Option<Scope>,

    /// Then have the bot get into the rooms where it can by itself, after you have seen which and said yes
    #[arg(long)]
    pub join: bool,

    /// With --join: do not ask, but do what is shown, which is 50 rooms at most
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
    let metrics = Metrics::new();
    let Some(admin) = shutdown.or(set_up::synapse_admin(&config, &homeserver, &metrics)).await else {
        return Ok(REMAINS.into());
    };
    let Some(admin) = admin?.granted() else {
        return Err(CliError::mistake(say::NO_ADMIN_API));
    };
    let surveyor = Surveyor { admin: &*admin, rooms: &homeserver, clock: &SystemClock, settings: &settings };
    let scope = args.what.clone().unwrap_or_default();
    let line = StatusLine::new(false);
    let tell = |progress| line.show(&say::progress(progress));
    let survey = surveyor.survey(&scope, &shutdown, &tell).await;
    line.clear();
    let survey = survey.map_err(|error| in_words(&error))?;
    let address = config.synapse_admin.as_ref().and_then(|keys| keys.url.as_ref());
    let address = address.unwrap_or_else(|| homeserver.address()).to_string();
    let me = homeserver.user_id();
    if !args.json {
        super::print(&text(&survey, me, &address))?;
    }
    let mut joins = Joins::default();
    // Whoever stops it wants nothing done about what it came to.
    if args.join && survey.cut != Some(Cut::Stopped) {
        match approve(&survey, args.yes, &shutdown).await? {
            Approval::Given(plan) => joins.get_into(&plan, surveyor, &line, &shutdown, args.json).await?,
            Approval::Refused => {}
            Approval::NobodyToAsk => joins.refusal = Some(join::nobody_to_ask()),
        }
    }
    if args.json {
        print_json(&survey, &joins.outcomes, me, &address)?;
    }
    if let Some(refusal) = joins.refusal {
        return Err(refusal);
    }
    let is_fine = |room: &SurveyedRoom| {
        let came = joins.outcomes.get(&room.listed.room);
        room.can_clear()
            || room.is_excluded
            || matches!(came, Some(JoinOutcome::Joined | JoinOutcome::Raised))
    };
    let is_done = survey.is_complete() && survey.rooms.iter().all(is_fine);
    Ok(if is_done { ExitCode::SUCCESS } else { REMAINS.into() })
}

/// One array; nothing where no row is there to say that it is not all.
fn print_json(
    survey: &Survey,
    outcomes: &BTreeMap<RoomId, JoinOutcome>,
    me: &UserId,
    address: &str,
) -> Result<(), CliError> {
    for line in say::incomplete(survey) {
        eprintln!("warning: {}", line.trim_start_matches("⚠️ "));
    }
    for (room, why) in &survey.unread {
        eprintln!("warning: {} could not be read: {}", harmless(room.room.as_str()), harmless(why));
    }
    if survey.rooms.is_empty() && !survey.is_complete() {
        return Ok(());
    }
    let row = |room: &SurveyedRoom| {
        let outcome = outcomes.get(&room.listed.room);
        SurveyRow::new(room, survey.is_complete(), me, address).with_outcome(outcome)
    };
    let json = serde_json::to_string_pretty(&survey.rooms.iter().map(row).collect::<Vec<_>>())
        .map_err(|error| CliError::unexpected("cannot write JSON", &error))?;
    super::print(&format!("{json}\n"))
}

fn in_words(error: &SurveyError) -> CliError {
    match error {
        SurveyError::Refused(_) | SurveyError::NoSuchRoom(_) => CliError::Mistake(error.to_string()),
        SurveyError::Unreachable(_) => CliError::Unexpected(error.to_string()),
    }
}

/// All of it, room by room.
fn text(survey: &Survey, me: &UserId, address: &str) -> String {
    let mut text = survey_totals(survey).join("\n");
    text.push('\n');
    for lines in survey_lines(survey, me, address) {
        let _ = write!(text, "\n{}\n", lines.join("\n    "));
    }
    for (room, why) in &survey.unread {
        let name = room_and_id(&room.room, room.shown_name().as_deref()).plain;
        let _ = write!(text, "\n{name} could not be read: {}\n", harmless(why));
    }
    text
}
