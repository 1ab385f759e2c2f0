//! What the janitor needs of the configuration, with every alias resolved.

use std::{collections::BTreeSet, time::Duration};

use rtc_janitor_core::{
    guard::{breaker, limits::Limits},
    ids::{RoomId, UserId},
    judge::policy::{Policy, Reason},
    time::TimeOfDay,
};

use crate::config::{Config, Mode, UserGlobs};

/// The checked settings of the janitor.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The account that watches and writes.
    pub user_id: UserId,
    /// Whether it writes at all.
    pub is_clean: bool,
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
    /// How often everything is read anew.
    pub reread_interval: Duration,
    /// A younger membership is left alone.
    pub minimum_age: Duration,
    /// Whether `device_gone` may be used against owners on other servers.
    pub remote_device_lists: bool,
    /// Of those that are looked after, only these are looked at in this run; empty: all.
    pub only: BTreeSet<RoomId>,
    /// Only these rooms are looked after; empty: all.
    pub include: BTreeSet<RoomId>,
    /// These rooms are not looked after.
    pub exclude: BTreeSet<RoomId>,
    /// These users' memberships are left alone.
    pub excluded_owners: UserGlobs,
    /// And those of these.
    pub excluded_users: BTreeSet<UserId>,
    /// Whose invitations are accepted.
    pub accept_invites_from: UserGlobs,
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
    /// From the configuration, with the rooms that it names by then resolved to ids.
    pub fn new(config: &Config, include: BTreeSet<RoomId>, exclude: BTreeSet<RoomId>) -> Self {
        Self {
            user_id: config.homeserver.user_id.clone(),
            is_clean: config.janitor.mode == Mode::Clean,
            policy: policy(config),
            limits: Limits {
                per_sweep: config.limits.per_sweep.get(),
                per_room: config.limits.per_room.get(),
                per_hour: config.limits.per_hour.get(),
            },
            breaker: breaker::Settings {
                share: config.breaker.share,
                minimum: usize::try_from(config.breaker.minimum.get()).unwrap_or(usize::MAX),
                open_for: config.breaker.open_for,
                probe_for: config.breaker.probe_for,
            },
            sweep_interval: config.janitor.sweep_interval,
            device_check_interval: config.janitor.device_check_interval,
            reread_interval: config.janitor.reread_interval,
            minimum_age: config.janitor.minimum_age,
            remote_device_lists: config.janitor.remote_device_lists,
            only: BTreeSet::new(),
            include,
            exclude,
            excluded_owners: config.owners.exclude.clone(),
            excluded_users: BTreeSet::new(),
            accept_invites_from: config.rooms.accept_invites_from.clone(),
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

    /// Whether a room that is looked after is looked at in this run. What an earlier run saw in the others
    /// is kept.
    pub(super) fn looks_at(&self, room: &RoomId) -> bool {
        self.covers(room) && (self.only.is_empty() || self.only.contains(room))
    }

    /// Whether a room is looked after. Exclusion wins.
    pub fn covers(&self, room: &RoomId) -> bool {
        !self.exclude.contains(room) && (self.include.is_empty() || self.include.contains(room))
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
