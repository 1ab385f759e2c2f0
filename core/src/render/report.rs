//! What the janitor says in its admin room: one message per sweep that did or would do something,
//! and the few that say that a person is needed.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    answer::Rooms,
    message::{self, MOST_BYTES, Message, escaped, sentence_html, sentences},
    words,
};
use crate::{
    guard::breaker,
    ids::{RoomId, UserId},
    judge::policy::{Neighbour, Reason},
    mode::{Mode, Pause},
    rtc::state_key::Blocked,
    time::Timestamp,
};

/// The most rows that one table shows; the rest is counted.
const MOST_ROWS: usize = 50;

/// The most devices that one row names: an array form can hold hundreds.
const MOST_DEVICES: usize = 5;

/// What was found about an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// It was emptied.
    Cleared,
    /// It would have been emptied in mode `clean`.
    WouldClear,
    /// It is due and nobody here may empty it.
    Blocked,
    /// The server refused to empty it.
    Refused,
}

/// One key in a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The room.
    pub room: RoomId,
    /// Its name, where it is known.
    pub room_name: Option<String>,
    /// Whose membership it was.
    pub user: UserId,
    /// On which device; several in the array form.
    pub devices: Vec<String>,
    /// Why it was stale.
    pub reason: Reason,
    /// Since when that was seen.
    pub since: Timestamp,
    /// Whether clients still showed it.
    pub is_shown: bool,
    /// What kept it from being cleared, and what would help.
    pub obstacle: Option<String>,
    /// How often it was found.
    #[serde(default = "once")]
    pub times: u32,
}

const fn once() -> u32 {
    1
}

/// What one sweep did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Emptied.
    pub cleared: Vec<Row>,
    /// Would be emptied in mode `clean`.
    pub would_clear: Vec<Row>,
    /// Due, and nobody here may empty them.
    pub blocked: Vec<Row>,
    /// The server said no.
    pub refused: Vec<Row>,
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
        let same =
            |old: &&mut Row| (&old.room, &old.user, &old.devices) == (&row.room, &row.user, &row.devices);
        match rows.iter_mut().find(same) {
            Some(old) => *old = Row { times: old.times + row.times, ..row },
            None => rows.push(row),
        }
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
            // What needs a person stands open, what was done folds away.
            let open = if rows.iter().any(|row| row.obstacle.is_some()) { " open" } else { "" };
            let _ = write!(text.html, "<details{open}><summary>{heading}</summary>");
            add_rows(&mut text, rows, now);
            text.html.push_str("</details>");
        }
        if self.long_expired > 0 {
            let line = format!(
                "Left alone: {} that expired over 30 days ago; no client shows them.",
                memberships(self.long_expired)
            );
            let _ = writeln!(text.plain, "{line}");
            let _ = write!(text.html, "<p>{line}</p>");
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
            0 => "people no longer saw any of them".to_owned(),
            shown if shown == rows.len() => "people still saw them as in a call".to_owned(),
            shown => format!("people still saw {shown} of them as in a call"),
        };
        add(
            &self.cleared,
            format!("🧹 Hung up {}; {}.", memberships(self.cleared.len()), people_saw(&self.cleared)),
        );
        add(
            &self.would_clear,
            format!(
                "🔍 Would hang up {} (mode “report”, nothing was changed); {}.",
                memberships(self.would_clear.len()),
                people_saw(&self.would_clear).replace("saw", "see"),
            ),
        );
        add(
            &self.blocked,
            format!("🚫 Cannot hang up {}, which I may not write.", memberships(self.blocked.len())),
        );
        add(&self.refused, format!("⚠️ The server refused to hang up {}.", memberships(self.refused.len())));
        let rows = [&self.cleared, &self.would_clear, &self.blocked, &self.refused];
        let rows = rows.into_iter().filter(|rows| !rows.is_empty());
        sections.into_iter().zip(rows).map(|((heading, _), rows)| (heading, rows.as_slice())).collect()
    }
}

fn memberships(count: usize) -> String {
    if count == 1 { "1 dead call membership".into() } else { format!("{count} dead call memberships") }
}

/// What people still see first; within that, room by room.
fn in_order(rows: &[Row]) -> Vec<&Row> {
    let mut rows: Vec<_> = rows.iter().collect();
    rows.sort_by_key(|row| (!row.is_shown, &row.room, &row.user));
    rows
}

/// As many rows as a message has room for, and how many more there are.
fn add_rows(text: &mut Message, rows: &[Row], now: Timestamp) {
    text.html.push_str("<table><thead><tr><th>Room</th><th>Who</th><th>Why</th></tr></thead><tbody>");
    let mut shown = 0;
    for row in in_order(rows).into_iter().take(MOST_ROWS) {
        let Message { plain, html } = one_row(row, now);
        if text.plain.len() + text.html.len() + plain.len() + html.len() > MOST_BYTES {
            break;
        }
        text.plain.push_str(&plain);
        text.html.push_str(&html);
        shown += 1;
    }
    text.html.push_str("</tbody></table>");
    if rows.len() > shown {
        let rest = rows.len() - shown;
        let _ = writeln!(text.plain, "- and {rest} more");
        let _ = write!(text.html, "<p>and {rest} more</p>");
    }
}

fn one_row(row: &Row, now: Timestamp) -> Message {
    let room = message::room(&row.room, row.room_name.as_deref());
    let user = message::user(&row.user);
    let times = if row.times > 1 { format!(", {} times", row.times) } else { String::new() };
    let (reason, since) = (words::reason(row.reason), format!("{}{times}", words::ago(row.since, now)));
    let sentence = row.obstacle.as_deref();
    Message {
        plain: format!(
            "- {}: {} on {}: {reason}, seen {since}{}\n",
            room.plain,
            user.plain,
            devices(row, message::harmless),
            sentence.map_or_else(String::new, |text| format!(". {text}")),
        ),
        html: format!(
            "<tr><td>{}</td><td>{} on <code>{}</code></td><td>{reason}, seen {since}{}</td></tr>",
            room.html,
            user.html,
            devices(row, escaped),
            sentence.map_or_else(String::new, |text| format!("<br>{}", sentence_html(text))),
        ),
    }
}

fn devices(row: &Row, show: fn(&str) -> String) -> String {
    let mut shown: Vec<_> = row.devices.iter().take(MOST_DEVICES).map(|device| show(device)).collect();
    if row.devices.len() > MOST_DEVICES {
        shown.push(format!("and {} more", row.devices.len() - MOST_DEVICES));
    }
    shown.join(", ")
}

/// Several messages in one, and how many of them there was room for.
pub fn together(messages: &[&Message]) -> (Message, usize) {
    let mut text = Message::default();
    for (index, message) in messages.iter().enumerate() {
        if index > 0 {
            let size = text.plain.len() + text.html.len() + message.plain.len() + message.html.len();
            if size > MOST_BYTES {
                return (text, index);
            }
            text.plain.push_str("\n\n");
        }
        text.plain.push_str(&message.plain);
        text.html.push_str(&message.html);
    }
    (text, messages.len())
}

/// A message with the count of those for which there was no room.
pub fn and_more(text: Message, left_out: usize) -> Message {
    let rest = sentences(&[&format!("… and {left_out} more such messages.")]);
    Message { plain: format!("{}\n\n{}", text.plain, rest.plain), html: text.html + &rest.html }
}

/// What one day came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Digest {
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub now: Timestamp,
    /// How long each membership had been seen to be dead before it was emptied, by reason.
    pub cleared: BTreeMap<Reason, Vec<Duration>>,
    /// The same in mode `report`.
    pub would_clear: BTreeMap<Reason, Vec<Duration>>,
    /// How many were emptied by plans that somebody had approved.
    pub by_plan: usize,
    /// How many could not be emptied.
    pub blocked: usize,
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
            problems: Rooms { rooms: Vec::new(), only_problems: true },
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
        let mut lines = vec![format!("📅 The last {}:", words::span(self.now.since(self.since)))];
        for (did, by_reason) in [("Hung up", &self.cleared), ("Would have hung up", &self.would_clear)] {
            for (reason, spans) in by_reason {
                let mut spans = spans.clone();
                spans.sort_unstable();
                let (half, longest) = (spans[spans.len() / 2], spans[spans.len() - 1]);
                lines.push(format!(
                    "{did} {}: {} (seen for {} before, at most {})",
                    memberships(spans.len()),
                    words::reason(*reason),
                    words::span(half),
                    words::span(longest)
                ));
            }
        }
        if self.by_plan > 0 {
            lines.push(format!("Hung up {} by plans that were approved.", memberships(self.by_plan)));
        }
        if self.blocked > 0 {
            lines.push(format!("Could not hang up {}.", memberships(self.blocked)));
        }
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let text = sentences(&lines);
        let problems = self.problems.message(prefix);
        Some(if has_problems { together(&[&text, &problems]).0 } else { text })
    }
}

/// The bot lost the power to clear a room's keys.
pub fn lost_power(room: &RoomId, name: Option<&str>, blocked: Blocked) -> Message {
    let room = message::room(room, name);
    let say = |room: &str, why: &str| format!("⚠️ I can no longer hang up dead calls in {room}. {why}.");
    let why = obstacle(blocked);
    Message { plain: say(&room.plain, &why), html: say(&room.html, &sentence_html(&why)) }
}

/// The homeserver has ended the session of one of the janitor's devices.
pub fn signed_out(device: &str, why: &str) -> Message {
    sentences(&[&format!(
        "🛑 The homeserver has ended the session of my {device} device ({}). I stop now; whoever runs me has to \
         start me again, which signs in anew by password, or give me a new access token.",
        message::harmless(why)
    )])
}

/// What would let the bot clear a key.
pub fn obstacle(blocked: Blocked) -> String {
    match blocked {
        Blocked::OnlyItsOwner => "Its key may be written by its owner alone, at any power level; \
                                  the owner can join and leave a call from the same client"
            .into(),
        Blocked::OwnerHasAsMuchPower => {
            "In this room version I need a higher power level than its owner has".into()
        }
        Blocked::NotEnoughPower { has, needs } => format!(
            "My power level here is {has} and call memberships need {needs}: raise mine, or lower \
             org.matrix.msc3401.call.member in the room's permissions"
        ),
        Blocked::NotAUserKey => "Its key is not one that this room version lets anybody write".into(),
        Blocked::NotInTheRoom => "I am not in the room: invite me".into(),
    }
}

/// What would let the bot act on the device list of another server.
pub fn remote_device_list() -> String {
    "Its owner's account is on another server, whose device lists I only know at second hand: set \
     janitor.remote_device_lists = true if I am to act on them"
        .into()
}

/// What the start message says of the set-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start<'a> {
    /// This program's version.
    pub version: &'a str,
    /// What holds.
    pub mode: Mode,
    /// What the settings of the machine say.
    pub mode_of_file: Mode,
    /// What a command said.
    pub mode_by_command: Option<Mode>,
    /// Whether it is paused.
    pub paused: Option<Pause>,
    /// How many rooms it watches.
    pub rooms: usize,
    /// How many memberships are open in them.
    pub open: usize,
    /// How long a closed tab can go unnoticed.
    pub silent_after: Duration,
    /// What commands begin with.
    pub prefix: &'a str,
    /// Now.
    pub now: Timestamp,
}

impl Start<'_> {
    /// The message.
    pub fn message(&self) -> Message {
        let mode = self.mode;
        let rooms = if self.rooms == 1 { "1 room".to_owned() } else { format!("{} rooms", self.rooms) };
        let open =
            if self.open == 1 { "1 membership".to_owned() } else { format!("{} memberships", self.open) };
        let first = format!(
            "👋 rtc-janitor {} is watching {rooms} with {open} in calls, in mode “{mode}”.",
            self.version
        );
        let blind = format!(
            "What I cannot see: a closed tab on a device that stays signed in (I notice after {}, or when \
             the membership expires), and rooms that I am not in, direct messages above all.",
            words::span(self.silent_after)
        );
        let prefix = self.prefix;
        let next = match (self.mode, self.mode_of_file) {
            (Mode::Clean, _) => {
                format!(
                    "I hang up what is dead and say so here. To only be told, say `{prefix} mode report`."
                )
            }
            (Mode::Report, Mode::Report) => format!(
                "I change nothing and say here what I would hang up. When you have seen enough to trust it, set \
                 janitor.mode = \"clean\" in my settings and restart me; `{prefix} sweep` proposes single plans meanwhile."
            ),
            (Mode::Report, Mode::Clean) => format!(
                "My settings say “clean”, but a command said “report”, and the stricter holds: I change nothing. \
                 `{prefix} mode clean` undoes that."
            ),
        };
        let next = match self.mode_by_command {
            Some(Mode::Clean) if self.mode_of_file == Mode::Report => {
                format!("{next} (A command said “clean”; of it and the settings the stricter holds.)")
            }
            _ => next,
        };
        let mut all = vec![first, blind, next];
        match self.paused {
            Some(Pause::UntilResume) => {
                all.push(format!("⏸️ I am paused and write nothing until you say `{prefix} resume`."));
            }
            Some(Pause::Until(until)) if until > self.now => {
                all.push(format!(
                    "⏸️ I am paused and write nothing until {} ({}).",
                    words::instant(until),
                    words::ago(until, self.now)
                ));
            }
            _ => {}
        }
        all.push(format!("`{prefix} help` tells what you can ask me."));
        sentences(&all.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

/// A neighbour in words.
pub(crate) const fn neighbour(neighbour: Neighbour) -> &'static str {
    match neighbour {
        Neighbour::Homeserver => "room state",
        Neighbour::DeviceLists => "device lists",
        Neighbour::Sfu => "call server",
    }
}

/// A breaker opened, stays open, or closed.
pub fn breaker(change: &breaker::Change, now: Timestamp) -> Message {
    match *change {
        breaker::Change::Opened { neighbour: of, turned, living, until } => sentences(&[
            &format!(
                "🛑 {turned} of {living} devices that were in calls looked dead all at once, by the {} of \
                 the homeserver. That is more likely its mistake than theirs, so I hang up nothing on \
                 that evidence.",
                neighbour(of)
            ),
            &format!("I try one {}, and go on if it stays away.", words::ago(until, now)),
        ]),
        breaker::Change::StaysOpen { neighbour: of, until } => sentences(&[&format!(
            "🛑 The one that I tried came back, so the {} are still wrong. I try again {}.",
            neighbour(of),
            words::ago(until, now)
        )]),
        breaker::Change::Closed { neighbour: of } => sentences(&[&format!(
            "✅ The one that I tried stayed away: I believe the {} again.",
            neighbour(of)
        )]),
    }
}

/// A membership came back after it was cleared.
pub fn came_back(row: &Row, until: Timestamp, now: Timestamp) -> Message {
    let say = |room: &str, user: &str, devices: &str| {
        format!(
            "↩️ {user} on {devices} came back to the call in {room} right after I hung it up ({}), so it was \
             alive. I do not use that reason alone against it again for {}. Sorry for the flicker.",
            words::reason(row.reason),
            words::span(until.since(now))
        )
    };
    about_row(row, say)
}

/// The clear overwrote something newer than what was judged.
pub fn overwrote(row: &Row) -> Message {
    about_row(row, |room, user, devices| {
        format!(
            "⚠️ In {room} I hung up {user} on {devices}, and it had joined anew in the instant between my \
             last look and my write. A live client comes back by itself within a second; I leave it alone."
        )
    })
}

fn about_row(row: &Row, say: impl Fn(&str, &str, &str) -> String) -> Message {
    let room = message::room(&row.room, row.room_name.as_deref());
    let user = message::user(&row.user);
    Message {
        plain: say(&room.plain, &user.plain, &devices(row, message::harmless)),
        html: say(&room.html, &user.html, &format!("<code>{}</code>", devices(row, escaped))),
    }
}

/// The bot was taken out of a room.
pub fn removed(
    room: &RoomId,
    name: Option<&str>,
    by: Option<&UserId>,
    reason: Option<&str>,
    banned: bool,
) -> Message {
    let say = |room: &str, by: &str, reason: &str| {
        let how = if banned { "banned from" } else { "removed from" };
        format!(
            "🚪 I was {how} {room}{by}{reason}. Calls there are no longer looked after; invite me to change \
             that."
        )
    };
    let room = message::room(room, name);
    let by = by.map(message::user);
    let reason = |show: fn(&str) -> String| reason.map_or_else(String::new, |r| format!(" ({})", show(r)));
    Message {
        plain: say(
            &room.plain,
            &by.as_ref().map_or_else(String::new, |by| format!(" by {}", by.plain)),
            &reason(message::harmless),
        ),
        html: say(
            &room.html,
            &by.as_ref().map_or_else(String::new, |by| format!(" by {}", by.html)),
            &reason(escaped),
        ),
    }
}

/// A room was upgraded.
pub fn upgraded(old: &RoomId, name: Option<&str>, new: &RoomId, has_joined: bool) -> Message {
    let say = |old: &str, new: &str| {
        if has_joined {
            format!("⬆️ {old} was upgraded; I joined its successor {new}.")
        } else {
            format!(
                "⬆️ {old} was upgraded to {new}, which I cannot join. Invite me there to have its calls \
                 looked after."
            )
        }
    };
    let (old, new) = (message::room(old, name), message::room(new, None));
    Message { plain: say(&old.plain, &new.plain), html: say(&old.html, &new.html) }
}

/// The admin room could not be reached and is back.
pub fn admin_room_back(away: Duration) -> Message {
    sentences(&[&format!(
        "I could not speak here for {} and hung up nothing meanwhile. I go on now.",
        words::span(away)
    )])
}

/// Our clock and the server's differ.
pub fn clock_skew(ours: Timestamp, theirs: Timestamp) -> Message {
    let (ahead, apart) =
        if ours > theirs { ("ahead of", ours.since(theirs)) } else { ("behind", theirs.since(ours)) };
    sentences(&[&format!(
        "🕰️ The clock of the machine I run on is {} {ahead} the homeserver's. I hang up nothing until they \
         agree within 30 s; check the time service on both.",
        words::span(apart)
    )])
}

/// The clocks agree again.
pub fn clock_agrees() -> Message {
    sentences(&["🕰️ My clock and the homeserver's agree again; I go on."])
}

/// The homeserver would not take a message as it was.
pub fn not_taken(why: &str) -> Message {
    sentences(&[&format!(
        "I had something to say here that the homeserver does not take ({}); my log says when.",
        message::harmless(why)
    )])
}

/// The first start of the chat device.
pub fn first_start(recovery_key_file: &str) -> Message {
    sentences(&[&format!(
        "🔑 This is my first start with encryption. The recovery key of my account is in {} on the machine I \
         run on: keep a copy in a safe place. With it a new device of mine is trusted without anybody \
         verifying it again (admin_room.recovery_key_file).",
        message::harmless(recovery_key_file)
    )])
}

/// The chat device works, but its keys are not as they should be.
pub fn keys_incomplete(why: &str) -> Message {
    sentences(&[&format!("🔑 My chat device works, but people may see it as unverified: {why}.")])
}

#[cfg(test)]
mod tests;
