//! `calls`: who is in which call, or seems to be.

use super::{
    beside, held_back,
    page::{Page, count, join, words},
};
use crate::{
    ids::{RoomId, UserId},
    judge::{evidence::ListKind, policy::Reason, verdict::Verdict},
    plan::HeldBack,
    render::{
        Message,
        message::{self, harmless},
        report, words as say,
    },
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
    /// Which device list lacks the device, where one does.
    pub missing_from: Option<ListKind>,
    /// Whether our SFU lists it, as far as its word counts.
    pub connection: Connection,
    /// When it falls due, where it will.
    pub due: Option<Timestamp>,
    /// What keeps the bot from clearing it, where that is known.
    pub blocked: Option<Blocked>,
    /// What holds it back though it is due.
    pub held: Option<HeldBack>,
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
    /// Whether it is excluded.
    pub is_excluded: bool,
    /// Who is in it by membership events.
    pub callers: Vec<Caller>,
    /// What else stands there.
    pub beside: Beside,
}

/// What `calls` was asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Only {
    /// A room, as it is shown.
    Room(Message),
    /// A user.
    User(UserId),
}

/// What `calls` says.
#[derive(Clone, Debug, PartialEq)]
pub struct Calls {
    /// The rooms with calls.
    pub calls: Vec<Call>,
    /// The one room or user that was asked about.
    pub only: Option<Only>,
    /// Now.
    pub now: Timestamp,
}

/// The most memberships of one room that are shown where many rooms are.
const MOST_OF_A_ROOM: usize = 5;

impl Calls {
    /// The answer; commands begin with `prefix`.
    pub fn message(&self, prefix: &str) -> Message {
        let mut page = Page::default();
        if self.calls.is_empty() {
            match &self.only {
                Some(Only::Room(room)) => page.paragraph(&message::fill("No call in {}.", &[room])),
                Some(Only::User(user)) => page.paragraph(&message::fill(
                    "{} is in no call in the rooms I am in.",
                    &[&message::user(user)],
                )),
                None => page.say("No call in any room I am in."),
            };
            return page.done();
        }
        // Where people are comes first.
        let mut calls: Vec<_> = self.calls.iter().collect();
        calls.sort_by_key(|call| (call.active() == 0, call.callers.is_empty()));
        let all = || self.calls.iter().flat_map(|call| &call.callers);
        if self.calls.len() > 1 {
            let (rooms, total) =
                (count(self.calls.len(), "room", "rooms"), totals(all().map(|caller| caller.verdict)));
            page.say(&format!("{rooms}: {total}"));
        }
        let (most, rest) = match self.only {
            Some(_) => (usize::MAX, format!("`{prefix} explain <room> <user>` shows those of one user.")),
            None => (MOST_OF_A_ROOM, String::new()),
        };
        let mut unseen: Vec<&Call> = Vec::new();
        let mut is_for_its_owner = false;
        for call in calls {
            let room = message::room(&call.room, call.name.as_deref());
            let excluded = if call.is_excluded { " (excluded)" } else { "" };
            let total = totals(call.callers.iter().map(|caller| caller.verdict));
            let heading = join(&[&room, &words(&format!(": {total}{excluded}"))]);
            // Those who are there, and what is to be done.
            let mut callers: Vec<_> = call.callers.iter().collect();
            callers.sort_by_key(|caller| match caller.verdict {
                Some(Verdict::Active) => 0,
                Some(Verdict::Stale(_)) => 1,
                Some(Verdict::Unknown(_)) => 2,
                None => 3,
            });
            let left_out = callers.len().saturating_sub(most);
            callers.truncate(most);
            is_for_its_owner |= callers.iter().any(|caller| caller.is_for_its_owner());
            let shown = callers.into_iter().map(|caller| self.caller(caller));
            let mut entries: Vec<_> = shown.chain(beside(&call.beside)).collect();
            if left_out > 0 {
                // By its id: a name may hold anything, and two rooms may share it.
                let id = harmless(call.room.as_str());
                entries.push(words(&format!("… and {left_out} more: `{prefix} calls {id}`")));
            }
            if page.list(&heading, &entries, &rest) == 0 && call.active() > 0 {
                unseen.push(call);
            }
        }
        if is_for_its_owner {
            page.say(&format!("Where only the owner can clear it: in my config file, {}.", report::GIFTS));
        }
        if !unseen.is_empty() {
            let rooms: Vec<_> = unseen
                .iter()
                .map(|call| {
                    let room = message::room(&call.room, call.name.as_deref());
                    join(&[&room, &words(&format!(" ({})", call.active()))])
                })
                .collect();
            page.names("People are also in ", &rooms);
        }
        page.done()
    }

    fn caller(&self, caller: &Caller) -> Message {
        let (mark, verdict) = match caller.verdict {
            None => ("🔕", "not judged".to_owned()),
            Some(Verdict::Active) => ("🟢", "active".to_owned()),
            Some(Verdict::Unknown(_)) => ("❓", "unknown, so not touched".to_owned()),
            Some(Verdict::Stale(reason)) => {
                let why = match (reason, caller.connection) {
                    (Reason::NotOnSfu, Connection::Gone(since)) => {
                        format!("left the call server {}", say::ago(since, self.now))
                    }
                    _ => say::reason_by(reason, caller.missing_from),
                };
                ("👻", format!("stale: {why}"))
            }
        };
        let user = message::user(&caller.user);
        let due = match (caller.due, caller.blocked) {
            _ if caller.is_for_its_owner() => words("; only the owner can clear it"),
            (Some(_), Some(Blocked::AppserviceAway)) => words("; waits for the appservice"),
            (Some(_), Some(_)) => words("; I may not clear it"),
            (Some(at), None) if at > self.now => words(&format!(", due {}", say::ago(at, self.now))),
            (Some(_), None) => match caller.held {
                Some(held) => words(&format!(", due, but {}", held_back(held))),
                None => words(", due now"),
            },
            (None, _) => Message::default(),
        };
        let device = device(&caller.device);
        let connection = match caller.connection {
            Connection::Unknown => String::new(),
            Connection::Connected => ", connected".to_owned(),
            Connection::Gone(_) if caller.verdict == Some(Verdict::Stale(Reason::NotOnSfu)) => String::new(),
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

impl Caller {
    /// Whether it is due and only its owner can clear it.
    fn is_for_its_owner(&self) -> bool {
        self.due.is_some() && self.blocked == Some(Blocked::OnlyItsOwner)
    }
}

impl Call {
    /// How many of its memberships are active.
    fn active(&self) -> usize {
        self.callers.iter().filter(|caller| caller.verdict == Some(Verdict::Active)).count()
    }
}

/// `5 active, 60 stale, 1 unknown`; what is not there is not named, and whom nobody judges has no verdict.
pub(super) fn totals(verdicts: impl Iterator<Item = Option<Verdict>>) -> String {
    let [mut active, mut stale, mut unknown, mut not_judged] = [0_usize; 4];
    for verdict in verdicts {
        *match verdict {
            Some(Verdict::Active) => &mut active,
            Some(Verdict::Stale(_)) => &mut stale,
            Some(Verdict::Unknown(_)) => &mut unknown,
            None => &mut not_judged,
        } += 1;
    }
    let all = [(active, "active"), (stale, "stale"), (unknown, "unknown"), (not_judged, "not judged")];
    let there: Vec<_> = all
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
    if there.is_empty() { "no membership".to_owned() } else { there.join(", ") }
}

/// A device id, which may be any text.
pub(super) fn device(id: &str) -> Message {
    message::code(id)
}
