//! `rtc-janitor explain`: verdicts for one room, exported or read with somebody's token.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use matrix_sdk::reqwest::Url;
use rtc_janitor_core::{
    export::{BadExport, Export},
    ids::UserId,
    judge::policy::Policy,
    render::{answer::beside, explained},
    time::Timestamp,
};
use secrecy::SecretString;
use serde_json::Value;

use super::CliError;
use crate::{
    config::{RoomRef, room_text, secret_file, url_text, user_id_text, warnings},
    world::{
        clock::{Clock as _, SystemClock},
        homeserver::{credentials::SignInError, reading},
    },
};

/// Judge the memberships of one room, from an export or read with a token
///
/// With --state nothing is asked of anybody, and no config file is needed: a state export is a complete view,
/// the lists given are believed, and with --sfu the call server of the memberships is taken as ours. With --url
/// the room's state and its members' device lists are read; nothing is signed in, kept or written.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What GET /rooms/{id}/state returned: an array of events; "-" for standard input
    #[arg(long, value_name = "FILE", required_unless_present = "url")]
    pub state: Option<PathBuf>,

    /// The homeserver, to read the room from; needs --room and --token-file
    #[arg(long, value_name = "URL", requires_all = ["room", "token_file"], conflicts_with_all = ["state", "keys_query"], value_parser = url_text)]
    pub url: Option<String>,

    /// The room to read (id or alias), in which the token's account is
    #[arg(long, value_name = "ROOM", requires = "url", value_parser = room_text)]
    pub room: Option<RoomRef>,

    /// A file with an access token of somebody in the room
    #[arg(long, value_name = "FILE", requires = "url")]
    pub token_file: Option<PathBuf>,

    /// The body of a /keys/query answer
    #[arg(long, value_name = "FILE")]
    pub keys_query: Option<PathBuf>,

    /// A map from user id to what GET /_synapse/admin/v2/users/{id}/devices returned
    #[arg(long, value_name = "FILE")]
    pub synapse_devices: Option<PathBuf>,

    /// A map from SFU room name to what LiveKit answered when asked for its participants
    #[arg(long, value_name = "FILE")]
    pub sfu: Option<PathBuf>,

    /// Also say how this user could clear each membership; with --url it is the token's account
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
    text.parse().map(Timestamp::from_millis).map_err(|_| {
        "is no time in milliseconds since the Unix epoch; write one such as 1764183600000".to_owned()
    })
}

/// Judges the files and prints the verdicts.
///
/// # Errors
/// A file that is missing or does not hold what it should.
pub fn main(args: &Args) -> Result<ExitCode, CliError> {
    let from_stdin =
        [args.state.as_ref(), args.keys_query.as_ref(), args.synapse_devices.as_ref(), args.sfu.as_ref()];
    if from_stdin.iter().flatten().filter(|file| file.as_os_str() == STDIN).count() > 1 {
        return Err(CliError::mistake("only one file can be read from standard input (-)"));
    }
    let Source { name, state, keys_query, reader } = source(args)?;
    let writer = args.as_user.clone().or(reader);
    let missing = missing_of(&state, writer.as_ref());
    let mut export = Export::from_state(state).map_err(|error| in_file(&name, &error))?;
    let has_lists = keys_query.is_some() || args.synapse_devices.is_some();
    if let Some((name, answer)) = keys_query {
        export = export.with_keys_query(answer).map_err(|error| in_file(&name, &error))?;
    }
    if let Some(file) = &args.synapse_devices {
        export =
            export.with_synapse_devices(read_json(file)?).map_err(|error| in_file(&name_of(file), &error))?;
    }
    if let Some(file) = &args.sfu {
        export = export.with_sfu(read_json(file)?).map_err(|error| in_file(&name_of(file), &error))?;
    }
    let now = args.now.unwrap_or_else(|| SystemClock.now());
    if export.is_no_room() {
        eprintln!(
            "warning: {name} holds neither a call membership nor an m.room.create: is it the state of a room?"
        );
    } else {
        for sentence in missing {
            eprintln!("warning: {name} {sentence}");
        }
    }
    if args.now.is_some_and(|now| now < MILLISECONDS) {
        eprintln!("warning: --now is in milliseconds since the Unix epoch; this is a time in 1970");
    }
    let rows = export.explain(&Policy::default(), writer.as_ref(), now);
    if args.json {
        let json = serde_json::to_string_pretty(&rows)
            .map_err(|error| CliError::unexpected("cannot write JSON", &error))?;
        super::print(&format!("{json}\n"))?;
    } else {
        let mut text = explained::table(&rows, now);
        if rows.iter().any(|row| matches!(row.verdict, "active" | "stale" | "unknown")) {
            text.push_str(&not_checked(has_lists, args.sfu.is_some()));
        }
        for sentence in beside(export.beside()) {
            text.push_str(&sentence.plain);
            text.push('\n');
        }
        super::print(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is judged, and where it comes from.
struct Source {
    /// As sentences name it.
    name: String,
    state: Value,
    /// The answer to a `/keys/query`, and what sentences call it.
    keys_query: Option<(String, Value)>,
    /// Who has read it.
    reader: Option<UserId>,
}

/// The warnings of `config check` on the same matters.
fn warn_of_exposure(url: &str, file: &Path) {
    let url = url.parse::<Url>().ok().filter(|url| url.scheme() == "http");
    if url.is_some_and(|url| !url.host_str().is_some_and(warnings::is_near)) {
        eprintln!("warning: without https, the token can be read on the way to the homeserver");
    }
    if warnings::is_readable_by_others(file) {
        eprintln!("warning: {} can be read by every user; try: chmod o-r {}", file.display(), file.display());
    }
}

fn source(args: &Args) -> Result<Source, CliError> {
    if let (Some(url), Some(room), Some(file)) = (&args.url, &args.room, &args.token_file) {
        let token =
            secret_file::read(file).map_err(|why| CliError::mistake(format!("--token-file: {why}")))?;
        warn_of_exposure(url, file);
        let token = SecretString::from(token);
        let read =
            super::runtime()?.block_on(reading::room(url, &token, room)).map_err(|error| match error {
                SignInError::Mistake(why) => CliError::Mistake(why),
                SignInError::Unreachable(error) => CliError::unexpected("the room cannot be read", &error),
            })?;
        return Ok(Source {
            name: room.to_string(),
            state: read.state,
            keys_query: Some(("the answer to /keys/query".to_owned(), read.keys_query)),
            reader: Some(read.user_id),
        });
    }
    let file = args.state.as_deref().unwrap_or_else(|| Path::new(STDIN));
    let keys_query = match &args.keys_query {
        Some(file) => Some((name_of(file), read_json(file)?)),
        None => None,
    };
    Ok(Source { name: name_of(file), state: read_json(file)?, keys_query, reader: None })
}

/// What an export that was cut down cannot tell, as sentences that begin with its name.
fn missing_of(state: &Value, writer: Option<&UserId>) -> Vec<String> {
    let has = |wanted: &str| state.as_array().into_iter().flatten().any(|event| event["type"] == wanted);
    let (create, member) = (has("m.room.create"), has("m.room.member"));
    let mut missing = Vec::new();
    if !create && !member {
        missing.push(
            "has neither m.room.create nor m.room.member: who has left the room cannot be told from it"
                .to_owned(),
        );
    }
    if let (Some(user), false) = (writer, create) {
        missing.push(format!(
            "has no m.room.create: whether {user} could clear a membership cannot be told from it"
        ));
    }
    missing
}

/// Which evidence was not given: what is active by the state alone may be gone by that.
fn not_checked(has_lists: bool, has_sfu: bool) -> String {
    let parts: Vec<_> =
        [(!has_lists, "device lists (--keys-query FILE)"), (!has_sfu, "call server (--sfu FILE)")]
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

fn in_file(name: &str, error: &BadExport) -> CliError {
    CliError::mistake(format!("{name}: {error}"))
}
