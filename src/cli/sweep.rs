//! `rtc-janitor sweep`: one sweep and its report, fit for cron.

use std::{fmt::Write as _, process::ExitCode};

use super::{
    CliError, logging,
    set_up::{self, Patience},
};
use crate::{
    config::{Config, RoomRef, room_text},
    janitor::{
        Janitor, Outbox,
        once::{LONGEST_GAP, OnceError, PATIENCE, Swept},
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
/// Exits with 0 when nothing stale remains, with 3 when something does, and with 1 when the homeserver does
/// not answer.
#[derive(Clone, Debug, clap::Args)]
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
}

/// Makes one sweep.
///
/// # Errors
/// As for `run`, and when a running bot holds the store.
pub async fn main(args: Args, config: Config) -> Result<ExitCode, CliError> {
    logging::start(&config.log)?;
    let (shutdown, _signals) = set_up::shutdown_on_signals()?;
    let (store, journal) = set_up::open_store(&config)?;
    let patience = Patience { shutdown: &shutdown, longest: Some(PATIENCE) };
    let Some(homeserver) = Box::pin(set_up::sign_in_watch(&config, &store, patience)).await? else {
        return Ok(remains());
    };
    journal.bind_account(&config.homeserver.user_id)?;
    let Some(mut settings) = set_up::settings(&config, &homeserver, &journal, patience).await? else {
        return Ok(remains());
    };
    settings.is_clean = args.clean;
    settings.bridge = LONGEST_GAP;
    if !args.room.is_empty() {
        for room in &args.room {
            let Some(id) = set_up::resolve(room, &config, &homeserver, "--room", patience).await? else {
                return Ok(remains());
            };
            if !settings.covers(&id) {
                return Err(CliError::mistake(format!("--room {room}: the settings exclude this room")));
            }
            settings.only.insert(id);
        }
    }
    // Nothing is said in the admin room: whoever runs this reads it here.
    let (outbox, _mail) = Outbox::new();
    let mut janitor =
        Janitor::new(settings, set_up::ports(&config, &homeserver, Metrics::new())?, journal, outbox)?;
    let (swept, report) = janitor.sweep_once(&mut homeserver.watch(), args.wait, &shutdown).await.map_err(
        |error| match error {
            OnceError::Journal(error) => error.into(),
            OnceError::Homeserver(_) | OnceError::Unread(_) => CliError::Unexpected(error.to_string()),
            OnceError::NotInRoom(_) => CliError::Mistake(error.to_string()),
        },
    )?;
    let stale = |one: &&Swept| one.explained.verdict == "stale" && one.outcome != Some(FindingKind::Cleared);
    let remaining: Vec<_> = swept.iter().filter(stale).collect();
    if args.json {
        let json = serde_json::to_string_pretty(&swept)
            .map_err(|error| CliError::unexpected("cannot write JSON", &error))?;
        super::print(&format!("{json}\n"))?;
    } else {
        super::print(&text(&swept, &remaining, &report, SystemClock.now()))?;
    }
    Ok(if remaining.is_empty() && !shutdown.is_requested() { ExitCode::SUCCESS } else { remains() })
}

/// The report, what is still to come, and a line that sums up.
fn text(swept: &[Swept], remaining: &[&Swept], report: &Message, now: Timestamp) -> String {
    let mut text = report.plain.clone();
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    for one in remaining {
        let explained = &one.explained;
        let device = message::harmless(explained.device_id.as_deref().unwrap_or_default());
        let who = format!("{} on {device}", message::harmless(explained.user_id.as_str()));
        // The report has what is new; what was told by an earlier run is told here.
        if one.outcome.is_some() && report.plain.contains(&who) {
            continue;
        }
        let due = one.due_ms.map(Timestamp::from_millis).map_or_else(String::new, |at| {
            if at > now { format!("; due {}", words::ago(at, now)) } else { "; due".to_owned() }
        });
        let room = message::harmless(one.room_id.as_str());
        let _ = writeln!(text, "{room}: {who} is stale: {}{due}", explained.why);
    }
    let open = swept.iter().filter(|one| one.outcome != Some(FindingKind::Cleared)).count();
    let memberships = if open == 1 { "membership" } else { "memberships" };
    let _ = writeln!(text, "{open} {memberships} open, {} stale", remaining.len());
    text
}

/// Exit code 3: something stale remains, or nobody knows because it was told to stop.
fn remains() -> ExitCode {
    ExitCode::from(3)
}
