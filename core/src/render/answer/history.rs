//! `history`: what was done.

use super::{
    page::{MOST_ENTRIES, Page, join, words},
    plans::owners,
};
use crate::{
    ids::{RoomId, UserId},
    judge::policy::Reason,
    render::{Message, message, words as say},
    rtc::membership::Owner,
    time::Timestamp,
};

/// One attempt to clear a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// When.
    pub at: Timestamp,
    /// The room.
    pub room: RoomId,
    /// Its name.
    pub room_name: Option<String>,
    /// Whom it spoke for.
    pub owners: Vec<Owner>,
    /// The reason, where there was one.
    pub reason: Option<Reason>,
    /// `cleared`, `spared` (dry run), `changed`, `not_written`; `None` while that is not known.
    pub outcome: Option<String>,
    /// What the server said.
    pub detail: Option<String>,
    /// Who asked for it. Without a reason and without anybody who asked, it mends a write of the bot's own.
    pub asked_by: Option<UserId>,
}

/// What `history` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The newest first.
    pub lines: Vec<Past>,
    /// How many there are in all.
    pub total: usize,
    /// What the commands begin with.
    pub prefix: String,
}

impl History {
    /// The answer.
    pub fn message(&self) -> Message {
        let mut page = Page::default();
        if self.lines.is_empty() {
            page.say("No entries.");
            return page.done();
        }
        let rest = "Ask about one room or user to see more.";
        page.say("What I did, the newest first; times in UTC:");
        // Each day is named once: on a phone, a date takes half a line.
        for day in self.lines.chunk_by(|one, next| say::day(one.at) == say::day(next.at)) {
            let entries: Vec<_> = day.iter().map(line).collect();
            page.list(&words(&say::day(day[0].at)), &entries, rest);
        }
        let (shown, most) = (self.lines.len(), self.total.min(MOST_ENTRIES));
        if shown < most {
            page.say(&format!(
                "{shown} of {} shown; `{} history {most}` shows more.",
                self.total, self.prefix
            ));
        } else if shown < self.total {
            page.say(&format!(
                "The newest {shown} of {}; name a room or a user (`{} history <room>`) to see more of theirs.",
                self.total, self.prefix
            ));
        }
        page.done()
    }
}

fn line(past: &Past) -> Message {
    let room = message::room(&past.room, past.room_name.as_deref());
    let what = match past.outcome.as_deref() {
        None => "what came of it is not known yet",
        outcome => say::outcome(outcome),
    };
    // In brackets, for it is no reason why something was not cleared.
    let reason = match (past.reason, &past.asked_by) {
        (Some(reason), _) => format!(" ({})", say::reason(reason)),
        (None, Some(_)) => " on request".to_owned(),
        (None, None) => " (had left in the instant of my last write)".to_owned(),
    };
    let detail = past.detail.as_deref().map(|detail| format!(": {}", message::harmless(detail)));
    let asked = match &past.asked_by {
        Some(user) => join(&[&words(", approved by "), &message::user(user)]),
        None => Message::default(),
    };
    join(&[
        &words(&format!("{} ", say::time_of_day(past.at))),
        &owners(&past.owners),
        &words(" in "),
        &room,
        &words(&format!(": {what}{reason}{}", detail.unwrap_or_default())),
        &asked,
    ])
}
