//! The verdicts of `explain` for a terminal.

use std::fmt::Write;

use super::{message::harmless, words};
use crate::{export::Explained, time::Timestamp};

/// One block per membership, and a line that sums up.
pub fn table(rows: &[Explained], now: Timestamp) -> String {
    let mut text = String::new();
    for row in rows.iter().filter(|row| row.verdict != "left") {
        let device = row.device_id.as_deref().map_or_else(String::new, |d| format!(" on {}", harmless(d)));
        let _ = write!(text, "{:<9} {}{device}", row.verdict, harmless(row.user_id.as_str()));
        if let Some(reason) = row.reason {
            let _ = write!(text, "  [{reason}]");
        }
        let _ = writeln!(text, "\n          {}", row.why);
        let others: Vec<_> = row.reasons.iter().skip(1).copied().collect();
        if !others.is_empty() {
            let _ = writeln!(text, "          also: {}", others.join(", "));
        }
        if let Some(expires) = row.expires_ms.map(Timestamp::from_millis) {
            let _ = writeln!(text, "          expires {expires}, {}", words::ago(expires, now));
        }
        if !row.anomalies.is_empty() {
            let _ = writeln!(text, "          odd: {}", row.anomalies.join(", "));
        }
        if let Some(route) = row.route {
            let _ = match &row.obstacle {
                Some(why) => writeln!(text, "          they cannot clear it: {why}"),
                None => writeln!(text, "          they can clear it ({route})"),
            };
        }
        let _ = writeln!(text, "          key {}\n", harmless(row.state_key.as_str()));
    }
    let count = |verdict| rows.iter().filter(|row| row.verdict == verdict).count();
    let _ = writeln!(
        text,
        "{} active, {} stale, {} unknown, {} malformed, {} left",
        count("active"),
        count("stale"),
        count("unknown"),
        count("malformed"),
        count("left"),
    );
    text
}
