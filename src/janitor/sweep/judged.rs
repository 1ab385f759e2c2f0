//! What a look at one membership came to.

use std::collections::{HashMap, HashSet};

use rtc_janitor_core::{
    ids::{EventId, RoomId},
    judge::{
        evidence::{Device, Evidence, ListKind, RoomMember, Sfu},
        policy::Reason,
        verdict::{Judgement, Verdict},
    },
    ledger::{Due, Subject},
    rtc::membership::{Call, Membership},
    time::Timestamp,
};
use serde_json::{Value, json};

/// One membership, judged.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The membership's event and its place in it.
    pub subject: Subject,
    /// The membership.
    pub membership: Membership,
    /// What was concluded.
    pub judgement: Judgement,
    /// From what.
    pub evidence: Evidence,
    /// The reasons whose grace is over.
    pub due: Vec<Due>,
    /// When it can be cleared if nothing changes: a grace is over, and its event is old enough.
    pub due_at: Option<Timestamp>,
}

impl Judged {
    /// Whether a grace is over, and its event is old enough.
    pub(in crate::janitor) fn is_due(&self, now: Timestamp) -> bool {
        !self.due.is_empty() && self.due_at.is_some_and(|at| at <= now)
    }

    /// What was known, for the journal.
    pub(in crate::janitor) fn evidence_json(&self) -> Value {
        let reasons: Vec<_> = self
            .judgement
            .reasons()
            .map(|(reason, since)| json!({"reason": reason, "since_ms": since.map(Timestamp::as_millis)}))
            .collect();
        json!({
            "user_id": self.membership.owner.user, "device_id": self.membership.owner.device,
            "reasons": reasons, "room_member": room_member(self.evidence.room_member),
            "device": device(self.evidence.device), "sfu": sfu(self.evidence.sfu),
            "sent_ms": self.membership.sent, "expires_ms": self.membership.expires,
        })
    }
}

/// What a look came to, by event and by call.
pub(in crate::janitor) struct Index<'a> {
    by_event: HashMap<(&'a RoomId, &'a EventId), Vec<&'a Judged>>,
    with_life: HashSet<(&'a RoomId, &'a Call)>,
}

impl<'a> Index<'a> {
    pub(in crate::janitor) fn new(judged: &'a [Judged]) -> Self {
        let mut by_event: HashMap<_, Vec<_>> = HashMap::new();
        let mut with_life = HashSet::new();
        for one in judged {
            by_event.entry((&one.subject.room, &one.subject.event)).or_default().push(one);
            if !matches!(one.judgement.verdict, Verdict::Stale(_)) {
                with_life.insert((&one.subject.room, &one.membership.call));
            }
        }
        Self { by_event, with_life }
    }

    /// The memberships of one event.
    pub(in crate::janitor) fn for_event<'s>(
        &'s self,
        room: &'s RoomId,
        event: &'s EventId,
    ) -> &'s [&'a Judged] {
        self.by_event.get(&(room, event)).map_or(&[], Vec::as_slice)
    }

    /// Whether anything in the call of that membership looks alive, or may be.
    pub(in crate::janitor) fn has_life(&self, one: &'a Judged) -> bool {
        self.with_life.contains(&(&one.subject.room, &one.membership.call))
    }
}

/// The reason that names a verdict, for a report.
pub(in crate::janitor) fn naming_reason(judged: &[&Judged]) -> Option<Reason> {
    judged
        .iter()
        .filter_map(|one| match one.judgement.verdict {
            Verdict::Stale(reason) => Some(reason),
            Verdict::Active | Verdict::Unknown(_) => None,
        })
        .min()
}

// Evidence is kept in the journal for longer than any version of this program, so it is written in words
// of its own and not as Rust happens to print it.

fn room_member(member: RoomMember) -> Value {
    match member {
        RoomMember::Unknown => json!("unknown"),
        RoomMember::Joined => json!("joined"),
        RoomMember::NotJoined { since } => {
            json!({"not_joined": {"since_ms": since.map(Timestamp::as_millis)}})
        }
    }
}

fn device(device: Device) -> Value {
    match device {
        Device::NotAsked => json!("not_asked"),
        Device::Unknown => json!("unknown"),
        Device::Listed { last_seen } => {
            json!({"listed": {"last_seen_ms": last_seen.map(Timestamp::as_millis)}})
        }
        Device::Missing { by, seen_before } => {
            let by = match by {
                ListKind::OwnList => "own_list",
                ListKind::KeysQuery => "keys_query",
            };
            json!({"missing": {"by": by, "seen_before": seen_before}})
        }
    }
}

fn sfu(sfu: Sfu) -> Value {
    match sfu {
        Sfu::NotOurs => json!("not_ours"),
        Sfu::Unknown => json!("unknown"),
        Sfu::Listed => json!("listed"),
        Sfu::Absent { counts } => json!({"absent": {"counts": counts}}),
    }
}
