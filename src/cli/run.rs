//! `rtc-janitor run`: the bot, until it is told to stop.

use std::{process::ExitCode, sync::Arc, time::Duration};

use rtc_janitor_core::{ids::RoomId, render::report};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{
    CliError, logging,
    set_up::{self, Patience},
};
use crate::{
    admin_room::{self, FrontDesk, House},
    config::{AdminRoom as AdminRoomSettings, Config},
    janitor::{
        Janitor, Mail, Outbox,
        desk::Desk,
        run::{Announcement, Inbox, Stop},
        watcher::{Ended, Watcher},
    },
    world::{
        Chat, Delivery, NeighbourError, Rooms,
        chat::{AdminRoom, ChatConnection, KeySetUp},
        clock::SystemClock,
        journal::Journal,
    },
};

/// Watch, judge, report and, in mode "clean", clear (the default)
///
/// Runs until SIGTERM or Ctrl-C, then finishes the write in flight and exits with 0.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Args {}

/// How many batches of sync may wait for the loop; the watch waits when it is full.
const NEWS: usize = 16;

/// How many deliveries from the admin room may wait for the front desk.
const DELIVERIES: usize = 16;

/// How long the helping tasks may take to end.
const GOODBYE: Duration = Duration::from_secs(1);

/// The pause before the keys of the chat device are tried again.
const KEYS_AGAIN: Duration = Duration::from_secs(30);

/// Runs the bot until it is told to stop.
///
/// # Errors
/// What cannot heal while it runs: a wrong password, a store of another account.
pub async fn main(_args: Args, config: Config) -> Result<ExitCode, CliError> {
    logging::start(&config.log)?;
    let stop = set_up::stop_on_signals()?;
    Box::pin(run(config, stop)).await
}

/// Runs the bot until `stop` is set.
///
/// # Errors
/// What cannot heal while it runs.
pub async fn run(config: Config, stop: Stop) -> Result<ExitCode, CliError> {
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let (store, journal) = set_up::open_store(&config)?;
    let patience = Patience { stop: &stop, longest: None };
    let Some(homeserver) = Box::pin(set_up::sign_in_watch(&config, &store, patience)).await? else {
        return Ok(ExitCode::SUCCESS);
    };
    let Some(mut settings) = set_up::settings(&config, &homeserver, patience).await? else {
        return Ok(ExitCode::SUCCESS);
    };
    let Some(room) = find_admin_room(&config, &homeserver, &journal, patience).await? else {
        return Ok(ExitCode::SUCCESS);
    };
    settings.admin_room = Some(room.clone());
    let Some(chat) = Box::pin(set_up::sign_in_chat(&config, &store, patience)).await? else {
        return Ok(ExitCode::SUCCESS);
    };
    let admin_room = chat.admin_room(&room).map_err(|error| CliError::mistake(error.to_string()))?;
    tracing::info!(user = %homeserver.user_id(), mode = %config.janitor.mode, %room, "signed in");

    let (news, heard) = mpsc::channel(NEWS);
    let (outbox, mail) = Outbox::new();
    let (desk, jobs) = Desk::new();
    let (ears, deliveries) = mpsc::channel(DELIVERIES);
    let (sent, acknowledged) = mpsc::unbounded_channel();
    let (reachable, reachability) = watch::channel(None);
    let (announce, announcements) = mpsc::unbounded_channel();

    let since = journal.since()?;
    let watcher =
        Watcher::new(Box::new(homeserver.watch()), Arc::new(SystemClock), settings.reread_interval, news);
    let port: Arc<dyn Chat> = Arc::new(admin_room.clone());
    let ready = {
        let admin_room = admin_room.clone();
        async move { admin_room.ready().await }
    };
    let house = House {
        desk: desk.clone(),
        rooms: Arc::new(homeserver.clone()),
        chat: Arc::clone(&port),
        clock: Arc::new(SystemClock),
        me: chat.user_id(),
        prefix: config.admin_room.command_prefix.clone(),
        settings: config.effective().into(),
    };
    let AdminRoomSettings { power_level, admins, .. } = &config.admin_room;
    let front_desk = FrontDesk::new(house, *power_level, admins.iter().cloned());
    let mut chatting = tokio::spawn(follow_chat(admin_room.clone(), ears, stop.clone()));
    let tasks = [
        tokio::spawn(admin_room::watch_reachability(Arc::clone(&port), ready, reachable, stop.clone())),
        tokio::spawn(speak(chat, admin_room, port, mail, sent, announce, stop.clone())),
        tokio::spawn(front_desk.serve(deliveries, stop.clone())),
    ];
    let watching = tokio::spawn(watcher.follow(since, stop.clone()));

    let janitor = Janitor::new(settings, set_up::ports(&homeserver), journal, outbox)?;
    let inbox = Inbox { news: heard, sent: acknowledged, admin_room: reachability, announcements, jobs };
    let mut running = tokio::spawn(janitor.run(inbox, stop.clone()));
    let outcome = tokio::select! {
        done = &mut running => finished(done),
        ended = watching => match ended {
            Ok(Ended::SignedOut(why)) => {
                say_last_word(&desk, &why).await;
                Err(session_ended("watch", &why))
            }
            _ => finished(running.await),
        },
        // Without it nobody can be told of anything, so nothing would ever be written again.
        Ok(Err(error)) = &mut chatting => Err(session_ended("chat", &error.to_string())),
    };
    say_goodbye(tasks).await;
    if !chatting.is_finished() && timeout(GOODBYE, &mut chatting).await.is_err() {
        chatting.abort();
    }
    outcome
}

fn finished(
    done: Result<Result<(), crate::world::journal::JournalError>, tokio::task::JoinError>,
) -> Result<ExitCode, CliError> {
    done.map_err(|error| CliError::unexpected("the janitor stopped", &error))??;
    Ok(ExitCode::SUCCESS)
}

/// A new sign-in begins with a new start, which is for whoever supervises this process to make.
fn session_ended(device: &str, why: &str) -> CliError {
    CliError::Unexpected(format!(
        "the homeserver has ended the session of the {device} device ({why}); start me again to sign in anew"
    ))
}

/// The helping tasks hear of the stop themselves; one that hangs is not waited for.
async fn say_goodbye(tasks: [JoinHandle<()>; 3]) {
    for mut task in tasks {
        if timeout(GOODBYE, &mut task).await.is_err() {
            task.abort();
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
    if let Some((_, id)) = journal.admin_room()?.filter(|(known, _)| *known == configured) {
        return Ok(Some(id));
    }
    let found = set_up::resolve(&config.admin_room.room, config, rooms, "admin_room.room", patience).await?;
    if let Some(id) = &found {
        journal.set_admin_room(&configured, id)?;
    }
    Ok(found)
}

/// Keeps the chat device in sync, until told to stop or until the server ends its session.
async fn follow_chat(
    room: AdminRoom,
    ears: mpsc::Sender<Delivery>,
    stop: Stop,
) -> Result<(), NeighbourError> {
    room.run(ears, stop.wait()).await
}

/// Says in the admin room that the session is over, while the chat device can still speak.
async fn say_last_word(desk: &Desk, why: &str) {
    let message = report::signed_out("watch", why);
    let said = desk.ask(move |janitor| Box::pin(async move { janitor.say_at_once(&message) }));
    if timeout(GOODBYE, said).await.is_ok() {
        sleep(GOODBYE).await;
    }
}

/// Sees to the keys of the chat device, so that nobody sees it as unverified, and then posts.
async fn speak(
    chat: ChatConnection,
    room: AdminRoom,
    port: Arc<dyn Chat>,
    mail: Mail,
    sent: mpsc::UnboundedSender<(String, rtc_janitor_core::ids::EventId)>,
    announce: mpsc::UnboundedSender<Announcement>,
    stop: Stop,
) {
    if stop.or(room.ready()).await.is_none() {
        return;
    }
    loop {
        let Some(set_up) = stop.or(chat.set_up_keys()).await else { return };
        match set_up {
            Ok(KeySetUp::Ready) => break,
            Ok(KeySetUp::FirstStart { recovery_key_path }) => {
                let message = report::first_start(&recovery_key_path.display().to_string());
                let _ = announce.send(Announcement { subject: "first start".into(), message });
                break;
            }
            Ok(KeySetUp::Incomplete(why)) => {
                tracing::warn!("{why}");
                let subject = format!("keys incomplete: {why}");
                let _ = announce.send(Announcement { subject, message: report::keys_incomplete(&why) });
                break;
            }
            Err(error) => tracing::warn!("the keys of the chat device are not set up yet: {error}"),
        }
        if stop.or(sleep(KEYS_AGAIN)).await.is_none() {
            return;
        }
    }
    admin_room::post_messages(port, mail, sent, stop).await;
}
