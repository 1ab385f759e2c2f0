//! `calls`: who is in which call, or seems to be.

use super::{
    beside,
    page::{Page, count, join, words},
};
use crate::{
    ids::{RoomId, UserId},
    judge::verdict::Verdict,
    render::{Message, message, words as say},
    rtc::{state_key::Blocked, sticky::Beside},
    time::Timestamp,
};

/// One membership.
#[derive(Clone, Debug, PartialEq)]
pub struct Caller {
    /// Whose.
    pub user: UserId,
    /// On which device.
    pub device: String,
    /// Since when.
    pub start: Timestamp,
    /// The verdict; `None` where nobody judges.
    pub verdict: Option<Verdict>,
    /// Whether our SFU lists it, as far as its word counts.
    pub connection: Connection,
    /// When it falls due, where it will.
    pub due: Option<Timestamp>,
    /// What keeps the bot from clearing it, where that is known.
    pub blocked: Option<Blocked>,
}

/// Whether somebody is connected to our SFU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Connection {
    /// Nothing is known of that.
    #[default]
    Unknown,
    /// It lists them.
    Connected,
    /// They have gone from it, then.
    Gone(Timestamp),
}

/// The calls of one room.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The room.
    pub room: RoomId,
    /// Its name.
    pub name: Option<String>,
    /// Whether it is left alone by wish.
    pub is_excluded: bool,
    /// Who is in it by membership events.
    pub callers: Vec<Caller>,
    /// What else stands there.
    pub beside: Beside,
}

/// What `calls` says.
#[derive(Clone, Debug, PartialEq)]
pub struct Calls {
    /// The rooms with calls.
    pub calls: Vec<Call>,
    /// The one room that was asked about.
    pub only: Option<Message>,
    /// Now.
    pub now: Timestamp,
}

impl Calls {
    /// The answer; commands begin with `prefix`.
    pub fn message(&self, prefix: &str) -> Message {
        let mut page = Page::default();
        if self.calls.is_empty() {
            match &self.only {
                Some(room) => page.paragraph(&join(&[&words("No call goes on in "), room, &words(".")])),
                None => page.say("No call goes on in any room I am in."),
            };
            return page.done();
        }
        for call in &self.calls {
            let room = message::room(&call.room, call.name.as_deref());
            let excluded = if call.is_excluded { " (left alone by wish)" } else { "" };
            let callers = match call.callers.len() {
                0 => "no membership".to_owned(),
                number => count(number, "membership", "memberships"),
            };
            let heading = join(&[&room, &words(&format!(": {callers}{excluded}"))]);
            let callers = call.callers.iter().map(|caller| self.caller(caller));
            let entries: Vec<_> = beside(&call.beside).into_iter().chain(callers).collect();
            let rest = if self.only.is_some() {
                format!("Ask about one user: `{prefix} explain <room> <user>`.")
            } else {
                format!("Ask about one room: `{prefix} calls <room>`.")
            };
            page.list(&heading, &entries, &rest);
        }
        page.done()
    }

    fn caller(&self, caller: &Caller) -> Message {
        let (mark, verdict) = match caller.verdict {
            None => ("🔕", "not judged".to_owned()),
            Some(Verdict::Active) => ("🟢", "alive".to_owned()),
            Some(Verdict::Unknown(_)) => ("❔", "unknown, so left alone".to_owned()),
            Some(Verdict::Stale(reason)) => ("👻", format!("dead: {}", say::reason(reason))),
        };
        let user = message::user(&caller.user);
        let due = match (caller.due, caller.blocked) {
            (Some(at), _) if at > self.now => words(&format!(", due {}", say::ago(at, self.now))),
            (Some(_), Some(Blocked::OnlyItsOwner)) => {
                join(&[&words("; only "), &user, &words(" can clear it")])
            }
            (Some(_), Some(_)) => words("; I may not clear it"),
            (Some(_), None) => words(", due"),
            (None, _) => Message::default(),
        };
        let device = device(&caller.device);
        let connection = match caller.connection {
            Connection::Unknown => String::new(),
            Connection::Connected => "; connected".to_owned(),
            Connection::Gone(since) => format!("; gone from the call server {}", say::ago(since, self.now)),
        };
        let joined = format!("{connection}; joined {}", say::ago(caller.start, self.now));
        join(&[
            &words(&format!("{mark} ")),
            &user,
            &words(" on "),
            &device,
            &words(&format!(": {verdict}")),
            &due,
            &words(&joined),
        ])
    }
}

/// A device id, which may be any text.
pub(super) fn device(id: &str) -> Message {
    message::code(id)
}
