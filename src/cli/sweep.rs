//! `rtc-janitor sweep`: one sweep and its report, fit for cron.

use std::{fmt::Write as _, process::ExitCode};

use super::{
    CliError, logging,
    set_up::{self, Patience},
    status_line::StatusLine,
};
use crate::{
    config::{Config, RoomRef, room_text},
    janitor::{
        Janitor, Outbox,
        once::{LONGEST_GAP, OnceError, PATIENCE, Progress, Swept},
    },
    metrics::Metrics,
    world::{
        clock::{Clock as _, SystemClock},
        journal::FindingKind,
    },
};
use rtc_janitor_core::{
    render::{Message, message, words},
    time::Timestamp,
};

/// Make one sweep and print its report; clears only with --clean
///
/// What was seen to be stale is kept in the store, so that a membership falls due over several runs
/// (from cron, say) as it would under `run`.
///
/// Invitations from those in `rooms.accept_invites_from` are accepted, as `run` does.
///
/// Exits with 0 when nothing stale remains; with 3 when something does, within its grace or because only
/// --clean is missing; with 4 when something is due and stays, because it cannot be cleared or was held back;
/// and with 1 when the homeserver does not answer.
#[derive(Clone, Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "options of a command line that do not exclude each other")]
pub struct Args {
    /// Only this room (id or alias); may be repeated
    #[arg(long, value_name = "ID", value_parser = room_text)]
    pub room: Vec<RoomRef>,

    /// Clear what is due; without this no call is changed
    #[arg(long)]
    pub clean: bool,

    /// Stay until every grace is over
    #[arg(long)]
    pub wait: bool,

    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,

    /// Print nothing but what this run found to clear, cleared or could not clear, and warnings
    #[arg(long, short)]
    pub quiet: bool,
}

/// Makes one sweep.
///
/// # Errors
/// As for `run`, and when a running bot holds the store.
pub async fn main(args: Args, config: Config) -> Result<ExitCode, CliError> {
    let quieter = crate::config::Log { filter: "warn".to_owned(), ..config.log.clone() };
    logging::start(if args.quiet { &quieter } else { &config.log })?;
    let (shutdown, _signals) = set_up::shutdown_on_signals()?;
    let (store, journal) = set_up::open_store(&config)?;
    let patience = Patience { shutdown: &shutdown, longest: Some(PATIENCE) };
    let Some(homeserver) = Box::pin(set_up::sign_in_watch(&config, &store, patience)).await? else {
        return Ok(REMAINS.into());
    };
    journal.bind_account(&config.homeserver.user_id)?;
    let Some(mut settings) = set_up::settings(&config, &homeserver, &journal, patience).await? else {
        return Ok(REMAINS.into());
    };
    settings.is_clean = args.clean;
    settings.bridge = LONGEST_GAP;
    if !args.room.is_empty() {
        for room in &args.room {
            let Some(id) = set_up::resolve(room, &config, &homeserver, "--room", patience).await? else {
                return Ok(REMAINS.into());
            };
            if !settings.covers(&id) {
                return Err(CliError::mistake(format!("--room {room}: the config file excludes this room")));
            }
            settings.only.insert(id);
        }
    }
    // Nothing is said in the admin room: whoever runs this reads it here.
    let (outbox, _mail) = Outbox::new();
    let metrics = Metrics::new();
    let admin = set_up::synapse_admin(&config, &homeserver, &metrics).await?;
    let ports = set_up::ports(&config, &homeserver, metrics, &admin)?;
    let mut janitor = Janitor::new(settings, ports, journal, outbox)?;
    let line = StatusLine::new(args.quiet);
    let progress = |progress| line.show(&in_words(progress));
    let swept = janitor.sweep_once(&mut homeserver.watch(), args.wait, &progress, &shutdown).await;
    line.clear();
    let (swept, report) = swept.map_err(|error| match error {
        OnceError::Journal(error) => error.into(),
        OnceError::Homeserver(_) | OnceError::Unread(_) => CliError::Unexpected(error.to_string()),
        OnceError::NotInRoom(_) => CliError::Mistake(error.to_string()),
    })?;
    let now = SystemClock.now();
    let stale = |one: &&Swept| one.explained.verdict == "stale" && one.outcome != Some(FindingKind::Cleared);
    let remaining: Vec<_> = swept.iter().filter(stale).collect();
    if args.json {
        let json = serde_json::to_string_pretty(&swept)
            .map_err(|error| CliError::unexpected("cannot write JSON", &error))?;
        super::print(&format!("{json}\n"))?;
    } else {
        super::print(&text(&swept, &remaining, &report, args.quiet, now))?;
    }
    let cannot = |one: &Swept| {
        one.explained.route == Some("none")
            || matches!(one.outcome, Some(FindingKind::Blocked | FindingKind::Refused))
    };
    let stays = |one: &&Swept| is_due(one, now) && !one.waits && (args.clean || cannot(one));
    if shutdown.is_requested() {
        eprintln!("warning: stopped before everything was judged; what is printed is not all");
    }
    Ok(if remaining.iter().any(stays) {
        STAYS.into()
    } else if remaining.is_empty() && !shutdown.is_requested() {
        ExitCode::SUCCESS
    } else {
        REMAINS.into()
    })
}

fn is_due(one: &Swept, now: Timestamp) -> bool {
    one.due_ms.map(Timestamp::from_millis).is_some_and(|at| at <= now)
}

fn in_words(progress: Progress) -> String {
    match progress {
        Progress::Reading { done, of } => format!("reading rooms with calls: {done} of {of}"),
        Progress::Waiting { until } => {
            format!("waiting for what falls due next, {}", words::instant_with_seconds(until))
        }
    }
}

/// The report, what is still to come, and a line that sums up.
fn text(swept: &[Swept], remaining: &[&Swept], report: &Message, is_quiet: bool, now: Timestamp) -> String {
    let mut text = report.plain.clone();
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    // What an earlier run has told is no news.
    let rest = remaining.iter().filter(|one| !is_quiet && !one.is_told);
    for one in rest {
        let explained = &one.explained;
        let device = message::harmless(explained.device_id.as_deref().unwrap_or_default());
        let who = format!("{} on {device}", message::harmless(explained.user_id.as_str()));
        let due = one.due_ms.map(Timestamp::from_millis).map_or_else(String::new, |at| match &one.obstacle {
            Some(why) if at > now && explained.route == Some("none") => format!("; I cannot clear it: {why}"),
            _ if at > now => format!("; due {}", words::ago(at, now)),
            Some(why) => format!("; due, but {why}"),
            None => "; due".to_owned(),
        });
        let room = words::room(&one.room_id, one.room_name.as_deref());
        let _ = writeln!(text, "{room}: {who} is stale: {}{due}", explained.why);
    }
    if is_quiet {
        return text;
    }
    let open = swept.iter().filter(|one| one.outcome != Some(FindingKind::Cleared)).count();
    let memberships = if open == 1 { "membership" } else { "memberships" };
    let _ = writeln!(text, "{open} {memberships} open, {} stale", remaining.len());
    text
}

/// Exit code: something stale remains, or nobody knows because it was told to stop.
const REMAINS: u8 = 3;

/// Exit code: something is due and stays.
const STAYS: u8 = 4;
