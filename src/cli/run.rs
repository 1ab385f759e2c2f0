//! `rtc-janitor run`: the bot, until it is told to stop.

mod http_port;
mod other_watch;
mod posting;
mod service_manager;

use std::{process::ExitCode, sync::Arc, time::Duration};

use rtc_janitor_core::{
    ids::{RoomId, UserId},
    render::{Message, report},
};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use self::service_manager::ServiceManager;
use super::{
    CliError, logging,
    set_up::{self, Patience},
};
use crate::{
    admin_room::{self, CommandContext, CommandDispatcher, Paths, Posting, Surveys},
    config::{AdminRoom as AdminRoomSettings, Config, RoomRef},
    http::Pulses,
    janitor::{
        Inbox, Janitor, Outbox, Settings,
        handle::JanitorHandle,
        watcher::{Ended, Watcher},
    },
    shutdown::Shutdown,
    supervisor::{Supervisor, TaskResult},
    world::{
        Chat, Post, Rooms,
        chat::{AdminRoom, ChatConnection},
        clock::{Clock as _, SystemClock},
        homeserver::Homeserver,
        journal::{Journal, Stored},
        store::Store,
        synapse_admin::SynapseAdmin,
    },
};

/// Watch, judge, report and, in mode "clean", clear (the default)
///
/// Runs until SIGTERM or Ctrl-C, then finishes the write in flight and exits with 0. A second signal ends it
/// at once.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Args {}

/// How many sync answers may wait for the loop; the watch waits when it is full.
const SYNC_UPDATES: usize = 4;

/// How many batches of events of the admin room may wait for the dispatcher.
const EVENT_BATCHES: usize = 16;

/// How long posting the last message may take.
const LAST_WORD: Duration = Duration::from_secs(3);

/// Runs the bot until it is told to stop.
///
/// # Errors
/// What cannot heal while it runs: a wrong password, a store of another account.
pub async fn main(_args: Args, config: Config) -> Result<ExitCode, CliError> {
    logging::start(&config.log)?;
    let (shutdown, signals) = set_up::shutdown_on_signals()?;
    let mut running = Box::pin(run(config, shutdown.clone()));
    tokio::select! {
        biased;
        done = &mut running => done,
        // A bot that hears no signal any more could not be stopped without harm.
        ended = signals => {
            shutdown.request();
            running.await?;
            let why = ended.map_or_else(|error| error.to_string(), |()| "it ended by itself".to_owned());
            Err(CliError::Unexpected(format!("what listens to signals has failed ({why}); this is a bug")))
        }
    }
}

/// Runs the bot until `shutdown` is requested.
///
/// # Errors
/// What cannot heal while it runs.
pub async fn run(config: Config, shutdown: Shutdown) -> Result<ExitCode, CliError> {
    let Some(Running { supervisor, _store }) = Box::pin(start(config, shutdown)).await? else {
        return Ok(ExitCode::SUCCESS);
    };
    supervisor.run().await.map_err(|error| CliError::Unexpected(error.to_string()))?;
    Ok(ExitCode::SUCCESS)
}

/// A bot whose tasks have begun.
#[derive(Debug)]
pub struct Running {
    /// The tasks; to be run to their end.
    pub supervisor: Supervisor,
    /// Held as long as the bot runs: one process for each store.
    _store: Store,
}

/// Nobody is signed in: what serves and tells already is to end well, and before a mistake is told, which is the last
/// word.
async fn end_early<T>(
    supervisor: Supervisor,
    shutdown: &Shutdown,
    outcome: Result<T, CliError>,
) -> Result<T, CliError> {
    shutdown.request();
    supervisor.run().await.map_err(|error| CliError::Unexpected(error.to_string()))?;
    outcome
}

/// Signs in and starts every task; `None` when `shutdown` is requested meanwhile.
///
/// # Errors
/// What cannot heal while it runs.
pub async fn start(config: Config, shutdown: Shutdown) -> Result<Option<Running>, CliError> {
    // Before anything is served: a second process on the same store is a mistake and does no more than say so.
    let opened = open(&config)?;
    let mut supervisor = Supervisor::new(shutdown.clone());
    let http_port = http_port::serve(&config, &mut supervisor, &shutdown);
    let service_manager = service_manager::follow(http_port.health.clone(), &mut supervisor, &shutdown);
    let patience = Patience { shutdown: &shutdown, longest: None };
    let signed_in = match Box::pin(sign_in(&config, opened, &service_manager, patience)).await {
        Ok(Some(signed_in)) => signed_in,
        other => return end_early(supervisor, &shutdown, other.map(|_| None)).await,
    };
    let SignedIn { store, journal, homeserver, settings, chat, admin_room } = signed_in;
    let homeserver = homeserver.counted(http_port.metrics.clone());

    let (updates, sync) = mpsc::channel(SYNC_UPDATES);
    let (outbox, mail) = Outbox::new();
    let (handle, requests) = JanitorHandle::new();
    let (events, batches) = mpsc::channel(EVENT_BATCHES);
    let (posted, acknowledged) = mpsc::unbounded_channel();
    let (reachable, reachability) = watch::channel(None);
    let (posts, posts_taken) = watch::channel(None);
    let (announce, announcements) = mpsc::unbounded_channel();
    let (synced, last_sync) = watch::channel(None);

    let port: Arc<dyn Chat> = Arc::new(admin_room.clone());
    let admin = set_up::synapse_admin(&config, &homeserver, &http_port.metrics).await?;
    let surveys =
        admin.granted().map(|admin| surveys(admin, &homeserver, handle.clone(), &mut supervisor, &shutdown));
    let context = CommandContext {
        janitor: handle.clone(),
        rooms: Arc::new(homeserver.clone()),
        chat: Arc::clone(&port),
        clock: Arc::new(SystemClock),
        me: chat.user_id(),
        prefix: config.admin_room.command_prefix.clone(),
        surveys,
        settings: config.effective().into(),
        paths: paths(&config),
    };
    let AdminRoomSettings { power_level, admins, .. } = &config.admin_room;
    let dispatcher = CommandDispatcher::new(context, *power_level, admins.iter().cloned());
    let since = journal.since()?;
    let interval = settings.reread_interval;
    let posting =
        Posting { chat: Arc::clone(&port), mail, posted, posts, metrics: http_port.metrics.clone() };
    let neighbours = set_up::ports(&config, &homeserver, http_port.metrics.clone(), &admin)?;
    let janitor = Janitor::new(settings, neighbours, journal, outbox)?;
    let watch = Box::new(homeserver.watch());
    let watcher = Watcher::new(watch, Arc::new(SystemClock), interval, updates, synced, janitor.is_writing());
    let inbox = Inbox {
        sync,
        posted: acknowledged,
        admin_room: reachability,
        posts: posts_taken,
        announcements,
        departures: http_port.departures(&mut supervisor, &shutdown),
        requests,
    };
    http_port.health.begin(Pulses {
        has_seen_all: janitor.has_seen_all(),
        synced: last_sync,
        admin_room: reachable.subscribe(),
    });

    service_manager.loop_begins(handle.clone());
    let last_word = LastWord { chat: Arc::clone(&port), alert: config.admin_room.alert.clone() };
    supervisor.spawn("janitor", follow_inputs(janitor, inbox, last_word.clone(), shutdown.clone()));
    supervisor.spawn("watch", follow_sync(watcher, since, last_word, shutdown.clone()));
    supervisor.spawn("chat", {
        let (room, shutdown) = (admin_room.clone(), shutdown.clone());
        async move {
            // Without it nobody can be told of anything, so nothing would ever be written again.
            let done = room.run(events, shutdown.requested()).await;
            done.map_err(|error| session_ended("chat", &error.to_string()))
        }
    });
    supervisor.spawn("reachability", {
        let (port, room, shutdown) = (Arc::clone(&port), admin_room.clone(), shutdown.clone());
        async move {
            let ready = async move { room.ready().await };
            admin_room::watch_reachability(port, ready, reachable, shutdown).await;
            Ok(())
        }
    });
    supervisor.spawn("other watch devices", {
        let (announce, shutdown) = (announce.clone(), shutdown.clone());
        async move {
            let _: Option<()> = shutdown.or(other_watch::look_for_others(homeserver, announce)).await;
            Ok(())
        }
    });
    supervisor.spawn("posting", {
        let shutdown = shutdown.clone();
        async move {
            let keys = Box::pin(posting::set_up_keys(chat, admin_room, announce));
            posting::run(posting, keys, handle, shutdown).await;
            Ok(())
        }
    });
    supervisor.spawn("commands", async move {
        dispatcher.serve(batches, shutdown).await;
        Ok(())
    });
    Ok(Some(Running { supervisor, _store: store }))
}

/// Opens the store, and says what is about to be done.
fn open(config: &Config) -> Result<(Store, Journal), CliError> {
    let opened = set_up::open_store(config)?;
    set_up::announce(config);
    Ok(opened)
}

/// Surveys, with the task that gets into the rooms of approved plans.
fn surveys(
    admin: Arc<SynapseAdmin>,
    homeserver: &Homeserver,
    janitor: JanitorHandle,
    supervisor: &mut Supervisor,
    shutdown: &Shutdown,
) -> Surveys {
    let me = homeserver.user_id().clone();
    let (surveys, joins) = Surveys::new(admin, Arc::new(homeserver.clone()), Arc::new(SystemClock), me);
    let shutdown = shutdown.clone();
    supervisor.spawn("joins", async move {
        joins.serve(janitor, shutdown).await;
        Ok(())
    });
    surveys
}

fn paths(config: &Config) -> Paths {
    Paths {
        config_file: config.file().map(|file| file.display().to_string()),
        store: config.store.path.display().to_string(),
    }
}

/// The janitor's loop. When it cannot go on it says so in the admin room, where that can be spoken in.
async fn follow_inputs(
    janitor: Janitor,
    inbox: Inbox,
    last_word: LastWord,
    shutdown: Shutdown,
) -> TaskResult {
    let Err(error) = janitor.run(inbox, shutdown).await else { return Ok(()) };
    let why = error.to_string();
    tracing::error!("cannot go on: {why}");
    last_word.say(report::cannot_go_on(&why)).await;
    Err(format!("cannot go on: {why}"))
}

/// The watch.
async fn follow_sync(
    watcher: Watcher,
    since: Option<String>,
    last_word: LastWord,
    shutdown: Shutdown,
) -> TaskResult {
    let Ended::SignedOut(why) = watcher.follow(since, shutdown).await else { return Ok(()) };
    last_word.say(report::signed_out("watch", &why)).await;
    Err(session_ended("watch", &why))
}

/// Everything that is there before the first task starts.
struct SignedIn {
    store: Store,
    journal: Journal,
    homeserver: Homeserver,
    settings: Settings,
    chat: ChatConnection,
    admin_room: AdminRoom,
}

/// Signs both devices in and finds the rooms that the settings name. `None` when told to stop.
async fn sign_in(
    config: &Config,
    (store, journal): (Store, Journal),
    service_manager: &ServiceManager,
    patience: Patience<'_>,
) -> Result<Option<SignedIn>, CliError> {
    service_manager.is_up();
    let Some(homeserver) = Box::pin(set_up::sign_in_watch(config, &store, patience)).await? else {
        return Ok(None);
    };
    journal.bind_account(&config.homeserver.user_id)?;
    let Some(mut settings) = set_up::settings(config, &homeserver, &journal, patience).await? else {
        return Ok(None);
    };
    let Some(room) = find_admin_room(config, &homeserver, &journal, patience).await? else {
        return Ok(None);
    };
    settings.admin_room = Some(room.clone());
    homeserver.address().as_str().trim_end_matches('/').clone_into(&mut settings.homeserver);
    let Some(chat) = Box::pin(set_up::sign_in_chat(config, &store, patience)).await? else {
        return Ok(None);
    };
    let admin_room = chat.admin_room(&room).map_err(|error| CliError::mistake(error.to_string()))?;
    tracing::info!(user = %homeserver.user_id(), mode = %config.janitor.mode, %room, "signed in");
    Ok(Some(SignedIn { store, journal, homeserver, settings, chat, admin_room }))
}

/// A new sign-in begins with a new start, which is for whoever supervises this process to make.
fn session_ended(device: &str, why: &str) -> String {
    format!(
        "the homeserver has ended the session of the {device} device ({why}); start me again to sign in anew"
    )
}

/// Says in the admin room why it ends, without the journal, which may be what fails.
#[derive(Clone)]
struct LastWord {
    chat: Arc<dyn Chat>,
    /// Who is mentioned.
    alert: Vec<UserId>,
}

impl LastWord {
    async fn say(&self, message: Message) {
        let post = Post::Notice { message, reply_to: None, mentions: self.alert.clone(), is_alarm: true };
        let transaction = format!("rtc-janitor-last-word-{}", SystemClock.now().as_millis());
        match timeout(LAST_WORD, self.chat.post(&transaction, &post)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!("no last word in the admin room: {error}"),
            Err(_) => tracing::warn!("no last word in the admin room: it took too long"),
        }
    }
}

/// The admin room by its id: an alias is resolved once and its id kept.
async fn find_admin_room(
    config: &Config,
    rooms: &dyn Rooms,
    journal: &Journal,
    patience: Patience<'_>,
) -> Result<Option<RoomId>, CliError> {
    let configured = config.admin_room.room.to_string();
    match (journal.admin_room()?, &config.admin_room.room) {
        (Stored::Read((known, id)), _) if known == configured => return Ok(Some(id)),
        (Stored::Unreadable(_), RoomRef::Alias(alias)) => {
            return Err(CliError::mistake(format!(
                "the journal cannot read which room {alias} was, and it may lead elsewhere by now: \
                 name the admin room by its id in admin_room.room"
            )));
        }
        _ => {}
    }
    let found = set_up::resolve(&config.admin_room.room, config, rooms, "admin_room.room", patience).await?;
    if let Some(id) = &found {
        journal.set_admin_room(&configured, id)?;
    }
    Ok(found)
}
