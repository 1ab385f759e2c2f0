//! The conclusion: is this membership active, stale and why, or unknown?
//!
//! [`judge`] goes through the reasons one by one; each either holds, does not hold, or cannot be
//! decided. Only what holds makes a membership stale, and a veto outweighs everything but the owner
//! not being in the room.

use std::time::Duration;

use super::{
    evidence::{Device, Evidence, RoomMember, Sfu},
    policy::{HOURLY_SILENCE, LAST_SEEN_LAG, Policy, Reason, UNPROVEN_SILENCE},
};
use crate::{
    rtc::membership::{DEFAULT_EXPIRES, Membership},
    time::Timestamp,
};

/// Whether one reason holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It does not.
    No,
    /// It does.
    Holds {
        /// When it began to hold, where that can be told from the evidence itself.
        since: Option<Timestamp>,
    },
    /// It cannot be told: a neighbour did not answer.
    Unknown,
}

/// Why nothing can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownWhy {
    /// A device list was asked for and gave no usable answer for this owner.
    DeviceListUnavailable,
}

impl UnknownWhy {
    /// The name in JSON output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DeviceListUnavailable => "device_list_unavailable",
        }
    }
}

/// What is concluded of an open membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing speaks against it, or it was seen alive.
    Active,
    /// The named reason holds; others may too.
    Stale(Reason),
    /// Nothing speaks against it, and something that might have could not be asked.
    Unknown(UnknownWhy),
}

/// A verdict with all that led to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The conclusion.
    pub verdict: Verdict,
    /// The SFU lists it: it is in the call, whatever else holds.
    pub vetoed: bool,
    findings: [Finding; 7],
}

impl Judgement {
    /// What was found for one reason, after the veto.
    pub fn finding(&self, reason: Reason) -> Finding {
        self.findings[reason as usize]
    }

    /// The reasons that hold, the strongest first, with since when.
    pub fn reasons(&self) -> impl Iterator<Item = (Reason, Option<Timestamp>)> + '_ {
        Reason::ALL.into_iter().filter_map(|reason| match self.finding(reason) {
            Finding::Holds { since } => Some((reason, since)),
            Finding::No | Finding::Unknown => None,
        })
    }
}

/// Judges an open membership at one instant.
///
/// The same input gives the same judgement; nothing is remembered. That a reason holds does not make
/// it due: see [`crate::ledger`].
pub fn judge(membership: &Membership, evidence: &Evidence, policy: &Policy, now: Timestamp) -> Judgement {
    // Only the newest membership of a device can be what the SFU sees.
    let vetoed = evidence.sfu == Sfu::Listed && evidence.superseded_at.is_none();
    let findings = Reason::ALL.map(|reason| {
        if vetoed && reason != Reason::NotJoined {
            return Finding::No;
        }
        match reason {
            Reason::NotJoined => not_joined(evidence),
            Reason::Expired => expired(membership, now),
            Reason::DeviceGone => device_gone(evidence),
            Reason::Superseded => evidence.superseded_at.map_or(Finding::No, |at| holds(Some(at))),
            Reason::NotOnSfu if membership.call.is_m_call() => not_on_sfu(evidence),
            Reason::DeviceIdle if membership.call.is_m_call() => {
                device_idle(membership, evidence, policy, now)
            }
            Reason::Silent if membership.call.is_m_call() => silent(membership, policy, now),
            Reason::NotOnSfu | Reason::DeviceIdle | Reason::Silent => Finding::No,
        }
    });
    let strongest = Reason::ALL.into_iter().find(|r| matches!(findings[*r as usize], Finding::Holds { .. }));
    let verdict = match strongest {
        Some(reason) => Verdict::Stale(reason),
        None if !vetoed && evidence.device == Device::Unknown => {
            Verdict::Unknown(UnknownWhy::DeviceListUnavailable)
        }
        None => Verdict::Active,
    };
    Judgement { verdict, vetoed, findings }
}

const fn holds(since: Option<Timestamp>) -> Finding {
    Finding::Holds { since }
}

fn not_joined(evidence: &Evidence) -> Finding {
    match evidence.room_member {
        RoomMember::Unknown => Finding::Unknown,
        RoomMember::Joined => Finding::No,
        RoomMember::NotJoined { since } => holds(since),
    }
}

fn expired(membership: &Membership, now: Timestamp) -> Finding {
    if membership.expires <= now { holds(Some(membership.expires)) } else { Finding::No }
}

fn device_gone(evidence: &Evidence) -> Finding {
    match evidence.device {
        Device::Missing { .. } => holds(None),
        Device::Unknown => Finding::Unknown,
        Device::Listed { .. } | Device::NotAsked => Finding::No,
    }
}

fn not_on_sfu(evidence: &Evidence) -> Finding {
    match evidence.sfu {
        Sfu::Absent { counts: true } => holds(None),
        Sfu::Unknown => Finding::Unknown,
        Sfu::Absent { counts: false } | Sfu::Listed | Sfu::NotOurs => Finding::No,
    }
}

fn device_idle(membership: &Membership, evidence: &Evidence, policy: &Policy, now: Timestamp) -> Finding {
    let last_seen = match evidence.device {
        Device::Listed { last_seen: Some(last_seen) } => last_seen,
        Device::Unknown => return Finding::Unknown,
        _ => return Finding::No,
    };
    // The device sent this event, so a value from well before it is not kept up here.
    if last_seen + LAST_SEEN_LAG < membership.last_sign {
        return Finding::No;
    }
    let since = last_seen.max(membership.last_sign) + policy.device_idle_after;
    if now > since { holds(Some(since)) } else { Finding::No }
}

fn silent(membership: &Membership, policy: &Policy, now: Timestamp) -> Finding {
    let since = membership.last_sign + may_be_silent(membership, policy);
    if now > since { holds(Some(since)) } else { Finding::No }
}

/// How old the newest event of a living client can be.
fn may_be_silent(membership: &Membership, policy: &Policy) -> Duration {
    match membership.created {
        None if membership.expires_after.is_some_and(|span| span > DEFAULT_EXPIRES) => {
            UNPROVEN_SILENCE.max(policy.silent_after)
        }
        Some(created) if refreshes_hourly(membership, created) => HOURLY_SILENCE.min(policy.silent_after),
        _ => policy.silent_after,
    }
}

/// An `expires` this long is no span that hourly refreshes have added up to, but a moment, which some
/// write there (milliseconds since the Unix epoch; this is a moment in 1980).
const NO_SPAN: Duration = Duration::from_hours(24 * 3653);

/// Since v39.1 matrix-js-sdk refreshes every hour and adds four hours to `expires` each time, so
/// after `n` hours it has reached at least `4 h * (n + 1)`. A client that refreshes when the four
/// hours are nearly over stays below that.
fn refreshes_hourly(membership: &Membership, created: Timestamp) -> bool {
    const HOUR_MS: u128 = 3_600_000;
    let elapsed = membership.sent.since(created).as_millis();
    let hours = (elapsed + HOUR_MS / 2) / HOUR_MS;
    let adds_up = |span: Duration| span < NO_SPAN && span.as_millis() >= 4 * HOUR_MS * (hours + 1);
    elapsed >= HOUR_MS && membership.expires_after.is_some_and(adds_up)
}

#[cfg(test)]
pub(crate) mod tests;
