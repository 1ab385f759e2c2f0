//! `rtc-janitor explain`: verdicts for an exported room state, without a network.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use rtc_janitor_core::{
    export::{BadExport, Export},
    ids::UserId,
    judge::policy::Policy,
    render::{answer::beside, explained},
    time::Timestamp,
};
use serde_json::Value;

use super::CliError;
use crate::{
    config::user_id_text,
    world::clock::{Clock as _, SystemClock},
};

/// Judge an exported room state, without a network and without settings
///
/// A state export is a complete view, the lists given are believed, and with --sfu the SFU of the
/// memberships is taken as ours.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What GET /rooms/{id}/state returned: an array of events; "-" for standard input
    #[arg(long, value_name = "FILE")]
    pub state: PathBuf,

    /// The body of a /keys/query answer
    #[arg(long, value_name = "FILE")]
    pub keys_query: Option<PathBuf>,

    /// A map from user id to what GET /_synapse/admin/v2/users/{id}/devices returned
    #[arg(long, value_name = "FILE")]
    pub synapse_devices: Option<PathBuf>,

    /// A map from SFU room name to what LiveKit answered when asked for its participants
    #[arg(long, value_name = "FILE")]
    pub sfu: Option<PathBuf>,

    /// Also say how this user could clear each membership
    #[arg(long = "as", value_name = "USER", value_parser = user_id_text)]
    pub as_user: Option<UserId>,

    /// The time to judge at, in milliseconds since the Unix epoch; the present when left out
    #[arg(long, value_name = "MS", value_parser = timestamp)]
    pub now: Option<Timestamp>,

    /// Print one array with an object for each membership
    #[arg(long)]
    pub json: bool,
}

/// What is less was most likely meant in seconds.
const MILLISECONDS: Timestamp = Timestamp::from_millis(31_536_000_000);

fn timestamp(text: &str) -> Result<Timestamp, String> {
    text.parse().map(Timestamp::from_millis).map_err(|_| "not a whole number of milliseconds".to_owned())
}

/// Judges the files and prints the verdicts.
///
/// # Errors
/// A file that is missing or does not hold what it should.
pub fn main(args: &Args) -> Result<ExitCode, CliError> {
    let from_stdin =
        [Some(&args.state), args.keys_query.as_ref(), args.synapse_devices.as_ref(), args.sfu.as_ref()];
    if from_stdin.iter().flatten().filter(|file| file.as_os_str() == STDIN).count() > 1 {
        return Err(CliError::mistake("only one file can be read from standard input (-)"));
    }
    let state = read_json(&args.state)?;
    let missing = missing_of(&state, args);
    let mut export = Export::from_state(state).map_err(|e| in_file(&args.state, &e))?;
    if let Some(file) = &args.keys_query {
        export = export.with_keys_query(read_json(file)?).map_err(|e| in_file(file, &e))?;
    }
    if let Some(file) = &args.synapse_devices {
        export = export.with_synapse_devices(read_json(file)?).map_err(|e| in_file(file, &e))?;
    }
    if let Some(file) = &args.sfu {
        export = export.with_sfu(read_json(file)?).map_err(|e| in_file(file, &e))?;
    }
    let now = args.now.unwrap_or_else(|| SystemClock.now());
    if export.is_no_room() {
        eprintln!(
            "warning: {} holds neither a call membership nor an m.room.create: is it the state of a room?",
            name_of(&args.state)
        );
    } else {
        for sentence in missing {
            eprintln!("warning: {} {sentence}", name_of(&args.state));
        }
    }
    if args.now.is_some_and(|now| now < MILLISECONDS) {
        eprintln!("warning: --now is in milliseconds since the Unix epoch; this is a time in 1970");
    }
    let rows = export.explain(&Policy::default(), args.as_user.as_ref(), now);
    if args.json {
        let json = serde_json::to_string_pretty(&rows)
            .map_err(|error| CliError::unexpected("cannot write JSON", &error))?;
        super::print(&format!("{json}\n"))?;
    } else {
        let mut text = explained::table(&rows, now);
        if rows.iter().any(|row| matches!(row.verdict, "active" | "stale" | "unknown")) {
            text.push_str(&not_checked(args));
        }
        for sentence in beside(export.beside()) {
            text.push_str(&sentence.plain);
            text.push('\n');
        }
        super::print(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What an export that was cut down cannot tell, as sentences that begin with its name.
fn missing_of(state: &Value, args: &Args) -> Vec<String> {
    let has = |wanted: &str| state.as_array().into_iter().flatten().any(|event| event["type"] == wanted);
    let (create, member) = (has("m.room.create"), has("m.room.member"));
    let mut missing = Vec::new();
    if !create && !member {
        missing.push(
            "has neither m.room.create nor m.room.member: who has left the room cannot be told from it"
                .to_owned(),
        );
    }
    if let (Some(user), false) = (&args.as_user, create) {
        missing.push(format!(
            "has no m.room.create: whether {user} could clear a membership cannot be told from it"
        ));
    }
    missing
}

/// Which evidence was not given: what is active by the state alone may be gone by that.
fn not_checked(args: &Args) -> String {
    let lists = args.keys_query.is_none() && args.synapse_devices.is_none();
    let parts: Vec<_> =
        [(lists, "device lists (--keys-query FILE)"), (args.sfu.is_none(), "call server (--sfu FILE)")]
            .into_iter()
            .filter_map(|(is_missing, what)| is_missing.then_some(what))
            .collect();
    if parts.is_empty() { String::new() } else { format!("Not checked: {}\n", parts.join(", ")) }
}

/// What stands for standard input.
const STDIN: &str = "-";

fn read_json(path: &Path) -> Result<Value, CliError> {
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == STDIN {
        io::stdin().lock().read_to_end(&mut bytes).map(drop)
    } else {
        fs::read(path).map(|read| bytes = read)
    };
    read.map_err(|error| CliError::mistake(format!("cannot read {}: {error}", name_of(path))))?;
    serde_json::from_slice(&without_mark(bytes))
        .map_err(|error| CliError::mistake(format!("{} is not JSON: {error}", name_of(path))))
}

/// As UTF-8 without a byte order mark; some systems write one before text, and then UTF-16 it is as often as not.
fn without_mark(bytes: Vec<u8>) -> Vec<u8> {
    let wide = |pair: fn([u8; 2]) -> u16| {
        let units: Vec<_> = bytes[2..].as_chunks().0.iter().copied().map(pair).collect();
        String::from_utf16_lossy(&units).into_bytes()
    };
    match bytes[..] {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, ref text @ ..] => text.to_vec(),
        _ => bytes,
    }
}

/// A file as sentences name it.
fn name_of(path: &Path) -> String {
    if path.as_os_str() == STDIN { "standard input".to_owned() } else { path.display().to_string() }
}

fn in_file(path: &Path, error: &BadExport) -> CliError {
    CliError::mistake(format!("{}: {error}", name_of(path)))
}
