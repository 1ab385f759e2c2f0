//! What commands ask of the janitor: values out, from which answers are rendered.

mod calls;
mod history;
mod rooms;

use std::{collections::BTreeMap, time::Duration};

use rtc_janitor_core::{
    ids::RoomId,
    judge::{
        evidence::ListKind,
        policy::{Grace, Neighbour, Reason},
        verdict::Verdict,
    },
    mode::Mode,
    render::{
        answer::{self, NeighbourHealth, Status},
        sight::{Sight, Users},
    },
};

pub(crate) use self::rooms::Called;
use super::{Janitor, Settings};
use crate::world::journal::{JournalError, StoredSetting};

/// A mode from the word that settings keep.
const fn mode_of(is_clean: bool) -> Mode {
    if is_clean { Mode::Clean } else { Mode::Report }
}

impl Janitor {
    /// The mode in effect: the stricter of configuration and override.
    pub(crate) fn mode(&self) -> Mode {
        mode_of(self.settings.is_clean)
    }

    /// The mode of the configuration.
    pub(crate) fn mode_of_file(&self) -> Mode {
        mode_of(self.file.is_clean)
    }

    /// `status`
    pub(crate) fn status(&self) -> Result<Status<'static>, JournalError> {
        let now = self.now();
        let judged = self.judged_now();
        let obstacles = self.obstacles(&judged);
        let due = judged.iter().filter(|one| one.is_due(now)).count();
        let blocked = obstacles.values().flat_map(BTreeMap::values).sum();
        let count = |is: fn(&Verdict) -> bool| judged.iter().filter(|one| is(&one.judgement.verdict)).count();
        let health = |neighbour| match self.evidence.health(neighbour) {
            None => NeighbourHealth::NotSetUp,
            Some(health) if health.is_away() => {
                NeighbourHealth::Away(self.evidence.why_away(neighbour), health.away_since())
            }
            Some(_) if self.evidence.is_settling(neighbour, now) => NeighbourHealth::Settling,
            Some(_) => self
                .evidence
                .why_unidentified(neighbour)
                .map_or(NeighbourHealth::Answers, NeighbourHealth::Unidentified),
        };
        let neighbours = Neighbour::ALL
            .into_iter()
            .map(|neighbour| (neighbour, health(neighbour), self.sweep.breakers.state(neighbour).clone()));
        Ok(Status {
            version: env!("CARGO_PKG_VERSION"),
            mode: self.mode(),
            mode_of_file: self.mode_of_file(),
            mode_by_command: self.overrides.mode,
            journal_is_new: self.overrides.are_forgotten(),
            paused: self.overrides.pause.filter(|_| self.overrides.is_paused(now)),
            has_seen_all: self.first_sync_is_over(),
            rooms: self.size().0,
            problems: self
                .rooms_with(&obstacles, true)
                .rooms
                .iter()
                .filter(|room| !room.problems.is_empty())
                .count(),
            active: count(|verdict| *verdict == Verdict::Active),
            stale: count(|verdict| matches!(verdict, Verdict::Stale(_))),
            due: due - blocked,
            blocked,
            unknown: count(|verdict| matches!(verdict, Verdict::Unknown(_))),
            last_sweep: self.sweep.last_regular(),
            neighbours: neighbours.collect(),
            own_lists: self.own_lists_health(),
            appservice: self.appservice_health(),
            times_limited: self.ports.metrics.times_limited(),
            lifts_limit: self.sight().has_survey.then(|| self.lifts_limit()),
            server: self.server.for_people(self.ports.has_no_admin_api),
            leave_lags: self.leave_lags()?,
            hour: (self.in_last_hour()?, self.settings.limits.per_hour),
            quarantined: self.sweep.quarantine.count(now),
            excluded: (
                self.settings.exclude.len(),
                self.settings.excluded_owners.len() + self.settings.excluded_users.len(),
            ),
            sight: self.sight(),
            prefix: self.settings.command_prefix.clone(),
            now,
        })
    }

    /// How many memberships are stale.
    pub(super) fn count_stale(&self) -> usize {
        let judged = self.judged_now();
        judged.iter().filter(|one| matches!(one.judgement.verdict, Verdict::Stale(_))).count()
    }

    /// The one call with which a server admin lifts the limits of this account.
    fn lifts_limit(&self) -> String {
        let Settings { homeserver, user_id, .. } = &self.settings;
        format!(
            "curl -X POST -H \"Authorization: Bearer $ADMIN_TOKEN\" -d \
             '{{\"messages_per_second\":0,\"burst_count\":0}}' \
             '{homeserver}/_synapse/admin/v1/users/{user_id}/override_ratelimit'"
        )
    }

    /// Whether the server's own lists can be had.
    fn own_lists_health(&self) -> NeighbourHealth {
        let lists = &self.evidence.lists;
        let Some(health) = lists.health(ListKind::OwnList) else { return NeighbourHealth::NotSetUp };
        match lists.own_failure() {
            Some(why) => NeighbourHealth::Away(Some(why.to_string()), health.away_since()),
            None if health.is_settling(self.now()) => NeighbourHealth::Settling,
            None => NeighbourHealth::Answers,
        }
    }

    /// Whether the appservice may act for owners.
    fn appservice_health(&self) -> NeighbourHealth {
        match self.appservice.away() {
            Some((why, since)) => NeighbourHealth::Away(Some(why.to_owned()), since),
            None if self.settings.appservice.is_some() => NeighbourHealth::Answers,
            None => NeighbourHealth::NotSetUp,
        }
    }

    /// What this set-up sees.
    pub(super) fn sight(&self) -> Sight {
        let policy = &self.settings.policy;
        let own_lists = self.ports.own_lists.as_ref();
        let idle_after = match policy.grace[Reason::DeviceIdle as usize] {
            Grace::After(grace) => policy.device_idle_after + grace,
            Grace::Never => policy.silent_after,
        };
        let in_namespace = match &self.settings.appservice {
            None => Users::Nobody,
            Some(namespace) if namespace.is_whole_server() => Users::OfServer,
            Some(_) => Users::OfNamespace,
        };
        Sight {
            silent_after: policy.silent_after,
            idle_after,
            has_sfu: self.evidence.sfu.is_some(),
            own_lists: match own_lists {
                None => Users::Nobody,
                Some(lists) if lists.knows_accounts() => Users::OfServer,
                Some(_) => in_namespace,
            },
            has_admin_api: !self.ports.has_no_admin_api,
            has_survey: own_lists.is_some_and(|lists| lists.knows_accounts()),
            appservice: in_namespace,
            may_redact: self.settings.allow_redaction,
        }
    }

    /// How many keys were cleared in the last hour, or would have been.
    fn in_last_hour(&self) -> Result<u32, JournalError> {
        self.journal.count_since(self.finding_kind(), self.now() - Duration::from_hours(1))
    }

    /// What was set by command, with who did and when.
    pub(crate) fn stored_overrides(&self) -> Result<Vec<StoredSetting>, JournalError> {
        self.journal.settings()
    }

    /// Whether a room is the admin room.
    pub(crate) fn is_admin_room(&self, room: &RoomId) -> bool {
        self.settings.admin_room.as_ref() == Some(room)
    }

    /// The admin room goes on elsewhere, which is said there.
    pub(crate) fn move_admin_room(&mut self, to: &RoomId) -> Result<(), JournalError> {
        let before = self.settings.admin_room.replace(to.clone()).filter(|before| before != to);
        let Some(before) = before else { return Ok(()) };
        self.file.admin_room = Some(to.clone());
        self.journal.move_admin_room(to, &answer::moved_here(&before), self.now())?;
        self.voice.has_more_to_say(true);
        Ok(())
    }

    /// Closes breakers by command; returns which were open.
    pub(crate) fn close_breakers(&mut self, only: Option<Neighbour>) -> Vec<Neighbour> {
        self.sweep.close_breakers(only)
    }

    /// Whether the calls of a room are looked after, once the bot is there.
    pub(crate) fn looks_after(&self, room: &RoomId) -> bool {
        self.settings.covers(room)
    }

    /// Whether keys of an approved plan are being written.
    pub(crate) fn is_carrying_out_a_plan(&self) -> bool {
        !self.overrides.is_paused(self.now()) && self.plans.are_under_way()
    }

    /// Whether the bot is in a room.
    pub(crate) fn is_in(&self, room: &RoomId) -> bool {
        self.memory.knows(room)
    }
}
