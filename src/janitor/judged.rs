//! What a look at one membership came to.

use rtc_janitor_core::{
    judge::{
        evidence::Evidence,
        policy::Reason,
        verdict::{Judgement, Verdict},
    },
    ledger::{Due, Subject},
    plan::PlannedWrite,
    rtc::membership::Membership,
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
