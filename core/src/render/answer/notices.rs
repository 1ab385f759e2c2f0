//! Short answers.

use std::time::Duration;

use super::page::{Page, join, words};
use crate::{
    command::{GraceKey, PlanId, RoomName},
    ids::{RoomId, UserId},
    judge::policy::{Grace, Neighbour},
    mode::Mode,
    render::{
        Message,
        message::{self, harmless, sentences},
        report, words as say,
    },
    time::Timestamp,
};

fn one(text: &str) -> Message {
    sentences(&[text])
}

/// Parts in one paragraph.
fn paragraph(parts: &[&Message]) -> Message {
    Page::default().paragraph(&join(parts)).done()
}

/// `version`.
pub fn version(version: &str) -> Message {
    one(&format!("rtc-janitor {version}"))
}

/// Somebody without a say asked for something.
pub fn no_say(has: Option<i64>, needs: i64) -> Message {
    one(&match has {
        Some(has) => format!(
            "I take commands here from people with power level {needs} or more, and yours is {has}. \
             Somebody who may can raise it in the room's settings."
        ),
        None => "I take commands only from the people in admin_room.admins of my settings.".to_owned(),
    })
}

/// The sender is not in the room.
pub fn not_here() -> Message {
    one("I take commands only from people who are in this room.")
}

/// A command came in too late.
pub fn too_old(age: Duration) -> Message {
    one(&format!(
        "That reached me only after {}, so it is too old: things may have changed. Say it again if it still holds. \
         If that does not help, my clock and the homeserver's differ.",
        say::span(age)
    ))
}

/// While it was looked at who gives a command, a later one made the janitor do less.
pub fn overtaken() -> Message {
    one(
        "Not done: while I was looking at who says so, I was told to do less. Say it again if it still holds.",
    )
}

/// The sender's identity has changed since it was verified.
pub fn identity_violated(user: &UserId) -> Message {
    let user = message::user(user);
    let text = words(
        " used to be verified and now has another identity, so I take no commands from there: verify anew, or have \
         the old verification withdrawn.",
    );
    paragraph(&[&user, &text])
}

/// Nobody can tell who sent a command.
pub fn unattributable() -> Message {
    one(
        "I cannot tell which device that came from, so I do not act on it. Send it again from a client that is signed in \
         to your account.",
    )
}

/// A command in the clear where everything is encrypted.
pub fn in_the_clear() -> Message {
    one(
        "This room is encrypted, and that command was not; anybody on the way could have written it. Send it from a \
         client that encrypts.",
    )
}

/// A message that cannot be decrypted.
pub fn undecryptable(user: &UserId) -> Message {
    let text = words(
        " I could not decrypt: I never got its key. If it was a command, say it again; if that does not help, leave \
         the room and come back, so that your client sees my device.",
    );
    paragraph(&[&words("A message of "), &message::user(user), &text])
}

/// A command that the last run did not finish.
pub fn interrupted(prefix: &str) -> Message {
    one(&format!(
        "I was restarted in the middle of that and do not know how far it came: look with `{prefix} status` or \
         `{prefix} config`, and say it again if it still holds."
    ))
}

/// It is being worked on.
pub fn working() -> Message {
    one("⏳ Working on it …")
}

/// What was asked for cannot be told yet.
pub fn has_not_seen_all() -> Message {
    one("⏳ I have not seen all rooms yet since my start and cannot do that before. Ask again in a minute.")
}

/// A plan was approved, and says itself what comes of it.
pub fn under_way() -> Message {
    one("👍 Taken up; how far it comes is told beside the plan.")
}

/// Something failed that is not the asker's fault.
pub fn failed(why: &str) -> Message {
    one(&format!("That did not work: {}. Try again; my log says more.", message::harmless_sentence(why)))
}

/// A room that is not known by that name.
pub fn no_such_room(name: &RoomName, similar: &[(RoomId, Option<String>)], prefix: &str) -> Message {
    let named = harmless(&name.to_string());
    let first = match name {
        RoomName::Id(_) | RoomName::Alias(_) => {
            format!("I am not in {named}. Invite me there, or say `{prefix} join {named}`.")
        }
        RoomName::Name(_) if similar.is_empty() => {
            format!("I am in no room called “{named}”. `{prefix} rooms` lists where I am.")
        }
        RoomName::Name(_) => format!("I am in no room called “{named}”. Did you mean one of these?"),
    };
    list(&first, similar)
}

/// A name that several rooms have.
pub fn several_rooms(name: &RoomName, rooms: &[(RoomId, Option<String>)]) -> Message {
    list(&format!("Several rooms are called “{}”; name one by its id:", harmless(&name.to_string())), rooms)
}

fn list(first: &str, rooms: &[(RoomId, Option<String>)]) -> Message {
    let rooms: Vec<_> = rooms.iter().map(|(id, name)| message::room(id, name.as_deref())).collect();
    let mut page = Page::default();
    page.say(first);
    page.list(&Message::default(), &rooms, "");
    page.done()
}

/// An alias that leads nowhere.
pub fn no_such_alias(alias: &str) -> Message {
    one(&format!("The homeserver knows no room {}.", harmless(alias)))
}

/// `mode`: what holds now. A plan under way asks for no mode: `plans_go_on`.
pub fn mode(wish: Mode, holds: Mode, plans_go_on: bool, prefix: &str) -> Message {
    let text = match (wish, holds) {
        (Mode::Clean, Mode::Clean) => "🧹 Mode clean: from now on I hang up what is dead.".to_owned(),
        (Mode::Report, _) => format!(
            "🔍 Mode report: from now on I change nothing and say what I would hang up. `{prefix} mode clean` undoes \
             this."
        ),
        (Mode::Clean, Mode::Report) => format!(
            "🔍 Still mode report: the settings of the machine I run on say janitor.mode = \"report\", and the \
             stricter holds. Set it to \"clean\" there and restart me. What is due now, `{prefix} sweep` proposes as \
             a plan that you can approve."
        ),
    };
    if plans_go_on && holds == Mode::Report {
        sentences(&[
            &text,
            &format!(
                "A plan that was approved is still being carried out; `{prefix} pause` stops that, too."
            ),
        ])
    } else {
        one(&text)
    }
}

/// `pause`.
pub fn paused(until: Option<Timestamp>, now: Timestamp, prefix: &str) -> Message {
    one(&match until {
        Some(until) => {
            format!(
                "⏸️ I write nothing until {} ({}). `{prefix} resume` ends it sooner.",
                say::instant(until),
                say::ago(until, now)
            )
        }
        None => {
            format!("⏸️ I write nothing until you say `{prefix} resume`. I go on looking and reporting.")
        }
    })
}

/// A pause is over by itself.
pub fn pause_over() -> Message {
    one("▶️ The pause is over; I go on.")
}

/// `resume`.
pub fn resumed(was_paused: bool, mode: Mode) -> Message {
    one(&match (was_paused, mode) {
        (false, _) => "I was not paused.".to_owned(),
        (true, mode) => format!("▶️ I go on, in mode {mode}."),
    })
}

/// `exclude` and `include`: a room or a user, shown.
pub fn excluded(what: &Message, is_new: bool, prefix: &str) -> Message {
    let text = if is_new {
        format!(" is left alone from now on. `{prefix} include` undoes this.")
    } else {
        " was left alone already.".to_owned()
    };
    paragraph(&[&words("🔕 "), what, &words(&text)])
}

/// A question about what is left alone by wish, and so is not judged.
pub fn left_alone(what: &Message, by_settings: bool, prefix: &str) -> Message {
    let text = if by_settings {
        " is left alone by the settings of the machine I run on (rooms.include, rooms.exclude, owners.exclude), so I \
         do not judge or touch what is there."
            .to_owned()
    } else {
        format!(
            " is left alone by command, so I do not judge or touch what is there. `{prefix} include` first, if you want \
             me to."
        )
    };
    paragraph(&[&words("🔕 "), what, &words(&text)])
}

/// `include`.
pub fn included(what: &Message, was_excluded: bool, by_settings: bool) -> Message {
    let text = match (was_excluded, by_settings) {
        (_, true) => {
            " is still left alone: the settings of the machine I run on say so (rooms.exclude, owners.exclude), and \
             the stricter holds."
        }
        (true, false) => " is looked after again.",
        (false, false) => " was not left alone.",
    };
    paragraph(&[&words("🔔 "), what, &words(text)])
}

/// `grace`.
pub fn grace(key: GraceKey, now: Grace, is_reset: bool, prefix: &str) -> Message {
    let name = key.as_str();
    let now = match now {
        Grace::Never => "never acted on".to_owned(),
        Grace::After(span) => format!("acted on after it was seen for {}", say::span(span)),
    };
    let undo = if is_reset {
        "as the settings say".to_owned()
    } else {
        format!("`{prefix} grace {name} reset` undoes this")
    };
    one(&format!("`{name}` is {now}; {undo}."))
}

/// `breaker close`.
pub fn breaker_closed(closed: &[Neighbour]) -> Message {
    if closed.is_empty() {
        return one("No breaker was open: I believe them already.");
    }
    let names: Vec<_> = closed.iter().map(|neighbour| report::neighbour(*neighbour)).collect();
    one(&format!("✅ I believe the {} again, by your word.", names.join(" and the ")))
}

/// `join`.
pub fn joined(room: &Message, is_looked_after: bool) -> Message {
    let then = if is_looked_after {
        " and look after its calls."
    } else {
        ". Its calls are left alone all the same: the settings or an `exclude` say so."
    };
    paragraph(&[&words("🚪 I joined "), room, &words(then)])
}

/// `join` where it is already.
pub fn joined_before(room: &Message) -> Message {
    paragraph(&[&words("I am in "), room, &words(" already.")])
}

/// `join` that was refused.
pub fn not_let_in(room: &Message, why: &str) -> Message {
    let why = words(&format!(" ({}). Invite me there.", harmless(why)));
    paragraph(&[&words("I was not let into "), room, &why])
}

/// `leave`.
pub fn left(room: &Message, prefix: &str) -> Message {
    paragraph(&[
        &words("🚪 I left "),
        room,
        &words(&format!(
            ". Its calls are no longer looked after. `{prefix} join` undoes this where everybody may join; elsewhere \
             somebody has to invite me."
        )),
    ])
}

/// `leave` of the admin room.
pub fn stays_here() -> Message {
    one(
        "I stay in the room where I am told what to do; name another one in the settings (admin_room.room) first.",
    )
}

/// A plan that is not there.
pub fn no_such_plan(id: &PlanId, prefix: &str) -> Message {
    one(&format!("There is no plan `{id}`. Plans are good for 15 min; `{prefix} sweep` makes a new one."))
}

/// A plan of which the journal cannot read any more what was shown.
pub fn plan_unreadable(prefix: &str) -> Message {
    sentences(&[&format!(
        "My journal cannot read that plan any more, so I do not know what it showed you. Nothing was cleared; \
         `{prefix} sweep` makes a new one."
    )])
}

/// A plan that is too old.
pub fn plan_too_old(id: &PlanId, prefix: &str) -> Message {
    one(&format!(
        "Plan `{id}` is more than 15 min old, and things may have changed: `{prefix} sweep` makes a new one."
    ))
}

/// A plan that was approved before.
pub fn plan_taken(id: &PlanId, by: &UserId) -> Message {
    paragraph(&[
        &words(&format!("Plan `{id}` was approved by ")),
        &message::user(by),
        &words(" before; it is carried out once."),
    ])
}

/// A plan, approved while paused.
pub fn plan_waits(id: &PlanId, prefix: &str) -> Message {
    one(&format!(
        "Plan `{id}` is not carried out: I am paused. Say `{prefix} resume`, then `{prefix} apply {id}`."
    ))
}

/// The admin room went on elsewhere.
pub fn moved_here(from: &RoomId) -> Message {
    paragraph(&[
        &words("I followed the upgrade of "),
        &message::room(from, None),
        &words("; from now on we talk here."),
    ])
}
