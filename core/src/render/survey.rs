//! What a survey says of a room, sentence by sentence.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{harmless::harmless_sentence, message::harmless, report, words};
use crate::{
    ids::{RoomId, UserId},
    judge::policy::Reason,
    rtc::power::Blocked,
    survey::{Cut, How, JoinOutcome, NoWay, Obstacle, Presence, Progress, Step, Survey, SurveyedRoom},
};

/// Nothing of a room id means anything to a URL or a shell then.
const IN_A_URL: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'!').remove(b':');

/// `1 room`, `3 rooms`.
fn count(number: usize, one: &str, several: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {several}") }
}

/// How far a survey is.
pub fn progress(progress: Progress) -> String {
    match progress {
        Progress::Listing { rooms } => format!("listing rooms: {rooms} so far"),
        Progress::Rooms { done, of, open } => {
            format!("reading rooms: {done} of {of}, {open} with open memberships")
        }
    }
}

/// How many rooms were looked at.
pub fn looked_at(survey: &Survey) -> String {
    let Survey { looked_at, of, .. } = survey;
    match of {
        Some(of) if of > looked_at => format!("{looked_at} of {}", count(*of, "room", "rooms")),
        _ => count(*looked_at, "room", "rooms"),
    }
}

/// What a survey did not come to know, each in a sentence; nothing where it is complete.
pub fn incomplete(survey: &Survey) -> Vec<String> {
    let so_far = || match survey.of {
        Some(_) => format!("after {}", looked_at(survey)),
        None => "while it was listing the rooms".to_owned(),
    };
    let cut = survey.cut.map(|cut| match cut {
        Cut::Stopped => format!("the survey was stopped {}, and says nothing of the others", so_far()),
        Cut::TookTooLong(limit) => format!(
            "a survey ends after {}, so this one was stopped {}, and says nothing of the others. Narrow it: a space, \
             an alias, or a part of a name",
            words::span(limit),
            so_far()
        ),
        Cut::TooManyRooms(most) => {
            format!("these spaces hold more than {most} rooms, and the survey says nothing of the others")
        }
        Cut::NotListed(missing) => format!(
            "the server's list of rooms changed while it was read, and {} never on it",
            count(missing, "room was", "rooms were")
        ),
    });
    let cut = cut.map(|why| format!("⚠️ Incomplete: {why}."));
    let unread = survey.unread.len();
    let unread =
        (unread > 0).then(|| format!("⚠️ {} not be read.", count(unread, "room could", "rooms could")));
    cut.into_iter().chain(unread).collect()
}

/// What is in the way of clearing some keys.
pub fn obstacle(obstacle: Obstacle, keys: usize) -> String {
    match obstacle {
        Obstacle::Excluded => "It is excluded, by command or by the config file".to_owned(),
        Obstacle::Outside(Presence::Invited) => "I am invited and not in it yet".to_owned(),
        Obstacle::Outside(Presence::Banned) => "I am banned from it".to_owned(),
        Obstacle::Outside(Presence::Outside | Presence::Joined) => "I am not in it".to_owned(),
        Obstacle::PowerUnknown => {
            "Its state has no m.room.create, so it does not tell who may clear".to_owned()
        }
        Obstacle::Blocked(Blocked::NotEnoughPower { has, needs }) => {
            format!("My power level there is {has} and call memberships need {needs}")
        }
        Obstacle::Blocked(Blocked::OnlyItsOwner) => format!(
            "Only its owner may write {}, at any power level",
            count(keys, "key", "keys").replace("1 key", "one key")
        ),
        Obstacle::Blocked(other) => report::obstacle(other),
    }
}

/// What somebody has to do.
pub fn step(step: &Step, me: &UserId) -> String {
    match step {
        Step::Unban => format!("unban me ({me}) there"),
        Step::Invite => format!("invite me ({me}): nobody of this server there may give me power"),
        Step::Join => "have me join".to_owned(),
        Step::RaisePower { has, needs } => format!("raise my power level to {needs} (now {has})"),
        Step::MakeRoomAdmin => {
            "have the homeserver make me an admin of the room (`make_room_admin`)".to_owned()
        }
        Step::GoToSuccessor(successor) => {
            format!("the room was upgraded to {}: get me into that one", harmless(successor.as_str()))
        }
    }
}

/// What to run for it, where a server admin can do it from a shell.
pub fn command(step: &Step, room: &RoomId, me: &UserId, homeserver: &str) -> Option<String> {
    matches!(step, Step::MakeRoomAdmin).then(|| {
        let room = utf8_percent_encode(room.as_str(), IN_A_URL);
        let base = homeserver.trim_end_matches('/');
        format!(
            "curl -X POST -H \"Authorization: Bearer $ADMIN_TOKEN\" \
             '{base}/_synapse/admin/v1/rooms/{room}/make_room_admin' -d '{{\"user_id\":\"{me}\"}}'"
        )
    })
}

/// How many memberships of a room are open, and what is concluded of them.
pub fn counts(room: &SurveyedRoom) -> String {
    let verdicts = ["active", "stale", "unknown"].into_iter().filter_map(|verdict| {
        let number = room.count(verdict);
        let reasons = if verdict == "stale" { by_reason(room.reasons()) } else { String::new() };
        (number > 0).then(|| format!("{number} {verdict}{reasons}"))
    });
    let verdicts: Vec<_> = verdicts.collect();
    match verdicts.as_slice() {
        [all] => all.clone(),
        _ => format!("{} open: {}", room.memberships.len(), verdicts.join(", ")),
    }
}

/// How many are stale by which reason, in brackets; no number where one reason is that of all.
pub fn by_reason(reasons: impl IntoIterator<Item = (&'static str, usize)>) -> String {
    let reasons: Vec<_> = reasons
        .into_iter()
        .map(|(reason, number)| (number, reason.parse::<Reason>().map_or(reason, words::reason)))
        .collect();
    match reasons.as_slice() {
        [] => String::new(),
        [(_, reason)] => format!(" ({reason})"),
        _ => {
            let reasons: Vec<_> =
                reasons.iter().map(|(number, reason)| format!("{number} {reason}")).collect();
            format!(" ({})", reasons.join(", "))
        }
    }
}

/// What is to be done with a room of a plan.
pub fn how(how: &How) -> String {
    match how {
        How::Join => "join it".to_owned(),
        How::MakeRoomAdmin { is_in: false } => {
            "have the homeserver make me an admin of the room, then join it".to_owned()
        }
        How::MakeRoomAdmin { is_in: true } => {
            "have the homeserver make me an admin of the room; I am in it already".to_owned()
        }
        How::Successor(successor) => {
            format!("it was upgraded: get into its successor {} instead", harmless(successor.as_str()))
        }
    }
}

/// Why the bot does nothing about a room by itself.
pub fn no_way(why: NoWay) -> &'static str {
    match why {
        NoWay::InTheRoom => {
            "I am in it, and no admin API helps: nobody of this server there may give me enough power, or only \
             owners may write the keys"
        }
        NoWay::InTheSuccessor => "it was upgraded, and I am in its successor",
        NoWay::Excluded => "it is excluded, by command or by the config file",
        NoWay::Banned => "I am banned from it: unban me there first",
        NoWay::InviteOnly => {
            "one has to be invited, and nobody of this server there has the power to change power levels: have \
             somebody there invite me"
        }
    }
}

/// What came of a room.
pub fn outcome(outcome: &JoinOutcome) -> String {
    match outcome {
        JoinOutcome::Joined => "joined; I may clear there".to_owned(),
        JoinOutcome::JoinedWithoutPower => {
            "joined; I may not clear all there: my power level or the keys do not let me".to_owned()
        }
        JoinOutcome::Raised => "I was in it and have the power to clear now".to_owned(),
        JoinOutcome::InSuccessor(successor) => {
            format!("upgraded: I am in its successor {} now", harmless(successor.as_str()))
        }
        JoinOutcome::Refused(why) => format!("the homeserver refused: {}", harmless(why)),
        JoinOutcome::Failed(why) => {
            format!("it failed ({}): survey it again to see how it stands", harmless(why))
        }
        JoinOutcome::Held(why) => words::within_a_sentence(why),
    }
}

/// Where nobody may ask the admin API.
pub const NO_ADMIN_API: &str = "a survey asks the homeserver's admin API (Synapse): set \
     synapse_admin.access_token_file to a server admin's access token, or make the bot's own account a server admin";

/// What was shown of a room does not hold any more.
pub const fn changed_since() -> &'static str {
    "it has changed since it was shown: survey it again"
}

/// A room that the server does not know any more.
pub const fn is_gone() -> &'static str {
    "it is gone: the homeserver does not know it any more"
}

/// Nothing more is done about the rooms of a plan.
pub fn left(why: &str) -> String {
    format!("not tried: {}", harmless_sentence(why))
}

/// Why what was being done about a room is not waited for any longer.
pub fn took_too_long(limit: Duration) -> String {
    format!("it took longer than {}", words::span(limit))
}

/// The same, where the program was told to end.
pub const STOPPED: &str = "I was stopped before the homeserver answered";

/// No more rooms are tried, for the program was told to end.
pub fn stopped_joining(left: usize, of: usize) -> String {
    format!("stopped: {left} of {} not tried", count(of, "room was", "rooms were"))
}

/// A plan was approved too late.
pub fn shown_too_long_ago(limit: Duration) -> String {
    format!("what was shown is over {} old. Give the command again", words::span(limit))
}

/// What is said of a successor that was not made in place of the room that names it.
pub const fn replaces_another() -> &'static str {
    "it does not say that it replaces this room"
}

/// What is said of a room's successor.
pub fn of_successor(successor: &RoomId, why: &str) -> String {
    format!("of its successor {}: {why}", harmless(successor.as_str()))
}

/// How far it is with getting into rooms.
pub fn joining(done: usize, of: usize) -> String {
    format!("getting into rooms: {done} of {of}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_stands_with_a_reason_only_beside_others() {
        assert_eq!(by_reason([]), "");
        assert_eq!(by_reason([("expired", 2)]), " (expired)");
        assert_eq!(by_reason([("device_gone", 1), ("expired", 2)]), " (1 device gone, 2 expired)");
    }
}
