//! One membership and what is concluded of it.

use serde::Serialize;
use serde_json::Value;

use crate::{
    ids::{StateKey, UserId},
    judge::{
        evidence::Evidence,
        verdict::{Judgement, Verdict},
    },
    render::words,
    rtc::{
        membership::{Anomaly, Malformed, Membership},
        state_event::StateEvent,
        state_key,
    },
    time::Timestamp,
};

/// One membership and what is concluded of it; the form of `explain --json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explained {
    /// The key it stands under.
    pub state_key: StateKey,
    /// Whom it speaks for.
    pub user_id: UserId,
    /// The device, where the content names one.
    pub device_id: Option<String>,
    /// `active`, `left`, `stale`, `unknown` or `malformed`.
    pub verdict: &'static str,
    /// The reason that names the verdict, when stale or unknown.
    pub reason: Option<&'static str>,
    /// All reasons that hold, the strongest first.
    pub reasons: Vec<&'static str>,
    /// What is odd about it.
    pub anomalies: Vec<&'static str>,
    /// Since when the naming reason holds, milliseconds since the Unix epoch; null where the
    /// evidence does not tell.
    pub since_ms: Option<i64>,
    /// When clients stop showing it, milliseconds since the Unix epoch.
    pub expires_ms: Option<i64>,
    /// `own_power` or `none`; null when nobody was named to write as, or there is nothing to clear.
    pub route: Option<&'static str>,
    /// What is in the way where the route is `none`; for people only.
    #[serde(skip)]
    pub obstacle: Option<String>,
    /// All of it in one sentence.
    pub why: String,
}

impl Explained {
    pub(super) fn left(event: &StateEvent) -> Self {
        let user = state_key::user(&event.state_key).map(UserId::from);
        let device = event.content.get("device_id").and_then(Value::as_str);
        Self {
            // Whoever emptied a key was not in it.
            user_id: user.unwrap_or_else(|| event.sender.clone()),
            ..Self::closed(event, "left", device, "nobody is in it".into())
        }
    }

    pub(super) fn malformed(
        event: &StateEvent,
        anomalies: &[Anomaly],
        what: &str,
        malformed: &Malformed,
        route: Option<&'static str>,
    ) -> Self {
        let why = format!("no client would show {what}: {malformed}");
        let anomalies = anomalies.iter().copied().map(Anomaly::as_str).collect();
        Self { anomalies, route, ..Self::closed(event, "malformed", malformed.device.as_deref(), why) }
    }

    fn closed(event: &StateEvent, verdict: &'static str, device: Option<&str>, why: String) -> Self {
        Self {
            state_key: event.state_key.clone(),
            user_id: event.sender.clone(),
            device_id: device.map(str::to_owned),
            verdict,
            reason: None,
            reasons: Vec::new(),
            anomalies: Vec::new(),
            since_ms: None,
            expires_ms: None,
            route: None,
            obstacle: None,
            why,
        }
    }

    /// What was concluded of an open membership under a key, and from what.
    pub fn open(
        key: &StateKey,
        membership: &Membership,
        (judgement, evidence): (&Judgement, &Evidence),
        now: Timestamp,
        route: Option<&'static str>,
    ) -> Self {
        let (verdict, reason) = match judgement.verdict {
            Verdict::Active => ("active", None),
            Verdict::Stale(reason) => ("stale", Some(reason.as_str())),
            Verdict::Unknown(why) => ("unknown", Some(why.as_str())),
        };
        Self {
            state_key: key.clone(),
            user_id: membership.owner.user.clone(),
            device_id: Some(membership.owner.device.to_string()),
            verdict,
            reason,
            reasons: judgement.reasons().map(|(reason, _)| reason.as_str()).collect(),
            anomalies: membership.anomalies.iter().copied().map(Anomaly::as_str).collect(),
            since_ms: judgement.reasons().next().and_then(|(_, since)| since).map(Timestamp::as_millis),
            expires_ms: Some(membership.expires.as_millis()),
            route,
            obstacle: None,
            why: words::why(membership, judgement, evidence, now),
        }
    }
}
