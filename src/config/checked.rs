//! What more than one key decides, and the whole of it.

use std::{fmt, path::Path};

use matrix_sdk::reqwest::Url;
use rtc_janitor_core::ids::UserId;

use super::{
    Config,
    keys::{
        AdminRoom, Breaker, ChatLoginKeys, Graces, HomeserverKeys, Janitor, Limits, Log, LoginKeys, Owners,
        Rooms, Rules, Store,
    },
    reader::{Noted, Reader},
    sign_in,
};

/// `[homeserver]`
#[derive(Clone, Debug)]
pub struct Homeserver {
    /// Where it answers.
    pub address: HomeserverAddress,
    /// The janitor's own account.
    pub user_id: UserId,
}

/// How the homeserver is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HomeserverAddress {
    /// `homeserver.url`: the base of its client API, http or https.
    Url(Url),
    /// `homeserver.server_name`: found by `.well-known`.
    ServerName(String),
}

impl fmt::Display for HomeserverAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url(url) => url.as_str().trim_end_matches('/'),
            Self::ServerName(name) => name,
        })
    }
}

/// Reads every section before it gives up, so that every problem is found in one go.
pub(super) fn config(reader: &mut Reader, file: Option<&Path>) -> Result<Config, Noted> {
    let homeserver = HomeserverKeys::read(reader).and_then(|keys| homeserver(reader, keys));
    let login = LoginKeys::read(reader).and_then(|keys| sign_in::main(reader, keys));
    let store = Store::read(reader);
    let janitor = Janitor::read(reader);
    let grace = Graces::read(reader);
    let rules = Rules::read(reader);
    let limits = Limits::read(reader);
    let breaker = Breaker::read(reader);
    let rooms = Rooms::read(reader);
    let owners = Owners::read(reader);
    let admin_room = AdminRoom::read(reader);
    let chat = ChatLoginKeys::read(reader)
        .and_then(|keys| sign_in::chat(reader, keys, homeserver.as_ref(), login.as_ref()));
    let log = Log::read(reader);
    Ok(Config {
        homeserver: homeserver?,
        login: login?,
        store: store?,
        janitor: janitor?,
        grace: grace?,
        rules: rules?,
        limits: limits?,
        breaker: breaker?,
        rooms: rooms?,
        owners: owners?,
        admin_room: admin_room?,
        chat: chat?,
        log: log?,
        file: file.map(Path::to_owned),
        rows: Vec::new(),
        warnings: Vec::new(),
    })
}

fn homeserver(reader: &mut Reader, keys: HomeserverKeys) -> Result<Homeserver, Noted> {
    let HomeserverKeys { url, server_name, user_id } = keys;
    let address = match (url, server_name) {
        (Some(url), None) => HomeserverAddress::Url(url),
        (None, Some(name)) => HomeserverAddress::ServerName(name),
        (Some(_), Some(_)) => {
            let sentence = format!(
                "{} and {} are both set; keep one of them",
                reader.place("homeserver.url"),
                reader.place("homeserver.server_name")
            );
            return Err(reader.note(sentence));
        }
        (None, None) => {
            return Err(reader.note(
                "homeserver.url is not set; write the address of the homeserver, such as \
                 \"https://matrix.example.org\", or its homeserver.server_name",
            ));
        }
    };
    if let HomeserverAddress::ServerName(name) = &address
        && user_id.server_name() != Some(name.as_str())
    {
        let sentence = format!(
            "{} is {name}, but {} is {user_id}; the account must be on that server",
            reader.place("homeserver.server_name"),
            reader.place("homeserver.user_id")
        );
        return Err(reader.note(sentence));
    }
    Ok(Homeserver { address, user_id })
}
