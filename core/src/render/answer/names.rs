//! Names of rooms and users that lead nowhere, or to several.

use super::{
    notices::{one, paragraph},
    page::{Page, words},
};
use crate::{
    command::{RoomName, UserName},
    ids::{RoomId, UserId},
    render::{
        Message,
        message::{self, harmless},
    },
};

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
        RoomName::Name(_) => {
            if let [(id, name)] = similar {
                let room = message::room(id, name.as_deref());
                let before = format!("I am in no room called “{named}”. Did you mean ");
                return paragraph(&[&words(&before), &room, &words("?")]);
            }
            format!("I am in no room called “{named}”. Did you mean one of these?")
        }
    };
    list(&first, similar)
}

/// A user who is in no call that is known, by that name.
pub fn no_such_user(name: &UserName) -> Message {
    one(&format!("Nobody called {} has an open membership there.", harmless(&name.to_string())))
}

/// A name that several users have.
pub fn several_users(name: &UserName, users: &[UserId]) -> Message {
    let users: Vec<_> = users.iter().map(message::user).collect();
    let mut page = Page::default();
    page.say(&format!("“{}” fits several users; name one in full:", harmless(&name.to_string())));
    page.list(&Message::default(), &users, "");
    page.done()
}

/// A name that several rooms have.
pub fn several_rooms(name: &RoomName, rooms: &[(RoomId, Option<String>)]) -> Message {
    list(&format!("Several rooms go by “{}”; name one by its id:", harmless(&name.to_string())), rooms)
}

fn list(first: &str, rooms: &[(RoomId, Option<String>)]) -> Message {
    let rooms: Vec<_> = rooms.iter().map(|(id, name)| message::room_and_id(id, name.as_deref())).collect();
    let mut page = Page::default();
    page.say(first);
    page.list(&Message::default(), &rooms, "");
    page.done()
}

/// An alias that leads nowhere.
pub fn no_such_alias(alias: &str) -> Message {
    one(&format!("The homeserver knows no room {}.", harmless(alias)))
}

/// `clear` of a room's name and something that is no full user id.
pub fn clear_needs_full_id(user: &str) -> Message {
    one(&format!(
        "To clear the memberships of one user, give the full id in place of “{}”, such as @name:example.org.",
        harmless(user)
    ))
}
