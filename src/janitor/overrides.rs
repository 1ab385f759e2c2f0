//! Overrides: settings made by command. They are in the journal; for mode, pause and exclusion the
//! stricter of them and the configuration applies.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rtc_janitor_core::{
    command::GraceKey,
    ids::{RoomId, UserId},
    judge::policy::Grace,
    mode::{Mode, Pause},
    time::Timestamp,
};

use super::Settings;
use crate::world::journal::{EarlierJournal, Journal, JournalError, StoredSetting};

/// The key of the mode.
const MODE: &str = "mode";
/// The key of the pause; its value is when it ends, in milliseconds since the Unix epoch, or empty.
const PAUSE: &str = "pause";
/// What the keys of rooms and users that are left alone begin with.
const ROOM: &str = "exclude room ";
const USER: &str = "exclude user ";
/// What the keys of graces begin with; the value is in milliseconds, or `never`.
const GRACE: &str = "grace ";

/// Everything that was set by command.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Overrides {
    /// `mode`
    pub(crate) mode: Option<Mode>,
    /// `pause`
    pub(crate) pause: Option<Pause>,
    /// `exclude` of rooms.
    pub(crate) rooms: BTreeSet<RoomId>,
    /// `exclude` of users.
    pub(crate) users: BTreeSet<UserId>,
    /// `grace`
    pub(crate) graces: BTreeMap<GraceKey, Grace>,
    /// Whether there may have been others, in a journal that is lost.
    earlier: EarlierJournal,
}

/// The settings in effect for somebody who runs no janitor: the configuration with what was set by command.
pub(crate) fn settings_in_effect(file: &Settings, journal: &Journal) -> Result<Settings, JournalError> {
    Ok(Overrides::read(journal)?.over(file))
}

/// Whether nothing may be written, for the same.
pub(crate) fn is_paused(journal: &Journal, now: Timestamp) -> Result<bool, JournalError> {
    Ok(Overrides::read(journal)?.is_paused(now))
}

/// One override.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Override {
    /// `mode`
    Mode(Mode),
    /// `pause`
    Pause(Pause),
    /// `exclude` of a room.
    Room(RoomId),
    /// `exclude` of a user.
    User(UserId),
    /// `grace`
    Grace(GraceKey, Grace),
}

impl Override {
    pub(super) fn key(&self) -> String {
        match self {
            Self::Mode(_) => MODE.to_owned(),
            Self::Pause(_) => PAUSE.to_owned(),
            Self::Room(room) => format!("{ROOM}{room}"),
            Self::User(user) => format!("{USER}{user}"),
            Self::Grace(key, _) => format!("{GRACE}{}", key.as_str()),
        }
    }

    pub(super) fn value(&self) -> String {
        match self {
            Self::Mode(mode) => mode.to_string(),
            Self::Pause(pause) => pause.ends().map_or_else(String::new, |at| at.as_millis().to_string()),
            Self::Room(_) | Self::User(_) => String::new(),
            Self::Grace(_, Grace::Never) => "never".to_owned(),
            Self::Grace(_, Grace::After(span)) => span.as_millis().to_string(),
        }
    }

    /// What was stored; `None` for what this program did not write.
    pub(crate) fn read(stored: &StoredSetting) -> Option<Self> {
        let StoredSetting { key, value, .. } = stored;
        if let Some(room) = key.strip_prefix(ROOM) {
            return Some(Self::Room(room.into()));
        }
        if let Some(user) = key.strip_prefix(USER) {
            return Some(Self::User(user.into()));
        }
        if let Some(grace) = key.strip_prefix(GRACE) {
            let span = || value.parse().ok().map(|ms| Grace::After(Duration::from_millis(ms)));
            let value = if value == "never" { Some(Grace::Never) } else { span() };
            return Some(Self::Grace(grace.parse().ok()?, value?));
        }
        match key.as_str() {
            MODE => value.parse().ok().map(Self::Mode),
            PAUSE => Some(Self::Pause(match value.parse() {
                Ok(ms) => Pause::Until(Timestamp::from_millis(ms)),
                Err(_) => Pause::UntilResume,
            })),
            _ => None,
        }
    }
}

impl Overrides {
    /// From what is in the journal.
    pub(super) fn read(journal: &Journal) -> Result<Self, JournalError> {
        let mut overrides = Self { earlier: journal.earlier_journal()?, ..Self::default() };
        for set in journal.settings()?.iter().filter_map(Override::read) {
            match set {
                Override::Mode(mode) => overrides.mode = Some(mode),
                Override::Pause(pause) => overrides.pause = Some(pause),
                Override::Room(room) => {
                    overrides.rooms.insert(room);
                }
                Override::User(user) => {
                    overrides.users.insert(user);
                }
                Override::Grace(key, grace) => {
                    overrides.graces.insert(key, grace);
                }
            }
        }
        Ok(overrides)
    }

    /// Whether others are forgotten, and nobody has said since which mode holds.
    pub(crate) fn are_forgotten(&self) -> bool {
        self.earlier == EarlierJournal::Lost
    }

    /// Whether nobody knows yet if others are forgotten.
    pub(super) fn may_be_forgotten(&self) -> bool {
        self.earlier == EarlierJournal::Unknown
    }

    /// Whether nothing may be written.
    pub(crate) fn is_paused(&self, now: Timestamp) -> bool {
        self.pause.is_some_and(|pause| pause.holds(now))
    }

    /// The settings in effect: the configuration with these overrides applied.
    pub(super) fn over(&self, file: &Settings) -> Settings {
        let mut settings = file.clone();
        settings.is_clean &= self.mode != Some(Mode::Report) && !self.are_forgotten();
        settings.exclude.extend(self.rooms.iter().cloned());
        settings.excluded_users.extend(self.users.iter().cloned());
        for (key, grace) in &self.graces {
            match key {
                GraceKey::Reason(reason) => settings.policy.grace[*reason as usize] = *grace,
                GraceKey::DeviceGoneUnseen => settings.policy.device_gone_unseen = *grace,
            }
        }
        settings
    }
}
