//! Whether the homeserver takes the appservice's token: one health for all that it does, its writes as the owners of
//! keys and, where they are had by it, the server's own device lists.
//!
//! A token that is not taken for one key is taken for none. So the route stops for all of them, is told once, and is
//! asked for again with pauses until it is back.

use std::{sync::Arc, time::Duration};

use rtc_janitor_core::{ids::UserId, plan::Route, render::report, time::Timestamp};

use super::{Janitor, background::Outcome, evidence::Health};
use crate::world::{NeighbourError, backoff::Backoff, journal::JournalError};

/// The pauses before it is asked again whether the token is taken.
const PAUSES: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_mins(5));

/// One that is refused again so soon after it was back was not: the pauses go on where they were.
const STEADY: Duration = Duration::from_mins(15);

/// The least time between two alarms of it.
const SAID_AGAIN: Duration = Duration::from_hours(6);

/// How the appservice has been.
#[derive(Debug)]
pub(super) struct AppserviceHealth {
    health: Health,
    /// What was refused last, while something is.
    refusal: Option<Refusal>,
    pause: Backoff,
    /// When it was last found to be back.
    back: Option<Timestamp>,
    /// When it was last said that it is refused.
    said: Option<Timestamp>,
    /// Whether that was said of this time.
    is_said: bool,
}

#[derive(Debug)]
struct Refusal {
    why: String,
    /// As whom it was tried.
    user: UserId,
    /// When it is asked again; `None` while it is.
    again: Option<Timestamp>,
}

impl Default for AppserviceHealth {
    fn default() -> Self {
        Self {
            health: Health::default(),
            refusal: None,
            pause: PAUSES,
            back: None,
            said: None,
            is_said: false,
        }
    }
}

impl AppserviceHealth {
    /// Why it can act for nobody, and since when, while that is so.
    pub(super) fn away(&self) -> Option<(&str, Option<Timestamp>)> {
        self.refusal.as_ref().map(|refusal| (refusal.why.as_str(), self.health.away_since()))
    }

    /// When it is asked again.
    pub(super) fn next_question(&self) -> Option<Timestamp> {
        self.refusal.as_ref()?.again
    }

    /// As whom it is to be asked for now.
    fn question(&mut self, now: Timestamp) -> Option<UserId> {
        let refusal = self.refusal.as_mut()?;
        refusal.again.take_if(|at| *at <= now)?;
        Some(refusal.user.clone())
    }

    /// It was refused when it acted for a user; true when that is to be said. A token that is taken for some requests and
    /// not for others is said once in a while.
    fn refused(&mut self, user: &UserId, why: String, now: Timestamp) -> bool {
        if let Some(refusal) = &mut self.refusal {
            refusal.why = why;
            return false;
        }
        self.health.failed(now);
        if self.back.is_none_or(|back| now.since(back) >= STEADY) {
            self.pause = PAUSES;
        }
        let again = Some(now + self.pause.next());
        self.refusal = Some(Refusal { why, user: user.clone(), again });
        self.is_said = self.said.is_none_or(|said| now.since(said) >= SAID_AGAIN);
        if self.is_said {
            self.said = Some(now);
        }
        self.is_said
    }

    /// Whether it is still refused could not be found out, or it is; whether that is to be said, for it is no flutter
    /// that was said of before.
    fn not_yet(&mut self, error: &NeighbourError, now: Timestamp) -> bool {
        let again = now + self.pause.after(error);
        if let Some(refusal) = &mut self.refusal {
            refusal.again = Some(again);
        }
        let is_to_be_said =
            !self.is_said && self.health.away_since().is_some_and(|since| now.since(since) >= STEADY);
        if is_to_be_said {
            (self.is_said, self.said) = (true, Some(now));
        }
        is_to_be_said
    }

    /// It is taken again; whether that is to be said.
    fn taken(&mut self, now: Timestamp) -> bool {
        self.health.answered(now);
        (self.refusal, self.back) = (None, Some(now));
        self.is_said
    }
}

impl Janitor {
    /// The homeserver did not take the appservice's token when it acted for a user: it acts for nobody until it does.
    pub(super) fn appservice_refused(
        &mut self,
        user: &UserId,
        error: &NeighbourError,
    ) -> Result<(), JournalError> {
        let was_away = self.appservice.away().is_some();
        let is_to_be_said = self.appservice.refused(user, error.to_string(), self.ports.clock.now());
        if was_away {
            return Ok(());
        }
        tracing::warn!("the appservice acts for nobody: {error}");
        // What waits goes by another route, or waits for this one.
        self.writes.withdraw(|_, outgoing| outgoing.write.route() == Route::Appservice);
        self.sweep.mark_all();
        if is_to_be_said { self.tell_appservice_is_away() } else { Ok(()) }
    }

    fn tell_appservice_is_away(&mut self) -> Result<(), JournalError> {
        let Some((why, _)) = self.appservice.away() else { return Ok(()) };
        let (may_redact, reads_lists) = (self.settings.allow_redaction, self.reads_lists_by_appservice());
        let message = report::appservice_away(why, may_redact, reads_lists);
        self.alarm(&message, None)
    }

    /// Whether the server's own device lists are had by the appservice, and not by the admin API.
    pub(super) fn reads_lists_by_appservice(&self) -> bool {
        self.ports.own_lists.as_ref().is_some_and(|lists| !lists.knows_accounts())
    }

    /// Asks whether the appservice may act for people again, when it is time to.
    pub(super) fn start_appservice(&mut self) {
        let now = self.now();
        let Some(appservice) = &self.ports.appservice else { return };
        let Some(user) = self.appservice.question(now) else { return };
        let appservice = Arc::clone(appservice);
        self.background.start(async move { Outcome::Appservice(appservice.may_act_for(&user).await) });
    }

    /// Takes in whether it may.
    pub(super) fn appservice_answered(
        &mut self,
        answer: Result<(), NeighbourError>,
    ) -> Result<(), JournalError> {
        let now = self.now();
        match answer {
            // That it may not act for this one says that its token was read.
            Ok(()) | Err(NeighbourError::Refused { .. }) => {}
            Err(error) => {
                let is_to_be_said = self.appservice.not_yet(&error, now);
                return if is_to_be_said { self.tell_appservice_is_away() } else { Ok(()) };
            }
        }
        let is_to_be_said = self.appservice.taken(now);
        self.sweep.mark_all();
        if is_to_be_said { self.say(&report::appservice_back(), None) } else { Ok(()) }
    }
}
