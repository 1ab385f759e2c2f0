//! Whether the admin room can be reached: the bot is in it, its sync answers, and the homeserver has taken a
//! message there. Nothing is written while that is not so: nobody would be told, and nobody could `pause`.

use std::time::Duration;

use rtc_janitor_core::time::Timestamp;

/// Whether one direction works, reading the room or posting in it; `Err` says why not.
pub type Side = Result<(), String>;

/// The admin room, as far as it bears on what may be done.
#[derive(Debug)]
pub(super) struct Presence {
    /// Whether the room can be spoken in, once that is known.
    room: Option<Side>,
    /// Whether the homeserver takes messages there, once one was sent.
    posts: Option<Side>,
    away_since: Option<Timestamp>,
    /// It could be spoken in at some time since the start.
    was_there: bool,
    is_at_the_terminal: bool,
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// For the first time since the start.
    There,
    /// It can be spoken in again, after so long.
    Back(Duration),
    /// It cannot any more, and why.
    Away(String),
}

impl Presence {
    pub(super) const fn new() -> Self {
        Self { room: None, posts: None, away_since: None, was_there: false, is_at_the_terminal: false }
    }

    /// For a single sweep, whose report is printed: nothing is posted.
    pub(super) const fn at_the_terminal() -> Self {
        Self {
            room: Some(Ok(())),
            posts: Some(Ok(())),
            away_since: None,
            was_there: true,
            is_at_the_terminal: true,
        }
    }

    /// Whether there is no admin room to ask in, and whoever started this has said what is to be done.
    pub(super) const fn is_at_the_terminal(&self) -> bool {
        self.is_at_the_terminal
    }

    /// Whether it is known how the room is.
    pub(super) const fn is_known(&self) -> bool {
        self.room.is_some()
    }

    /// Whether a message may be put on its way.
    pub(super) fn may_speak(&self) -> bool {
        matches!(self.room, Some(Ok(()))) && !matches!(self.posts, Some(Err(_)))
    }

    /// Whether writes may be made: the room is reachable, and the last message was taken.
    pub(super) fn is_heard(&self) -> bool {
        matches!((&self.room, &self.posts), (Some(Ok(())), Some(Ok(()))))
    }

    pub(super) fn room_is(&mut self, state: Side, now: Timestamp) -> Option<Change> {
        self.change(now, |presence| presence.room = Some(state))
    }

    pub(super) fn posts_are(&mut self, state: Side, now: Timestamp) -> Option<Change> {
        self.change(now, |presence| presence.posts = Some(state))
    }

    fn change(&mut self, now: Timestamp, change: impl FnOnce(&mut Self)) -> Option<Change> {
        let before = self.is_heard();
        let obstacle = self.obstacle();
        change(self);
        match (before, self.is_heard()) {
            (false, true) if self.was_there => {
                Some(Change::Back(now.since(self.away_since.take().unwrap_or(now))))
            }
            (false, true) => {
                self.was_there = true;
                Some(Change::There)
            }
            (_, false) if before || (self.obstacle() != obstacle && self.obstacle().is_some()) => {
                self.away_since.get_or_insert(now);
                self.obstacle().map(Change::Away)
            }
            _ => None,
        }
    }

    fn obstacle(&self) -> Option<String> {
        let mut sides = [&self.room, &self.posts].into_iter().flatten();
        sides.find_map(|side| side.as_ref().err()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_heard_only_where_the_room_is_there_and_a_message_was_taken() {
        let now = Timestamp::from_millis(1_000_000);
        let mut presence = Presence::new();
        assert_eq!((presence.may_speak(), presence.is_heard()), (false, false));
        assert_eq!(presence.room_is(Ok(()), now), None);
        assert_eq!((presence.may_speak(), presence.is_heard()), (true, false), "nobody knows yet");
        assert_eq!(presence.posts_are(Ok(()), now), Some(Change::There));
        assert!(presence.is_heard());
        let away = presence.posts_are(Err("403".into()), now);
        assert_eq!(away, Some(Change::Away("403".into())));
        assert_eq!((presence.may_speak(), presence.is_heard()), (false, false));
        let later = now + Duration::from_secs(70);
        assert_eq!(presence.posts_are(Ok(()), later), Some(Change::Back(Duration::from_secs(70))));
    }
}
