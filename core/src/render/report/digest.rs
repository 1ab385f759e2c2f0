//! What a day came to.

use std::{collections::BTreeMap, time::Duration};

use super::{FindingKind, memberships};
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
        for (did, by_reason) in [("Cleared", &self.cleared), ("Would clear", &self.would_clear)] {
            for (reason, spans) in by_reason {
                let mut spans = spans.clone();
                spans.sort_unstable();
                let (half, longest) = (spans[spans.len() / 2], spans[spans.len() - 1]);
                lines.push(format!(
                    "{did} {}: {} (half of them within {}, the last after {})",
                    memberships(spans.len()),
                    words::reason(*reason),
                    words::span(half),
                    words::span(longest)
                ));
            }
        }
        if self.by_plan > 0 {
            lines.push(format!("Cleared {} by approved plans", memberships(self.by_plan)));
        }
        if self.blocked > 0 {
            lines.push(format!("Could not clear {}", memberships(self.blocked)));
        }
        if let Some(lags) = words::leave_lags(&self.leave_lags) {
            lines.push(words::capitalised(&lags));
        }
        let mut text = sentences(&[&format!("📅 The last {}:", words::span(self.now.since(self.since)))]);
        text.html.push_markup("<ul>");
        for line in lines {
            text.push(&Message {
                plain: format!("\n- {line}"),
                html: Html::markup("<li>{}</li>", &[&Html::sentence(&line)]),
            });
        }
        text.html.push_markup("</ul>");
        let problems = self.problems.message(prefix);
        Some(if has_problems { together(&[&text, &problems]).0 } else { text })
    }
}
