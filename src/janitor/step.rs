//! One step: whatever is to be done now, each part in its turn. It waits for nothing.

use std::{collections::BTreeSet, time::Duration};

use rtc_janitor_core::{
    ids::RoomId,
    render::{answer, report},
};

use super::{
    Janitor,
    reads::{Read, Urgency},
    voice::{Speaking, Voice},
};
use crate::world::journal::{HELLO, JournalError};

/// Under which name the log has the loop, in whichever of its files it speaks: people and benches filter by it.
const LOOP: &str = "rtc_janitor::janitor::run";

/// How often the journal forgets what is old.
const PRUNE: Duration = Duration::from_hours(24);

/// The pause between two slices of pruning, so that nothing waits for it.
const PRUNE_SLICE: Duration = Duration::from_secs(1);

/// How long an event that is over is remembered, so that an old view is not believed.
const REMEMBER_OVER: Duration = Duration::from_hours(24);

impl Janitor {
    /// Does what is to be done now.
    pub(super) fn step(&mut self) -> Result<(), JournalError> {
        if self.has_caught_up && self.first_views.is_empty() && !self.first_sync_is_over() {
            let (rooms, open) = self.size();
            tracing::info!(rooms, memberships = open, "everything was read once");
            self.has_seen_all.send_replace(true);
            self.sweep.mark_all();
        }
        self.end_pause()?;
        self.set_gates();
        if self.may_sweep() {
            self.announce_start()?;
            self.sweep_if_time()?;
        }
        self.want_settled();
        self.want_resolved();
        if self.first_sync_is_over() {
            self.go_on_with_plans()?;
        }
        self.start_what_is_wanted()?;
        self.answer_lookups();
        self.digest()?;
        self.voice.tell_damage(&self.journal, self.ports.clock.now())?;
        self.speak()?;
        self.prune()
    }

    /// Opens and shuts the gates of writes. When that of sweeps changes, what is queued was planned for the
    /// other mode: it is withdrawn, and everything is swept again.
    fn set_gates(&mut self) {
        let now = self.now();
        let is_paused = self.overrides.is_paused(now);
        let is_free = self.presence.is_heard()
            && !is_paused
            && !self.waits_for_earlier_journal()
            && self.settings.writes_forbidden_because().is_none();
        let is_armed = is_free && self.settings.is_clean;
        if self.sweep_gate.is_open() != is_armed {
            self.writes.withdraw(|_, outgoing| outgoing.is_of_sweep());
            self.sweep.mark_all();
        }
        self.sweep_gate.set(is_armed);
        self.plan_gate.set(is_free);
    }

    pub(super) fn may_sweep(&self) -> bool {
        self.first_sync_is_over() && self.presence.is_known() && !self.evidence.homeserver.is_away()
    }

    fn sweep_if_time(&mut self) -> Result<(), JournalError> {
        let now = self.now();
        let has_calls = !self.memory.with_calls().is_empty();
        let Some(scope) = self.sweep.take_scope(self.settings.sweep_interval, has_calls, now) else {
            return Ok(());
        };
        let span = tracing::debug_span!(target: LOOP, "sweep", ?scope);
        let _entered = span.enter();
        let summary = self.look(&scope)?;
        tracing::debug!(
            target: LOOP,
            memberships = summary.judged.len(),
            held = summary.held.len(),
            planned = summary.planned,
            "swept"
        );
        Ok(())
    }

    /// A pause that was set for a time ends by itself.
    pub(super) fn end_pause(&mut self) -> Result<(), JournalError> {
        let now = self.now();
        if let Some(pause) = self.overrides().pause.filter(|pause| !pause.holds(now)) {
            self.clear_override(&super::overrides::Override::Pause(pause))?;
            self.say(&answer::pause_over(), None)?;
        }
        Ok(())
    }

    pub(super) fn announce_start(&mut self) -> Result<(), JournalError> {
        if self.waits_for_earlier_journal() || std::mem::replace(&mut self.has_announced_start, true) {
            return Ok(());
        }
        let (rooms, open) = self.size();
        let start = report::Start {
            version: env!("CARGO_PKG_VERSION"),
            mode: self.mode(),
            mode_of_file: self.mode_of_file(),
            mode_by_command: self.overrides().mode,
            journal_is_new: self.overrides().are_forgotten(),
            paused: self.overrides().pause,
            rooms,
            open,
            stale: self.count_stale(),
            sight: self.sight(),
            is_first: Voice::is_new_in(&self.journal, self.settings.admin_room.as_ref())?,
            has_alert: !self.settings.alert.is_empty(),
            prefix: &self.settings.command_prefix,
            now: self.now(),
        };
        let message = start.message();
        self.say(&message, Some(&format!("{HELLO}{}", start.now.as_millis())))?;
        // Whoever has started it looks for this; a word on its keys may have gone before.
        self.voice.hurry();
        match self.settings.writes_forbidden_because() {
            Some(why) => self.alarm(&report::writes_forbidden(&why), None),
            None => Ok(()),
        }
    }

    /// Answers commands that wait for a fresh view of some rooms.
    fn answer_lookups(&mut self) {
        let now = self.now();
        if self.lookups.is_empty() {
            return;
        }
        let (memory, evidence, reads) = (&self.memory, &self.evidence, &self.reads);
        let is_complete = |room: &RoomId| {
            let owners = memory.keys(room).into_iter().flatten().flat_map(|(_, open)| open.memberships());
            let mut users = owners.map(|membership| &membership.owner.user);
            !reads.is_expected(&Read::View(room.clone()), now)
                && !reads.is_expected(&Read::Power(room.clone()), now)
                && !users.any(|user| evidence.lists.is_expected(user))
        };
        let is_clock_read = !reads.is_expected(&Read::Clock, now);
        self.lookups.answer(|room| is_clock_read && is_complete(room));
    }

    /// Reads some rooms anew, with the device lists of their owners; the answer comes when all of it is in.
    pub(crate) fn look_up(
        &mut self,
        only: Option<&RoomId>,
    ) -> tokio::sync::oneshot::Receiver<super::lookups::LookedUp> {
        let rooms: BTreeSet<_> = match only {
            Some(room) => [room.clone()].into(),
            None => {
                self.memory.with_calls().iter().filter(|room| self.settings.looks_at(room)).cloned().collect()
            }
        };
        for room in &rooms {
            self.reads.want(Read::View(room.clone()), Urgency::Asked);
            let owners =
                self.memory.keys(room).into_iter().flatten().flat_map(|(_, open)| open.memberships());
            for membership in owners {
                self.evidence.lists.look_up(&membership.owner.user, only.is_some());
            }
        }
        self.reads.want(Read::Clock, Urgency::Asked);
        self.lookups.wait_for(rooms)
    }

    pub(super) fn speak(&mut self) -> Result<(), JournalError> {
        let now = self.now();
        let memory = &self.memory;
        let speaking = Speaking {
            now,
            may_speak: self.presence.may_speak(),
            writes_wait: !self.writes.is_empty(),
            alert: &self.settings.alert,
            mode: self.mode(),
            admin_room: self.settings.admin_room.as_ref(),
            account: &self.settings.chat_user_id,
            long_expired: self.sweep.long_expired(),
            name_of: &|room| memory.name_of(room),
        };
        self.voice.speak(&mut self.journal, &speaking)
    }

    pub(super) fn prune(&mut self) -> Result<(), JournalError> {
        let now = self.now();
        if now < self.next_prune {
            return Ok(());
        }
        let is_more = self.journal.prune_if_due(now, self.settings.retention)?;
        self.next_prune = now + if is_more { PRUNE_SLICE } else { PRUNE };
        self.memory.forget_over(now - REMEMBER_OVER);
        self.reads.forget_failures(now - REMEMBER_OVER);
        self.sweep.quarantine.prune(now);
        if !is_more {
            self.evidence.lists.remember(self.journal.devices()?);
        }
        Ok(())
    }
}
