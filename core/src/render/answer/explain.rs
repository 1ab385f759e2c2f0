//! `explain`: every membership of a room with what speaks for and against it.

use super::{
    beside,
    calls::device,
    page::{Page, join, words},
};
use crate::{
    ids::{RoomId, StateKey, UserId},
    judge::{
        evidence::{Device, Evidence, ListKind, RoomMember, Sfu},
        verdict::{Judgement, Verdict},
    },
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
    /// What holds it back though it is due.
    pub held: Option<String>,
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
    /// Keys that hold something no client would show.
    pub malformed: Vec<(StateKey, &'static str)>,
    /// What else stands there.
    pub beside: Beside,
    /// Now.
    pub now: Timestamp,
}

impl Explanation {
    /// The answer.
    pub fn message(&self) -> Message {
        let mut page = Page::default();
        let room = message::room(&self.room, self.name.as_deref());
        if self.memberships.is_empty() {
            let of = match &self.user {
                Some(user) => join(&[&words(" of "), &message::user(user)]),
                None => Message::default(),
            };
            let then = if self.beside.may_be_in_a_call() {
                ": there is nothing that I could clear."
            } else {
                ": the state is clean. If a client still shows a call there, it is the client's own memory: \
                 clearing its cache or signing in anew helps."
            };
            page.paragraph(&join(&[
                &words("There is no open membership"),
                &of,
                &words(" in "),
                &room,
                &words(then),
            ]));
        }
        for (at, one) in self.memberships.iter().enumerate() {
            if at == MOST_EXPLAINED {
                page.say(&format!(
                    "… and {} more: name a user to see theirs.",
                    self.memberships.len() - MOST_EXPLAINED
                ));
                break;
            }
            let membership = &one.membership;
            let (mark, verdict) = match one.judgement.verdict {
                Verdict::Active => ("🟢", "alive"),
                Verdict::Unknown(_) => ("❔", "unknown, so left alone"),
                Verdict::Stale(_) => ("👻", "dead"),
            };
            let heading = join(&[
                &words(&format!("{mark} ")),
                &message::user(&membership.owner.user),
                &words(" on "),
                &device(membership.owner.device.as_str()),
                &words(" in "),
                &room,
                &words(&format!(": {verdict}")),
            ]);
            page.list(&heading, &self.lines(one), "");
        }
        for sentence in beside(&self.beside) {
            page.paragraph(&sentence);
        }
        let malformed: Vec<_> = self
            .malformed
            .iter()
            .map(|(key, why)| message::fill("{}: {}", &[&device(key.as_str()), &words(why)]))
            .collect();
        page.list(&words("Keys that no client shows, and that I never clear by myself"), &malformed, "");
        page.done()
    }

    fn lines(&self, one: &Explained) -> Vec<Message> {
        let Explained { membership, judgement, evidence, .. } = one;
        let now = self.now;
        let mut lines = vec![say::why(membership, judgement, evidence, now)];
        let others: Vec<_> = judgement.reasons().skip(1).map(|(reason, _)| say::reason(reason)).collect();
        if !others.is_empty() {
            lines.push(format!("also: {}", others.join(", ")));
        }
        lines.push(format!(
            "joined {}, newest event {}, expires {}",
            say::ago(membership.start, now),
            say::ago(membership.last_sign, now),
            say::ago(membership.expires, now)
        ));
        lines.push(match evidence.room_member {
            RoomMember::Joined => "in the room: yes".to_owned(),
            RoomMember::NotJoined { .. } => "in the room: no".to_owned(),
            RoomMember::Unknown => "in the room: could not be read".to_owned(),
        });
        lines.push(match evidence.device {
            Device::NotAsked => "device list: none may speak about this device".to_owned(),
            Device::Unknown => {
                "device list: could not be read, or does not show devices without keys".to_owned()
            }
            Device::Listed { last_seen: Some(at) } => {
                format!("device list: listed, last seen {}", say::ago(at, now))
            }
            Device::Listed { last_seen: None } => "device list: listed".to_owned(),
            Device::Missing { by, seen_before } => format!(
                "device list: missing from {}{}",
                if by == ListKind::OwnList { "the homeserver's own" } else { "/keys/query" },
                if seen_before { ", and it was there before" } else { ", where I never saw it" }
            ),
        });
        let connection = match evidence.sfu {
            Sfu::NotOurs => "call server: not asked; none of yours is known to be the one of this membership",
            Sfu::Unknown => "call server: no answer that counts now",
            Sfu::Listed if judgement.vetoed => {
                "call server: connected, which outweighs all but leaving the room"
            }
            Sfu::Listed => "call server: connected, by a newer membership of the same device",
            Sfu::Absent { counts: true } => "call server: not connected",
            Sfu::Absent { counts: false } => {
                "call server: not connected, which says nothing: it was never seen there, and it is not known for sure \
                 what the room of this call is named there"
            }
        };
        let left = one.left_sfu.filter(|_| matches!(evidence.sfu, Sfu::Absent { .. }));
        let left = left.map(|at| format!(", seen to leave {}", say::ago(at, now)));
        let asked = one.sfu_asked.filter(|_| matches!(evidence.sfu, Sfu::Listed | Sfu::Absent { .. }));
        let asked = asked.map(|at| format!(" (asked {})", say::ago(at, now)));
        lines.push(format!("{connection}{}{}", left.unwrap_or_default(), asked.unwrap_or_default()));
        if let Verdict::Stale(_) = judgement.verdict {
            lines.push(match one.due {
                Some(at) if at > now => format!("falls due {}", say::ago(at, now)),
                Some(_) => "is due".to_owned(),
                None => "does not fall due: the reason is switched off, or its clock is paused".to_owned(),
            });
        }
        if let Some(held) = &one.held {
            lines.push(format!("held back: {held}"));
        }
        lines.push(match &one.route {
            Ok(route) => format!("can be cleared by {}", route.replace('_', " ")),
            Err(obstacle) => format!("cannot be cleared: {obstacle}"),
        });
        lines.push(format!("key {}", harmless(one.key.as_str())));
        lines.iter().map(|line| words(line)).collect()
    }
}
