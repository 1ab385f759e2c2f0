//! What the janitor needs of the configuration, with every alias resolved.

use std::{collections::BTreeSet, time::Duration};

use rtc_janitor_core::{
    guard::{breaker, limits::Limits},
    ids::{RoomId, UserId},
    judge::policy::{Policy, Reason},
    rtc::focus::normalised,
    time::TimeOfDay,
};

use super::{
    aliases::{EXCLUDE, INCLUDE, Named, UnresolvedAlias},
    memory::Writers,
};
use crate::config::{Config, Mode, Namespace, UserGlobs};

/// The checked settings of the janitor.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The account that watches and writes.
    pub user_id: UserId,
    /// Whether it writes at all.
    pub is_clean: bool,
    /// The base of the homeserver's API, where the configuration has it; its name where not.
    pub homeserver: String,
    /// Thresholds and graces.
    pub policy: Policy,
    /// How much may be written.
    pub limits: Limits,
    /// When evidence is not believed.
    pub breaker: breaker::Settings,
    /// The longest time between looks while memberships are open.
    pub sweep_interval: Duration,
    /// The longest time between questions for device lists.
    pub device_check_interval: Duration,
    /// The address of the SFU that the call server port asks; empty without one.
    pub sfu: String,
    /// What memberships call it; empty: to be found out.
    pub sfu_names: BTreeSet<String>,
    /// The longest time between questions for who is in a call.
    pub sfu_interval: Duration,
    /// How often everything is read anew.
    pub reread_interval: Duration,
    /// A younger membership is left alone.
    pub minimum_age: Duration,
    /// Whether `device_gone` may be used against owners on other servers.
    pub remote_device_lists: bool,
    /// As whom an appservice may write, where one is set up.
    pub appservice: Option<Namespace>,
    /// Whether what only its owner may write is redacted.
    pub allow_redaction: bool,
    /// Of those that are looked after, only these are looked at in this run; empty: all.
    pub only: BTreeSet<RoomId>,
    /// Only these rooms are looked after; empty: all.
    pub include: BTreeSet<RoomId>,
    /// These rooms are not looked after.
    pub exclude: BTreeSet<RoomId>,
    /// Aliases of the settings that lead nowhere today.
    pub unresolved: Vec<UnresolvedAlias>,
    /// Of these users no device list says anything.
    pub without_device_lists: UserGlobs,
    /// These users' memberships are left alone.
    pub excluded_owners: UserGlobs,
    /// And those of these.
    pub excluded_users: BTreeSet<UserId>,
    /// Whose invitations are accepted.
    pub accept_invites_from: UserGlobs,
    /// The account that speaks in the admin room.
    pub chat_user_id: UserId,
    /// The admin room, once it is known.
    pub admin_room: Option<RoomId>,
    /// Who is mentioned when a person is needed at once.
    pub alert: Vec<UserId>,
    /// What commands begin with.
    pub command_prefix: String,
    /// When the daily digest is sent.
    pub digest: Option<TimeOfDay>,
    /// Up to how long before the start a sighting may lie for its clock to run on: zero, unless
    /// somebody outside repeats single sweeps and is the janitor's loop.
    pub bridge: Duration,
    /// How long the journal keeps what is over.
    pub retention: Duration,
}

impl Settings {
    /// From the configuration, with the rooms that it names resolved to ids.
    pub fn new(config: &Config, named: Named) -> Self {
        let livekit = config.livekit.as_ref();
        Self {
            user_id: config.homeserver.user_id.clone(),
            homeserver: config.homeserver.address.to_string(),
            is_clean: config.janitor.mode == Mode::Clean,
            policy: policy(config),
            limits: Limits {
                per_sweep: config.limits.per_sweep.get(),
                per_room: config.limits.per_room.get(),
                per_hour: config.limits.per_hour.get(),
            },
            breaker: breaker::Settings {
                at_once: config.janitor.sweep_interval,
                share: config.breaker.share,
                minimum: usize::try_from(config.breaker.minimum.get()).unwrap_or(usize::MAX),
                open_for: config.breaker.open_for,
                probe_for: config.breaker.probe_for,
            },
            sweep_interval: config.janitor.sweep_interval,
            device_check_interval: config.janitor.device_check_interval,
            sfu: livekit.map(|livekit| normalised(livekit.url.as_str())).unwrap_or_default(),
            sfu_names: livekit.iter().flat_map(|livekit| livekit.service_urls.iter().cloned()).collect(),
            sfu_interval: livekit.map(|livekit| livekit.poll_interval).unwrap_or_default(),
            reread_interval: config.janitor.reread_interval,
            minimum_age: config.janitor.minimum_age,
            remote_device_lists: config.janitor.remote_device_lists,
            appservice: config.appservice.as_ref().map(|appservice| appservice.namespace.clone()),
            allow_redaction: config.janitor.allow_redaction,
            only: BTreeSet::new(),
            include: named.include,
            exclude: named.exclude,
            unresolved: named.unresolved,
            without_device_lists: config.owners.without_device_lists.clone(),
            excluded_owners: config.owners.exclude.clone(),
            excluded_users: BTreeSet::new(),
            accept_invites_from: config.rooms.accept_invites_from.clone(),
            chat_user_id: config.chat.user_id.clone(),
            admin_room: None,
            alert: config.admin_room.alert.clone(),
            command_prefix: config.admin_room.command_prefix.clone(),
            digest: config.admin_room.digest,
            bridge: Duration::ZERO,
            retention: config.store.retention,
        }
    }

    /// Whether somebody's memberships are left alone.
    pub fn leaves_alone(&self, user: &UserId) -> bool {
        self.excluded_owners.matches(user) || self.excluded_users.contains(user)
    }

    /// Whose power in a room matters.
    pub(super) fn writers(&self) -> Writers<'_> {
        Writers { me: &self.user_id, appservice: self.appservice.as_ref() }
    }

    /// Whether an appservice may write as this user.
    pub(crate) fn acts_for(&self, user: &UserId) -> bool {
        self.appservice.as_ref().is_some_and(|namespace| namespace.has(user))
    }

    /// Whether a room that is looked after is looked at in this run. What an earlier run saw in the others
    /// is kept.
    pub(super) fn looks_at(&self, room: &RoomId) -> bool {
        self.covers(room) && (self.only.is_empty() || self.only.contains(room))
    }

    /// Whether a room is looked after. Exclusion wins.
    pub fn covers(&self, room: &RoomId) -> bool {
        let includes_all = self.include.is_empty() && !self.unresolved.iter().any(|one| one.key == INCLUDE);
        !self.exclude.contains(room) && (includes_all || self.include.contains(room))
    }

    /// Why nothing may be written, where that is so: any room could be the one that is to be left alone.
    pub fn writes_forbidden_because(&self) -> Option<String> {
        let UnresolvedAlias { key, alias, why } = self.unresolved.iter().find(|one| one.key == EXCLUDE)?;
        Some(format!("{key} names {alias}, and nobody can tell which room that is ({why})"))
    }

    /// Takes in where an alias leads that did not resolve before, under every key that names it.
    pub fn resolved(&mut self, alias: &str, room: &RoomId) {
        for one in self.unresolved.extract_if(.., |one| one.alias == alias) {
            let rooms = if one.key == EXCLUDE { &mut self.exclude } else { &mut self.include };
            rooms.insert(room.clone());
        }
    }
}

fn policy(config: &Config) -> Policy {
    let graces = &config.grace;
    let grace = Reason::ALL.map(|reason| match reason {
        Reason::NotJoined => graces.not_joined,
        Reason::Expired => graces.expired,
        Reason::DeviceGone => graces.device_gone,
        Reason::Superseded => graces.superseded,
        Reason::NotOnSfu => graces.not_on_sfu,
        Reason::DeviceIdle => graces.device_idle,
        Reason::Silent => graces.silent,
    });
    Policy {
        silent_after: config.rules.silent_after,
        device_idle_after: config.rules.device_idle_after,
        grace,
        device_gone_unseen: graces.device_gone_unseen,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn unresolved(key: &'static str) -> Settings {
        let text = r##"
            homeserver = { url = "https://hs", user_id = "@bot:hs" }
            login.password = "hunter2"
            admin_room.room = "#admin:hs"
        "##;
        let config = Config::from_toml(Path::new("config.toml"), text).unwrap();
        let one = UnresolvedAlias { key, alias: "#gone:hs".to_owned(), why: "no answer".to_owned() };
        Settings::new(&config, Named { unresolved: vec![one], ..Named::default() })
    }

    #[test]
    fn rooms_to_include_that_nobody_knows_are_not_all_rooms() {
        let mut settings = unresolved(INCLUDE);
        assert!(!settings.covers(&"!any".into()));
        assert_eq!(settings.writes_forbidden_because(), None);

        settings.resolved("#gone:hs", &"!found".into());
        assert!(settings.covers(&"!found".into()) && !settings.covers(&"!any".into()));
    }

    #[test]
    fn while_nobody_knows_which_room_is_excluded_nothing_may_be_written() {
        let mut settings = unresolved(EXCLUDE);
        assert_eq!(
            settings.writes_forbidden_because().as_deref(),
            Some("rooms.exclude names #gone:hs, and nobody can tell which room that is (no answer)")
        );

        settings.resolved("#gone:hs", &"!found".into());
        assert_eq!(settings.writes_forbidden_because(), None);
        assert!(!settings.covers(&"!found".into()) && settings.covers(&"!any".into()));
    }
}
