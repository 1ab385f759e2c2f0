//! Signing in: one way only in each section, and two devices in all.
//!
//! The janitor has a device that watches and one that chats. A password makes as many as are needed;
//! an access token is one device, so with a token the other one has to come from somewhere.

use rtc_janitor_core::ids::UserId;

use super::{
    Homeserver, Login, parse,
    reader::{Noted, Reader},
};

/// `[login]`, which has to be there.
pub(super) fn main(reader: &mut Reader) -> Result<Login, Noted> {
    section(reader, "login")?.ok_or_else(|| {
        reader.note(
            "no way to sign in is set; write login.password_file (or login.password), or \
             login.access_token_file with login.device_id",
        )
    })
}

/// `[admin_room.login]`: the chat account and how it signs in, by default as in `[login]`.
pub(super) fn chat(
    reader: &mut Reader,
    homeserver: Result<&Homeserver, &Noted>,
    main: Result<&Login, &Noted>,
) -> Result<(UserId, Login), Noted> {
    let user_id = reader.get("admin_room.login.user_id", parse::user_id);
    let own = section(reader, "admin_room.login");
    let (user_id, own) = (user_id?, own?);
    let janitor = &homeserver.map_err(|noted| *noted)?.user_id;
    let main = main.map_err(|noted| *noted)?;
    let Some(own) = own else {
        return match (main, user_id) {
            (_, Some(_)) => {
                let place = reader.place("admin_room.login.user_id");
                Err(reader.note(format!(
                    "{place} is set without a way to sign in as that user; write \
                     admin_room.login.password_file, or admin_room.login.access_token_file with \
                     admin_room.login.device_id"
                )))
            }
            (Login::Password(_), None) => Ok((janitor.clone(), main.clone())),
            (Login::AccessToken { .. }, None) => {
                let place = reader.place_of_secret("login.access_token");
                Err(reader.note(format!(
                    "{place} is one device, and the janitor needs two: one that watches and one that \
                     chats in the admin room; write [admin_room.login] with the access_token_file and \
                     device_id of a second one, or with a password_file"
                )))
            }
        };
    };
    let user_id = user_id.unwrap_or_else(|| janitor.clone());
    if user_id.server_name() != janitor.server_name() {
        let place = reader.place("admin_room.login.user_id");
        return Err(reader.note(format!(
            "{place} is {user_id}, on another server than {janitor}; both accounts must be on one homeserver"
        )));
    }
    if let (Login::AccessToken { device_id: watch, .. }, Login::AccessToken { device_id: chat, .. }) =
        (main, &own)
        && (user_id == *janitor && watch == chat)
    {
        let place = reader.place("admin_room.login.device_id");
        return Err(reader.note(format!(
            "{place} is the device of [login]; the janitor needs two: one that watches and one that chats \
             in the admin room"
        )));
    }
    Ok((user_id, own))
}

/// One section: nothing, or exactly one way.
fn section(reader: &mut Reader, section: &str) -> Result<Option<Login>, Noted> {
    let [password_key, token_key, device_key] =
        ["password", "access_token", "device_id"].map(|key| format!("{section}.{key}"));
    let password = reader.secret(&password_key);
    let token = reader.secret(&token_key);
    let device_id = reader.get(&device_key, parse::device_id);
    let (password, token, device_id) = (password?, token?, device_id?);
    let sentence = match (password, token, device_id) {
        (None, None, None) => return Ok(None),
        (Some(password), None, None) => return Ok(Some(Login::Password(password))),
        (None, Some(token), Some(device_id)) => return Ok(Some(Login::AccessToken { token, device_id })),
        (Some(_), Some(_), _) => format!(
            "{} and {} are two ways to sign in; keep one of them",
            reader.place_of_secret(&password_key),
            reader.place_of_secret(&token_key)
        ),
        (Some(_), None, Some(_)) => format!(
            "{} goes with an access token, but {} is set; remove one of them",
            reader.place(&device_key),
            reader.place_of_secret(&password_key)
        ),
        (None, Some(_), None) => format!(
            "{} is set without {device_key}; write the id of the device that the token belongs to",
            reader.place_of_secret(&token_key)
        ),
        (None, None, Some(_)) => format!(
            "{} is set without an access token; write {token_key}_file too",
            reader.place(&device_key)
        ),
    };
    Err(reader.note(sentence))
}
