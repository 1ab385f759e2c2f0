//! From settings to signed-in neighbours, for the subcommands that need them.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use rtc_janitor_core::ids::RoomId;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep},
};

use super::CliError;
use crate::{
    config::{AdminRoom, Config, HomeserverAddress, Login, RoomRef},
    janitor::{
        Ports, Settings,
        run::{Stop, Stopper},
    },
    world::{
        Rooms,
        chat::{self, ChatConnection, ChatSettings},
        clock::{Clock as _, SystemClock},
        device_lists::KeysQuery,
        homeserver::{
            Homeserver,
            credentials::{Address, Method, SignIn, SignInError},
            sign_in,
        },
        journal::{Journal, JournalError},
        store::{Store, StoreError},
    },
};

/// The first pause after a neighbour did not answer at the start; doubled up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_mins(1));

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        Self::Mistake(error.to_string())
    }
}

impl From<JournalError> for CliError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Newer { .. } | JournalError::OtherAccount { .. } | JournalError::File { .. } => {
                Self::Mistake(error.to_string())
            }
            JournalError::Sqlite(_) => Self::unexpected("cannot go on", &error),
        }
    }
}

/// Set by SIGTERM and by Ctrl-C.
///
/// # Errors
///
/// When the system gives no signals.
pub(super) fn stop_on_signals() -> Result<Stop, CliError> {
    let (stopper, stop): (Stopper, Stop) = Stop::new();
    let listen =
        |kind| signal(kind).map_err(|error| CliError::unexpected("cannot listen to signals", &error));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        stopper.set();
    });
    Ok(stop)
}

/// The store and the journal in it.
pub(super) fn open_store(config: &Config) -> Result<(Store, Journal), CliError> {
    let store = Store::open(&config.store.path)?;
    let journal = Journal::open(store.path(), &config.homeserver.user_id, SystemClock.now()).map_err(|error| match error {
        JournalError::Sqlite(error) => CliError::Mistake(format!(
            "the journal in {} cannot be used: {error}. Put a copy of journal.sqlite3 back, or move it away to \
             begin anew",
            store.path().display()
        )),
        other => other.into(),
    })?;
    Ok((store, journal))
}

/// Signs the watch device in; waits for a homeserver that does not answer. `None` when told to stop.
pub(super) async fn sign_in_watch(
    config: &Config,
    store: &Store,
    patience: Patience<'_>,
) -> Result<Option<Homeserver>, CliError> {
    let sign_in = SignIn {
        homeserver: address(config),
        user_id: config.homeserver.user_id.clone(),
        method: method(&config.login),
    };
    retry(patience, &config.homeserver.address, async || {
        Box::pin(sign_in::watch(&sign_in, store.path())).await
    })
    .await
}

/// Signs the chat device in, likewise.
pub(super) async fn sign_in_chat(
    config: &Config,
    store: &Store,
    patience: Patience<'_>,
) -> Result<Option<ChatConnection>, CliError> {
    let AdminRoom { user_id, login, recovery_key, .. } = &config.admin_room;
    let sign_in = SignIn { homeserver: address(config), user_id: user_id.clone(), method: method(login) };
    let settings = ChatSettings {
        store: store.path().to_owned(),
        passphrase: config.store.passphrase.as_ref().map(|secret| secret.expose().to_owned()),
        recovery_key: recovery_key.as_ref().map(|secret| secret.expose().to_owned()),
    };
    retry(patience, &config.homeserver.address, async || Box::pin(chat::sign_in(&sign_in, &settings)).await)
        .await
}

/// How long a homeserver that does not answer is waited for.
#[derive(Clone, Copy)]
pub(super) struct Patience<'a> {
    /// Until this is set.
    pub stop: &'a Stop,
    /// At most this long; for ever where nothing is said.
    pub longest: Option<Duration>,
}

/// Tries until it works, patience ends, or it turns out to be a mistake of the user's. `None` when told to
/// stop.
async fn retry<T>(
    patience: Patience<'_>,
    homeserver: &HomeserverAddress,
    attempt: impl AsyncFn() -> Result<T, SignInError>,
) -> Result<Option<T>, CliError> {
    let Patience { stop, longest } = patience;
    let begun = Instant::now();
    let mut pause = PAUSES.0;
    while let Some(result) = stop.or(attempt()).await {
        match result {
            Ok(done) => return Ok(Some(done)),
            Err(SignInError::Mistake(sentence)) => return Err(CliError::Mistake(sentence)),
            Err(error) if longest.is_some_and(|longest| begun.elapsed() >= longest) => {
                return Err(CliError::Unexpected(format!("{error} ({homeserver}); given up")));
            }
            Err(error) => {
                // Once more when patience ends.
                let left = longest.map(|longest| longest.saturating_sub(begun.elapsed()));
                pause = left.map_or(pause, |left| pause.min(left));
                let shown = Duration::from_millis(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
                let shown = humantime::format_duration(shown);
                tracing::warn!(%homeserver, "{error}; trying again in {shown}");
            }
        }
        if stop.or(sleep(pause)).await.is_none() {
            break;
        }
        pause = (pause * 2).min(PAUSES.1);
    }
    Ok(None)
}

fn address(config: &Config) -> Address {
    match &config.homeserver.address {
        HomeserverAddress::Url(url) => Address::Url(url.to_string()),
        HomeserverAddress::ServerName(name) => Address::ServerName(name.clone()),
    }
}

fn method(login: &Login) -> Method {
    match login {
        Login::Password(password) => Method::Password(password.expose().to_owned()),
        Login::AccessToken { token, device_id } => Method::Token {
            access_token: token.expose().to_owned(),
            device_id: device_id.as_str().to_owned(),
        },
    }
}

/// The real neighbours.
pub(super) fn ports(homeserver: &Homeserver) -> Ports {
    Ports {
        rooms: Arc::new(homeserver.clone()),
        writer: Arc::new(homeserver.clone()),
        device_lists: Arc::new(KeysQuery::new(homeserver.clone())),
        clock: Arc::new(SystemClock),
    }
}

/// The janitor's settings, with every alias resolved. An exclusion that cannot be resolved is not
/// ignored: nothing begins before it is known which room is meant. `None` when told to stop.
pub(super) async fn settings(
    config: &Config,
    rooms: &dyn Rooms,
    patience: Patience<'_>,
) -> Result<Option<Settings>, CliError> {
    let Some(include) = resolve_all(&config.rooms.include, config, rooms, "rooms.include", patience).await?
    else {
        return Ok(None);
    };
    let Some(exclude) = resolve_all(&config.rooms.exclude, config, rooms, "rooms.exclude", patience).await?
    else {
        return Ok(None);
    };
    Ok(Some(Settings::new(config, include, exclude)))
}

async fn resolve_all(
    named: &[RoomRef],
    config: &Config,
    rooms: &dyn Rooms,
    key: &str,
    patience: Patience<'_>,
) -> Result<Option<BTreeSet<RoomId>>, CliError> {
    let mut ids = BTreeSet::new();
    for room in named {
        match resolve(room, config, rooms, key, patience).await? {
            Some(id) => ids.insert(id),
            None => return Ok(None),
        };
    }
    Ok(Some(ids))
}

/// The id of a room that the settings name under `key`.
pub(super) async fn resolve(
    room: &RoomRef,
    config: &Config,
    rooms: &dyn Rooms,
    key: &str,
    patience: Patience<'_>,
) -> Result<Option<RoomId>, CliError> {
    let alias = match room {
        RoomRef::Id(id) => return Ok(Some(id.clone())),
        RoomRef::Alias(alias) => alias,
    };
    retry(patience, &config.homeserver.address, async || match rooms.resolve(alias).await? {
        Some(id) => Ok(id),
        None => Err(SignInError::Mistake(format!(
            "{key}: the homeserver knows no room {alias}. Create the alias, or name the room by its id"
        ))),
    })
    .await
}
