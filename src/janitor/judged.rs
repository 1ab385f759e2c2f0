//! What a look at one membership came to.

use std::collections::{HashMap, HashSet};

use rtc_janitor_core::{
    ids::{EventId, RoomId},
    judge::{
        evidence::Evidence,
        policy::Reason,
        verdict::{Judgement, Verdict},
    },
    ledger::{Due, Subject},
    plan::PlannedWrite,
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
    /// When it is due if nothing changes.
    pub due_at: Option<Timestamp>,
}

impl Judged {
    pub(super) fn is_about(&self, write: &PlannedWrite) -> bool {
        self.subject.room == *write.room() && self.subject.event == *write.event()
    }

    /// What was known, for the journal.
    pub(super) fn evidence_json(&self) -> Value {
        let reasons: Vec<_> = self
            .judgement
            .reasons()
            .map(|(reason, since)| json!({"reason": reason, "since_ms": since.map(Timestamp::as_millis)}))
            .collect();
        json!({
            "user_id": self.membership.owner.user, "device_id": self.membership.owner.device,
            "reasons": reasons, "room_member": format!("{:?}", self.evidence.room_member),
            "device": format!("{:?}", self.evidence.device), "sfu": format!("{:?}", self.evidence.sfu),
            "sent_ms": self.membership.sent, "expires_ms": self.membership.expires,
        })
    }
}

/// What a look came to, by event and by call.
pub(super) struct Index<'a> {
    by_event: HashMap<(&'a RoomId, &'a EventId), Vec<&'a Judged>>,
    with_life: HashSet<(&'a RoomId, &'a Call)>,
}

impl<'a> Index<'a> {
    pub(super) fn new(judged: &'a [Judged]) -> Self {
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
    pub(super) fn about<'s>(&'s self, room: &'s RoomId, event: &'s EventId) -> &'s [&'a Judged] {
        self.by_event.get(&(room, event)).map_or(&[], Vec::as_slice)
    }

    /// Whether anything in the call of that membership looks alive, or may be.
    pub(super) fn has_life(&self, one: &'a Judged) -> bool {
        self.with_life.contains(&(&one.subject.room, &one.membership.call))
    }
}

/// The reason that names a verdict, for a report.
pub(super) fn naming_reason(judged: &[&Judged]) -> Reason {
    judged
        .iter()
        .filter_map(|one| match one.judgement.verdict {
            Verdict::Stale(reason) => Some(reason),
            Verdict::Active | Verdict::Unknown(_) => None,
        })
        .min()
        .unwrap_or(Reason::Silent)
}
