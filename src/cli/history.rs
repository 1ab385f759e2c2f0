//! `rtc-janitor history`: what was done, from the journal, also beside a running bot.

use std::{collections::BTreeMap, fmt::Write as _, process::ExitCode};

use chrono::NaiveDate;
use rtc_janitor_core::{
    ids::{RoomId, UserId},
    render::{message::harmless, words},
    time::Timestamp,
};

use super::CliError;
use crate::{
    config::{Config, user_id_text},
    world::journal::{Journal, Past},
};

/// Print what was done and what would have been, the oldest first
///
/// Read from the journal in store.path, also while the bot runs. With --csv for a spreadsheet or a script, one line
/// per key, with a heading.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// As comma-separated values (RFC 4180)
    #[arg(long)]
    pub csv: bool,

    /// From this day on, by UTC
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub since: Option<NaiveDate>,

    /// To this day and with it, by UTC
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = day)]
    pub until: Option<NaiveDate>,

    /// Only in this room, by its id
    #[arg(long, value_name = "ID")]
    pub room: Option<String>,

    /// Only of this user
    #[arg(long, value_name = "USER", value_parser = user_id_text)]
    pub user: Option<UserId>,
}

fn day(text: &str) -> Result<NaiveDate, String> {
    let is_no_day = |_| "is no day; write it as year, month and day, such as 2026-11-25".to_owned();
    NaiveDate::parse_from_str(text.trim(), "%Y-%m-%d").map_err(is_no_day)
}

/// Prints the history.
///
/// # Errors
/// Where there is no journal, or it cannot be read.
pub fn main(args: &Args, config: &Config) -> Result<ExitCode, CliError> {
    let journal = Journal::open_to_read(&config.store.path)?;
    if let (Some(since), Some(until)) = (args.since, args.until)
        && since > until
    {
        return Err(CliError::mistake(format!("--since {since} is after --until {until}")));
    }
    let room = match args.room.as_deref() {
        Some(id) if !id.starts_with('!') => {
            return Err(CliError::mistake(format!(
                "--room takes the room's id, which begins with \"!\"; {id:?} is none (see `!janitor explain`)"
            )));
        }
        room => room.map(Into::into),
    };
    let from = args.since.map_or(Timestamp::from_millis(i64::MIN), Timestamp::start_of_day);
    let until = args.until.and_then(|day| day.succ_opt()).map_or(Timestamp::MAX, Timestamp::start_of_day);
    let within = (args.since.is_some() || args.until.is_some()).then_some(from..until);
    let of = crate::world::journal::HistoryOf { room: room.as_ref(), user: args.user.as_ref(), within };
    let (mut lines, _) = journal.history(&of, usize::MAX)?;
    lines.reverse();
    super::print(&if args.csv { csv(&lines) } else { text(&lines, &journal.rooms()?) })?;
    Ok(ExitCode::SUCCESS)
}

/// The columns of `--csv`.
const COLUMNS: &str = "time,room,key,user,devices,reason,outcome,detail,approved_by\r\n";

fn csv(lines: &[Past]) -> String {
    let mut csv = COLUMNS.to_owned();
    for line in lines {
        let write = &line.write;
        let (user, devices) = owners(line);
        let (at, devices) = (write.intended.to_string(), devices.join(" "));
        let fields = [
            at.as_str(),
            write.room.as_str(),
            write.key.as_str(),
            user.as_str(),
            devices.as_str(),
            write.reason.map_or("on_request", |reason| reason.as_str()),
            match line.outcome.as_deref() {
                None => "unknown",
                // As `sweep --json` has it.
                Some("spared") => "would_clear",
                Some(outcome) => outcome,
            },
            line.detail.as_deref().unwrap_or_default(),
            line.asked_by.as_ref().map_or("", UserId::as_str),
        ];
        csv.push_str(&fields.map(quoted).join(","));
        csv.push_str("\r\n");
    }
    csv
}

/// A field as RFC 4180 has it. One that a spreadsheet would take for a formula is given a `'` before it: what
/// stands in a key or a device id is anybody's text.
fn quoted(field: &str) -> String {
    let is_formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_user(field);
    let field = if is_formula { format!("'{field}") } else { field.to_owned() };
    if field.contains([',', '"', '\n', '\r']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field }
}

/// `@name:server`, in which nothing means anything to a spreadsheet.
fn is_user(field: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "@:._-/".contains(c);
    field.starts_with('@') && field.contains(':') && field.chars().all(is_plain)
}

fn text(lines: &[Past], names: &BTreeMap<RoomId, Option<String>>) -> String {
    let mut text = String::new();
    for line in lines {
        let write = &line.write;
        let (user, devices) = owners(line);
        let reason = write.reason.map_or("on request", words::reason);
        let outcome = words::outcome(line.outcome.as_deref());
        let _ = write!(text, "{}  {outcome:<11} {}", write.intended, harmless(&user));
        let _ = write!(text, " on {}", harmless(&devices.join(", ")));
        let name = names.get(&write.room).and_then(Option::as_deref);
        let _ = write!(text, " in {}: {reason}", words::room(&write.room, name));
        if let Some(by) = &line.asked_by {
            let _ = write!(text, ", approved by {}", harmless(by.as_str()));
        }
        text.push('\n');
    }
    if text.is_empty() { "No entries.\n".to_owned() } else { text }
}

fn owners(line: &Past) -> (String, Vec<String>) {
    let owners = line.write.owners.known();
    let user = owners.first().map_or_else(String::new, |owner| owner.user.to_string());
    (user, owners.iter().map(|owner| owner.device.to_string()).collect())
}

#[cfg(test)]
mod tests {
    use rtc_janitor_core::{judge::policy::Reason, rtc::membership::Owner};

    use super::*;
    use crate::world::journal::{Owners, Stored, WriteRecord};

    fn past(outcome: Option<&str>) -> Past {
        let owner = Owner { user: "@alice:hs".into(), device: "PHONE".into() };
        Past {
            write: WriteRecord {
                id: 1,
                room: "!room:hs".into(),
                key: "_@alice:hs_PHONE_m.call".into(),
                event: "$event".into(),
                owners: Owners::Known(vec![owner]),
                reason: Some(Reason::Expired),
                is_reason_unreadable: false,
                old_content: Stored::Never,
                route: None,
                mark: None,
                plan: None,
                intended: Timestamp::from_millis(1_800_000_000_000),
                finished: None,
                written: None,
            },
            outcome: outcome.map(str::to_owned),
            detail: None,
            asked_by: None,
        }
    }

    #[test]
    fn what_became_of_a_key_is_told_in_the_words_of_the_messages() {
        let names = [("!room:hs".into(), Some("Team".to_owned()))].into();
        for (outcome, in_words, in_csv) in [
            (Some("cleared"), "cleared    ", "cleared"),
            (Some("spared"), "would clear", "would_clear"),
            (Some("changed"), "not cleared, it had changed", "changed"),
            (Some("not_written"), "could not clear", "not_written"),
            (None, "not known yet", "unknown"),
        ] {
            let line = [past(outcome)];
            let told = text(&line, &names);
            let expected = format!("  {in_words} @alice:hs on PHONE in Team (!room:hs): expired\n");
            assert!(told.ends_with(&expected), "{told}");
            assert!(csv(&line).contains(&format!(",expired,{in_csv},,")), "{}", csv(&line));
        }
    }

    #[test]
    fn a_field_stays_one_field_and_is_no_formula() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("a,b"), "\"a,b\"");
        assert_eq!(quoted("say \"hi\"\nthere"), "\"say \"\"hi\"\"\nthere\"");
        assert_eq!(quoted("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\"");
        assert_eq!(quoted("-1"), "'-1");
        assert_eq!(quoted("@SUM(1+9)*cmd|x:y"), "'@SUM(1+9)*cmd|x:y");
        assert_eq!(quoted("@alice:example.org"), "@alice:example.org");
    }
}
