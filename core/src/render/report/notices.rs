//! What is said once, when it happens: most of it needs a person.

use std::time::Duration;

use super::{devices, memberships};
use crate::{
    guard::breaker,
    ids::{RoomId, UserId},
    judge::policy::{Neighbour, Reason},
    leave_lag::{LeaveLags, Leaver},
    render::{
        Message,
        html::Html,
        message::{self, harmless, sentences},
        words,
    },
    rtc::state_key::Blocked,
    time::Timestamp,
};

/// The bot lost the power to clear a room's keys.
pub fn lost_power(room: &RoomId, name: Option<&str>, blocked: Blocked) -> Message {
    let room = message::room(room, name);
    let why = message::words(&obstacle(blocked));
    message::fill("⚠️ I can no longer clear memberships in {}. {}.", &[&room, &why])
}

/// The homeserver has ended the session of one of the janitor's devices.
pub fn signed_out(device: &str, why: &str) -> Message {
    sentences(&[&format!(
        "🛑 The homeserver has ended the session of my {device} device ({}). I stop now. Start me \
         again, which signs in anew by password, or give me a new access token.",
        message::harmless(why)
    )])
}

/// Nothing is written, because of something in the configuration that cannot be known today.
pub fn writes_forbidden(why: &str) -> Message {
    sentences(&[&format!(
        "🛑 I clear nothing for now: {}. I keep asking. Name the room by its id in the config file, and I go on \
         at once.",
        message::harmless(why)
    )])
}

/// The server's own device lists cannot be had, whoever asks for them; `needs_a_person` where that does not pass by
/// itself.
pub fn own_lists_away(why: &str, needs_a_person: bool, by_appservice: bool) -> Message {
    let whose = if by_appservice { "the appservice's" } else { "this server's" };
    let cure = match (needs_a_person, by_appservice) {
        (false, _) => "I keep asking.",
        (true, false) => "Give me another token in [synapse_admin], or take the section out and restart me.",
        (true, true) => {
            "I read them by [appservice]: its registration must let it speak as its users, my own account among them."
        }
    };
    sentences(&[
        &format!("⚠️ I cannot read the homeserver's own device lists: {}.", message::harmless(why)),
        &format!(
            "Until I can, I do not know which devices of {whose} users are signed out or idle, and clear nothing for \
             that. Everything else goes on."
        ),
        cure,
    ])
}

/// They can be had again.
pub fn own_lists_back() -> Message {
    sentences(&["✅ I can read the homeserver's own device lists again."])
}

/// The homeserver takes nothing from the appservice, and why. Where `reads_lists`, its own device lists are had by it.
pub fn appservice_away(why: &str, may_redact: bool, reads_lists: bool) -> Message {
    let next = if may_redact {
        "I redact what only its owner may write, where I may"
    } else {
        "I leave alone what only its owner may write"
    };
    let blind = if reads_lists {
        ", and do not know which devices of the appservice's users are signed out"
    } else {
        ""
    };
    sentences(&[
        &format!("⚠️ I cannot act for the owners of keys: {}.", message::harmless(why)),
        &format!("Until I can, {next}{blind}. Everything else goes on."),
        "Name my registration in the homeserver's app_service_config_files again and restart the homeserver, or give \
         me the right appservice.as_token and restart me.",
    ])
}

/// It takes it again.
pub fn appservice_back() -> Message {
    sentences(&["✅ I can act for the owners of keys again, by the appservice."])
}

/// An alias leads somewhere again, and writes are allowed.
pub fn writes_allowed(alias: &str) -> Message {
    sentences(&[&format!(
        "✅ {} leads to a room again, so I know what is excluded. I go on.",
        message::harmless(alias)
    )])
}

/// It ends, because of something on its own machine.
pub fn cannot_go_on(why: &str) -> Message {
    sentences(&[&format!(
        "🛑 I cannot go on and stop now: {}. No call is looked after until that is fixed and I am started again.",
        message::harmless(why)
    )])
}

/// What would let the bot clear what only its owner may write.
pub(crate) const GIFTS: &str = "[appservice] lets me write as an owner who is on my server and in the room, and \
                                janitor.allow_redaction lets me redact it where I may redact in the room";

/// What would let the bot clear a key.
pub fn obstacle(blocked: Blocked) -> String {
    match blocked {
        Blocked::OnlyItsOwner => format!(
            "Only its owner may write such a key, at any power level; the owner can join and leave a call with the same \
             client. In my config file, {GIFTS}"
        ),
        Blocked::OwnerHasAsMuchPower => format!(
            "In this room version I need a higher power level than the owner has. In my config file, {GIFTS}"
        ),
        Blocked::NotEnoughPower { has, needs } => format!(
            "My power level there is {has} and call memberships need {needs}: raise mine, or lower \
             org.matrix.msc3401.call.member in the room's permissions"
        ),
        Blocked::NotAUserKey => {
            "This room version lets nobody write such a key; where I may redact in the room, \
                                 janitor.allow_redaction lets me clear it"
                .into()
        }
        Blocked::NotInTheRoom => "I am not in the room: invite me".into(),
        Blocked::AppserviceAway => {
            "I could write its key as its owner, but the homeserver does not take my appservice's token"
                .into()
        }
    }
}

/// What would let the bot act on the device list of another server.
pub fn remote_device_list() -> String {
    "The owner is on another server, whose device lists reach me second-hand: set \
     janitor.remote_device_lists = true if I am to act on them"
        .into()
}

/// A neighbour in words.
pub(crate) const fn neighbour(neighbour: Neighbour) -> &'static str {
    match neighbour {
        Neighbour::Homeserver => "room state",
        Neighbour::DeviceLists => "device lists",
        Neighbour::Sfu => "call server",
    }
}

/// A breaker opened, stays open, or closed; commands begin with `prefix`.
pub fn breaker(change: &breaker::Change, prefix: &str, now: Timestamp) -> Message {
    match *change {
        breaker::Change::Opened { neighbour: of, turned, living, until } => sentences(&[
            &format!(
                "🛑 I clear nothing more on the word of the {} (its breaker is open): {turned} of {living} devices in \
                 calls{} turned stale at once, which is more likely an error there.",
                match of {
                    Neighbour::Homeserver | Neighbour::DeviceLists => {
                        format!("{} of the homeserver", neighbour(of))
                    }
                    Neighbour::Sfu => neighbour(of).to_owned(),
                },
                // Each kind of list is counted by itself.
                if of == Neighbour::DeviceLists { " that one list tells of" } else { "" }
            ),
            &format!(
                "I clear one {} as a probe, and go on if it stays away. If so many are really gone, `{prefix} breaker close \
                 {}` lets me go on now.",
                words::ago(until, now),
                neighbour(of)
            ),
        ]),
        breaker::Change::StaysOpen { neighbour: of, until } => sentences(&[&format!(
            "🛑 The probe came back, so the {} cannot be trusted yet: its breaker stays open. I try another {}.",
            neighbour(of),
            words::ago(until, now)
        )]),
        breaker::Change::Closed { neighbour: of } => sentences(&[&format!(
            "✅ The probe stayed away: I trust the {} again (its breaker is closed).",
            neighbour(of)
        )]),
    }
}

/// Whose membership something is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whose {
    /// The room.
    pub room: RoomId,
    /// Its name, where it is known.
    pub room_name: Option<String>,
    /// The owner.
    pub user: UserId,
    /// On which device; several in the array form.
    pub devices: Vec<String>,
}

/// A membership came back after it was cleared for `reason`, which is not believed alone before `until`.
/// `lost_call_server` where its client is in the call by its own account, and not connected to the call server.
pub fn came_back(
    whose: &Whose,
    reason: Reason,
    until: Timestamp,
    lost_call_server: bool,
    now: Timestamp,
) -> Message {
    let (room, user, devices) = about(whose);
    let reason = message::words(words::reason(reason));
    let span = message::words(&words::span(until.since(now)));
    // Element Call tries to connect again for 35 s, and then says "Reconnecting…" for ever.
    let advice = message::words(if lost_call_server {
        " Some clients that lost the call server never reconnect: whoever sees or hears nobody in a call \
         should reload the client."
    } else {
        ""
    });
    message::fill(
        "↩️ {} on {} rejoined the call in {} right after I cleared it ({}), so it was active. For {} I do not \
         act on that reason alone there. Sorry for the flicker.{}",
        &[&user, &devices, &room, &reason, &span, &advice],
    )
}

/// The clear overwrote something newer than what was judged.
pub fn overwrote(whose: &Whose, is_left_alone: bool) -> Message {
    let next = if is_left_alone { ". I leave it alone for now" } else { "" };
    let (room, user, devices) = about(whose);
    message::fill(
        "⚠️ In {} I cleared {} on {}, which had rejoined in the instant between my last read and my write. An \
         active client comes back by itself within a second{}.",
        &[&room, &user, &devices, &message::words(next)],
    )
}

/// The room, the user and the devices.
fn about(whose: &Whose) -> (Message, Message, Message) {
    let room = message::room(&whose.room, whose.room_name.as_deref());
    (room, message::user(&whose.user), devices(&whose.devices))
}

/// The bot was taken out of a room.
pub fn removed(
    room: &RoomId,
    name: Option<&str>,
    by: Option<&UserId>,
    reason: Option<&str>,
    banned: bool,
) -> Message {
    let (how, cure) =
        if banned { ("banned from", "unban and invite me") } else { ("removed from", "invite me") };
    let (how, cure) = (message::words(how), message::words(cure));
    let by = by.map_or_else(Message::default, |by| message::fill(" by {}", &[&message::user(by)]));
    let reason = reason.map_or_else(Message::default, |reason| {
        message::fill(" ({})", &[&Message { plain: harmless(reason), html: Html::escaped(reason) }])
    });
    message::fill(
        "🚪 I was {} {}{}{}. I no longer look after its calls; to change that, {}.",
        &[&how, &message::room(room, name), &by, &reason, &cure],
    )
}

/// A room was upgraded.
pub fn upgraded(old: &RoomId, name: Option<&str>, new: &RoomId, has_joined: bool) -> Message {
    let template = if has_joined {
        "⬆️ {} was upgraded; I joined its successor {}."
    } else {
        "⬆️ {} was upgraded to {}, which I cannot join. Invite me there, and I look after its calls."
    };
    message::fill(template, &[&message::room(old, name), &message::room(new, None)])
}

/// The admin room could not be reached and is back.
pub fn admin_room_back(away: Duration) -> Message {
    sentences(&[&format!("I could not speak here for {} and cleared nothing meanwhile.", words::span(away))])
}

/// Our clock and the server's differ.
pub fn clock_skew(ours: Timestamp, theirs: Timestamp) -> Message {
    let (ahead, apart) =
        if ours > theirs { ("ahead of", ours.since(theirs)) } else { ("behind", theirs.since(ours)) };
    sentences(&[&format!(
        "🕰️ My machine's clock is {} {ahead} the homeserver's. I clear nothing until they agree within 30 s: \
         check the time service on both.",
        words::span(apart)
    )])
}

/// The clocks agree again.
pub fn clock_agrees() -> Message {
    sentences(&["🕰️ My clock and the homeserver's agree again; I go on."])
}

/// The SFU gives no answer that can be used, and why.
pub fn sfu_away(why: &str) -> Message {
    sentences(&[&format!(
        "📡 I cannot ask the call server: {}. Until I can, I clear nobody whom it might list.",
        message::harmless_sentence(why)
    )])
}

/// The SFU answers again.
pub fn sfu_back() -> Message {
    sentences(&["📡 The call server answers again; I go on."])
}

/// The lines of LiveKit's settings that have leaves sent when somebody is gone.
const WEBHOOKS: &str =
    "webhook:\n  api_key: YOUR-KEY\n  urls:\n    - https://YOUR-AUTHORISATION-SERVICE/sfu_webhook";

/// Leaves of those who are gone from the SFU come late, or not before the janitor's own.
pub fn slow_leaves(lags: &LeaveLags) -> Message {
    let median = lags.median_of_owed().map(words::span).unwrap_or_default();
    let (owners, me) = (lags.count_owed(Leaver::Owner), lags.count_owed(Leaver::Janitor));
    let mut message = sentences(&[
        &format!(
            "🐌 Calls end slowly here: of {} whose devices left the call server in the last day, half stayed in their \
             rooms for {median} or longer. {owners} were ended by their owners, {me} by me.",
            memberships(owners + me)
        ),
        "The likely cause: the call server does not tell the authorisation service (lk-jwt-service) who is gone, so \
         that the leave it holds for each client is renewed for hours. LiveKit's config file needs these lines; where \
         there is a `webhook` already, the last of them:",
    ]);
    message.push(&Message {
        plain: format!("\n\n{WEBHOOKS}"),
        html: Html::markup("<pre><code>{}</code></pre>", &[&Html::of_text(WEBHOOKS)]),
    });
    message
}

/// The homeserver would not take a message as it was.
pub fn not_taken(why: &str) -> Message {
    sentences(&[&format!(
        "I had something to say here that the homeserver refused ({}); my log has the details.",
        message::harmless(why)
    )])
}

/// The first start of the chat device.
pub fn first_start(recovery_key_file: &str) -> Message {
    sentences(&[&format!(
        "🔑 My first start with encryption. My account's recovery key is in {} on my machine: keep a copy in a \
         safe place. With it a new device of mine is trusted without being verified again \
         (admin_room.recovery_key_file).",
        message::harmless(recovery_key_file)
    )])
}

/// The chat device works, but its keys are not as they should be.
pub fn keys_incomplete(why: &str) -> Message {
    sentences(&[&format!("🔑 My chat device works, but clients may show it as unverified: {why}.")])
}
