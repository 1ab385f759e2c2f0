//! What people have set by command. It is in the journal, and of it and the settings of the machine the
//! stricter holds for mode, pause and exclusion.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rtc_janitor_core::{
    command::GraceKey,
    ids::{RoomId, UserId},
    judge::policy::{Grace, Reason},
    mode::{Mode, Pause},
    time::Timestamp,
};

use super::{Janitor, Settings};
use crate::world::journal::{JournalError, StoredSetting};

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
pub(crate) struct Wishes {
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
}

/// One wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
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

impl Wish {
    fn key(&self) -> String {
        match self {
            Self::Mode(_) => MODE.to_owned(),
            Self::Pause(_) => PAUSE.to_owned(),
            Self::Room(room) => format!("{ROOM}{room}"),
            Self::User(user) => format!("{USER}{user}"),
            Self::Grace(key, _) => format!("{GRACE}{}", key.as_str()),
        }
    }

    fn value(&self) -> String {
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

impl Wishes {
    /// From what is in the journal.
    pub(super) fn read(stored: &[StoredSetting]) -> Self {
        let mut wishes = Self::default();
        for wish in stored.iter().filter_map(Wish::read) {
            match wish {
                Wish::Mode(mode) => wishes.mode = Some(mode),
                Wish::Pause(pause) => wishes.pause = Some(pause),
                Wish::Room(room) => {
                    wishes.rooms.insert(room);
                }
                Wish::User(user) => {
                    wishes.users.insert(user);
                }
                Wish::Grace(key, grace) => {
                    wishes.graces.insert(key, grace);
                }
            }
        }
        wishes
    }

    /// Whether nothing may be written.
    pub(crate) fn is_paused(&self, now: Timestamp) -> bool {
        self.pause.is_some_and(|pause| pause.holds(now))
    }

    /// What holds, of these and the settings of the machine.
    pub(super) fn over(&self, file: &Settings) -> Settings {
        let mut settings = file.clone();
        settings.is_clean &= self.mode != Some(Mode::Report);
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

impl Janitor {
    /// Writes a wish down and obeys it from now on.
    pub(crate) fn wish(&mut self, wish: &Wish, by: &UserId) -> Result<(), JournalError> {
        let (by, at) = (by.clone(), self.now());
        self.journal.set(&StoredSetting { key: wish.key(), value: wish.value(), by, at })?;
        self.obey()
    }

    /// Takes a wish back.
    pub(crate) fn unwish(&mut self, wish: &Wish) -> Result<(), JournalError> {
        self.journal.unset(&wish.key())?;
        self.obey()
    }

    /// Brings what holds in line with what is in the journal.
    fn obey(&mut self) -> Result<(), JournalError> {
        self.wishes = Wishes::read(&self.journal.settings()?);
        self.settings = self.wishes.over(&self.file);
        self.wants_look = true;
        Ok(())
    }

    /// What was set by command.
    pub(crate) fn wishes(&self) -> &Wishes {
        &self.wishes
    }

    /// What the settings of the machine say.
    pub(crate) fn file(&self) -> &Settings {
        &self.file
    }

    /// The grace that holds.
    pub(crate) fn grace_now(&self, key: GraceKey) -> Grace {
        match key {
            GraceKey::Reason(reason) => self.settings.policy.grace[reason as usize],
            GraceKey::DeviceGoneUnseen => {
                let seen = self.settings.policy.grace[Reason::DeviceGone as usize];
                self.settings.policy.device_gone_unseen.longer(seen)
            }
        }
    }
}
