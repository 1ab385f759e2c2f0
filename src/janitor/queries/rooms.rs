//! `rooms`, and the rooms that go by a name.

use std::collections::BTreeMap;

use rtc_janitor_core::{
    ids::RoomId,
    judge::policy::Reason,
    render::{
        answer::{Problem, Room, Rooms},
        report,
    },
};

use crate::janitor::{
    Janitor, Judged,
    joins::{JoinFor, Waiting},
    memory::{OpenEvent, RoomInfo},
};

/// The rooms that go by a name.
#[derive(Debug, Default)]
pub(crate) struct Called {
    /// By the whole of it.
    pub(crate) exact: Vec<RoomId>,
    /// It is a part of their name.
    pub(crate) by_part: Vec<RoomId>,
    /// Their name is nearly that.
    pub(crate) similar: Vec<RoomId>,
}

impl Janitor {
    /// `rooms`
    pub(crate) fn rooms_answer(&self, only_problems: bool) -> Rooms {
        self.rooms_with(&self.obstacles(&self.judged_now()), only_problems)
    }

    /// How many memberships are due and cannot be cleared, by room and by what would help.
    pub(super) fn obstacles(&self, judged: &[Judged]) -> BTreeMap<RoomId, BTreeMap<String, usize>> {
        let mut obstacles: BTreeMap<RoomId, BTreeMap<String, usize>> = BTreeMap::new();
        let now = self.now();
        for one in judged.iter().filter(|one| one.is_due(now) && !self.is_excluded(one)) {
            if let Some(why) = self.obstacle(one) {
                *obstacles.entry(one.subject.room.clone()).or_default().entry(why).or_default() += 1;
            }
        }
        obstacles
    }

    /// What keeps something that is due from being cleared until a person does something, as far as that
    /// is known without asking anybody.
    fn obstacle(&self, one: &Judged) -> Option<String> {
        if let Some(Err(blocked)) = self.route(&one.subject.room, &one.subject.key) {
            return Some(report::obstacle(blocked));
        }
        let is_remote = one.membership.owner.user.server_name() != self.settings.user_id.server_name();
        let by_device_list = one.due.iter().all(|due| due.reason == Reason::DeviceGone);
        (is_remote && by_device_list && !self.settings.remote_device_lists).then(report::remote_device_list)
    }

    pub(super) fn rooms_with(
        &self,
        obstacles: &BTreeMap<RoomId, BTreeMap<String, usize>>,
        only_problems: bool,
    ) -> Rooms {
        let rooms = self.memory.rooms().filter(|(room, ..)| self.settings.admin_room.as_ref() != Some(room));
        let joined = rooms.map(|(room, info, keys)| {
            let is_excluded = !self.settings.covers(room);
            Room {
                id: room.clone(),
                name: self.name_of(room),
                open: keys.values().flat_map(OpenEvent::memberships).count(),
                is_excluded,
                problems: if is_excluded {
                    Vec::new()
                } else {
                    self.problems_of(info, keys.is_empty(), obstacles.get(room))
                },
            }
        });
        let waiting = self.joins.waiting().into_iter().map(|Waiting { room, why, error }| Room {
            name: None,
            open: 0,
            is_excluded: false,
            problems: vec![match why {
                JoinFor::Invitation(inviter) => Problem::NotJoined { inviter, error },
                JoinFor::UpgradeOf(old) => Problem::SuccessorNotJoined { old, error },
            }],
            id: room,
        });
        let unresolved = self.settings.unresolved.iter();
        let unresolved = unresolved
            .map(|one| format!("{} names {}, which leads nowhere: {}", one.key, one.alias, one.why))
            .collect();
        Rooms { rooms: joined.chain(waiting).collect(), unresolved, only_problems }
    }

    fn problems_of(
        &self,
        info: &RoomInfo,
        is_silent: bool,
        obstacles: Option<&BTreeMap<String, usize>>,
    ) -> Vec<Problem> {
        let blocked = info.may_clear(&self.settings.user_id).and_then(Result::err);
        let lost = info.successor().filter(|successor| !self.memory.knows(successor)).cloned();
        // An old room that went on elsewhere needs no power any more, unless a call hangs in it.
        let is_over = info.successor().is_some() && is_silent;
        let no_power = blocked.filter(|_| !is_over).map(Problem::NoPower);
        let is_said = |why: &str| blocked.is_some_and(|blocked| !is_over && report::obstacle(blocked) == why);
        let cannot_clear = obstacles.into_iter().flatten().filter(|(why, _)| !is_said(why));
        let cannot_clear =
            cannot_clear.map(|(why, number)| Problem::CannotClear { number: *number, why: why.clone() });
        no_power.into_iter().chain(cannot_clear).chain(lost.map(Problem::NotInSuccessor)).collect()
    }

    /// The rooms that go by a name.
    pub(crate) fn rooms_called(&self, name: &str) -> Called {
        let wanted = name.to_lowercase();
        let mut called = Called::default();
        for (room, info, _) in self.memory.rooms() {
            let names = [info.name(), info.alias(), info.alias().and_then(localpart)];
            let mut names = names.into_iter().flatten().map(str::to_lowercase);
            if names.clone().any(|name| name == wanted) {
                called.exact.push(room.clone());
            } else if names.clone().any(|name| name.contains(&wanted)) {
                called.by_part.push(room.clone());
            } else if names.any(|name| strsim::jaro_winkler(&name, &wanted) > 0.85) {
                called.similar.push(room.clone());
            }
        }
        called
    }
}

/// The name in `#name:server`.
fn localpart(alias: &str) -> Option<&str> {
    alias.strip_prefix('#')?.split_once(':').map(|(name, _)| name)
}
