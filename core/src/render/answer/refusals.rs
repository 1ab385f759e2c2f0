//! Why a message is not carried out as a command, or not yet.

use std::time::Duration;

use super::{
    notices::{one, paragraph},
    page::words,
};
use crate::{
    ids::UserId,
    render::{Message, message, words as say},
};

/// Somebody without authority asked for something.
pub fn no_say(has: Option<i64>, needs: i64) -> Message {
    one(&match has {
        Some(has) => format!(
            "I take commands here from power level {needs} up, and yours is {has}. Somebody with more can raise \
             it in the room's settings."
        ),
        None => "I take commands only from the users in admin_room.admins in my config file.".to_owned(),
    })
}

/// The sender is not in the room.
pub fn not_here() -> Message {
    one("I take commands only from members of this room.")
}

/// Something that may have been meant as a command.
pub fn begins_with(prefix: &str) -> Message {
    one(&format!("If that was a command: they begin with `{prefix}`, as in `{prefix} status`."))
}

/// A command came in too late.
pub fn too_old(age: Duration) -> Message {
    one(&format!(
        "That reached me {} late, and things may have changed. Say it again if it still holds. If that does not \
         help, my clock and the homeserver's differ.",
        say::span(age)
    ))
}

/// While it was looked at who gives a command, a later one made the janitor do less.
pub fn overtaken() -> Message {
    one("Not done: while I checked who you are, somebody told me to do less. Say it again if it still holds.")
}

/// The sender's identity has changed since it was verified.
pub fn identity_violated(user: &UserId) -> Message {
    let user = message::user(user);
    let text = words(
        " was verified and now has another identity, so I take no commands from it. Verify again, or withdraw the \
         old verification.",
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
        "I was restarted in the middle of that and do not know how far it got. Look with `{prefix} status` or \
         `{prefix} config`, and say it again if it still holds."
    ))
}

/// It is being worked on.
pub fn working() -> Message {
    one("⏳ Working on it …")
}

/// What was asked for cannot be told yet.
pub fn has_not_seen_all() -> Message {
    one("⏳ I have not read all rooms since my start, and cannot do that before. Ask again in a minute.")
}

/// Something failed that is not the asker's fault.
pub fn failed(why: &str) -> Message {
    one(&format!(
        "That did not work: {}. Try again; my log has the details.",
        message::harmless_sentence(why)
    ))
}
