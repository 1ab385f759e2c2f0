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

use super::request::{Reply, Request, Stopped};
use crate::{
    config::{Origin, Row},
    janitor::{Janitor, overrides::Override},
    world::journal::StoredSetting,
};

pub(super) async fn answer(request: &Request<'_>, all: bool) -> Result<Reply, Stopped> {
    let work = |janitor: &mut Janitor| {
        let are_forgotten = janitor.overrides().are_forgotten();
        Ok((janitor.stored_overrides()?, janitor.now(), janitor.mode_of_file(), are_forgotten))
    };
    let (stored, now, mode_of_file, are_forgotten) = request.janitor(work).await?;
    let prefix = &request.context.prefix;
    let by_command = stored.iter().filter_map(|one| by_command(one, mode_of_file, prefix, now));
    let by_command = are_forgotten.then(|| held(prefix)).into_iter().chain(by_command).collect();
    let rows = || request.context.settings.iter();
    let (defaults, set): (Vec<_>, Vec<_>) = rows()
        .filter(|row| row.value.is_some())
        .partition(|row| matches!(row.origin, Origin::Default | Origin::Follows(_)));
    let settings = Settings {
        by_command,
        set: set.into_iter().map(of_row).collect(),
        defaults: defaults.into_iter().map(of_row).collect(),
        all,
    };
    Ok(settings.message(&request.context.prefix).into())
}

/// The mode while what was set by command is forgotten.
fn held(prefix: &str) -> Setting {
    Setting {
        key: "janitor.mode".to_owned(),
        value: Mode::Report.to_string(),
        origin: "because my journal is new".to_owned(),
        undo: Some(format!("{prefix} mode clean")),
    }
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
    let (key, value, undo) = match Override::read(stored)? {
        Override::Mode(mode) => {
            let holds = if mode > of_file {
                format!("{mode}, but the config file says {of_file}, which applies")
            } else {
                mode.to_string()
            };
            ("janitor.mode".to_owned(), holds, Some("mode reset".to_owned()))
        }
        Override::Pause(pause) => {
            let value = pause.ends().map_or_else(|| "until resume".to_owned(), |at| format!("until {at}"));
            ("pause".to_owned(), value, Some("resume".to_owned()))
        }
        Override::Room(room) => {
            ("rooms.exclude".to_owned(), room.to_string(), Some(format!("include {room}")))
        }
        Override::User(user) => {
            ("owners.exclude".to_owned(), user.to_string(), Some(format!("include {user}")))
        }
        Override::Grace(grace, to) => {
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
