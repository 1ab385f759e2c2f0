//! `explain`: every membership of a room with what speaks for and against it.

use super::{
    beside,
    calls::{device, totals},
    held_back,
    page::{Page, join, words},
};
use crate::{
    ids::{RoomId, StateKey, UserId},
    judge::{
        evidence::{Account, Device, Evidence, ListKind, RoomMember, Sfu},
        policy::Reason,
        verdict::{Judgement, Verdict},
    },
    plan::{HeldBack, Route},
    render::{
        Message,
        message::{self, harmless},
        words as say,
    },
    rtc::{membership::Membership, sticky::Beside},
    time::Timestamp,
};

/// The most memberships that one answer explains: more would not fit into a message.
const MOST_EXPLAINED: usize = 10;

/// One membership, explained.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// Its key.
    pub key: StateKey,
    /// The membership.
    pub membership: Membership,
    /// The verdict with all reasons.
    pub judgement: Judgement,
    /// From what it was made.
    pub evidence: Evidence,
    /// When it falls due, where it will.
    pub due: Option<Timestamp>,
    /// By which route it could be cleared, or what is in the way.
    pub route: Result<&'static str, String>,
    /// What holds it back though a grace is over.
    pub held: Option<HeldBack>,
    /// What the server knows of its owner's account, where that was asked.
    pub account: Option<Account>,
    /// When our SFU was asked last.
    pub sfu_asked: Option<Timestamp>,
    /// Since when its device is gone from the SFU, where it was seen to go.
    pub left_sfu: Option<Timestamp>,
}

/// What `explain` says.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The room.
    pub room: RoomId,
    /// Its name.
    pub name: Option<String>,
    /// The one user that was asked about.
    pub user: Option<UserId>,
    /// Its memberships.
    pub memberships: Vec<Explained>,
    /// How many others there are in the room, where one user was asked about.
    pub others: usize,
    /// Keys that hold something no client would show.
    pub malformed: Vec<(StateKey, &'static str)>,
    /// What else stands there.
    pub beside: Beside,
    /// Whether a call server is set up.
    pub has_sfu: bool,
    /// Now.
    pub now: Timestamp,
}

impl Explanation {
    /// The answer.
    pub fn message(&self) -> Message {
        let mut page = Page::default();
        let room = message::room_and_id(&self.room, self.name.as_deref());
        if self.memberships.is_empty() {
            let of = match &self.user {
                Some(user) => join(&[&words(" of "), &message::user(user)]),
                None => Message::default(),
            };
            let then = if self.others > 0 {
                ", only of others."
            } else if self.beside.may_be_in_a_call() {
                ": there is nothing that I could clear."
            } else {
                ": the state is clean. If a client still shows a call, that is the client's own cache: clear it, or \
                 sign in again."
            };
            page.paragraph(&join(&[
                &words("There is no open membership"),
                &of,
                &words(" in "),
                &room,
                &words(then),
            ]));
        }
        if !self.memberships.is_empty() {
            let verdicts = self.memberships.iter().map(|one| Some(one.judgement.verdict));
            page.paragraph(&join(&[&room, &words(&format!(": {}", totals(verdicts)))]));
        }
        for (at, one) in self.memberships.iter().enumerate() {
            if at == MOST_EXPLAINED {
                page.say(&format!(
                    "… and {} more: name a user to see theirs.",
                    self.memberships.len() - MOST_EXPLAINED
                ));
                break;
            }
            page.list(&self.heading(one), &self.lines(one), "");
        }
        for sentence in beside(&self.beside) {
            page.paragraph(&sentence);
        }
        let malformed: Vec<_> = self
            .malformed
            .iter()
            .map(|(key, why)| message::fill("{}: {}", &[&device(key.as_str()), &words(why)]))
            .collect();
        page.list(
            &words("Malformed keys, which no client shows and I never clear by myself"),
            &malformed,
            "",
        );
        page.done()
    }

    /// The verdict, what follows from it and when, and whose it is.
    fn heading(&self, one: &Explained) -> Message {
        let verdict = match one.judgement.verdict {
            Verdict::Active => "🟢 active".to_owned(),
            Verdict::Unknown(_) => "❓ unknown, so not touched".to_owned(),
            Verdict::Stale(reason) => format!("👻 stale: {}", say::reason(reason)),
        };
        let owner = &one.membership.owner;
        let then = self.what_follows(one).map_or_else(String::new, |then| format!("; {then}"));
        join(&[
            &words(&format!("{verdict}{then} · ")),
            &message::user(&owner.user),
            &words(" on "),
            &device(owner.device.as_str()),
        ])
    }

    /// What becomes of a stale one, and when.
    fn what_follows(&self, one: &Explained) -> Option<String> {
        let Verdict::Stale(_) = one.judgement.verdict else { return None };
        Some(match (one.due, &one.route, one.held) {
            (None, ..) => "not due: the reason is switched off, or its clock is paused".to_owned(),
            (Some(_), Err(_), _) => "I cannot clear it".to_owned(),
            (Some(at), ..) if at > self.now => format!("due {}", say::ago(at, self.now)),
            (Some(_), _, Some(held)) => format!("due, but {}", held_back(held)),
            (Some(_), _, None) => "due".to_owned(),
        })
    }

    fn lines(&self, one: &Explained) -> Vec<Message> {
        let Explained { membership, judgement, evidence, .. } = one;
        let now = self.now;
        let named = match judgement.verdict {
            Verdict::Stale(reason) => Some(reason),
            Verdict::Active | Verdict::Unknown(_) => None,
        };
        let (of_device, of_sfu) = (self.of_device(evidence.device), self.of_sfu(one));
        // The evidence that decides comes first, and is told once.
        let (why, of_device, of_sfu) = match named {
            Some(Reason::DeviceGone) => (of_device, String::new(), of_sfu),
            Some(Reason::NotOnSfu) => (of_sfu, of_device, String::new()),
            _ if judgement.vetoed => (of_sfu, of_device, String::new()),
            _ => (say::why(membership, judgement, evidence, now), of_device, of_sfu),
        };
        let mut lines = vec![why];
        let others: Vec<_> = judgement.reasons().filter(|(reason, _)| Some(*reason) != named).collect();
        if !others.is_empty() {
            let label = if judgement.vetoed { "outweighed by that" } else { "also" };
            let others: Vec<_> = others.into_iter().map(|(reason, _)| say::reason(reason)).collect();
            lines.push(format!("{label}: {}", others.join(", ")));
        }
        lines.push(self.times(membership, judgement));
        lines.push(match evidence.room_member {
            RoomMember::Joined => "in the room: yes".to_owned(),
            RoomMember::NotJoined { .. } if named == Some(Reason::NotJoined) => String::new(),
            RoomMember::NotJoined { .. } => "in the room: no".to_owned(),
            RoomMember::Unknown => "in the room: could not be read".to_owned(),
        });
        lines.push(of_device);
        lines.push(match &one.account {
            Some(Account { bridge: Some(appservice), .. }) => format!(
                "account: belongs to the appservice {}, whose devices are in no list: lists say nothing of it",
                harmless(appservice)
            ),
            Some(Account { is_deactivated: true, .. }) => "account: deactivated".to_owned(),
            _ => String::new(),
        });
        lines.push(of_sfu);
        if let (Some(held), Some(at)) = (one.held, one.due)
            && at > now
        {
            let how_long = if held.is_age() { "until then" } else { "then" };
            lines.push(format!("held back {how_long}: {}", held_back(held)));
        }
        match &one.route {
            Ok("own_power") => lines.push("can be cleared: my power level is enough".to_owned()),
            Ok("redaction") => {
                lines.push(format!("can be cleared by redaction: {}", say::AFTER_REDACTION));
            }
            Ok(route) => lines.push(match Route::of_name(route) {
                Some(route) => format!("can be cleared {}", say::route(route)),
                None => format!("can be cleared by {}", route.replace('_', " ")),
            }),
            // What is to be done about it comes first.
            Err(obstacle) => {
                lines.insert(0, format!("cannot be cleared: {}", say::within_a_sentence(obstacle)));
            }
        }
        lines.push(format!("key {}", harmless(one.key.as_str())));
        lines.iter().filter(|line| !line.is_empty()).map(|line| words(line)).collect()
    }

    /// When it began, was last refreshed and ends; that it was refreshed where nothing else says so.
    fn times(&self, membership: &Membership, judgement: &Judgement) -> String {
        let is_said = match judgement.verdict {
            Verdict::Active => !judgement.vetoed,
            Verdict::Stale(reason) => reason == Reason::Silent,
            Verdict::Unknown(_) => false,
        };
        let refreshed = if is_said || membership.last_sign <= membership.start {
            String::new()
        } else {
            format!(", last refreshed {}", say::ago(membership.last_sign, self.now))
        };
        format!(
            "joined {}{refreshed}, {} {}",
            say::ago(membership.start, self.now),
            if membership.expires > self.now { "expires" } else { "expired" },
            say::ago(membership.expires, self.now)
        )
    }

    /// What a list says of its device; nothing where none was asked.
    fn of_device(&self, device: Device) -> String {
        match device {
            Device::NotAsked => String::new(),
            Device::Unknown => {
                "device list: could not be read, or tells nothing of this device, which may have no keys or be a bridge's"
                    .to_owned()
            }
            Device::Listed { last_seen: Some(at) } => {
                format!("device list: listed, last seen {}", say::ago(at, self.now))
            }
            Device::Listed { last_seen: None } => "device list: listed".to_owned(),
            Device::Missing { by, seen_before } => format!(
                "device list: missing from {}{}",
                if by == ListKind::OwnList { "the homeserver's own" } else { "/keys/query" },
                match (seen_before, by) {
                    (true, _) => ", and it was there before",
                    (false, ListKind::OwnList) => ", and never was there",
                    (false, ListKind::KeysQuery) => ", and never was there (it may have no keys)",
                }
            ),
        }
    }

    /// What the call server says of it; nothing where there is none.
    fn of_sfu(&self, one: &Explained) -> String {
        let connection = match one.evidence.sfu {
            Sfu::NotOurs if !self.has_sfu => "",
            Sfu::NotOurs => "call server: not asked; this membership is on none of yours, as far as I know",
            Sfu::Unknown => "call server: no answer that counts at the moment",
            Sfu::Listed if one.judgement.vetoed => {
                "call server: connected, which outweighs everything but leaving the room"
            }
            Sfu::Listed => "call server: connected, by a newer membership of the same device",
            Sfu::Absent { counts: true } => "call server: not connected",
            Sfu::Absent { counts: false } => {
                "call server: not connected, which proves nothing: I never saw it there, and do not know for sure what \
                 this call's room is called there"
            }
        };
        let left = one.left_sfu.filter(|_| matches!(one.evidence.sfu, Sfu::Absent { .. }));
        let left = left.map(|at| format!(", seen to leave {}", say::ago(at, self.now)));
        let asked = one.sfu_asked.filter(|_| matches!(one.evidence.sfu, Sfu::Listed | Sfu::Absent { .. }));
        let asked = asked.map(|at| format!(" (asked {})", say::ago(at, self.now)));
        format!("{connection}{}{}", left.unwrap_or_default(), asked.unwrap_or_default())
    }
}
