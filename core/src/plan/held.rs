//! Why something that is due is not written, and when that may be over.

use std::time::Duration;

use super::{Candidate, Circumstances, SENT_EXPIRED};
use crate::{
    guard::{breaker::State, limits::Limit},
    judge::policy::{Neighbour, Reason},
    rtc::{membership::Membership, state_key::Blocked},
    time::Timestamp,
};

/// When a membership can be cleared for a reason whose grace ends at `grace_ends`, as far as time alone tells:
/// then, or when the guards of its age let it pass.
pub fn clears_at(
    membership: &Membership,
    reason: Reason,
    grace_ends: Timestamp,
    minimum_age: Duration,
) -> Timestamp {
    let age = match reason {
        Reason::Expired if membership.was_expired_when_sent() => minimum_age.max(SENT_EXPIRED),
        _ => minimum_age,
    };
    grace_ends.max(membership.last_sign + age)
}

/// Why something that is due is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HeldBack {
    /// The janitor is paused.
    Paused,
    /// It is not known which room the settings exclude: it may be this one.
    ExclusionUnknown,
    /// The room or the owner is excluded.
    Excluded,
    /// Not everything has been read since the start.
    FirstSync,
    /// It was seen only once.
    OneSighting,
    /// It is younger than the configured minimum.
    TooYoung,
    /// It was over before it was sent, and that is not long ago: its client is there.
    SentExpired,
    /// It was not looked at again after the grace ended.
    NotRefreshed,
    /// Our clock and the server's differ too much.
    ClockSkew,
    /// The breaker of this neighbour is open.
    Breaker(Neighbour),
    /// The key came back after an earlier clear.
    Quarantine,
    /// Only a device list of another server says so.
    RemoteDeviceList,
    /// The SFU is ours and did not answer.
    SfuSilent,
    /// Another device in the same event is not stale.
    OthersInEvent,
    /// Expired more than 30 days ago.
    LongExpired,
    /// No route, and why.
    NoRoute(Blocked),
    /// It could not be read who may write it.
    RouteUnknown,
    /// A limit is reached; it goes on when enough of what was cleared is long enough ago.
    Limit(Limit),
    /// The approved plan is too old.
    TooOld,
    /// It would be cleared by another route than the approved plan showed.
    OtherRoute,
}

impl HeldBack {
    /// Whether it is the age of the membership, which nothing but time changes.
    pub const fn is_age(self) -> bool {
        matches!(self, Self::TooYoung | Self::SentExpired)
    }

    /// When this may be over by time alone, so that nobody has to look before; `None` where something else
    /// has to happen first, or where only the journal knows, as for limits.
    pub fn may_end(self, candidate: &Candidate, circumstances: &Circumstances<'_>) -> Option<Timestamp> {
        let entries = || candidate.entries.iter().flatten();
        match self {
            Self::TooYoung => entries().map(|entry| entry.last_sign + circumstances.minimum_age).max(),
            Self::SentExpired => entries()
                .filter(|entry| entry.was_expired_when_sent)
                .map(|entry| entry.last_sign + SENT_EXPIRED)
                .max(),
            Self::Breaker(neighbour) => match circumstances.breakers.state(neighbour) {
                State::Open { until, .. } | State::Probing { until, .. } => Some(*until),
                State::Closed => None,
            },
            Self::Quarantine => {
                circumstances.quarantine.next_end(&candidate.room, &candidate.key, circumstances.now)
            }
            // The next look is all it takes.
            Self::OneSighting | Self::NotRefreshed => Some(circumstances.now),
            Self::Paused
            | Self::ExclusionUnknown
            | Self::Excluded
            | Self::FirstSync
            | Self::ClockSkew
            | Self::RemoteDeviceList
            | Self::SfuSilent
            | Self::OthersInEvent
            | Self::LongExpired
            | Self::NoRoute(_)
            | Self::RouteUnknown
            | Self::Limit(_)
            | Self::TooOld
            | Self::OtherRoute => None,
        }
    }
}
