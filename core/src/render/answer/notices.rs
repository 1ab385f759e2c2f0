//! Short answers: what a command has done.

use super::page::{Page, join, words};
use crate::{
    command::{GraceKey, ModeChange, PlanId},
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

pub(super) fn one(text: &str) -> Message {
    sentences(&[text])
}

/// Parts in one paragraph.
pub(super) fn paragraph(parts: &[&Message]) -> Message {
    Page::default().paragraph(&join(parts)).done()
}

/// `version`, of which commit where that is known, and the files it runs on.
pub fn version(version: &str, commit: Option<&str>, config_file: Option<&str>, store: &str) -> Message {
    let commit = commit.map_or_else(String::new, |commit| format!(" ({})", harmless(commit)));
    let file = config_file.map_or_else(|| "none".to_owned(), harmless);
    one(&format!("rtc-janitor {version}{commit}; config file: {file}; store: {}", harmless(store)))
}

/// A plan was approved, and says itself what comes of it.
pub fn under_way() -> Message {
    one("👍 Started. The plan's own message shows how far it is.")
}

/// `mode`: what holds now. A plan under way asks for no mode: `plans_go_on`.
pub fn mode(change: ModeChange, holds: Mode, plans_go_on: bool, prefix: &str) -> Message {
    let text = match (change, holds) {
        (ModeChange::Reset, Mode::Clean) => {
            "🧹 Clean mode, as in the config file: I clear what is stale.".to_owned()
        }
        (ModeChange::Reset, Mode::Report) => {
            "🔍 Report mode, as in the config file: I change nothing and say what I would clear.".to_owned()
        }
        (ModeChange::To(Mode::Clean), Mode::Clean) => {
            "🧹 Clean mode: from now on I clear what is stale.".to_owned()
        }
        (ModeChange::To(Mode::Report), _) => format!(
            "🔍 Report mode: from now on I change nothing and say what I would clear. `{prefix} mode reset` undoes \
             this."
        ),
        (ModeChange::To(Mode::Clean), Mode::Report) => format!(
            "🔍 Still report mode: I keep your `mode clean` over restarts, but the config file says janitor.mode = \
             \"report\", and the stricter of the two applies. Set it to \"clean\" there and restart me; `{prefix} mode \
             reset` forgets yours. Until then `{prefix} sweep` proposes what is due as a plan that you can approve."
        ),
    };
    if plans_go_on && holds == Mode::Report {
        sentences(&[
            &text,
            &format!("An approved plan is still being carried out; `{prefix} pause` stops that, too."),
        ])
    } else {
        one(&text)
    }
}

/// `mode report` and `mode reset` while nobody knows what was set by command before.
pub fn mode_is_forgotten(prefix: &str) -> Message {
    one(&format!(
        "🔍 Report mode: my journal is new, and what was set by command before is forgotten. I change nothing until \
         somebody says `{prefix} mode clean`."
    ))
}

/// `pause`; what stood behind it and is no length is `not_understood`.
pub fn paused(
    until: Option<Timestamp>,
    not_understood: Option<&str>,
    now: Timestamp,
    prefix: &str,
) -> Message {
    if let Some(text) = not_understood {
        return one(&format!(
            "⏸️ I write nothing until you say `{prefix} resume`: I do not understand “{}” as a length, such as `90s`, \
             `5 min` or `2 hours`.",
            harmless(text)
        ));
    }
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
        (true, mode) => format!("▶️ I go on, in {mode} mode."),
    })
}

/// `exclude`: a room or a user, shown and by its id.
pub fn excluded(what: &Message, id: &str, is_new: bool, prefix: &str) -> Message {
    let text = if is_new {
        format!(" is excluded from now on. `{prefix} include {}` undoes this.", harmless(id))
    } else {
        " was excluded already.".to_owned()
    };
    paragraph(&[&words("🔕 "), what, &words(&text)])
}

/// A question about what is excluded, and so is not judged.
pub fn left_alone(what: &Message, id: &str, by_settings: bool, prefix: &str) -> Message {
    let text = if by_settings {
        " is excluded by the config file (rooms.include, rooms.exclude, owners.exclude), so I neither judge nor \
         clear what is there."
            .to_owned()
    } else {
        format!(
            " is excluded by command, so I neither judge nor clear what is there. `{prefix} include {}` ends that.",
            harmless(id)
        )
    };
    paragraph(&[&words("🔕 "), what, &words(&text)])
}

/// `include`.
pub fn included(what: &Message, was_excluded: bool, by_settings: bool) -> Message {
    let text = match (was_excluded, by_settings) {
        (_, true) => {
            " is still excluded by the config file (rooms.exclude, owners.exclude), and the stricter of the two \
             applies."
        }
        (true, false) => " is looked after again.",
        (false, false) => " was not excluded.",
    };
    paragraph(&[&words("🔔 "), what, &words(text)])
}

/// `grace`.
pub fn grace(key: GraceKey, now: Grace, is_reset: bool, prefix: &str) -> Message {
    let name = key.as_str();
    let now = match now {
        Grace::Never => "never acted on".to_owned(),
        Grace::After(span) => format!("acted on after {}", say::span(span)),
    };
    let undo = if is_reset {
        "that is the config file's".to_owned()
    } else {
        format!("`{prefix} grace {name} reset` undoes this")
    };
    one(&format!("`{name}` is {now}; {undo}."))
}

/// `breaker close`.
pub fn breaker_closed(closed: &[Neighbour]) -> Message {
    if closed.is_empty() {
        return one("No breaker was open: I trust all sources already.");
    }
    let names: Vec<_> = closed.iter().map(|neighbour| report::neighbour(*neighbour)).collect();
    one(&format!("✅ Breaker closed: I trust the {} again, on your word.", names.join(" and the ")))
}

/// `join`.
pub fn joined(room: &Message, is_looked_after: bool) -> Message {
    let then = if is_looked_after {
        " and look after its calls."
    } else {
        ". It is excluded, so I leave its calls alone."
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
pub fn left(room: &RoomId, name: Option<&str>, prefix: &str) -> Message {
    paragraph(&[
        &words("🚪 I left "),
        &message::room(room, name),
        &words(&format!(
            ". Its calls are no longer looked after. `{prefix} join {}` undoes this where everybody may join; \
             elsewhere somebody has to invite me.",
            harmless(room.as_str())
        )),
    ])
}

/// `leave` asks before it acts.
pub fn sure_to_leave(room: &RoomId, name: Option<&str>, prefix: &str) -> Message {
    paragraph(&[
        &words("🚪 Leave "),
        &message::room(room, name),
        &words(&format!(
            "? Its calls would no longer be looked after, and unless everybody may join, somebody has to invite me \
             back. To do it, send `{prefix} leave {} yes`.",
            harmless(room.as_str())
        )),
    ])
}

/// `leave` of the admin room.
pub fn stays_here() -> Message {
    one(
        "This is where I take commands, so I stay. Name another admin room in the config file (admin_room.room) first.",
    )
}

/// A plan that is not there.
pub fn no_such_plan(id: &PlanId, prefix: &str) -> Message {
    one(&format!("There is no plan `{id}`. Plans are good for 15 min; `{prefix} sweep` makes a new one."))
}

/// A plan of which the journal cannot read any more what was shown.
pub fn plan_unreadable(prefix: &str) -> Message {
    sentences(&[&format!(
        "I can no longer read that plan in my journal, so I do not know what it showed you. Nothing was cleared; \
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
