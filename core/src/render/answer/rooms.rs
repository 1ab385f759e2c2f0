//! `rooms`: where the janitor is, and where it needs a person.

use std::collections::BTreeMap;

use super::page::{Page, count, join, line_break, words};
use crate::{
    ids::{RoomId, UserId},
    render::{Message, message, report},
    rtc::state_key::Blocked,
};

/// What needs a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The bot may not write there.
    NoPower(Blocked),
    /// Something there is due, and the bot cannot clear it.
    CannotClear {
        /// How many memberships.
        number: usize,
        /// What would help, in a sentence.
        why: String,
    },
    /// The room was upgraded, and the bot is not in its successor.
    NotInSuccessor(RoomId),
    /// The bot was invited and could not join so far.
    NotJoined {
        /// By whom.
        inviter: Option<UserId>,
        /// What the homeserver said to the last attempt.
        error: Option<String>,
    },
    /// It is the successor of a room, and the bot could not join so far.
    SuccessorNotJoined {
        /// The room that was upgraded.
        old: RoomId,
        /// What the homeserver said to the last attempt.
        error: Option<String>,
    },
}

/// One room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Its id.
    pub id: RoomId,
    /// Its name.
    pub name: Option<String>,
    /// How many memberships are open.
    pub open: usize,
    /// Whether it is excluded.
    pub is_excluded: bool,
    /// What needs a person there.
    pub problems: Vec<Problem>,
}

/// What `rooms` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rooms {
    /// The rooms.
    pub rooms: Vec<Room>,
    /// What the configuration names and could not be found, each in a sentence.
    pub unresolved: Vec<String>,
    /// Only those with problems.
    pub only_problems: bool,
}

impl Rooms {
    /// The answer; commands begin with `prefix`.
    pub fn message(&self, prefix: &str) -> Message {
        let mut page = Page::default();
        let with_problems = self.rooms.iter().filter(|room| !room.problems.is_empty()).count();
        for unresolved in &self.unresolved {
            page.say(&format!("⚠️ {unresolved}"));
        }
        if self.only_problems && with_problems == 0 && !self.unresolved.is_empty() {
            return page.done();
        }
        if self.only_problems && with_problems == 0 {
            page.say("No room needs you: I may clear memberships in every room I am in, and nothing is due that I cannot clear.");
            return page.done();
        }
        if self.rooms.is_empty() {
            page.say(&format!("I am in no room. Invite me, or say `{prefix} join <room>`."));
            return page.done();
        }
        let mut shown: Vec<_> =
            self.rooms.iter().filter(|room| !self.only_problems || !room.problems.is_empty()).collect();
        // Where people are needed and where calls go on come first.
        shown.sort_by_key(|room| (room.problems.is_empty(), room.open == 0, &room.name, &room.id));
        let mut said = BTreeMap::new();
        let entries: Vec<_> = shown.iter().map(|room| line(room, &mut said)).collect();
        let heading = if self.only_problems {
            format!("{} you", count(with_problems, "room needs", "rooms need"))
        } else {
            format!(
                "I watch {}; {} you",
                count(self.rooms.len(), "room", "rooms"),
                count(with_problems, "needs", "need")
            )
        };
        page.list(
            &words(&heading),
            &entries,
            &if self.only_problems {
                "Fix these first, and ask again.".to_owned()
            } else {
                format!(
                    "`{prefix} rooms problems` shows those that need you, `{prefix} calls` those with calls."
                )
            },
        );
        page.done()
    }
}

/// One room; what would help is `said` in the first room that it would help in, for it can be long.
fn line<'r>(room: &'r Room, said: &mut BTreeMap<&'r str, Message>) -> Message {
    let name = message::room(&room.id, room.name.as_deref());
    let mut text = name.clone();
    let mut add = |more: &Message| text = join(&[&text, more]);
    if room.open > 0 {
        add(&words(&format!(": {} in calls", count(room.open, "membership", "memberships"))));
    }
    if room.is_excluded {
        add(&words(" (excluded)"));
    }
    for problem in &room.problems {
        add(&line_break(". "));
        match problem {
            Problem::NoPower(blocked) => add(&words(&format!("⚠️ {}", report::obstacle(*blocked)))),
            Problem::CannotClear { number, why } => {
                let number = count(*number, "stale membership", "stale memberships");
                match said.get(why.as_str()) {
                    None => {
                        add(&words(&format!("⚠️ {number} that I cannot clear. {why}")));
                        said.insert(why, name.clone());
                    }
                    Some(first) => add(&message::fill(
                        "⚠️ {} that I cannot clear, for the same reason as in {}",
                        &[&words(&number), first],
                    )),
                }
            }
            Problem::NotJoined { inviter, error } => {
                let by = inviter.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
                let why = error.as_deref().unwrap_or("the join is under way");
                add(&words(&format!("⚠️ I was invited{by} and could not join yet ({why}); I keep trying")));
            }
            Problem::SuccessorNotJoined { old, error } => {
                let why = error.as_deref().unwrap_or("the join is under way");
                add(&join(&[
                    &words("⚠️ It succeeds "),
                    &message::room(old, None),
                    &words(&format!(", and I could not join it yet ({why}); I keep trying, or invite me")),
                ]));
            }
            Problem::NotInSuccessor(successor) => add(&join(&[
                &words("⚠️ It was upgraded to "),
                &message::room(successor, None),
                &words(", where I am not: invite me, or tell me to `join` it"),
            ])),
        }
    }
    text
}
