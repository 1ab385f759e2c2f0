//! `config`: what holds, where it comes from, and how to undo it.

use std::time::Duration;

use rtc_janitor_core::{
    judge::policy::Grace,
    mode::Mode,
    render::{
        answer::{Setting, Settings},
        words,
    },
    time::Timestamp,
};

use super::asked::{Asked, Gone, Reply};
use crate::{
    config::{Origin, Row},
    janitor::wishes::Wish,
    world::journal::StoredSetting,
};

pub(super) async fn answer(asked: &Asked<'_>, all: bool) -> Result<Reply, Gone> {
    let (stored, now, mode_of_file) = asked
        .janitor(|janitor| {
            Box::pin(async move { Ok((janitor.stored_wishes()?, janitor.now(), janitor.mode_of_file())) })
        })
        .await?;
    let prefix = &asked.house.prefix;
    let by_command = stored.iter().filter_map(|one| by_command(one, mode_of_file, prefix, now)).collect();
    let rows = || asked.house.settings.iter();
    let (defaults, set): (Vec<_>, Vec<_>) =
        rows().filter(|row| row.value.is_some()).partition(|row| row.origin == Origin::Default);
    let settings = Settings {
        by_command,
        set: set.into_iter().map(of_row).collect(),
        defaults: defaults.into_iter().map(of_row).collect(),
        all,
    };
    Ok(settings.message(&asked.house.prefix).into())
}

fn of_row(row: &Row) -> Setting {
    Setting {
        key: row.key.to_owned(),
        value: row.value.clone().unwrap_or_default(),
        origin: row.origin.to_string(),
        undo: None,
    }
}

fn by_command(stored: &StoredSetting, of_file: Mode, prefix: &str, now: Timestamp) -> Option<Setting> {
    let (key, value, undo) = match Wish::read(stored)? {
        Wish::Mode(mode) => {
            let holds = if mode > of_file {
                format!("{mode}, but the settings say {of_file}, which holds")
            } else {
                mode.to_string()
            };
            (
                "janitor.mode".to_owned(),
                holds,
                Some(if mode == Mode::Report { "mode clean" } else { "mode report" }.to_owned()),
            )
        }
        Wish::Pause(pause) => {
            let value = pause.ends().map_or_else(|| "until resume".to_owned(), |at| format!("until {at}"));
            ("pause".to_owned(), value, Some("resume".to_owned()))
        }
        Wish::Room(room) => ("rooms.exclude".to_owned(), room.to_string(), Some(format!("include {room}"))),
        Wish::User(user) => ("owners.exclude".to_owned(), user.to_string(), Some(format!("include {user}"))),
        Wish::Grace(grace, to) => {
            let value = match to {
                Grace::Never => "never".to_owned(),
                Grace::After(span) => words::span(Duration::from_secs(span.as_secs())),
            };
            let name = grace.as_str();
            (format!("grace.{name}"), value, Some(format!("grace {name} reset")))
        }
    };
    let origin = format!("by {}, {}", stored.by, words::ago(stored.at, now));
    Some(Setting { key, value, origin, undo: undo.map(|undo| format!("{prefix} {undo}")) })
}
