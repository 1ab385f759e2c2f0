//! What more than one key decides, and the whole of it.

use std::path::Path;

use super::{
    Config, Namespace,
    keys::{
        AdminRoom, AppserviceKeys, Breaker, ChatLoginKeys, Graces, HomeserverKeys, Http, Janitor, Limits,
        LiveKitKeys, Log, LoginKeys, Owners, Rooms, Rules, Store, SynapseAdminKeys,
    },
    reader::{Noted, Reader},
    sections::{Appservice, Homeserver, HomeserverAddress, LiveKit, SynapseAdmin},
    sign_in,
};

/// Reads every section before it gives up, so that every problem is found in one go.
pub(super) fn config(reader: &mut Reader, file: Option<&Path>) -> Result<Config, Noted> {
    let homeserver = homeserver(reader);
    let appservice =
        AppserviceKeys::read(reader).and_then(|keys| appservice(reader, keys, homeserver.as_ref()));
    let login = LoginKeys::read(reader)
        .and_then(|keys| sign_in::main(reader, keys, homeserver.as_ref(), appservice.as_ref()));
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
    let synapse_admin = SynapseAdminKeys::read(reader).and_then(|keys| synapse_admin(reader, keys));
    let livekit = LiveKitKeys::read(reader).and_then(|keys| livekit(reader, keys));
    let http = Http::read(reader);
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
        synapse_admin: synapse_admin?,
        livekit: livekit?,
        appservice: appservice?,
        http: http?,
        log: log?,
        file: file.map(Path::to_owned),
        rows: Vec::new(),
        warnings: Vec::new(),
    })
}

/// An address is of no use without a token.
fn synapse_admin(reader: &mut Reader, keys: SynapseAdminKeys) -> Result<Option<SynapseAdmin>, Noted> {
    match keys {
        SynapseAdminKeys { access_token: Some(access_token), url } => {
            Ok(Some(SynapseAdmin { access_token, url }))
        }
        SynapseAdminKeys { access_token: None, url: None } => Ok(None),
        SynapseAdminKeys { access_token: None, url: Some(_) } => {
            let place = reader.place("synapse_admin.url");
            Err(reader.note(format!(
                "{place} is set without a token; write synapse_admin.access_token_file as well"
            )))
        }
    }
}

/// The token and whom it may write as, or nothing.
fn appservice(
    reader: &mut Reader,
    keys: AppserviceKeys,
    homeserver: Result<&Homeserver, &Noted>,
) -> Result<Option<Appservice>, Noted> {
    let AppserviceKeys { as_token, user_id, namespace } = keys;
    if as_token.is_none() && user_id.is_none() && namespace.is_none() {
        return Ok(None);
    }
    let janitor = &homeserver.map_err(|noted| *noted)?.user_id;
    if let Some(user_id) = user_id.as_ref().filter(|user_id| *user_id != janitor) {
        let (own, account) = (reader.place("appservice.user_id"), reader.place("homeserver.user_id"));
        return Err(reader.note(format!(
            "{own} is {user_id}, but {account} is {janitor}; write the same in both, or leave appservice.user_id out"
        )));
    }
    let Some(as_token) = as_token else {
        let is_namespace = namespace.is_some();
        let place = reader.place(if is_namespace { "appservice.namespace" } else { "appservice.user_id" });
        return Err(reader.note(format!(
            "{place} is set without a token; write appservice.as_token_file, with the as_token of the registration"
        )));
    };
    let server = janitor.server_name().unwrap_or_default();
    let expression =
        namespace.map_or_else(|| Namespace::of_server(server), |regex| regex.as_str().to_owned());
    let namespace = Namespace::new(&expression, server)
        .map_err(|error| reader.note(format!("appservice.namespace cannot be used: {error}")))?;
    Ok(Some(Appservice { as_token, namespace }))
}

/// All three of what it takes, or nothing.
fn livekit(reader: &mut Reader, keys: LiveKitKeys) -> Result<Option<LiveKit>, Noted> {
    let LiveKitKeys { url, api_key, api_secret, service_urls, poll_interval, webhook } = keys;
    let missing: Vec<_> = [
        (url.is_none(), "livekit.url"),
        (api_key.is_none(), "livekit.api_key_file"),
        (api_secret.is_none(), "livekit.api_secret_file"),
    ]
    .into_iter()
    .filter_map(|(is_missing, key)| is_missing.then_some(key))
    .collect();
    match (url, api_key, api_secret) {
        (Some(url), Some(api_key), Some(api_secret)) => {
            Ok(Some(LiveKit { url, api_key, api_secret, service_urls, poll_interval, webhook }))
        }
        (None, None, None) if service_urls.is_empty() => Ok(None),
        _ => Err(reader.note(format!(
            "[livekit] is set in part: write {} as well, or leave the section out",
            missing.join(" and ")
        ))),
    }
}

fn homeserver(reader: &mut Reader) -> Result<Homeserver, Noted> {
    // Where nothing is set yet, the address is what to begin with.
    let is_named = reader.is_set("homeserver.url") || reader.is_set("homeserver.server_name");
    let unnamed = (!is_named).then(|| {
        reader.note(
            "homeserver.url is not set; write the address of the homeserver, such as \
             \"https://matrix.example.org\", or its homeserver.server_name",
        )
    });
    let HomeserverKeys { url, server_name, user_id } = HomeserverKeys::read(reader)?;
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
        (None, None) => return Err(unnamed.unwrap_or(Noted)),
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
