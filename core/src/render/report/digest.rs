//! What a day came to.

use std::{collections::BTreeMap, time::Duration};

use super::FindingKind;
use crate::{
    judge::policy::Reason,
    leave_lag::LeaveLags,
    render::{
        Html, Message,
        answer::Rooms,
        message::{sentences, together},
        words,
    },
    time::Timestamp,
};

/// What one day came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Digest {
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub now: Timestamp,
    /// How long each membership had been seen to be stale before it was cleared, by reason.
    pub cleared: BTreeMap<Reason, Vec<Duration>>,
    /// The same in report mode.
    pub would_clear: BTreeMap<Reason, Vec<Duration>>,
    /// How many were emptied by plans that somebody had approved.
    pub by_plan: usize,
    /// How many could not be emptied.
    pub blocked: usize,
    /// How long memberships stood after their device had gone from the SFU.
    pub leave_lags: LeaveLags,
    /// The rooms that need a person.
    pub problems: Rooms,
}

impl Digest {
    /// A day on which nothing happened.
    pub fn default_at(now: Timestamp) -> Self {
        Self {
            since: now,
            now,
            cleared: BTreeMap::new(),
            would_clear: BTreeMap::new(),
            by_plan: 0,
            blocked: 0,
            leave_lags: LeaveLags::default(),
            problems: Rooms { rooms: Vec::new(), unresolved: Vec::new(), only_problems: true },
        }
    }

    /// Adds what was found.
    pub fn add(&mut self, kind: FindingKind, reason: Reason, seen_for: Duration) {
        match kind {
            FindingKind::Cleared => self.cleared.entry(reason).or_default().push(seen_for),
            FindingKind::WouldClear => self.would_clear.entry(reason).or_default().push(seen_for),
            FindingKind::Blocked | FindingKind::Refused => self.blocked += 1,
        }
    }

    /// The message, `None` when there is nothing to tell; commands begin with `prefix`.
    pub fn message(&self, prefix: &str) -> Option<Message> {
        let has_problems = self.problems.rooms.iter().any(|room| !room.problems.is_empty());
        let is_quiet = self.cleared.is_empty() && self.would_clear.is_empty();
        if is_quiet && self.by_plan + self.blocked == 0 && !has_problems {
            return None;
        }
        let mut lines = Vec::new();
        for (did, by_reason) in [("cleared", &self.cleared), ("would have been cleared", &self.would_clear)] {
            for (reason, spans) in by_reason {
                lines.push(format!("{} {did}: {} ({})", spans.len(), words::reason(*reason), after(spans)));
            }
        }
        if self.by_plan > 0 {
            lines.push(format!("{} cleared by approved plans", self.by_plan));
        }
        if self.blocked > 0 {
            lines.push(format!("{} could not be cleared", self.blocked));
        }
        if let Some(lags) = words::leave_lags(&self.leave_lags) {
            lines.push(lags);
        }
        let mut text = sentences(&[&self.totals()]);
        if !lines.is_empty() {
            text.html.push_markup("<ul>");
            for line in lines {
                text.push(&Message {
                    plain: format!("\n- {line}"),
                    html: Html::markup("<li>{}</li>", &[&Html::sentence(&line)]),
                });
            }
            text.html.push_markup("</ul>");
        }
        let problems = self.problems.message(prefix);
        Some(if has_problems { together(&[&text, &problems]).0 } else { text })
    }

    /// What it came to, for whoever reads no more than the first line.
    fn totals(&self) -> String {
        let all =
            |by_reason: &BTreeMap<Reason, Vec<Duration>>| by_reason.values().map(Vec::len).sum::<usize>();
        let needy = self.problems.rooms.iter().filter(|room| !room.problems.is_empty()).count();
        let mut parts = vec![match all(&self.cleared) + self.by_plan {
            0 => "cleared nothing".to_owned(),
            // A plan may be for active ones, too.
            1 => "cleared 1 membership".to_owned(),
            number => format!("cleared {number} memberships"),
        }];
        if let number @ 1.. = all(&self.would_clear) {
            parts.push(format!("would have cleared {number}"));
        }
        if self.blocked > 0 {
            parts.push(format!("could not clear {}", self.blocked));
        }
        if needy > 0 {
            parts.push(if needy == 1 {
                "1 room needs you".to_owned()
            } else {
                format!("{needy} rooms need you")
            });
        }
        format!("📅 The last {}: {}.", self.span(), parts.join("; "))
    }

    /// To the hour: it never comes to the second at its time.
    fn span(&self) -> String {
        const HOUR: u64 = 3600;
        let seconds = self.now.since(self.since).as_secs();
        let hours = (seconds + HOUR / 2) / HOUR;
        match hours {
            24 => "day".to_owned(),
            0 | 1 => words::span(Duration::from_secs(seconds)),
            hours => words::span(Duration::from_secs(hours * HOUR)),
        }
    }
}

/// How long they had been known to be stale.
fn after(spans: &[Duration]) -> String {
    let mut spans = spans.to_vec();
    spans.sort_unstable();
    match *spans.as_slice() {
        [] => String::new(),
        [one] => format!("{} after it was first noticed", words::span(one)),
        [.., longest] => format!(
            "half of them within {} of being noticed, the last after {}",
            words::span(spans[spans.len() / 2]),
            words::span(longest)
        ),
    }
}
