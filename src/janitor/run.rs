//! The loop: one input, one step, one commit. It waits for nothing but its inputs, so commands are taken in
//! at once, whatever the homeserver does.

use std::time::Duration;

use rtc_janitor_core::{mode::Pause, render::report};
use tokio::time::timeout;

use super::{
    Inbox, Janitor, SyncUpdate,
    agenda::{Agenda, Why},
    background::Outcome,
    handle::Reply,
    ingest::Ingest,
    input::Input,
    presence::Change,
};
use crate::{shutdown::Shutdown, world::journal::JournalError};

/// How many inputs are taken in before the journal is written: one commit is enough for all of them.
const BATCH: usize = 64;

/// What is only seen again when it is lost is put on disk this long after it was seen, unless something else
/// has to be on disk before.
const FLUSH: Duration = Duration::from_mins(1);

/// How long writes under way may take when the program is to end. What is not answered by then stays an
/// open intent; the next start looks it up.
const LAST_WRITES: Duration = Duration::from_secs(3);

impl Janitor {
    /// Runs until told to stop.
    ///
    /// # Errors
    ///
    /// When the journal cannot be read or written: without it nothing can be done safely.
    pub async fn run(mut self, mut inbox: Inbox, shutdown: Shutdown) -> Result<(), JournalError> {
        self.step()?;
        self.show();
        self.commit()?;
        loop {
            let wait = self.agenda().wait(self.now());
            let is_ingesting = self.ingesting.is_some();
            let input = inbox.next(&mut self.background, is_ingesting, wait, &shutdown).await;
            if matches!(input, Input::Shutdown) {
                break;
            }
            self.journal.begin_unit();
            let mut replies = Vec::new();
            if !matches!(input, Input::Ingest) {
                // However many answers there are, what sync brought goes on.
                self.go_on_ingesting()?;
            }
            replies.extend(self.take_in_input(input)?);
            for _ in 1..BATCH {
                let is_ingesting = self.ingesting.is_some();
                let Some(input) = inbox.try_next(&mut self.background, is_ingesting) else { break };
                replies.extend(self.take_in_input(input)?);
            }
            self.step()?;
            self.show();
            self.commit_or_put_off()?;
            for reply in replies {
                reply();
            }
        }
        self.wind_down().await
    }

    /// Begins nothing new and waits a moment for the writes under way.
    pub(super) async fn wind_down(&mut self) -> Result<(), JournalError> {
        self.sweep_gate.set(false);
        self.plan_gate.set(false);
        let last_writes = async {
            while !self.writes.is_idle() {
                let outcome = self.background.next().await;
                if matches!(outcome, Outcome::Written(..)) {
                    self.take_in_outcome(outcome)?;
                }
            }
            Ok::<_, JournalError>(())
        };
        timeout(LAST_WRITES, last_writes).await.unwrap_or(Ok(()))?;
        self.commit()
    }

    /// Puts on disk what was decided, and then lets it happen.
    pub(super) fn commit(&mut self) -> Result<(), JournalError> {
        self.save_breakers()?;
        self.journal.commit_unit()?;
        self.flush_at = None;
        self.let_happen();
        Ok(())
    }

    /// The same, but what could wait is put on disk later.
    fn commit_or_put_off(&mut self) -> Result<(), JournalError> {
        self.save_breakers()?;
        let now = self.now();
        let may_wait = self.flush_at.is_none_or(|at| now < at);
        if !may_wait || !self.journal.put_off_unit() {
            return self.commit();
        }
        if self.journal.is_put_off() {
            self.flush_at.get_or_insert(now + FLUSH);
        }
        self.let_happen();
        Ok(())
    }

    fn save_breakers(&mut self) -> Result<(), JournalError> {
        if self.sweep.breakers.take_changes() {
            self.journal.save_breakers(&self.sweep.breakers)?;
        }
        Ok(())
    }

    /// Starts what waited for the commit.
    fn let_happen(&mut self) {
        self.voice.release();
        self.background.release();
    }

    fn take_in_input(&mut self, input: Input) -> Result<Option<Reply>, JournalError> {
        match input {
            Input::Shutdown | Input::Due | Input::AdminRoom(None) | Input::Posts(None) => {}
            Input::Request(request) => return request(self).map(Some),
            Input::Outcome(outcome) => self.take_in_outcome(outcome)?,
            Input::AdminRoom(Some(state)) => {
                let change = self.presence.room_is(state, self.ports.clock.now());
                self.presence_changed(change)?;
            }
            Input::Posts(Some(state)) => {
                let change = self.presence.posts_are(state, self.ports.clock.now());
                self.presence_changed(change)?;
            }
            Input::Posted(posted) => match &posted.event {
                Some(event) => self.journal.sent(&posted.txn, event)?,
                None => self.journal.give_up(&posted.txn)?,
            },
            Input::Announcement(announcement) => {
                self.say(&announcement.message, Some(&announcement.subject))?;
            }
            Input::Departures(departures) => self.departures_announced(departures),
            Input::Sync(update) => self.take_in_sync(update)?,
            Input::Ingest => self.go_on_ingesting()?,
        }
        Ok(None)
    }

    fn take_in_sync(&mut self, update: SyncUpdate) -> Result<(), JournalError> {
        match update {
            SyncUpdate::Batch { batch, live } => {
                self.homeserver_answered();
                self.ingesting = Some(Ingest::new(batch, live, self.now()));
                self.go_on_ingesting()?;
            }
            SyncUpdate::CaughtUp => self.caught_up(),
            SyncUpdate::Lost(error) => {
                tracing::warn!("the homeserver does not answer: {error}");
                self.homeserver_failed();
            }
        }
        Ok(())
    }

    fn go_on_ingesting(&mut self) -> Result<(), JournalError> {
        if let Some(mut ingest) = self.ingesting.take()
            && !self.ingest(&mut ingest)?
        {
            self.ingesting = Some(ingest);
        }
        Ok(())
    }

    /// The first full sync is over. Before anything is judged, rooms with calls are read from their current
    /// state; the others in the background, afterwards.
    pub(super) fn caught_up(&mut self) {
        self.has_caught_up = true;
        for room in self.memory.hearsay() {
            self.want_view(&room);
        }
        let looked_at = self.memory.with_calls().iter().filter(|room| self.settings.looks_at(room));
        self.first_views = looked_at.filter(|room| self.memory.hearsay_of(room)).cloned().collect();
        if !self.first_views.is_empty() {
            tracing::info!(
                rooms = self.first_views.len(),
                "reading the rooms with calls from their current state"
            );
        }
    }

    fn presence_changed(&mut self, change: Option<Change>) -> Result<(), JournalError> {
        match change {
            Some(Change::Back(away)) => self.say(&report::admin_room_back(away), None)?,
            Some(Change::Away(why)) => {
                tracing::warn!("nothing is written until I can speak in the admin room: {why}");
            }
            Some(Change::There) | None => {}
        }
        Ok(())
    }

    /// When something is to be done next.
    fn agenda(&self) -> Agenda {
        let now = self.now();
        let has_calls = !self.memory.with_calls().is_empty();
        let mut agenda = Agenda::default();
        if self.may_sweep() {
            agenda.add(Why::Look, self.sweep.next_look(self.settings.sweep_interval, has_calls, now));
            agenda.add(Why::SourceSettles, self.evidence.settles_at(now));
        }
        if self.has_caught_up {
            let interval = self.settings.device_check_interval;
            agenda.add(Why::DeviceLists, self.evidence.lists.next_question(interval, now));
            let sfu = self.evidence.sfu.as_ref();
            agenda.add(Why::Sfu, sfu.and_then(|sfu| sfu.next_question(now)));
            agenda.add(Why::Sfu, sfu.and_then(|sfu| sfu.names.next_question(now)));
        }
        agenda.add(Why::Read, self.reads.next_at(now));
        agenda.add(Why::Write, self.writes.next_at(now));
        agenda.add(Why::Join, self.joins.next_at(now));
        agenda.add(Why::Appservice, self.appservice.next_question());
        if self.first_sync_is_over() {
            agenda.add(Why::Plan, self.plans.next_step(self.presence.is_heard(), now));
            agenda.add(Why::Digest, self.next_digest());
        }
        agenda.add(Why::PauseEnds, self.overrides().pause.and_then(Pause::ends));
        let (may_speak, writes_wait) = (self.presence.may_speak(), !self.writes.is_empty());
        agenda.add(Why::Word, self.voice.next(may_speak, writes_wait, now));
        agenda.add(Why::Prune, Some(self.next_prune));
        agenda.add(Why::Flush, self.flush_at);
        agenda
    }
}
