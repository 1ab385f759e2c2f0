//! Requests under way: the loop never waits for one. Each comes back as an [`Outcome`].

use std::{collections::BTreeMap, future::Future, pin::Pin, time::Duration};

use rtc_janitor_core::{
    ids::{EventId, RoomId, UserId},
    judge::evidence::{ListKind, RoomMember},
    rtc::state_event::StateEvent,
    time::Timestamp,
};
use serde_json::Value;
use tokio::{task::JoinSet, time::timeout};

use super::{evidence::Proofs, sweep::Attempt};
use crate::world::{
    NeighbourError, RoomView,
    device_lists::DeviceAnswers,
    livekit::{SfuError, SfuView},
};

/// The longest a read may take before it counts as not answered, whatever the connection says.
const DEADLINE: Duration = Duration::from_secs(45);

/// What came back.
#[derive(Debug)]
pub(in crate::janitor) enum Outcome {
    /// One room, read from its current state.
    Viewed(RoomId, Result<RoomView, NeighbourError>),
    /// One owner's membership of a room.
    Member(RoomId, UserId, Result<RoomMember, NeighbourError>),
    /// The power levels of a room (`None` where it has none), and its creation where that was not known.
    Power(RoomId, Result<PowerRead, NeighbourError>),
    /// Device lists by one way, with when they were asked for.
    Lists(ListKind, Timestamp, DeviceAnswers),
    /// What the SFU answered, with when and for which names it was asked; of each, the room whose call it is.
    Sfu { asked: Timestamp, names: BTreeMap<String, RoomId>, answer: Result<SfuView, SfuError> },
    /// What the authorisation services answered when asked for a token for `room`.
    SfuNames { asked: Timestamp, room: RoomId, proofs: Proofs },
    /// The homeserver's clock.
    ServerTime(Result<Timestamp, NeighbourError>),
    /// What stands under the key of a write of which nobody knew what came of it, and what that replaced.
    Settled(i64, Result<Vec<StateEvent>, NeighbourError>),
    /// The room of an alias.
    Resolved(String, Result<RoomId, NeighbourError>),
    /// A write, or how far it came.
    Written(EventId, Attempt),
    /// Whether the appservice may act for owners.
    Appservice(Result<(), NeighbourError>),
    /// A join.
    Joined(RoomId, Result<(), NeighbourError>),
}

/// What a read of power levels brought.
#[derive(Debug)]
pub(in crate::janitor) struct PowerRead {
    pub(in crate::janitor) create: Option<StateEvent>,
    pub(in crate::janitor) levels: Option<Value>,
}

type Work = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// The requests under way.
#[derive(Default)]
pub(in crate::janitor) struct Background {
    tasks: JoinSet<Outcome>,
    /// They begin once the journal says why.
    waiting: Vec<Work>,
}

impl Background {
    /// Has something done as soon as the journal is on disk.
    pub(in crate::janitor) fn start(&mut self, work: impl Future<Output = Outcome> + Send + 'static) {
        self.waiting.push(Box::pin(work));
    }

    /// Begins what was put in.
    pub(in crate::janitor) fn release(&mut self) {
        for work in self.waiting.drain(..) {
            self.tasks.spawn(work);
        }
    }

    /// Whether nothing is under way.
    pub(in crate::janitor) fn is_idle(&self) -> bool {
        self.tasks.is_empty() && self.waiting.is_empty()
    }

    /// The next that comes back; waits for ever while nothing is under way.
    ///
    /// # Panics
    ///
    /// As the request did: a janitor that lost one would wait for it for ever.
    pub(in crate::janitor) async fn next(&mut self) -> Outcome {
        match self.tasks.join_next().await {
            Some(Ok(outcome)) => outcome,
            Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Some(Err(_)) | None => std::future::pending().await,
        }
    }

    /// What has come back already.
    pub(in crate::janitor) fn try_next(&mut self) -> Option<Outcome> {
        match self.tasks.try_join_next()? {
            Ok(outcome) => Some(outcome),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => None,
        }
    }
}

impl std::fmt::Debug for Background {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Background").field("under_way", &self.tasks.len()).finish_non_exhaustive()
    }
}

/// The answer to a request, or that there was none in time.
pub(in crate::janitor) async fn in_time<T>(
    request: impl Future<Output = Result<T, NeighbourError>>,
) -> Result<T, NeighbourError> {
    let late = || NeighbourError::Unreachable(format!("no answer within {} s", DEADLINE.as_secs()));
    timeout(DEADLINE, request).await.unwrap_or_else(|_| Err(late()))
}
