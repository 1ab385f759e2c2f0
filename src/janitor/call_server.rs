//! The SFU: when it is asked for what, and what its answers change.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use rtc_janitor_core::{
    ids::RoomId,
    judge::{
        policy::Neighbour,
        room::{Placed, sfu_rooms_to_ask},
    },
    render::report,
    rtc::sfu_names::{self, Recipe},
    time::Timestamp,
};

use tokio::time::timeout;

use super::{
    Janitor,
    background::Outcome,
    evidence::{Proofs, RoomObservations},
};
use crate::world::{
    journal::JournalError,
    livekit::{CallServer, SfuError, SfuView, webhook::Departures},
};

/// How long the SFU may take over all of a question: what it said before is believed meanwhile.
const DEADLINE: Duration = Duration::from_secs(30);

impl Janitor {
    /// Asks the SFU, when it is time to.
    pub(super) fn start_sfu(&mut self) {
        let now = self.now();
        let Some(server) = self.ports.call_server.clone().filter(|_| self.has_caught_up) else { return };
        let Some(sfu) = &self.evidence.sfu else { return };
        let is_due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        let (asks, asks_for_names) = (is_due(sfu.next_question(now)), is_due(sfu.names.next_question(now)));
        if asks_for_names && let Some(room) = self.settings.admin_room.clone() {
            self.ask_for_sfu_names(Arc::clone(&server), room, now);
        }
        if asks {
            self.ask_sfu(server, now);
        }
    }

    fn ask_sfu(&mut self, server: Arc<dyn CallServer>, now: Timestamp) {
        let names = self.sfu_names_to_ask(now);
        let Some(sfu) = &mut self.evidence.sfu else { return };
        sfu.is_asked(!names.is_empty(), now);
        if names.is_empty() {
            return;
        }
        self.background.start(async move {
            let asked_for = names.keys().cloned().collect();
            let late = || SfuError::Unreachable(format!("no answer within {} s", DEADLINE.as_secs()));
            let answer = timeout(DEADLINE, server.view(&asked_for)).await.unwrap_or_else(|_| Err(late()));
            Outcome::Sfu { asked: now, names, answer }
        });
    }

    /// Every name under which the SFU may have the room of a call that somebody may be in there, with the room
    /// whose call that is.
    fn sfu_names_to_ask(&self, now: Timestamp) -> BTreeMap<String, RoomId> {
        let mut names = BTreeMap::new();
        for room in self.memory.with_calls().iter().filter(|room| self.settings.looks_at(room)) {
            let open: Vec<_> = self.subjects_of(room).collect();
            let placed: Vec<_> =
                open.iter().map(|(subject, membership)| Placed { key: &subject.key, membership }).collect();
            let observations =
                RoomObservations { room, evidence: &self.evidence, settings: &self.settings, now };
            let of_room = sfu_rooms_to_ask(room, &placed, &observations, now);
            names.extend(of_room.into_iter().map(|name| (name, room.clone())));
        }
        names
    }

    /// Has the authorisation services tell which SFU is ours, and how rooms are named there.
    fn ask_for_sfu_names(&mut self, server: Arc<dyn CallServer>, room: RoomId, now: Timestamp) {
        let Some(sfu) = &mut self.evidence.sfu else { return };
        sfu.names.is_asked(now);
        let (configured, proven) = (sfu.names.configured().clone(), sfu.names.proven().clone());
        self.background.start(async move {
            let services = if configured.is_empty() {
                // One that is named no longer may stand before another SFU by now.
                server.services().await.into_iter().chain(proven).collect()
            } else {
                configured
            };
            let mut proofs = Proofs::new();
            for service in services {
                let proof = server.proof(&service, &room).await;
                proofs.push((service, proof));
            }
            Outcome::SfuNames { asked: now, room, proofs }
        });
    }

    /// The SFU tells by webhook who has left.
    pub(super) fn departures_announced(&mut self, departures: Departures) {
        if let Some(sfu) = &mut self.evidence.sfu {
            let listed = sfu.announced(departures);
            if listed > 0 {
                tracing::debug!(listed, "the call server announces departures: it is asked at once");
            }
        }
    }

    /// Takes in what the SFU answered.
    pub(super) fn sfu_answered(
        &mut self,
        asked: Timestamp,
        names: BTreeMap<String, RoomId>,
        answer: Result<SfuView, SfuError>,
    ) -> Result<(), JournalError> {
        let now = self.now();
        if let Err(error) = &answer {
            tracing::warn!("the call server: {error}");
        }
        let Some(sfu) = &mut self.evidence.sfu else { return Ok(()) };
        let taken = sfu.take_in(names, answer, asked, now);
        for room in taken.gone.keys().map(|(room, _)| room).collect::<BTreeSet<_>>() {
            self.note_who_left_sfu(room, &taken.gone)?;
        }
        if taken.has_restarted {
            self.left_behind.forget_all();
        }
        if taken.begins_anew {
            // What waits was planned while it answered; it may list anybody by now.
            self.sweep.ledger.reset(Neighbour::Sfu);
            self.writes.withdraw(|_, outgoing| outgoing.is_of_sweep());
            self.sweep.mark_all();
        }
        for room in &taken.changed {
            self.sweep.mark(room);
        }
        self.sweep.wake_waiting();
        for room in &taken.live {
            self.note_who_is_on_sfu(room, now)?;
        }
        if let Some(error) = taken.tell {
            self.say(&report::sfu_away(&error.to_string()), None)?;
        }
        if taken.is_back {
            self.say(&report::sfu_back(), None)?;
        }
        Ok(())
    }

    /// The devices of some memberships of a room have gone from the SFU.
    fn note_who_left_sfu(
        &mut self,
        room: &RoomId,
        gone: &BTreeMap<(RoomId, String), Timestamp>,
    ) -> Result<(), JournalError> {
        let now = self.now();
        let left: Vec<_> = self
            .subjects_of(room)
            .filter_map(|(subject, membership)| {
                let at = gone.get(&(room.clone(), sfu_names::identity(&membership.owner)))?;
                Some((subject.key, membership.start, *at))
            })
            .collect();
        for (key, start, at) in left {
            self.left_behind.gone(room, &key, start, at);
            for entry in self.sweep.quarantine.lift(room, &key, start, now) {
                self.journal.save_quarantine(room, &key, &entry)?;
            }
        }
        Ok(())
    }

    /// Notes which memberships of a room our SFU lists, and under which name of the room.
    fn note_who_is_on_sfu(&mut self, room: &RoomId, now: Timestamp) -> Result<(), JournalError> {
        let open: Vec<_> =
            self.subjects_of(room).map(|(subject, membership)| (subject.key, membership.clone())).collect();
        let Some(sfu) = &mut self.evidence.sfu else { return Ok(()) };
        let (mut seen, mut learned) = (Vec::new(), false);
        for (key, membership) in open {
            // Under its own name a device is listed where it publishes; under another, anywhere.
            let identity = sfu_names::identity(&membership.owner);
            let recipes: Vec<_> =
                sfu.rooms_with(&identity).filter_map(|name| Recipe::of(room, name)).collect();
            let is_of_room = !recipes.is_empty()
                || sfu.rooms_with(&identity).any(|name| {
                    sfu_names::rooms(room, &membership.call, membership.focus.as_ref())
                        .iter()
                        .any(|own| own == name)
                });
            if !is_of_room {
                continue;
            }
            self.left_behind.is_back(room, &key, membership.start);
            // Only who has just come shows how rooms are named now; a membership may begin anew in an old room.
            for recipe in recipes {
                if sfu.has_appeared(&recipe.name(room), &identity) {
                    learned |= sfu.names.matched(recipe, membership.start);
                }
            }
            if sfu.saw(room, &key, &membership) {
                tracing::debug!(%room, user = %membership.owner.user, device = %membership.owner.device, "seen on the SFU");
                seen.push((room.clone(), key, membership.start));
            }
        }
        self.journal.saw_on_sfu(&self.settings.sfu, &seen, now)?;
        if learned { self.keep_sfu_names() } else { Ok(()) }
    }

    /// Takes in what the authorisation services answered.
    pub(super) fn sfu_proved(
        &mut self,
        asked: Timestamp,
        room: &RoomId,
        proofs: Proofs,
    ) -> Result<(), JournalError> {
        let now = self.now();
        let Some(sfu) = &mut self.evidence.sfu else { return Ok(()) };
        let was_wanted = sfu.names.is_wanted();
        let has_learned = sfu.names.proved(room, proofs, asked, now);
        if has_learned {
            // What is ours by now is to be asked for.
            sfu.doubt();
        }
        if has_learned || was_wanted {
            // What was said of it may mean something else.
            self.sweep.mark_all();
        }
        self.keep_sfu_names()
    }

    fn keep_sfu_names(&self) -> Result<(), JournalError> {
        let Some(sfu) = &self.evidence.sfu else { return Ok(()) };
        self.journal.set_sfu_names(&self.settings.sfu, sfu.names.proven(), sfu.names.recipes())
    }
}
