//! A survey: a look through all rooms of the server by its admin API, whoever is in them.
//!
//! It asks a few things at once and gives the server a rest after each answer, so it takes minutes and is no burden.
//! What stands in a room is judged in `core::survey`; nothing is kept here and nothing is written, but for
//! `join`, which gets the bot into rooms that a person has approved.

mod join;
mod lists;
mod pace;
mod scope;
mod under_way;

use std::time::Duration;

use futures_util::future::BoxFuture;
use rtc_janitor_core::{
    ids::RoomId,
    survey::{self, Cut, Listed, Progress, Scope, Survey, SurveyedRoom},
};
use serde_json::Value;
use tokio::time::{Instant, timeout};

use self::under_way::{Found, UnderWay};
use crate::{
    janitor::Settings,
    shutdown::Shutdown,
    world::{NeighbourError, Rooms, clock::Clock, synapse_admin::AllRooms},
};

pub use self::join::Joining;

/// How long a survey may take. One of 10,000 rooms takes minutes; a server that puts every question off may take for
/// ever.
pub const LONGEST: Duration = Duration::from_hours(1);

/// Why there is no survey.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SurveyError {
    /// The token is no server admin's, or no longer.
    #[error(
        "the admin API refuses: {0}. It takes a server admin's access token in synapse_admin.access_token_file"
    )]
    Refused(NeighbourError),
    /// It did not answer, again and again.
    #[error("the admin API gave no usable answer, several times in a row: {0}")]
    Unreachable(NeighbourError),
    /// A room that was named.
    #[error("the homeserver knows no room {0}")]
    NoSuchRoom(String),
}

/// What a survey works with.
#[derive(Clone, Copy)]
pub struct Surveyor<'a> {
    /// All rooms, and the device lists of the server's own users.
    pub admin: &'a dyn AllRooms,
    /// The bot's own view, to resolve aliases and to join.
    pub rooms: &'a dyn Rooms,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Who the bot is, what it leaves alone, and thresholds.
    pub settings: &'a Settings,
}

/// Says how far a survey is.
pub type Tell<'a> = &'a (dyn Fn(Progress) + Sync);

impl Surveyor<'_> {
    /// Looks through the rooms, until `stop` is requested or it has taken [`LONGEST`]: then it gives what it has found
    /// so far, and says that this is not all. It can be dropped at any time.
    ///
    /// # Errors
    ///
    /// When the admin API refuses or does not answer. One room that cannot be read is no error.
    pub fn survey<'a>(
        &'a self,
        scope: &'a Scope,
        stop: &'a Shutdown,
        tell: Tell<'a>,
    ) -> BoxFuture<'a, Result<Survey, SurveyError>> {
        Box::pin(self.look_through(scope, stop, tell))
    }

    async fn look_through(
        &self,
        scope: &Scope,
        stop: &Shutdown,
        tell: Tell<'_>,
    ) -> Result<Survey, SurveyError> {
        let (begun, at) = (Instant::now(), self.clock.now());
        let mut found = Found::default();
        let looked = stop.or(timeout(LONGEST, UnderWay::new(*self, tell).look(scope, &mut found))).await;
        let cut = match looked {
            Some(Ok(looked)) => looked?,
            Some(Err(_)) => Some(Cut::TookTooLong(LONGEST)),
            None => Some(Cut::Stopped),
        };
        let Found { looked_at, of, mut rooms, unread, without_lists } = found;
        rooms.sort_by(|a, b| a.listed.room.cmp(&b.listed.room));
        let scope = scope.clone();
        Ok(Survey { scope, looked_at, of, cut, rooms, unread, without_lists, at, took: begun.elapsed() })
    }

    /// What the state of a room says, with what is known of its owners' devices.
    fn read(&self, listed: Listed, state: Vec<Value>, lists: Value) -> Result<SurveyedRoom, String> {
        let is_excluded = !self.settings.covers(&listed.room);
        let surveyor = survey::Surveyor {
            me: &self.settings.user_id,
            acts_for: &|user| self.settings.acts_for(user),
            allow_redaction: self.settings.allow_redaction,
            policy: &self.settings.policy,
            now: self.clock.now(),
        };
        SurveyedRoom::read(listed, state, lists, is_excluded, surveyor).map_err(|error| error.to_string())
    }
}

/// Whether what the admin API says of one room it would say of the next: that the token is no server admin's.
fn is_for_all(error: &NeighbourError) -> bool {
    matches!(
        error,
        NeighbourError::SignedOut(_)
            | NeighbourError::Redirected(_)
            | NeighbourError::Refused { status: 401 | 403, .. }
    )
}

/// Whether the server has no such room. A 404 with another code is that of a path that it does not know.
fn is_unknown(error: &NeighbourError) -> bool {
    matches!(error, NeighbourError::Refused { status: 404, errcode, .. } if errcode == "M_NOT_FOUND")
}

/// Whether that can be no room at all.
fn is_no_id(error: &NeighbourError) -> bool {
    matches!(error, NeighbourError::Refused { status: 400, .. })
}

/// The room of that id, of which nothing else is known.
fn unnamed(room: &RoomId) -> Listed {
    Listed { room: room.clone(), name: None, alias: None }
}

#[cfg(test)]
mod tests;
