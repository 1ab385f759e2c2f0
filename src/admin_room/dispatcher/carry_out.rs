//! Carrying out one command, and saying meanwhile that it is being worked on.

use std::time::Duration;

use rtc_janitor_core::{
    ids::{EventId, UserId},
    render::{Message, answer},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{CommandDispatcher, Wanted};
use crate::{
    admin_room::{
        apply::approve,
        commands::run,
        request::{Reply, Request, Stopped},
    },
    world::Post,
};

/// A command that takes longer shows that it is being worked on.
const SHOWS_WORKING_AFTER: Duration = Duration::from_secs(1);

/// How often one that takes long says how far it is.
const NEWS: Duration = Duration::from_secs(10);

impl CommandDispatcher {
    /// Carries out a command; one that takes its time shows that it is being worked on, and how far it is, and its
    /// answer takes that one's place.
    pub(super) async fn carry_out(
        &self,
        event: &EventId,
        by: &UserId,
        wanted: Wanted,
    ) -> Result<(), Stopped> {
        let (news, mut latest) = watch::channel(None);
        let request = Request { context: &self.context, by, event, news: &news };
        let mut work = Box::pin(async {
            match wanted {
                Wanted::Plan(which) => approve(&request, which).await,
                Wanted::Command(command) => run(&request, command).await,
            }
        });
        let mut interim: Option<(String, EventId)> = None;
        let mut next = Instant::now() + SHOWS_WORKING_AFTER;
        let reply = loop {
            tokio::select! {
                biased;
                reply = &mut work => break reply?,
                () = sleep_until(next) => {}
            }
            let message = latest.borrow_and_update().clone();
            match &interim {
                None => interim = self.show_working(event, message.unwrap_or_else(answer::working)).await,
                Some((txn, shown)) => {
                    let edit = self.edit(txn, shown, message);
                    tokio::select! {
                        biased;
                        reply = &mut work => break reply?,
                        () = edit => {}
                    }
                }
            }
            next = Instant::now() + NEWS;
        };
        match reply {
            Reply::Message(message) => self.say(event, message, interim).await,
            Reply::Elsewhere if interim.is_some() => self.say(event, answer::under_way(), interim).await,
            Reply::Elsewhere => self.ignore(event).await,
            Reply::Plan(proposed) => {
                let event = event.clone();
                let show = self.context.janitor.ask(move |janitor| {
                    janitor.adopt(&event, interim)?;
                    janitor.show_plan(&proposed, &event)
                });
                show.await.ok_or(Stopped)
            }
            Reply::Joins(survey) => {
                let event = event.clone();
                let show = self.context.janitor.ask(move |janitor| {
                    janitor.adopt(&event, interim)?;
                    janitor.show_joins(&survey, &event)
                });
                show.await.ok_or(Stopped)
            }
        }
    }

    async fn show_working(&self, event: &EventId, message: Message) -> Option<(String, EventId)> {
        let post =
            Post::Notice { message, reply_to: Some(event.clone()), mentions: Vec::new(), is_alarm: false };
        // The same for the same command, also after a restart.
        let txn = format!("rtc-janitor-working-{}", event.as_str().trim_start_matches('$'));
        let shown = self.context.chat.post(&txn, &post).await.ok()?;
        Some((txn, shown))
    }

    /// Puts what is new in place of what was shown. Nothing hangs on it.
    async fn edit(&self, txn: &str, shown: &EventId, message: Option<Message>) {
        let Some(message) = message else { return };
        let txn = format!("{txn}-{}", self.context.clock.now().as_millis());
        let post = Post::Edit { message, of: shown.clone(), mentions: Vec::new() };
        if let Err(error) = self.context.chat.post(&txn, &post).await {
            tracing::debug!("how far a command is could not be said: {error}");
        }
    }
}
