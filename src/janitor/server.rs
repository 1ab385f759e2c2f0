//! What the homeserver can do: what it says of itself, and what no server says and its behaviour shows.

use rtc_janitor_core::render::answer::{Lack, Server as ServerForPeople};

use super::Janitor;
use crate::world::ServerAbilities;

/// What a homeserver of today can: with less, it cannot be in the newest rooms.
const NEWEST_ROOM_VERSION: u32 = 12;

/// How often something that may have another cause is seen before it counts.
const FOR_CERTAIN: u32 = 2;

/// What is known of the homeserver.
#[derive(Debug, Default)]
pub(super) struct Server {
    /// What it says of itself; `None` before it was asked.
    said: Option<ServerAbilities>,
    /// Whether it names the event that another one replaced; `None` before one was seen that replaced something.
    tells_replaced: Option<bool>,
    /// How often in a row it gave an event of the appservice another time than it was asked to.
    times_not_taken: u32,
    /// Whether it was seen to answer a write with an event that somebody else had written.
    answers_with_others: bool,
}

impl Server {
    /// It says of itself what it can do.
    pub(super) fn says(&mut self, said: ServerAbilities) {
        if self.said.as_ref() != Some(&said) {
            tracing::info!(?said, "what the homeserver can do");
        }
        self.said = Some(said);
    }

    /// An event came by sync that replaced another one for certain: does it say so? A server that has told once does
    /// tell.
    pub(super) fn tells_replaced(&mut self, does_tell: bool) {
        if does_tell {
            self.tells_replaced = Some(true);
        } else if self.tells_replaced.is_none() {
            tracing::info!("the homeserver does not tell what an event replaced: the order of sync has to");
            self.tells_replaced = Some(false);
        }
    }

    /// It answered a write with an event that somebody else had written.
    pub(super) fn answers_with_others(&mut self) {
        self.answers_with_others = true;
    }

    /// An event that was written as its owner came back: does it say that it was sent when it was to say so? Once it
    /// may be the owner's own, who was quicker with the same content.
    pub(super) fn takes_times(&mut self, does_take: bool) {
        self.times_not_taken = if does_take { 0 } else { self.times_not_taken.saturating_add(1) };
    }

    /// Whether a write is to be read back to know that it was made. Servers of which it is known that they tell what
    /// a write replaced make an event of every content that another sender had written (Synapse): there it is spared.
    pub(super) fn is_write_read_back(&self) -> bool {
        self.answers_with_others || self.tells_replaced != Some(true)
    }

    /// What it lacks, as far as that is known.
    pub(super) fn for_people(&self, has_no_admin_api: bool) -> ServerForPeople {
        let said = self.said.as_ref();
        let newest = said.and_then(|said| said.newest_room_version);
        let lacks = [
            said.filter(|said| !said.sliding_sync).map(|_| Lack::SlidingSync),
            said.filter(|said| said.takes_wildcards == Some(false)).map(|_| Lack::Wildcards),
            newest.filter(|newest| *newest < NEWEST_ROOM_VERSION).map(Lack::RoomVersion),
            (self.tells_replaced == Some(false)).then_some(Lack::Replaced),
            self.answers_with_others.then_some(Lack::EqualContent),
            (self.times_not_taken >= FOR_CERTAIN).then_some(Lack::EventTimes),
            has_no_admin_api.then_some(Lack::AdminApi),
        ];
        ServerForPeople {
            name: said.and_then(|said| said.name.clone()),
            lacks: lacks.into_iter().flatten().collect(),
        }
    }
}

impl Janitor {
    /// The homeserver did not answer: no grace runs until it does.
    pub(super) fn homeserver_failed(&mut self) {
        self.evidence.homeserver.failed(self.ports.clock.now());
        self.sweep.ledger.pause(None);
    }

    /// The homeserver answered.
    pub(super) fn homeserver_answered(&mut self) {
        if self.evidence.homeserver.answered(self.ports.clock.now()) {
            tracing::warn!("the homeserver is back after a gap; its word counts again in 5 min");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> ServerAbilities {
        ServerAbilities {
            name: Some("Synapse 1.163.2".into()),
            sliding_sync: true,
            sticky_events: false,
            newest_room_version: Some(12),
            takes_wildcards: Some(true),
        }
    }

    #[test]
    fn nothing_is_said_of_a_server_that_lacks_nothing_or_of_which_nothing_is_known() {
        let mut server = Server::default();
        assert_eq!(server.for_people(false).line(), None);
        server.says(full());
        server.tells_replaced(true);
        assert_eq!(server.for_people(false).line(), None);
        assert!(!server.is_write_read_back());
    }

    #[test]
    fn each_thing_that_is_missing_is_named() {
        let mut server = Server::default();
        server.says(ServerAbilities {
            sliding_sync: false,
            newest_room_version: Some(11),
            takes_wildcards: Some(false),
            ..full()
        });
        server.tells_replaced(false);
        server.answers_with_others();
        server.takes_times(false);
        server.takes_times(false);
        let expected = [
            Lack::SlidingSync,
            Lack::Wildcards,
            Lack::RoomVersion(11),
            Lack::Replaced,
            Lack::EqualContent,
            Lack::EventTimes,
        ];
        assert_eq!(server.for_people(false).lacks, expected);
        assert!(server.is_write_read_back());
    }

    #[test]
    fn one_event_with_another_time_may_be_the_owners() {
        let mut server = Server::default();
        for does_take in [false, true, false] {
            server.takes_times(does_take);
            assert_eq!(server.for_people(false).lacks, []);
        }
        server.takes_times(false);
        assert_eq!(server.for_people(false).lacks, [Lack::EventTimes]);
    }

    #[test]
    fn a_server_that_has_told_once_what_was_replaced_does_tell() {
        let mut server = Server::default();
        assert!(server.is_write_read_back(), "not known yet");
        server.tells_replaced(false);
        server.tells_replaced(true);
        server.tells_replaced(false);
        assert_eq!(server.for_people(false).lacks, []);
        server.answers_with_others();
        assert!(server.is_write_read_back(), "it has shown that an answer proves nothing");
    }
}
