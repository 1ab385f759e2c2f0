//! What commands ask of the janitor: values out, from which answers are rendered.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    time::Duration,
};

use chrono::NaiveDate;
use rtc_janitor_core::{
    command::UserName,
    ids::{EventId, RoomId, UserId},
    judge::{
        evidence::{ListKind, Sfu},
        policy::{Grace, Neighbour, Reason},
        verdict::Verdict,
    },
    mode::Mode,
    plan::{HeldBack, Plan},
    render::{
        Message,
        answer::{
            self, Call, Caller, Calls, Connection, Explained, Explanation, History, NeighbourHealth, Only,
            Past, Problem, Room, Rooms, Status,
        },
        message, report,
        sight::Sight,
    },
    rtc::sticky::Beside,
    time::Timestamp,
};

use super::{
    Janitor, Judged, Settings,
    evidence::SfuEvidence,
    joins::{JoinFor, Waiting},
    lookups::LookedUp,
    memory::{OpenEvent, RoomInfo},
    sweep::{Index, Scope},
};
use crate::world::journal::{HistoryOf, JournalError, StoredSetting};

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

    /// Every open membership, judged by what is known without asking anybody.
    fn judged_now(&self) -> Vec<Judged> {
        self.with_deadlines(self.judge(None))
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
            times_limited: self.ports.metrics.times_limited(),
            lifts_limit: self.sight().has_survey.then(|| self.lifts_limit()),
            server: self.server.for_people(),
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

    /// What this set-up sees.
    pub(super) fn sight(&self) -> Sight {
        let policy = &self.settings.policy;
        let own_lists = self.ports.own_lists.as_ref();
        let (idle_after, has_idle) = match policy.grace[Reason::DeviceIdle as usize] {
            Grace::After(grace) => (policy.device_idle_after + grace, true),
            Grace::Never => (policy.silent_after, false),
        };
        Sight {
            silent_after: policy.silent_after,
            idle_after,
            has_sfu: self.evidence.sfu.is_some(),
            has_own_lists: own_lists.is_some() && has_idle,
            has_survey: own_lists.is_some_and(|lists| lists.knows_accounts()),
            has_appservice: false,
            may_redact: false,
        }
    }

    /// `calls`
    pub(crate) fn calls(&self, only: Option<&RoomId>) -> Result<Calls, JournalError> {
        let mut calls: BTreeMap<RoomId, Vec<Caller>> = BTreeMap::new();
        // Rooms that are left alone are not judged, and still have calls.
        for (room, _, open) in self.memory.open().filter(|(room, ..)| !self.settings.covers(room)) {
            for membership in open.memberships() {
                calls.entry(room.clone()).or_default().push(Caller {
                    user: membership.owner.user.clone(),
                    device: membership.owner.device.to_string(),
                    start: membership.start,
                    verdict: None,
                    connection: Connection::Unknown,
                    due: None,
                    blocked: None,
                    held: None,
                });
            }
        }
        let judged = self.judged_now();
        let held = self.held_by_event(&judged, None)?;
        for one in judged {
            let blocked = self.route(&one.subject.room, &one.subject.key).and_then(Result::err);
            calls.entry(one.subject.room.clone()).or_default().push(Caller {
                user: one.membership.owner.user.clone(),
                device: one.membership.owner.device.to_string(),
                start: one.membership.start,
                verdict: Some(one.judgement.verdict),
                connection: match one.evidence.sfu {
                    Sfu::Listed => Connection::Connected,
                    Sfu::Absent { .. } => self.left_sfu(&one).map_or(Connection::Unknown, Connection::Gone),
                    Sfu::NotOurs | Sfu::Unknown => Connection::Unknown,
                },
                due: one.due_at,
                blocked,
                held: held.get(&one.subject.event).copied(),
            });
        }
        let now = self.now();
        for (room, info, _) in self.memory.rooms() {
            let beside = info.beside(now);
            if beside.may_be_in_a_call() || (only == Some(room) && !beside.is_empty()) {
                calls.entry(room.clone()).or_default();
            }
        }
        let calls = calls.into_iter().filter(|(room, _)| only.is_none_or(|only| only == room));
        let calls = calls.map(|(room, callers)| Call {
            name: self.name_of(&room),
            is_excluded: !self.settings.covers(&room),
            beside: self.beside(&room),
            room,
            callers,
        });
        Ok(Calls {
            calls: calls.collect(),
            only: only.map(|room| Only::Room(message::room(room, self.name_of(room).as_deref()))),
            now,
        })
    }

    /// What holds each event back that is due, but for what is missing to write it at all.
    fn held_by_event(
        &self,
        judged: &[Judged],
        only: Option<&BTreeSet<RoomId>>,
    ) -> Result<BTreeMap<EventId, HeldBack>, JournalError> {
        let mut candidates = self.due_candidates(judged, &Index::new(judged));
        for candidate in &mut candidates {
            candidate.route = self.route(&candidate.room, &candidate.key);
        }
        let plan = Plan::make(candidates, self.circumstances(), self.budget(only)?);
        let held = plan.held.into_iter().map(|(candidate, why)| (candidate.event, why));
        Ok(held.filter(|(_, why)| !matches!(why, HeldBack::NoRoute(_) | HeldBack::RouteUnknown)).collect())
    }

    /// `calls` of one user, in all rooms.
    pub(crate) fn calls_of(&self, name: &UserName) -> Result<Result<Calls, Message>, JournalError> {
        let mut calls = self.calls(None)?;
        let callers = calls.calls.iter().flat_map(|call| call.callers.iter().map(|caller| &caller.user));
        let user = match one_of(name, callers) {
            Ok(user) => user,
            Err(mistake) => return Ok(Err(mistake)),
        };
        for call in &mut calls.calls {
            call.callers.retain(|caller| caller.user == user);
            call.beside = Beside::default();
        }
        calls.calls.retain(|call| !call.callers.is_empty());
        Ok(Ok(Calls { only: Some(Only::User(user)), ..calls }))
    }

    /// Since when the device of a membership is gone from the SFU, where it was seen to go.
    fn left_sfu(&self, one: &Judged) -> Option<Timestamp> {
        self.left_behind.since(&one.subject.room, &one.subject.key, one.membership.start)
    }

    /// What stands in a room beside its memberships.
    fn beside(&self, room: &RoomId) -> Beside {
        self.memory.info(room).map(|info| info.beside(self.now())).unwrap_or_default()
    }

    /// `explain`, of a room that was looked up.
    pub(crate) fn explanation(
        &mut self,
        room: &RoomId,
        user: Option<&UserName>,
        looked_up: LookedUp,
    ) -> Result<Result<Explanation, Message>, JournalError> {
        let only = [room.clone()].into();
        let judged = self.look(&Scope::Rooms(only))?.judged;
        let user = match user.map(|user| one_of(user, judged.iter().map(|one| &one.membership.owner.user))) {
            Some(Err(mistake)) => return Ok(Err(mistake)),
            Some(Ok(user)) => Some(user),
            None => None,
        };
        let held = self.held_by_event(&judged, Some(&[room.clone()].into()))?;
        let sfu_asked = self.evidence.sfu.as_ref().and_then(SfuEvidence::observed_at);
        let of_all = judged.len();
        let is_wanted = |owner: &UserId| user.as_ref().is_none_or(|user| user == owner);
        let memberships =
            judged.into_iter().filter(|judged| is_wanted(&judged.membership.owner.user)).map(|judged| {
                Explained {
                    route: match self.route(&judged.subject.room, &judged.subject.key) {
                        Some(Ok(route)) => Ok(route.as_str()),
                        Some(Err(blocked)) => Err(report::obstacle(blocked)),
                        None => Err("it could not be read who may write it".to_owned()),
                    },
                    held: held.get(&judged.subject.event).copied(),
                    sfu_asked,
                    account: self.evidence.lists.account(&judged.membership.owner.user).cloned(),
                    left_sfu: self.left_sfu(&judged),
                    key: judged.subject.key,
                    due: judged.due_at,
                    membership: judged.membership,
                    judgement: judged.judgement,
                    evidence: judged.evidence,
                }
            });
        let memberships: Vec<_> = memberships.collect();
        Ok(Ok(Explanation {
            others: of_all - memberships.len(),
            room: room.clone(),
            name: self.name_of(room),
            user,
            memberships,
            malformed: looked_up.malformed,
            beside: self.beside(room),
            has_sfu: self.evidence.sfu.is_some(),
            now: self.now(),
        }))
    }

    /// How many keys were cleared in the last hour, or would have been.
    fn in_last_hour(&self) -> Result<u32, JournalError> {
        self.journal.count_since(self.finding_kind(), self.now() - Duration::from_hours(1))
    }

    /// `rooms`
    pub(crate) fn rooms_answer(&self, only_problems: bool) -> Rooms {
        self.rooms_with(&self.obstacles(&self.judged_now()), only_problems)
    }

    /// How many memberships are due and cannot be cleared, by room and by what would help.
    fn obstacles(&self, judged: &[Judged]) -> BTreeMap<RoomId, BTreeMap<String, usize>> {
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

    fn rooms_with(
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

    /// `history`
    pub(crate) fn history(
        &self,
        room: Option<&RoomId>,
        user: Option<&UserId>,
        day: Option<NaiveDate>,
        lines: usize,
    ) -> Result<History, JournalError> {
        let about = HistoryOf { room, user, within: day.map(whole_day) };
        let (lines, total) = self.journal.history(&about, lines)?;
        let lines = lines.into_iter().map(|past| Past {
            at: past.write.finished.unwrap_or(past.write.intended),
            room_name: self.name_of(&past.write.room),
            room: past.write.room,
            owners: past.write.owners.known().to_vec(),
            reason: past.write.reason,
            outcome: past.outcome,
            detail: past.detail,
            asked_by: past.asked_by,
        });
        Ok(History {
            lines: lines.collect(),
            total,
            prefix: self.settings.command_prefix.clone(),
            now: self.now(),
        })
    }

    /// The users of the history that a name fits.
    pub(crate) fn users_of_history(&self, name: &UserName) -> Result<Result<UserId, Message>, JournalError> {
        let known = match name {
            UserName::Id(_) => Vec::new(),
            UserName::Local(localpart) => self.journal.owners_of_writes(&localpart.to_lowercase())?,
        };
        Ok(one_of(name, &known))
    }

    /// What to say of a room or a user that is excluded, so that an empty answer is not read as a clean one.
    pub(crate) fn left_alone(&self, room: &RoomId, user: Option<&UserId>, prefix: &str) -> Option<Message> {
        if !self.settings.covers(room) {
            let shown = message::room(room, self.name_of(room).as_deref());
            return Some(answer::left_alone(&shown, room.as_str(), !self.file.covers(room), prefix));
        }
        let user = user.filter(|user| self.settings.leaves_alone(user))?;
        Some(answer::left_alone(&message::user(user), user.as_str(), self.file.leaves_alone(user), prefix))
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

/// From the first to the last instant of a day, by UTC.
fn whole_day(day: NaiveDate) -> Range<Timestamp> {
    let start = Timestamp::start_of_day(day);
    start..start + Duration::from_hours(24)
}

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

/// The one user of these who is meant. A full id stands for itself, whoever there is.
fn one_of<'u>(name: &UserName, users: impl IntoIterator<Item = &'u UserId>) -> Result<UserId, Message> {
    match (Vec::from_iter(name.among(users)).as_slice(), name) {
        ([user], _) | ([], UserName::Id(user)) => Ok(user.clone()),
        ([], UserName::Local(_)) => Err(answer::no_such_user(name)),
        (several, _) => Err(answer::several_users(name, several)),
    }
}

/// The name in `#name:server`.
fn localpart(alias: &str) -> Option<&str> {
    alias.strip_prefix('#')?.split_once(':').map(|(name, _)| name)
}
