//! What the janitor can tell when asked, as the values that answers are made from.

use std::collections::BTreeMap;

use rtc_janitor_core::{
    guard::limits::Budget,
    ids::{EventId, RoomId, UserId},
    judge::{policy::Neighbour, verdict::Verdict},
    mode::Mode,
    plan::{HeldBack, Plan},
    render::{
        Message,
        answer::{
            self, Blind, Call, Caller, Calls, Explained, Explanation, History, NeighbourHealth, Past,
            Problem, Room, Rooms, Status, held_back,
        },
        message, report,
    },
    rtc::{
        membership::{Content, FirstSeen, read},
        state_event::StateEvent,
    },
    time::Timestamp,
};

use super::{Janitor, Judged, tracker::OpenEvent};
use crate::world::journal::{Draft, JournalError, StoredSetting};

/// A mode from the word that settings keep.
const fn mode_of(is_clean: bool) -> Mode {
    if is_clean { Mode::Clean } else { Mode::Report }
}

impl Janitor {
    /// The mode that holds.
    pub(crate) fn mode(&self) -> Mode {
        mode_of(self.settings.is_clean)
    }

    /// What the settings of the machine say.
    pub(crate) fn mode_of_file(&self) -> Mode {
        mode_of(self.file.is_clean)
    }

    /// Every open membership, judged by what is known without asking anybody.
    fn judged_now(&self) -> Vec<Judged> {
        self.with_deadlines(self.judge_all())
    }

    /// `status`
    pub(crate) fn status(&self) -> Result<Status<'static>, JournalError> {
        let now = self.now();
        let judged = self.judged_now();
        let count = |is: fn(&Verdict) -> bool| judged.iter().filter(|one| is(&one.judgement.verdict)).count();
        let health = |neighbour| match neighbour {
            Neighbour::Sfu => NeighbourHealth::NotSetUp,
            _ if self.observed.is_away(neighbour) => NeighbourHealth::Away,
            _ if self.observed.is_settling(neighbour, now) => NeighbourHealth::Settling,
            _ => NeighbourHealth::Answers,
        };
        let neighbours = Neighbour::ALL
            .into_iter()
            .map(|neighbour| (neighbour, health(neighbour), self.breakers.state(neighbour).clone()));
        Ok(Status {
            version: env!("CARGO_PKG_VERSION"),
            mode: self.mode(),
            mode_of_file: self.mode_of_file(),
            mode_by_command: self.wishes.mode,
            paused: self.wishes.pause.filter(|_| self.wishes.is_paused(now)),
            has_seen_all: self.first_sync_is_over(),
            rooms: self.tracker.rooms().count(),
            problems: self.rooms_answer(true).rooms.iter().filter(|room| !room.problems.is_empty()).count(),
            active: count(|verdict| *verdict == Verdict::Active),
            stale: (
                count(|verdict| matches!(verdict, Verdict::Stale(_))),
                judged.iter().filter(|one| !one.due.is_empty()).count(),
            ),
            unknown: count(|verdict| matches!(verdict, Verdict::Unknown(_))),
            last_sweep: self.last_look,
            neighbours: neighbours.collect(),
            hour: (self.in_last_hour()?, self.settings.limits.per_hour),
            quarantined: self.quarantine.count(now),
            excluded: (
                self.settings.exclude.len(),
                self.settings.excluded_owners.len() + self.settings.excluded_users.len(),
            ),
            blind: Blind { silent_after: self.settings.policy.silent_after },
            prefix: self.settings.command_prefix.clone(),
            now,
        })
    }

    /// `calls`
    pub(crate) fn calls(&self, only: Option<&RoomId>) -> Calls {
        let mut calls: BTreeMap<RoomId, Vec<Caller>> = BTreeMap::new();
        // Rooms that are left alone are not judged, and still have calls.
        for (room, _, open) in self.tracker.open().filter(|(room, ..)| !self.settings.covers(room)) {
            for membership in open.memberships() {
                calls.entry(room.clone()).or_default().push(Caller {
                    user: membership.owner.user.clone(),
                    device: membership.owner.device.to_string(),
                    start: membership.start,
                    verdict: None,
                    due: None,
                });
            }
        }
        for one in self.judged_now() {
            calls.entry(one.subject.room.clone()).or_default().push(Caller {
                user: one.membership.owner.user.clone(),
                device: one.membership.owner.device.to_string(),
                start: one.membership.start,
                verdict: Some(one.judgement.verdict),
                due: one.due_at,
            });
        }
        let calls = calls.into_iter().filter(|(room, _)| only.is_none_or(|only| only == room));
        let calls = calls.map(|(room, callers)| Call {
            name: self.name_of(&room),
            is_excluded: !self.settings.covers(&room),
            room,
            callers,
        });
        Calls {
            calls: calls.collect(),
            only: only.map(|room| message::room(room, self.name_of(room).as_deref())),
            now: self.now(),
        }
    }

    /// `explain`, of a room that was read anew.
    pub(crate) async fn explanation(
        &mut self,
        room: &RoomId,
        user: Option<&UserId>,
        events: &[StateEvent],
    ) -> Result<Explanation, JournalError> {
        let judged = self.look().await?;
        let mut candidates = self.open_candidates(&judged);
        candidates.retain(|candidate| candidate.room == *room);
        self.find_routes(&mut candidates).await;
        let routes: BTreeMap<_, _> = candidates.iter().map(|one| (one.event.clone(), one.route)).collect();
        let budget = Budget::new(self.settings.limits, self.in_last_hour()?);
        let plan = Plan::make(candidates, self.circumstances(false), budget);
        let held: BTreeMap<_, _> = plan
            .held
            .iter()
            .filter(|(_, why)| !matches!(why, HeldBack::NoRoute(_) | HeldBack::RouteUnknown))
            .map(|(one, why)| (one.event.clone(), held_back(*why)))
            .collect();
        let is_wanted = |owner: &UserId| user.is_none_or(|user| user == owner);
        let memberships = judged
            .into_iter()
            .filter(|one| one.subject.room == *room && is_wanted(&one.membership.owner.user))
            .map(|one| Explained {
                route: match routes.get(&one.subject.event) {
                    Some(Some(Ok(route))) => Ok(route.as_str()),
                    Some(Some(Err(blocked))) => Err(report::obstacle(*blocked)),
                    _ => Err("it could not be read who may write it".to_owned()),
                },
                held: held.get(&one.subject.event).cloned(),
                key: one.subject.key,
                due: one.due_at,
                membership: one.membership,
                judgement: one.judgement,
                evidence: one.evidence,
            });
        let now = self.now();
        Ok(Explanation {
            room: room.clone(),
            name: self.name_of(room),
            user: user.cloned(),
            memberships: memberships.collect(),
            malformed: events
                .iter()
                .filter_map(|event| Some((event.state_key.clone(), malformed(event)?)))
                .collect(),
            now,
        })
    }

    /// `rooms`
    pub(crate) fn rooms_answer(&self, only_problems: bool) -> Rooms {
        let now = self.now();
        let rooms = self.tracker.rooms().filter(|(room, ..)| self.settings.admin_room.as_ref() != Some(room));
        let rooms = rooms.map(|(room, about, keys)| {
            let is_excluded = !self.settings.covers(room);
            let blocked = about.may_clear(&self.settings.user_id, now).and_then(Result::err);
            let lost = about.successor.clone().filter(|successor| !self.tracker.knows(successor));
            // An old room that went on elsewhere needs no power any more, unless a call hangs in it.
            let is_over = about.successor.is_some() && keys.is_empty();
            let no_power = blocked.filter(|_| !is_over).map(Problem::NoPower);
            let problems = no_power.into_iter().chain(lost.map(Problem::NotInSuccessor));
            Room {
                id: room.clone(),
                name: self.name_of(room),
                open: keys.values().flat_map(OpenEvent::memberships).count(),
                is_excluded,
                problems: if is_excluded { Vec::new() } else { problems.collect() },
            }
        });
        Rooms { rooms: rooms.collect(), only_problems }
    }

    /// `history`
    pub(crate) fn history(
        &self,
        room: Option<&RoomId>,
        user: Option<&UserId>,
        lines: usize,
    ) -> Result<History, JournalError> {
        let (lines, total) = self.journal.history(room, user, lines)?;
        let lines = lines.into_iter().map(|past| Past {
            at: past.write.finished.unwrap_or(past.write.intended),
            room_name: self.name_of(&past.write.room),
            room: past.write.room,
            owners: past.write.owners,
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

    /// What to say of a room or a user that is left alone by wish, so that nobody takes silence for health.
    pub(crate) fn left_alone(&self, room: &RoomId, user: Option<&UserId>, prefix: &str) -> Option<Message> {
        if !self.settings.covers(room) {
            let shown = message::room(room, self.name_of(room).as_deref());
            return Some(answer::left_alone(&shown, !self.file.covers(room), prefix));
        }
        let user = user.filter(|user| self.settings.leaves_alone(user))?;
        Some(answer::left_alone(&message::user(user), self.file.leaves_alone(user), prefix))
    }

    /// The rooms that go by a name: by it wholly, or else by a part of it.
    pub(crate) fn rooms_called(&self, name: &str) -> (Vec<RoomId>, Vec<RoomId>) {
        let wanted = name.to_lowercase();
        let (mut exact, mut similar) = (Vec::new(), Vec::new());
        for (room, about, _) in self.tracker.rooms() {
            let names =
                [about.name.as_deref(), about.alias.as_deref(), about.alias.as_deref().and_then(localpart)];
            let mut names = names.into_iter().flatten().map(str::to_lowercase);
            if names.clone().any(|name| name == wanted) {
                exact.push(room.clone());
            } else if names.any(|name| strsim::jaro_winkler(&name, &wanted) > 0.85 || name.contains(&wanted))
            {
                similar.push(room.clone());
            }
        }
        (exact, similar)
    }

    /// Since when what is heard is written down.
    pub(crate) fn begun(&self) -> Result<Option<Timestamp>, JournalError> {
        self.journal.begun()
    }

    /// Notes that something in the admin room was heard; false when it was before.
    pub(crate) fn take_up(&self, event: &EventId, sender: &UserId) -> Result<bool, JournalError> {
        self.journal.take_up(event, sender, self.now())
    }

    /// What an earlier run took up and did not answer.
    pub(crate) fn unanswered_commands(&self) -> Result<Vec<EventId>, JournalError> {
        self.journal.unanswered()
    }

    /// Notes that nothing is to be said to something that was heard.
    pub(crate) fn let_be(&self, event: &EventId) -> Result<(), JournalError> {
        self.journal.done(event)
    }

    /// Takes in what was said while a command was being worked on.
    pub(crate) fn adopt(
        &mut self,
        command: &EventId,
        interim: Option<(String, EventId)>,
    ) -> Result<(), JournalError> {
        let now = self.now();
        interim
            .map_or(Ok(()), |(txn, event)| self.journal.adopt(command, &txn, &answer::working(), &event, now))
    }

    /// Answers a command.
    pub(crate) fn answer(&mut self, command: &EventId, message: &Message) -> Result<(), JournalError> {
        let stored = self.journal.answer(command, message, true, self.now())?;
        self.outbox.put(stored);
        Ok(())
    }

    /// Whether a message shows a plan.
    pub(crate) fn is_plan(&self, message: &EventId) -> Result<bool, JournalError> {
        Ok(self.journal.plan_shown_in(message)?.is_some())
    }

    /// What was set by command, with who did and when.
    pub(crate) fn stored_wishes(&self) -> Result<Vec<StoredSetting>, JournalError> {
        self.journal.settings()
    }

    /// Whether a room is the one where the janitor is told what to do.
    pub(crate) fn is_admin_room(&self, room: &RoomId) -> bool {
        self.settings.admin_room.as_ref() == Some(room)
    }

    /// The admin room goes on elsewhere, which is said there.
    pub(crate) fn move_admin_room(&mut self, to: &RoomId) -> Result<(), JournalError> {
        let before = self.settings.admin_room.replace(to.clone()).filter(|before| before != to);
        let Some(before) = before else { return Ok(()) };
        self.file.admin_room = Some(to.clone());
        self.journal.move_admin_room(to, &answer::moved_here(&before), self.now())?;
        self.has_more_to_say = true;
        Ok(())
    }

    /// Says something without waiting for its turn: nothing comes after it.
    pub(crate) fn say_at_once(&mut self, message: &Message) -> Result<(), JournalError> {
        self.post(&Draft { mentions: self.settings.alert.clone(), ..Draft::of(message.clone()) })
    }

    /// Closes breakers by a person's word; returns which were open.
    pub(crate) fn close_breakers(&mut self, only: Option<Neighbour>) -> Result<Vec<Neighbour>, JournalError> {
        let closed = self.breakers.close(only);
        self.journal.save_breakers(&self.breakers)?;
        self.wants_look = true;
        Ok(closed)
    }

    /// Whether the calls of a room are looked after, once the bot is there.
    pub(crate) fn looks_after(&self, room: &RoomId) -> bool {
        self.settings.covers(room)
    }

    /// Whether the bot is in a room.
    pub(crate) fn is_in(&self, room: &RoomId) -> bool {
        self.tracker.knows(room)
    }
}

/// The name in `#name:server`.
fn localpart(alias: &str) -> Option<&str> {
    alias.strip_prefix('#')?.split_once(':').map(|(name, _)| name)
}

/// Why no client would show an event; `None` when one does, or nobody is in it.
fn malformed(event: &StateEvent) -> Option<&'static str> {
    match read(event, FirstSeen { at: event.origin_server_ts, live: false }) {
        Content::Malformed(why) => Some(why.why),
        Content::Entries(entries) => entries.into_iter().find_map(Result::err).map(|why| why.why),
        Content::Left => None,
    }
}
