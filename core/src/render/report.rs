//! What the janitor says in its admin room: one message per sweep that did or would do something,
//! and the few that say that a person is needed.

mod digest;
mod memory;
mod notices;
mod rows;
mod start;

use std::{collections::HashMap, fmt::Write};

pub(crate) use self::notices::{GIFTS, neighbour};
pub use self::{
    digest::Digest,
    memory::{another_watch, journal_is_new, unreadable, unreadable_plan},
    notices::{
        Whose, admin_room_back, appservice_away, appservice_back, breaker, came_back, cannot_go_on,
        clock_agrees, clock_skew, first_start, keys_incomplete, lost_power, not_taken, obstacle, overwrote,
        own_lists_away, own_lists_back, remote_device_list, removed, sfu_away, sfu_back, signed_out,
        slow_leaves, upgraded, writes_allowed, writes_forbidden,
    },
    rows::Rows,
    start::{Start, restarted},
};
use super::{
    html::Html,
    message::{self, MOST_BYTES, Message},
    words,
};
pub use crate::finding::{FindingKind, Row};
use crate::{plan::Route, time::Timestamp};

/// The most rows that one list shows; the rest is counted.
const MOST_ROWS: usize = 50;

/// Up to so many rows stand open, for a phone to show them without a tap.
const MOST_UNFOLDED: usize = 2;

/// The most devices that one row names: an array form can hold hundreds.
const MOST_DEVICES: usize = 5;

/// What one sweep did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Emptied.
    pub cleared: Rows,
    /// Would be emptied in mode `clean`.
    pub would_clear: Rows,
    /// Due, and nobody here may empty them.
    pub blocked: Rows,
    /// The server said no.
    pub refused: Rows,
    /// How many expired over 30 days ago.
    pub long_expired: usize,
}

/// One way to write a list: heading and rows.
type Section<'a> = (String, &'a [Row]);

impl Report {
    /// Adds a row to the section of its kind; what is there already is counted.
    pub fn add(&mut self, kind: FindingKind, row: Row) {
        let rows = match kind {
            FindingKind::Cleared => &mut self.cleared,
            FindingKind::WouldClear => &mut self.would_clear,
            FindingKind::Blocked => &mut self.blocked,
            FindingKind::Refused => &mut self.refused,
        };
        rows.add(row);
    }

    /// Whether there is anything to say.
    pub fn is_empty(&self) -> bool {
        self.sections().is_empty()
    }

    /// The message; `now` is when it is written.
    pub fn message(&self, now: Timestamp) -> Message {
        let sections = self.sections();
        let mut text = Message::default();
        for (index, (heading, rows)) in sections.iter().enumerate() {
            if index > 0 {
                text.plain.push('\n');
            }
            let _ = writeln!(text.plain, "{heading}");
            if rows.len() <= MOST_UNFOLDED {
                text.html.push(&Html::markup("<p>{}</p>", &[&Html::sentence(heading)]));
                add_rows(&mut text, rows, now);
                continue;
            }
            // What needs a person stands open, what was done folds away.
            let needs_a_person = rows.iter().any(|row| row.obstacle.is_some());
            let open = if needs_a_person { "<details open>" } else { "<details>" };
            text.html.push_markup(open);
            text.html.push(&Html::markup("<summary>{}</summary>", &[&Html::sentence(heading)]));
            add_rows(&mut text, rows, now);
            text.html.push_markup("</details>");
        }
        let mut add = |line: &str| {
            let _ = writeln!(text.plain, "{line}");
            text.html.push(&Html::markup("<p>{}</p>", &[&Html::sentence(line)]));
        };
        let changed = self.cleared.iter().chain(&*self.would_clear);
        if let redacted @ 1.. = changed.filter(|row| row.route == Some(Route::Redaction)).count() {
            add(&words::after_redaction(redacted));
        }
        if self.long_expired > 0 {
            add(&format!(
                "Not touched: {} that expired over 30 days ago; no client shows them.",
                memberships(self.long_expired)
            ));
        }
        text.plain.truncate(text.plain.trim_end().len());
        text
    }

    fn sections(&self) -> Vec<Section<'_>> {
        let mut sections = Vec::new();
        let mut add = |rows: &'_ [Row], heading: String| {
            if !rows.is_empty() {
                sections.push((heading, rows.len()));
            }
        };
        let people_saw = |rows: &[Row]| match rows.iter().filter(|row| row.is_shown).count() {
            0 => "clients no longer showed {}"
                .replace("{}", if rows.len() == 1 { "it" } else { "any of them" }),
            shown if shown == rows.len() => {
                "clients still showed {}".replace("{}", if shown == 1 { "it" } else { "them" })
            }
            shown => format!("clients still showed {shown} of them"),
        };
        add(
            &self.cleared,
            format!("🧹 Cleared {}; {}.", memberships(self.cleared.len()), people_saw(&self.cleared)),
        );
        add(
            &self.would_clear,
            format!(
                "🔍 Would clear {} (report mode, nothing changed); {}.",
                memberships(self.would_clear.len()),
                people_saw(&self.would_clear).replace("showed", "show"),
            ),
        );
        add(
            &self.blocked,
            format!("🚫 Cannot clear {}: I may not write there.", memberships(self.blocked.len())),
        );
        add(
            &self.refused,
            format!("⚠️ The homeserver refused to clear {}.", memberships(self.refused.len())),
        );
        let rows = [&*self.cleared, &*self.would_clear, &*self.blocked, &*self.refused];
        let rows = rows.into_iter().filter(|rows| !rows.is_empty());
        sections.into_iter().zip(rows).map(|((heading, _), rows)| (heading, rows)).collect()
    }
}

fn memberships(count: usize) -> String {
    if count == 1 { "1 stale membership".into() } else { format!("{count} stale memberships") }
}

/// What people still see first; within that, room by room. Those that share what is to be done about them stand
/// together.
fn in_order(rows: &[Row]) -> Vec<&Row> {
    let mut rows: Vec<_> = rows.iter().collect();
    rows.sort_by_key(|row| (!row.is_shown, &row.room, &row.user));
    let mut first = HashMap::new();
    for (at, row) in rows.iter().enumerate() {
        first.entry(row.obstacle.as_deref()).or_insert(at);
    }
    rows.sort_by_key(|row| first.get(&row.obstacle.as_deref()).copied());
    rows
}

/// As many rows as a message has room for, and how many more there are. What is to be done about several is said once,
/// before them.
fn add_rows(text: &mut Message, rows: &[Row], now: Timestamp) {
    text.html.push_markup("<ul>");
    let (mut shown, mut under) = (0, None);
    for row in in_order(rows).into_iter().take(MOST_ROWS) {
        let obstacle = row.obstacle.as_deref();
        let mut entry = Message::default();
        if under.is_some() && under != obstacle {
            entry.html.push_markup("</li>");
        }
        if under != obstacle {
            entry.push(&obstacle.map_or_else(Message::default, headed_by));
        }
        entry.push(&point(&one_row(row, now), obstacle.is_some()));
        if text.size() + entry.size() > MOST_BYTES {
            break;
        }
        text.push(&entry);
        (shown, under) = (shown + 1, obstacle);
    }
    text.html.push_markup(if under.is_some() { "</li></ul>" } else { "</ul>" });
    if rows.len() > shown {
        let rest = rows.len() - shown;
        let rest = format!("and {rest} more");
        let _ = writeln!(text.plain, "- {rest}");
        text.html.push(&Html::markup("<p>{}</p>", &[&Html::sentence(&rest)]));
    }
}

/// The begin of a point that has rows below it.
fn headed_by(obstacle: &str) -> Message {
    let obstacle = message::words(obstacle);
    Message { plain: format!("- {}\n", obstacle.plain), html: Html::markup("<li>{}", &[&obstacle.html]) }
}

/// A row as a point of its own, or below one.
fn point(row: &Message, is_below: bool) -> Message {
    if is_below {
        return Message { plain: format!("  - {}\n", row.plain), html: Html::markup("<br>{}", &[&row.html]) };
    }
    Message { plain: format!("- {}\n", row.plain), html: Html::markup("<li>{}</li>", &[&row.html]) }
}

fn one_row(row: &Row, now: Timestamp) -> Message {
    let room = message::room(&row.room, row.room_name.as_deref());
    let user = message::user(&row.user);
    let times = if row.times > 1 { format!(", {} times", row.times) } else { String::new() };
    let (reason, since) =
        (words::reason_by(row.reason, row.missing_from), format!("{}{times}", words::ago(row.since, now)));
    let route = words::other_route(row.route).map_or_else(String::new, |route| format!("; {route}"));
    let why = message::words(&format!("{reason}, first noticed {since}{route}"));
    message::fill("{}: {} on {}: {}", &[&room, &user, &devices(&row.devices), &why])
}

/// Device ids, which may be any text.
fn devices(all: &[String]) -> Message {
    let shown = all.iter().take(MOST_DEVICES);
    let (mut plain, mut html) = (String::new(), Html::default());
    for (index, device) in shown.enumerate() {
        if index > 0 {
            plain.push_str(", ");
            html.push_markup(", ");
        }
        plain.push_str(&message::harmless(device));
        html.push(&Html::escaped(device));
    }
    if all.len() > MOST_DEVICES {
        let rest = format!(", and {} more", all.len() - MOST_DEVICES);
        plain.push_str(&rest);
        html.push(&Html::sentence(&rest));
    }
    Message { plain, html: Html::markup("<code>{}</code>", &[&html]) }
}

#[cfg(test)]
mod tests;
