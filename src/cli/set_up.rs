//! From settings to signed-in neighbours, for the subcommands that need them.

mod neighbours;

use std::{collections::BTreeMap, time::Duration};

use rtc_janitor_core::ids::RoomId;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinHandle,
    time::{Instant, sleep},
};

pub(super) use self::neighbours::{ports, synapse_admin, webhooks};
use super::CliError;
use crate::{
    config::{Chat, Config, HomeserverAddress, Login, RoomRef},
    janitor::{
        Settings,
        aliases::{self, UnresolvedAlias},
    },
    shutdown::Shutdown,
    world::{
        Rooms,
        backoff::Backoff,
        chat::{self, ChatConnection, ChatSettings},
        clock::{Clock as _, SystemClock},
        homeserver::{
            Homeserver,
            credentials::{Address, Method, SignIn, SignInError},
            sign_in,
        },
        journal::{Journal, JournalError},
        store::{Store, StoreError},
    },
};

/// The pauses after a neighbour did not answer at the start.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_mins(1));

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        Self::Mistake(error.to_string())
    }
}

impl From<JournalError> for CliError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Newer { .. }
            | JournalError::Older { .. }
            | JournalError::Missing { .. }
            | JournalError::OtherAccount { .. }
            | JournalError::File { .. } => Self::Mistake(error.to_string()),
            _ => Self::unexpected("cannot go on", &error),
        }
    }
}

/// Says, before anything is asked of anybody, what is about to be done and what the settings warn of.
pub(super) fn announce(config: &Config) {
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let file = config.file().map_or_else(|| "no config file".to_owned(), |file| file.display().to_string());
    tracing::info!(
        "rtc-janitor {}, {file}, mode {}: signing in to {} as {}",
        env!("CARGO_PKG_VERSION"),
        config.janitor.mode,
        config.homeserver.address,
        config.homeserver.user_id
    );
}

/// How the process ends at a second signal: as the shell counts it.
const BY_SIGNAL: i32 = 130;

/// Requested by SIGTERM and by Ctrl-C; a second one ends the process at once. With it comes the task that hears them,
/// which never ends by itself.
///
/// # Errors
///
/// When the system gives no signals.
pub(super) fn shutdown_on_signals() -> Result<(Shutdown, JoinHandle<()>), CliError> {
    let shutdown = Shutdown::new();
    let listen =
        |kind| signal(kind).map_err(|error| CliError::unexpected("cannot listen to signals", &error));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let requested = shutdown.clone();
    let heard = tokio::spawn(async move {
        let mut signalled = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        signalled().await;
        tracing::info!("stopping");
        requested.request();
        signalled().await;
        // Whatever is under way is in the journal as an intent, and looked up at the next start.
        tracing::warn!("stopping at once");
        std::process::exit(BY_SIGNAL);
    });
    Ok((shutdown, heard))
}

/// The store and the journal in it.
pub(super) fn open_store(config: &Config) -> Result<(Store, Journal), CliError> {
    let store = Store::open(&config.store.path)?;
    // Whatever it is, somebody has to do something about it.
    let journal = Journal::open(store.path(), &config.homeserver.user_id, SystemClock.now())
        .map_err(|error| match error {
            JournalError::Damaged(error) | JournalError::Sqlite(error) => CliError::Mistake(format!(
                "the journal in {} cannot be used: {error}. Put a copy of journal.sqlite3 back, or move it away to \
                 begin anew",
                store.path().display()
            )),
            other => CliError::Mistake(other.to_string()),
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
    let Chat { user_id, login } = &config.chat;
    let sign_in = SignIn { homeserver: address(config), user_id: user_id.clone(), method: method(login) };
    let settings = ChatSettings {
        store: store.path().to_owned(),
        passphrase: config.store.passphrase.clone(),
        recovery_key: config.admin_room.recovery_key.clone(),
    };
    retry(patience, &config.homeserver.address, async || Box::pin(chat::sign_in(&sign_in, &settings)).await)
        .await
}

/// How long a homeserver that does not answer is waited for.
#[derive(Clone, Copy)]
pub(super) struct Patience<'a> {
    /// Until this is set.
    pub shutdown: &'a Shutdown,
    /// At most this long; for ever where nothing is said.
    pub longest: Option<Duration>,
}

/// Why an attempt came to nothing.
enum Failure {
    /// Only the user can put it right.
    Mistake(String),
    /// It may work next time.
    MayHeal(String),
}

impl From<SignInError> for Failure {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Mistake(sentence) => Self::Mistake(sentence),
            error @ SignInError::Unreachable(_) => Self::MayHeal(error.to_string()),
        }
    }
}

/// Tries until it works, patience ends, or it turns out to be a mistake of the user's. `None` when told to
/// stop.
async fn retry<T, E: Into<Failure>>(
    patience: Patience<'_>,
    homeserver: &HomeserverAddress,
    attempt: impl AsyncFn() -> Result<T, E>,
) -> Result<Option<T>, CliError> {
    let Patience { shutdown, longest } = patience;
    let begun = Instant::now();
    let mut backoff = BACKOFF;
    while let Some(result) = shutdown.or(attempt()).await {
        let why = match result.map_err(Into::into) {
            Ok(done) => return Ok(Some(done)),
            Err(Failure::Mistake(sentence)) => return Err(CliError::Mistake(sentence)),
            Err(Failure::MayHeal(why)) if longest.is_some_and(|longest| begun.elapsed() >= longest) => {
                return Err(CliError::Unexpected(format!("{why} ({homeserver}); given up")));
            }
            Err(Failure::MayHeal(why)) => why,
        };
        // Once more when patience ends.
        let left = longest.map_or(Duration::MAX, |longest| longest.saturating_sub(begun.elapsed()));
        let pause = backoff.next().min(left);
        let shown = Duration::from_millis(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        let shown = humantime::format_duration(shown);
        tracing::warn!(%homeserver, "{why}; trying again in {shown}");
        if shutdown.or(sleep(pause)).await.is_none() {
            break;
        }
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
        Login::Password(password) => Method::Password(password.clone()),
        Login::AccessToken { token, device_id } => {
            Method::Token { access_token: token.clone(), device_id: device_id.as_str().to_owned() }
        }
        Login::Appservice(as_token) => Method::Appservice(as_token.clone()),
    }
}

/// The rooms that aliases led to at earlier starts.
pub(super) trait AliasMemory {
    /// The room an alias led to when it was last resolved.
    fn room(&self, alias: &str) -> Result<Option<RoomId>, JournalError>;

    /// Keeps where it leads.
    fn keep(&self, alias: &str, room: &RoomId) -> Result<(), JournalError>;
}

impl AliasMemory for Journal {
    fn room(&self, alias: &str) -> Result<Option<RoomId>, JournalError> {
        self.alias_room(alias)
    }

    fn keep(&self, alias: &str, room: &RoomId) -> Result<(), JournalError> {
        self.set_alias_room(alias, room)
    }
}

/// The janitor's settings, with every alias resolved that can be. What cannot is warned of, and is in
/// [`Settings::unresolved`]. `None` when told to stop.
pub(super) async fn settings(
    config: &Config,
    rooms: &dyn Rooms,
    memory: &dyn AliasMemory,
    patience: Patience<'_>,
) -> Result<Option<Settings>, CliError> {
    let asked = aliases::aliases(&config.rooms);
    let mut known = BTreeMap::new();
    for alias in &asked {
        if let Some(room) = memory.room(alias)? {
            known.insert(alias.clone(), room);
        }
    }
    let resolving = aliases::resolve(asked, async |alias| rooms.resolve(alias).await);
    let Some(answers) = patience.shutdown.or(resolving).await else { return Ok(None) };
    for (alias, answer) in &answers {
        match (answer, known.get(alias)) {
            (Ok(room), _) => memory.keep(alias, room)?,
            (Err(why), Some(room)) => {
                tracing::warn!(alias, "does not resolve ({why}); it is taken for {room}, as before");
            }
            (Err(_), None) => {}
        }
    }
    let settings = Settings::new(config, aliases::place(&config.rooms, &answers, &known));
    for UnresolvedAlias { key, alias, why } in &settings.unresolved {
        let effect = if *key == aliases::EXCLUDE { "nothing is written" } else { "that room is left alone" };
        tracing::warn!(key, alias, "{key}: {alias} does not resolve ({why}); until it does, {effect}");
    }
    Ok(Some(settings))
}

/// The id of a room that is named under `key`. An alias that does not resolve is waited for, unless patience has an
/// end: then one that does not exist is a mistake.
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
    retry(patience, &config.homeserver.address, async || match rooms.resolve(alias).await {
        Ok(Some(id)) => Ok(id),
        Ok(None) => {
            let sentence = format!(
                "{key}: the homeserver knows no room {alias}. Create the alias, or name the room by its id"
            );
            Err(if patience.longest.is_some() { Failure::Mistake } else { Failure::MayHeal }(sentence))
        }
        Err(error) => Err(Failure::MayHeal(format!("{key}: {alias} does not resolve: {error}"))),
    })
    .await
}
