//! The one table of keys: type, parser, default and help of each. A key that is not in it is refused.
//!
//! A new key is one entry here, and the place that uses its field. Its comment goes into `config.example.toml` as it
//! stands; after a change, `UPDATE_EXAMPLE=1 cargo test --lib config::example` writes that file anew.
#![expect(clippy::doc_markdown, reason = "the comments are those of the example file, which is no markdown")]

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use matrix_sdk::reqwest::Url;
use regex::Regex;
use rtc_janitor_core::{
    ids::{DeviceId, UserId},
    time::TimeOfDay,
};
use secrecy::SecretString;

use super::{Grace, LogFormat, Mode, RoomRef, UserGlobs, table::sections};

sections! {
    ["homeserver"] pub(super) struct HomeserverKeys {
        /// Where the homeserver answers ...
        url: Option<Url> = usual(URL, "https://matrix.example.org");
        /// ... or its name, to find that by .well-known. One of the two.
        server_name: Option<String> = optional(SERVER_NAME, "example.org");
        /// The janitor's own account.
        user_id: UserId = needed(USER_ID, "@rtc-janitor:example.org");
    }

    /// How the janitor signs in: one way only.
    ["login"] pub(super) struct LoginKeys {
        /// By password. Both its devices, the one that watches and the one that chats, come from this.
        password: Option<SecretString> = usual(SECRET, "/run/secrets/password");
        /// Or by an access token. It is one device: the one that chats then needs admin_room.login.
        access_token: Option<SecretString> = optional(SECRET, "/run/secrets/access_token");
        /// The device the access token belongs to.
        device_id: Option<DeviceId> = optional(DEVICE_ID, "ABCDEFGHIJ");
    }

    ["store"] pub struct Store {
        /// The folder of the journal and the sessions. One janitor for each.
        path: PathBuf = or_default(PATH, "data");
        /// Encrypts what is kept of the admin room's message keys.
        passphrase: Option<SecretString> = optional(SECRET, "/run/secrets/passphrase");
        /// How long the journal keeps what is over: clears, reports, plans, commands.
        retention: Duration = or_default(DURATION, "90d");
    }

    ["janitor"] pub struct Janitor {
        /// "report": writes nothing, says what it would do; "clean": clears.
        mode: Mode = or_default(MODE, "report");
        /// The longest time between sweeps while somebody is in a call. What changes or falls due is looked at at once.
        /// Also the time in which limits.per_sweep and limits.per_room count.
        sweep_interval: Duration = or_default(DURATION, "1m");
        /// How often device lists are asked for; also at once when a membership appears, changes or falls due.
        device_check_interval: Duration = or_default(DURATION, "5m");
        /// A membership younger than this is not cleared, whatever is known about it.
        minimum_age: Duration = or_default(DURATION, "2m");
        /// Whether a membership of a user on another server may be cleared because its device is gone.
        /// Other servers' lists can be late; without this it is only reported. With it, the server has to show that it
        /// answers, by the profile of one of its users.
        remote_device_lists: bool = or_default(FLAG, "false");
        /// Whether a membership that only its owner may write may be cleared by a redaction, where the janitor may redact.
        /// Clients that keep the old event in their memory show it until they are reloaded.
        allow_redaction: bool = or_default(FLAG, "false");
        /// How often the state of all rooms is read anew from the server, beside what changes, which comes at once.
        reread_interval: Duration = or_default(DURATION, "6h");
    }

    /// How long a reason must have been seen to hold before it counts. "never" switches a reason off.
    ["grace"] pub struct Graces {
        /// For the reasons below that are not set.
        default: Grace = or_default(GRACE, "5m");
        /// The owner has left the room, or was removed.
        not_joined: Grace = or_default(GRACE, "30s");
        /// The membership's own expiry is over.
        expired: Grace = follows(GRACE, "grace.default");
        /// The device was logged out: its owner's device list lacks it.
        device_gone: Grace = follows(GRACE, "grace.default");
        /// The same for a device that was never seen in a list: it may just have no keys.
        device_gone_unseen: Grace = or_default(GRACE, "75m");
        /// The same device has a newer membership of the same call.
        superseded: Grace = follows(GRACE, "grace.default");
        /// Your own call server (SFU) does not list the participant.
        not_on_sfu: Grace = or_default(GRACE, "90s");
        /// Your own server has not seen the device for rules.device_idle_after.
        device_idle: Grace = follows(GRACE, "grace.default");
        /// The membership has not been refreshed for rules.silent_after.
        silent: Grace = follows(GRACE, "grace.default");
    }

    ["rules"] pub struct Rules {
        /// How old the newest event of a membership may be; clients refresh at least every 4 h.
        silent_after: Duration = or_default(DURATION, "4h15m");
        /// How long a device may go unseen by its own server.
        device_idle_after: Duration = or_default(DURATION, "75m");
    }

    /// How many memberships may be cleared. The limits hold in time, however many sweeps there are; more wait
    /// their turn. Plans that a person approved are not held back by them.
    ["limits"] pub struct Limits {
        /// In all rooms, within any janitor.sweep_interval.
        per_sweep: NonZeroU32 = or_default(COUNT, "20");
        /// In one room, within any janitor.sweep_interval.
        per_room: NonZeroU32 = or_default(COUNT, "10");
        /// In all rooms, within any hour.
        per_hour: NonZeroU32 = or_default(COUNT, "120");
    }

    /// When much turns stale at once, the evidence is more likely wrong than everybody gone: then nothing
    /// is written by that evidence for a while.
    ["breaker"] pub struct Breaker {
        /// Opens when this share of the owners that were active (of all, or of those of whom one kind of device list tells) turns
        /// stale by one source within one janitor.sweep_interval (above 0, at most 1) ...
        share: f64 = or_default(SHARE, "0.5");
        /// ... and at least so many owners.
        minimum: NonZeroU32 = or_default(COUNT, "3");
        /// How long nothing is written, the first time; it doubles up to 1 h.
        open_for: Duration = or_default(DURATION, "5m");
        /// Then one membership is cleared as a probe; if it stays away for this long, the breaker closes.
        probe_for: Duration = or_default(DURATION, "2m");
    }

    ["rooms"] pub struct Rooms {
        /// Room ids or aliases to keep clean; empty: every room the janitor is in. An alias that never resolved
        /// names no room.
        include: Vec<RoomRef> = or_default(ROOMS, "");
        /// Room ids or aliases to exclude; wins over include. While it is not known which room an alias names,
        /// nothing is written in any room.
        exclude: Vec<RoomRef> = or_default(ROOMS, "");
        /// Whose invitations are accepted: user ids with * and ?; empty (the default): nobody's. Invitations
        /// to the admin room are always accepted.
        accept_invites_from: UserGlobs = or_default(USER_GLOBS, "", shown "*:example.org");
    }

    ["owners"] pub struct Owners {
        /// Users whose memberships are never cleared (recorders, bridges, kiosks): user ids with * and ?.
        exclude: UserGlobs = or_default(USER_GLOBS, "");
        /// Users whose devices are in no device list (bridges that make their own ids): that a list lacks them
        /// means nothing, and they are judged by the other reasons. User ids with * and ?.
        without_device_lists: UserGlobs = or_default(USER_GLOBS, "");
    }

    ["admin_room"] pub struct AdminRoom {
        /// Where the janitor reports: room id or alias.
        room: RoomRef = needed(ROOM, "#janitor:example.org");
        /// What commands begin with there; a mention of the bot does as well.
        command_prefix: String = or_default(COMMAND_PREFIX, "!janitor");
        /// Members with at least this power level may give commands there ...
        power_level: i64 = or_default(POWER_LEVEL, "50");
        /// ... or only these user ids, where any are given. Set it where other bots share the room.
        admins: Vec<UserId> = or_default(USERS, "");
        /// User ids to mention when a human is needed at once; empty: nobody.
        alert: Vec<UserId> = or_default(USERS, "");
        /// When the day is summed up, in UTC; "never" for no digest. A day without anything to tell has none.
        digest: Option<TimeOfDay> = or_default(TIME_OF_DAY, "08:00");
        /// Lets a new chat device be trusted when the room is encrypted: the recovery key of the chat account.
        recovery_key: Option<SecretString> = optional(SECRET, "/run/secrets/recovery_key");
    }

    /// The admin room can have an account or a device of its own; the keys are those of login, and
    /// user_id. Left out: the account and the password of login.
    ["admin_room.login"] pub(super) struct ChatLoginKeys {
        /// The account that chats, on the same homeserver; when left out, homeserver.user_id.
        user_id: Option<UserId> = optional(USER_ID, "@janitor-chat:example.org");
        /// Its password ...
        password: Option<SecretString> = optional(SECRET, "/run/secrets/chat_password");
        /// ... or its access token ...
        access_token: Option<SecretString> = optional(SECRET, "/run/secrets/chat_access_token");
        /// ... with the device it belongs to.
        device_id: Option<DeviceId> = optional(DEVICE_ID, "KLMNOPQRST");
    }

    /// What an admin of a Synapse sees and nobody else: devices without encryption keys, when each was last seen, and
    /// rooms that the janitor is not in. Left out: only where the janitor's own account is an admin of the server.
    ["synapse_admin"] pub(super) struct SynapseAdminKeys {
        /// An access token of a server admin.
        access_token: Option<SecretString> = optional(SECRET, "/run/secrets/synapse_admin_token");
        /// Where the admin API answers, when that is not where the homeserver does.
        url: Option<Url> = optional(URL, "http://127.0.0.1:8008");
    }

    /// Your own call server (SFU, LiveKit): only it knows who is in a call. Left out: nobody is cleared because it
    /// does not list them, and nobody is spared because it does.
    ["livekit"] pub(super) struct LiveKitKeys {
        /// Where its API answers, with the path that a proxy gives it, if any; ws:// and wss:// do as well.
        url: Option<Url> = optional(SFU_URL, "https://livekit.example.org");
        /// One of the keys in its settings ...
        api_key: Option<SecretString> = optional(SECRET, "/run/secrets/livekit_key");
        /// ... and the secret of that key.
        api_secret: Option<SecretString> = optional(SECRET, "/run/secrets/livekit_secret");
        /// What memberships call this call server: its authorisation services, such as "https://livekit-jwt.example.org", and itself.
        /// Empty: those that your homeserver or your domain names and that give tokens for it.
        service_urls: Vec<String> = or_default(SERVICE_URLS, "");
        /// How often it is asked while somebody may be in a call there. While anybody is, at least every 15 s.
        poll_interval: Duration = or_default(DURATION, "20s");
        /// Whether it may tell at once who has left a call, at http.listen and /livekit/webhook. docs/livekit.md has the lines for its settings.
        webhook: bool = or_default(FLAG, "true");
    }

    /// Lets the janitor write as users of its own server: it clears what only its owner may write, and takes what is stale
    /// out of an event that speaks for others, too. `rtc-janitor appservice-registration` writes the file for the
    /// homeserver. Without login, the janitor signs in by it.
    ["appservice"] pub(super) struct AppserviceKeys {
        /// The as_token of the registration.
        as_token: Option<SecretString> = optional(SECRET, "/run/secrets/as_token");
        /// The account that signs in by it: homeserver.user_id, and never the registration's sender_localpart.
        user_id: Option<UserId> = optional(USER_ID, "@rtc-janitor:example.org");
        /// Which user ids the registration has: its regular expression. Left out: all of the janitor's own server.
        namespace: Option<Regex> = optional(REGEX, "@.*:example\\.org$");
    }

    /// What other programs may ask of a running janitor: /live and /ready for containers, /metrics for Prometheus.
    ["http"] pub struct Http {
        /// Address and port; "" for none. Nothing there needs a password: leave it where only your own machines reach it.
        listen: Option<SocketAddr> = or_default(LISTEN, "127.0.0.1:9170");
    }

    ["log"] pub struct Log {
        /// "text" or "json", one line each, to stderr.
        format: LogFormat = or_default(LOG_FORMAT, "text");
        /// Levels (error, warn, info, debug, trace), also by target: "info,rtc_janitor=debug".
        filter: String = or_default(LOG_FILTER, "info");
    }
}
