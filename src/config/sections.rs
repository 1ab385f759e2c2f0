//! The sections of the configuration, as the rest of the program sees them.
//!
//! Only shapes: what a key means and in which unit. Names and defaults are in `keys`.

use std::{fmt, num::NonZeroU32, path::PathBuf, time::Duration};

use matrix_sdk::reqwest::Url;
use rtc_janitor_core::{
    ids::{DeviceId, UserId},
    time::TimeOfDay,
};

use super::{Grace, LogFormat, Mode, RoomRef, Secret, UserGlobs};

/// `[homeserver]`
#[derive(Clone, Debug)]
pub struct Homeserver {
    /// Where it answers.
    pub address: HomeserverAddress,
    /// The janitor's own account.
    pub user_id: UserId,
}

/// How the homeserver is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HomeserverAddress {
    /// `homeserver.url`: the base of its client API, http or https.
    Url(Url),
    /// `homeserver.server_name`: found by `.well-known`.
    ServerName(String),
}

impl fmt::Display for HomeserverAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url(url) => url.as_str().trim_end_matches('/'),
            Self::ServerName(name) => name,
        })
    }
}

/// `[login]` and `[admin_room.login]`: one way to sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// Signs in with a password; gives as many devices as are needed.
    Password(Secret),
    /// An access token that somebody else made. It is one device, no more.
    AccessToken {
        /// The token.
        token: Secret,
        /// The device the token belongs to.
        device_id: DeviceId,
    },
}

/// `[store]`
#[derive(Clone, Debug)]
pub struct Store {
    /// The directory of the journal and the sessions, absolute.
    pub path: PathBuf,
    /// Encrypts the message keys that are kept.
    pub passphrase: Option<Secret>,
    /// How long the journal remembers what is over.
    pub retention: Duration,
}

/// `[janitor]`
#[derive(Clone, Debug)]
pub struct Janitor {
    /// Whether it writes or only says what it would write.
    pub mode: Mode,
    /// The longest time between two looks.
    pub sweep_interval: Duration,
    /// The longest time between two questions for device lists.
    pub device_check_interval: Duration,
    /// A membership younger than this is left alone.
    pub minimum_age: Duration,
    /// Whether a missing device of a remote owner may be acted upon.
    pub remote_device_lists: bool,
    /// How often everything is read anew and compared.
    pub reread_interval: Duration,
}

/// `[grace]`: what is not set follows `default`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graces {
    /// For reasons without one of their own.
    pub default: Grace,
    /// The owner is not in the room.
    pub not_joined: Grace,
    /// The membership's own expiry is over.
    pub expired: Grace,
    /// The device is not in its owner's list any more.
    pub device_gone: Grace,
    /// The device was never seen in a list.
    pub device_gone_unseen: Grace,
    /// The same device has a newer membership of the same call.
    pub superseded: Grace,
    /// Our SFU does not list the participant.
    pub not_on_sfu: Grace,
    /// The server has not seen the device for long.
    pub device_idle: Grace,
    /// The membership was not refreshed for long.
    pub silent: Grace,
}

/// `[rules]`
#[derive(Clone, Debug)]
pub struct Rules {
    /// How old the newest event may be before it counts as silent.
    pub silent_after: Duration,
    /// How long a device may go unseen by the server before it counts as idle.
    pub device_idle_after: Duration,
}

/// `[limits]`: how many memberships may be cleared.
#[derive(Clone, Debug)]
pub struct Limits {
    /// In one sweep.
    pub per_sweep: NonZeroU32,
    /// In one room and sweep.
    pub per_room: NonZeroU32,
    /// In any 60 minutes.
    pub per_hour: NonZeroU32,
}

/// `[breaker]`
#[derive(Clone, Debug)]
pub struct Breaker {
    /// The share of owners, above 0 and at most 1, that must turn stale together.
    pub share: f64,
    /// And at least this many owners.
    pub minimum: NonZeroU32,
    /// How long nothing is written by that evidence, the first time.
    pub open_for: Duration,
    /// How long the probe must stay away before the breaker closes.
    pub probe_for: Duration,
}

/// `[rooms]`
#[derive(Clone, Debug)]
pub struct Rooms {
    /// Only these; empty: every joined room.
    pub include: Vec<RoomRef>,
    /// Never these, also when included.
    pub exclude: Vec<RoomRef>,
    /// Whose invitations are followed; empty: nobody's.
    pub accept_invites_from: UserGlobs,
}

/// `[owners]`
#[derive(Clone, Debug)]
pub struct Owners {
    /// Users whose memberships are never cleared.
    pub exclude: UserGlobs,
}

/// `[admin_room]`
#[derive(Clone, Debug)]
pub struct AdminRoom {
    /// The room.
    pub room: RoomRef,
    /// What commands begin with.
    pub command_prefix: String,
    /// The power level from which a member has a say.
    pub power_level: i64,
    /// Who has a say; empty: whoever has the power level.
    pub admins: Vec<UserId>,
    /// Who is mentioned when a human is needed at once; empty: nobody.
    pub alert: Vec<UserId>,
    /// When the daily digest is sent; `None` when none is wanted.
    pub digest: Option<TimeOfDay>,
    /// Recovers the chat account's cross-signing on a new device.
    pub recovery_key: Option<Secret>,
    /// The account that chats; `homeserver.user_id` unless `admin_room.login.user_id` says otherwise.
    pub user_id: UserId,
    /// How the chat device signs in; the password of `[login]` unless `[admin_room.login]` is there.
    pub login: Login,
}

/// `[log]`
#[derive(Clone, Debug)]
pub struct Log {
    /// Lines for people or for machines.
    pub format: LogFormat,
    /// A tracing filter, known to parse.
    pub filter: String,
}
