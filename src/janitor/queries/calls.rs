//! `calls` and `explain`: what stands in rooms, judged.

use std::collections::{BTreeMap, BTreeSet};

use rtc_janitor_core::{
    command::UserName,
    ids::{EventId, RoomId, UserId},
    judge::evidence::Sfu,
    plan::{HeldBack, Plan},
    render::{
        Message,
        answer::{self, Call, Caller, Calls, Connection, Explained, Explanation, Only},
        message, report,
    },
    rtc::sticky::Beside,
    time::Timestamp,
};

use crate::{
    janitor::{
        Janitor, Judged,
        evidence::SfuEvidence,
        lookups::LookedUp,
        sweep::{Index, Scope},
    },
    world::journal::JournalError,
};

impl Janitor {
    /// Every open membership, judged by what is known without asking anybody.
    pub(super) fn judged_now(&self) -> Vec<Judged> {
        self.with_deadlines(self.judge(None))
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
                    missing_from: None,
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
                missing_from: one.evidence.device.missing_from(),
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

    /// What to say of a room or a user that is excluded, so that an empty answer is not read as a clean one.
    pub(crate) fn left_alone(&self, room: &RoomId, user: Option<&UserId>, prefix: &str) -> Option<Message> {
        if !self.settings.covers(room) {
            let shown = message::room(room, self.name_of(room).as_deref());
            return Some(answer::left_alone(&shown, room.as_str(), !self.file.covers(room), prefix));
        }
        let user = user.filter(|user| self.settings.leaves_alone(user))?;
        Some(answer::left_alone(&message::user(user), user.as_str(), self.file.leaves_alone(user), prefix))
    }
}

/// The one user of these who is meant. A full id stands for itself, whoever there is.
pub(super) fn one_of<'u>(
    name: &UserName,
    users: impl IntoIterator<Item = &'u UserId>,
) -> Result<UserId, Message> {
    match (Vec::from_iter(name.among(users)).as_slice(), name) {
        ([user], _) | ([], UserName::Id(user)) => Ok(user.clone()),
        ([], UserName::Local(_)) => Err(answer::no_such_user(name)),
        (several, _) => Err(answer::several_users(name, several)),
    }
}
