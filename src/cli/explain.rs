//! `rtc-janitor explain`: verdicts for an exported room state, without a network.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use rtc_janitor_core::{
    export::{BadExport, Export},
    ids::UserId,
    judge::policy::Policy,
    render::explained,
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
    /// What GET /rooms/{id}/state returned: an array of events
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
    let mut export = Export::from_state(read_json(&args.state)?).map_err(|e| in_file(&args.state, &e))?;
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
            args.state.display()
        );
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
        super::print(&explained::table(&rows, now))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn read_json(path: &Path) -> Result<Value, CliError> {
    let text = fs::read(path)
        .map_err(|error| CliError::mistake(format!("cannot read {}: {error}", path.display())))?;
    serde_json::from_slice(&text)
        .map_err(|error| CliError::mistake(format!("{} is not JSON: {error}", path.display())))
}

fn in_file(path: &Path, error: &BadExport) -> CliError {
    CliError::mistake(format!("{}: {error}", path.display()))
}
