//! Writes of which nobody knows what came of them: the process was killed, or the server's answer was lost.
//!
//! What came of one is told by the event that it made: by sync, or where that stands under the key, or is among what
//! was replaced there since. Whoever was quicker than the reading of the key must not hide it.

use rtc_janitor_core::{
    finding::Row,
    guard::breaker::Passage,
    ids::{RoomId, StateKey},
    judge::policy::Reason,
    plan::Route,
    render::report::Whose,
    rtc::state_event::{CALL_MEMBER, StateEvent},
};

use super::Replaced;
use crate::{
    janitor::{
        Janitor,
        background::in_time,
        memory::is_empty,
        reads::{Read, Urgency},
        sweep::own::{is_after, is_of, made},
    },
    world::{
        NeighbourError, Rooms,
        journal::{Finding, FindingKind, JournalError, WriteOutcome, WriteRecord},
    },
};

/// How many events are looked at that replaced each other since a write.
const FURTHER: usize = 8;

/// When the event of a write has come by sync.
enum Came {
    /// Now, or not yet: what it replaced by the order of sync is known now, if it is.
    Now,
    /// Before the answer was lost: what it replaced was taken down then.
    Early(Option<Replaced>),
}

/// What stands under the key of a write, and before it what it replaced, the newest first: down to what was judged,
/// which is left out unless the write was a redaction of that or it stands there itself. Empty where nothing stands.
///
/// # Errors
///
/// The homeserver's. That it does not show what was replaced is none: then the rest is not known.
pub(in crate::janitor) async fn read_standing(
    rooms: &dyn Rooms,
    write: &WriteRecord,
) -> Result<Vec<StateEvent>, NeighbourError> {
    let current = in_time(rooms.state_event(&write.room, CALL_MEMBER, write.key.as_str())).await?;
    let mut events: Vec<_> = current.into_iter().collect();
    while let Some(last) = events.last()
        && events.len() <= FURTHER
        && last.event_id != write.event
        && let Some(before) = last.replaces_state.clone()
        && (before != write.event || write.route == Some(Route::Redaction))
    {
        match in_time(rooms.event(&write.room, &before)).await {
            Ok(Some(event)) => events.push(event),
            Ok(None) | Err(NeighbourError::Refused { .. } | NeighbourError::Invalid(_)) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(events)
}

impl Janitor {
    /// A write whose answer was lost shows by sync: then this is how its outcome is known.
    pub(super) fn settle_by_sync(&mut self, room: &RoomId, event: &StateEvent) -> Result<(), JournalError> {
        let place = (room.clone(), event.state_key.clone());
        let me = &self.settings.user_id;
        // While another write is under way there, it may be that one's.
        let is_free = !self.writes.is_under_way(room, &event.state_key);
        let given_up = self.aftermath.kept.given_up(&place, self.now()).filter(|_| is_free);
        let mut either = self.unsettled.get(&place).into_iter().chain(given_up);
        let Some(write) = either.find(|write| made(write, event, me) && is_of(write, event)).cloned() else {
            return Ok(());
        };
        // It may come again after it was counted for another write.
        let is_known =
            |other: &WriteRecord| other.id != write.id && other.written.as_ref() == Some(&event.event_id);
        if self.journal.cleared_under(room, &event.state_key)?.iter().any(is_known) {
            return Ok(());
        }
        self.aftermath.kept.has_come(&place);
        self.settle(&write, std::slice::from_ref(event), Came::Now).map(|_| ())
    }

    /// Has everything read of which nobody knows what came of it: the process was killed, or the server's
    /// answer was lost. Nothing new is written under those keys before that is known.
    pub(in crate::janitor) fn want_settled(&mut self) {
        for write in self.unsettled.values() {
            self.reads.want(Read::Intent(write.id), Urgency::Due);
        }
    }

    /// Takes in what stands under the key of such a write. Returns who stands there after it cleared: they came back,
    /// or are what is left by it.
    pub(in crate::janitor) fn settled(
        &mut self,
        id: i64,
        read: Result<Vec<StateEvent>, NeighbourError>,
    ) -> Result<Option<(RoomId, StateEvent)>, JournalError> {
        let Some(write) = self.unsettled.values().find(|write| write.id == id).cloned() else {
            return Ok(None);
        };
        let standing = match read {
            Ok(standing) => standing,
            // Not in the room any more: it can never be known, and there is nothing left to do.
            Err(NeighbourError::Refused { .. } | NeighbourError::NotInRoom(_)) => Vec::new(),
            Err(error) => {
                tracing::warn!(room = %write.room, "what came of a write is not known yet: {error}");
                return Ok(None);
            }
        };
        let was_cleared = self.settle(&write, &standing, Came::Now)?;
        let current = standing.into_iter().next().filter(|current| was_cleared && !is_empty(current));
        Ok(current.map(|current| (write.room, current)))
    }

    /// The answer of a write is lost, and nobody knows what came of it: its intent stays open until the key is read, or
    /// until its event comes by sync. Returns whether that has come before, and the key was cleared.
    pub(in crate::janitor) fn await_settling(
        &mut self,
        room: &RoomId,
        key: &StateKey,
    ) -> Result<bool, JournalError> {
        let Some(write) = self.journal.open_intents_of(room, key)?.pop() else { return Ok(false) };
        self.unsettled.insert((room.clone(), key.clone()), write.clone());
        let Some((event, replaced)) = self.aftermath.kept.take_early_of(&write, &self.settings.user_id)
        else {
            self.reads.want(Read::Intent(write.id), Urgency::Due);
            return Ok(false);
        };
        self.settle(&write, &[event], Came::Early(replaced))
    }

    /// Writes down what came of a write, by what stands under its key and what that replaced. Returns whether it
    /// cleared.
    fn settle(
        &mut self,
        write: &WriteRecord,
        standing: &[StateEvent],
        came: Came,
    ) -> Result<bool, JournalError> {
        let now = self.now();
        let me = self.settings.user_id.clone();
        let current = standing.first();
        let ours = standing.iter().position(|event| made(write, event, &me));
        // A redaction that came too late took nothing from anybody.
        let is_too_late = write.route == Some(Route::Redaction)
            && current
                .is_some_and(|current| current.event_id != write.event && !is_after(current, write.intended));
        let ours = ours.filter(|_| !is_too_late).and_then(|place| Some((place, standing.get(place)?)));
        let outcome = match (ours, current) {
            (Some((_, event)), _) => WriteOutcome::Cleared(event.event_id.clone()),
            (None, Some(event)) if event.event_id == write.event && !is_empty(event) => {
                WriteOutcome::NotWritten("no answer, and nothing was written".into())
            }
            _ => WriteOutcome::Changed,
        };
        let (kind, obstacle) = match &outcome {
            WriteOutcome::Cleared(_) => (Some(FindingKind::Cleared), None),
            // Nobody else says so: for all other requests the homeserver answers. One of an earlier run may not have
            // been made at all.
            WriteOutcome::NotWritten(why)
                if write.route == Some(Route::Appservice) && write.intended >= self.began =>
            {
                // The appservice's requests go astray: that is nothing to the other routes.
                let astray = NeighbourError::Unreachable(why.clone());
                self.sweep.refused(&write.room, &write.key, &astray, now);
                (Some(FindingKind::Refused), Some(why.clone()))
            }
            _ => (None, None),
        };
        // What a plan did is told with the plan.
        let reason = write.reason.filter(|_| write.plan.is_none());
        let finding = kind.zip(reason).map(|(kind, reason)| Finding {
            room: write.room.clone(),
            key: write.key.clone(),
            event: write.event.clone(),
            kind,
            at: now,
            row: Row { obstacle, ..self.row(write, reason) },
        });
        self.journal.finish(write.id, &outcome, finding.as_ref(), now)?;
        self.voice.has_more_to_say(finding.is_some());
        let place = (write.room.clone(), write.key.clone());
        if self.unsettled.get(&place).is_some_and(|unsettled| unsettled.id == write.id) {
            self.unsettled.remove(&place);
        }
        self.sweep.mark(&write.room);
        let Some((place, event)) = ours else {
            self.aftermath.kept.give_up(write, now);
            return Ok(false);
        };
        self.ports.metrics.cleared(write.reason, write.route.map_or("unknown", Route::as_str));
        self.note_leave(&write.room, &write.key, &me)?;
        // A probe is one also when its answer was lost.
        let source = write.reason.filter(|_| write.plan.is_none()).and_then(Reason::neighbour);
        if let Some(source) =
            source.filter(|source| self.sweep.breakers.passage(*source, now) == Passage::Probe)
        {
            self.sweep.breakers.probed(source, &write.room, &write.key, &self.settings.breaker, now);
        }
        self.end_event(&write.room, &write.key, &write.event, now)?;
        self.plans.cleared(&write.event, write.plan.as_ref());
        if current.is_some_and(|event| !is_empty(event)) {
            // Somebody is left in it, or has come back.
            self.reads.want(Read::View(write.room.clone()), Urgency::Needed);
        }
        let passed = self.aftermath.passing.own(&write.room, &write.key);
        let seen = match came {
            Came::Now => passed,
            // What has passed since came after it.
            Came::Early(replaced) => replaced,
        };
        self.verified(write, event, standing.get(place + 1).map(Replaced::read).or(seen))?;
        Ok(true)
    }

    fn row(&self, write: &WriteRecord, reason: Reason) -> Row {
        let Whose { room, room_name, user, devices } = self.whose(write);
        Row {
            room,
            room_name,
            user,
            devices,
            reason,
            missing_from: None,
            since: write.intended,
            is_shown: true,
            obstacle: None,
            route: write.route,
            times: 1,
        }
    }
}
