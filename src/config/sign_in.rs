//! Signing in: one way only in each section, and two devices in all.
//!
//! The janitor has a device that watches and one that chats. A password makes as many as are needed;
//! and so does an appservice; an access token is one device, so the other one has to come from somewhere.

use rtc_janitor_core::ids::{DeviceId, UserId};
use secrecy::SecretString;

use super::{
    keys::{ChatLoginKeys, LoginKeys},
    reader::{Noted, Reader},
    sections::{Appservice, Homeserver},
};

/// `[login]` and `[admin_room.login]`: one way to sign in.
#[derive(Clone, Debug)]
pub enum Login {
    /// Signs in with a password; gives as many devices as are needed.
    Password(SecretString),
    /// An access token that somebody else made. It is one device, no more.
    AccessToken {
        /// The token.
        token: SecretString,
        /// The device the token belongs to.
        device_id: DeviceId,
    },
    /// By the token of the appservice in whose namespace the account is; as many devices as are needed.
    Appservice(SecretString),
}

/// Who chats in the admin room.
#[derive(Clone, Debug)]
pub struct Chat {
    /// The account; `homeserver.user_id` unless `admin_room.login.user_id` says otherwise.
    pub user_id: UserId,
    /// How its device signs in; by the password of `[login]` unless `[admin_room.login]` is there.
    pub login: Login,
}

/// `[login]`, or `[appservice]` where that is left out.
pub(super) fn main(
    reader: &mut Reader,
    keys: LoginKeys,
    homeserver: Result<&Homeserver, &Noted>,
    appservice: Result<&Option<Appservice>, &Noted>,
) -> Result<Login, Noted> {
    let LoginKeys { password, access_token, device_id } = keys;
    if let Some(login) = one_way(reader, "login", (password, access_token, device_id))? {
        return Ok(login);
    }
    let Some(Appservice { as_token, namespace }) = appservice.map_err(|noted| *noted)? else {
        return Err(reader.note(
            "no way to sign in is set; write login.password_file (or login.password), login.access_token_file \
             with login.device_id, or appservice.as_token_file",
        ));
    };
    let janitor = &homeserver.map_err(|noted| *noted)?.user_id;
    if !namespace.has(janitor) {
        let (place, account) = (reader.place("appservice.namespace"), reader.place("homeserver.user_id"));
        return Err(reader.note(format!(
            "{place} does not have {account}, {janitor}, so the appservice cannot sign it in; widen the \
             namespace, here and in the registration, or write [login]"
        )));
    }
    Ok(Login::Appservice(as_token.clone()))
}

/// `[admin_room.login]`: the chat account and how it signs in, by default as in `[login]`.
pub(super) fn chat(
    reader: &mut Reader,
    keys: ChatLoginKeys,
    homeserver: Result<&Homeserver, &Noted>,
    main: Result<&Login, &Noted>,
) -> Result<Chat, Noted> {
    let ChatLoginKeys { user_id, password, access_token, device_id } = keys;
    let own = one_way(reader, "admin_room.login", (password, access_token, device_id))?;
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
            (Login::Password(_) | Login::Appservice(_), None) => {
                Ok(Chat { user_id: janitor.clone(), login: main.clone() })
            }
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
    Ok(Chat { user_id, login: own })
}

/// One section: nothing, or exactly one way.
fn one_way(
    reader: &mut Reader,
    section: &str,
    (password, token, device_id): (Option<SecretString>, Option<SecretString>, Option<DeviceId>),
) -> Result<Option<Login>, Noted> {
    let [password_key, token_key, device_key] =
        ["password", "access_token", "device_id"].map(|key| format!("{section}.{key}"));
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
