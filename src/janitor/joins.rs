//! Rooms to be joined: invitations from `rooms.accept_invites_from`, and successors of upgraded rooms. A join
//! can take a minute and fail for many reasons, so it runs in the background and is tried again with backoff,
//! until it works or the invitation is gone.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rtc_janitor_core::{
    ids::{RoomId, UserId},
    render::message::harmless,
    time::Timestamp,
};

use super::pace::{Hold, JOINS};
use crate::world::{NeighbourError, backoff::Backoff};

/// The pauses after a join that failed.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_hours(1));

/// Why a room is to be joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::janitor) enum JoinFor {
    /// Somebody welcome has invited the bot.
    Invitation(Option<UserId>),
    /// A room that is watched was upgraded to it.
    UpgradeOf(RoomId),
}

#[derive(Debug)]
struct Pending {
    why: JoinFor,
    /// Servers that may be in the room.
    via: Vec<String>,
    backoff: Backoff,
    not_before: Timestamp,
    is_under_way: bool,
    /// What the last attempt came to.
    error: Option<NeighbourError>,
}

/// A join that is wanted and has not worked so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::janitor) struct Waiting {
    pub(in crate::janitor) room: RoomId,
    pub(in crate::janitor) why: JoinFor,
    /// What the server said, for people; `None` before the first attempt is over.
    pub(in crate::janitor) error: Option<String>,
}

/// All joins that are wanted.
#[derive(Debug, Default)]
pub(in crate::janitor) struct Joins {
    rooms: BTreeMap<RoomId, Pending>,
    /// The server limits joins as a whole.
    hold: Hold,
}

impl Joins {
    /// Has a room joined; one that is wanted already stays as it is, and a new invitation is a reason to
    /// try at once.
    pub(in crate::janitor) fn want(&mut self, room: &RoomId, why: JoinFor, via: Vec<String>, now: Timestamp) {
        let pending = self.rooms.entry(room.clone()).or_insert_with(|| Pending {
            why: why.clone(),
            via: Vec::new(),
            backoff: BACKOFF,
            not_before: now,
            is_under_way: false,
            error: None,
        });
        if matches!(why, JoinFor::Invitation(_)) && pending.why != why {
            (pending.why, pending.not_before) = (why, now);
        }
        for server in via {
            if !pending.via.contains(&server) {
                pending.via.push(server);
            }
        }
    }

    /// Nobody wants a room joined any more: the bot is there, or the invitation is gone.
    pub(in crate::janitor) fn forget(&mut self, room: &RoomId) -> bool {
        self.rooms.remove(room).is_some()
    }

    /// Keeps of the invitations only those that are open still.
    pub(in crate::janitor) fn retain_invitations(&mut self, open: &BTreeSet<RoomId>) {
        self.rooms
            .retain(|room, pending| matches!(pending.why, JoinFor::UpgradeOf(_)) || open.contains(room));
    }

    /// The next room to join now, with the servers to join by; it is under way from here on.
    pub(in crate::janitor) fn next(&mut self, now: Timestamp) -> Option<(RoomId, Vec<String>)> {
        let under_way = self.rooms.values().filter(|pending| pending.is_under_way).count();
        if under_way >= JOINS || self.hold.ends(now).is_some() {
            return None;
        }
        let may_begin = |pending: &Pending| !pending.is_under_way && pending.not_before <= now;
        let (room, pending) = self
            .rooms
            .iter_mut()
            .filter(|(_, pending)| may_begin(pending))
            .min_by_key(|(_, pending)| pending.not_before)?;
        pending.is_under_way = true;
        Some((room.clone(), pending.via.clone()))
    }

    /// A join came back. Returns what it was for when that is to be told: it worked, or failed for the first
    /// time.
    pub(in crate::janitor) fn done(
        &mut self,
        room: &RoomId,
        error: Option<NeighbourError>,
        now: Timestamp,
    ) -> Option<JoinFor> {
        let Some(error) = error else {
            self.hold.lift();
            return self.rooms.remove(room).map(|pending| pending.why);
        };
        let pending = self.rooms.get_mut(room)?;
        let was_refused = matches!(pending.error, Some(NeighbourError::Refused { .. }));
        let is_news =
            pending.error.is_none() || (matches!(error, NeighbourError::Refused { .. }) && !was_refused);
        let pause = pending.backoff.after(&error);
        pending.is_under_way = false;
        pending.not_before = now + pause;
        if matches!(error, NeighbourError::RateLimited { .. }) {
            self.hold.until(now + pause);
        }
        pending.error = Some(error);
        is_news.then(|| pending.why.clone())
    }

    /// When a join is to be tried next.
    pub(in crate::janitor) fn next_at(&self, now: Timestamp) -> Option<Timestamp> {
        let waiting = self.rooms.values().filter(|pending| !pending.is_under_way);
        let at = waiting.map(|pending| pending.not_before).min()?;
        let under_way = self.rooms.values().filter(|pending| pending.is_under_way).count();
        (under_way < JOINS).then(|| at.max(self.hold.ends(now).unwrap_or(at)))
    }

    /// How many are wanted and have not worked so far.
    pub(in crate::janitor) fn len(&self) -> usize {
        self.rooms.len()
    }

    /// Everything that is wanted and has not worked so far.
    pub(in crate::janitor) fn waiting(&self) -> Vec<Waiting> {
        let words = |error: &NeighbourError| match error {
            NeighbourError::Refused { message, .. } => harmless(message),
            NeighbourError::RateLimited { .. } => "the homeserver limits how often I may join".to_owned(),
            other => harmless(&other.to_string()),
        };
        let waiting = |(room, pending): (&RoomId, &Pending)| Waiting {
            room: room.clone(),
            why: pending.why.clone(),
            error: pending.error.as_ref().map(words),
        };
        self.rooms.iter().map(waiting).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_millis(1_000_000)
    }

    fn invited(joins: &mut Joins, room: &str) {
        joins.want(&room.into(), JoinFor::Invitation(Some("@boss:hs".into())), vec!["hs".into()], now());
    }

    #[test]
    fn thirty_invitations_under_a_limit_of_ten_and_one_per_ten_seconds_are_all_followed() {
        let mut joins = Joins::default();
        for number in 0..30 {
            invited(&mut joins, &format!("!{number}:hs"));
        }
        // Synapse's default rc_joins.local: a bucket of 10 that gains 0.1 a second.
        let (mut bucket, mut at, mut joined, mut refused) = (10.0_f64, now(), 0, 0);
        while joined < 30 {
            assert!(at < now() + Duration::from_mins(10), "{joined} joined in 10 min");
            let Some((room, _)) = joins.next(at) else {
                let next = joins.next_at(at).expect("something waits").max(at + Duration::from_millis(10));
                bucket += next.since(at).as_secs_f64() * 0.1;
                at = next;
                continue;
            };
            if bucket >= 1.0 {
                bucket -= 1.0;
                joined += 1;
                joins.done(&room, None, at);
            } else {
                refused += 1;
                let retry_after = Duration::from_secs_f64((1.0 - bucket) / 0.1 + 0.001);
                joins.done(&room, Some(NeighbourError::RateLimited { retry_after }), at);
            }
        }
        assert!(refused <= 40, "asked {refused} times in vain");
    }

    #[test]
    fn a_join_that_fails_is_tried_again_and_told_of_until_it_works() {
        let mut joins = Joins::default();
        invited(&mut joins, "!a:hs");
        let no = NeighbourError::Refused { status: 403, errcode: "M_FORBIDDEN".into(), message: "no".into() };
        let (room, via) = joins.next(now()).expect("one");
        assert_eq!(via, ["hs"]);
        assert!(joins.done(&room, Some(no.clone()), now()).is_some(), "told the first time");
        assert_eq!(joins.waiting()[0].error.as_deref(), Some("no"));
        assert_eq!(joins.next(now()), None);
        let again = joins.next_at(now()).expect("it is tried again");
        assert_eq!(again, now() + Duration::from_secs(5));
        assert!(joins.next(again).is_some());
        assert!(joins.done(&room, Some(no), again).is_none(), "and not the second");
        let later = joins.next_at(again).expect("and again");
        joins.next(later).expect("one");
        joins.done(&room, None, later);
        assert_eq!(joins.waiting(), []);
    }

    #[test]
    fn joins_that_hang_leave_room_for_nothing_but_hold_up_nobody_else() {
        let mut joins = Joins::default();
        for number in 0..=JOINS {
            invited(&mut joins, &format!("!{number}:hs"));
        }
        for _ in 0..JOINS {
            joins.next(now()).expect("as many as may be under way");
        }
        assert_eq!((joins.next(now()), joins.next_at(now())), (None, None));
    }

    #[test]
    fn an_invitation_that_is_gone_is_not_tried_again() {
        let mut joins = Joins::default();
        invited(&mut joins, "!a:hs");
        joins.want(&"!b:hs".into(), JoinFor::UpgradeOf("!old:hs".into()), Vec::new(), now());
        joins.retain_invitations(&BTreeSet::new());
        assert_eq!(joins.next(now()).map(|(room, _)| room), Some("!b:hs".into()));
    }
}
