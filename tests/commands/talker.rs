//! Somebody in the admin room with a real client.

use anyhow::{Context as _, Result};
use matrix_sdk::{
    Client,
    config::SyncSettings,
    room::MessagesOptions,
    ruma::{
        EventId, OwnedEventId, RoomId, TransactionId,
        events::{
            reaction::ReactionEventContent, relation::Annotation, room::message::RoomMessageEventContent,
        },
    },
};
use rtc_janitor_test_support::{Bot, BotSetup, User, wait_until};
use serde_json::Value;
use tokio::task::JoinHandle;

use super::LIMIT;

pub(crate) struct Talker {
    pub(crate) client: Client,
    pub(crate) user: User,
    room: String,
    bot: String,
    sync: JoinHandle<()>,
}

/// A message as this client sees it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Read {
    pub(crate) event: String,
    pub(crate) content: Value,
}

impl Read {
    pub(crate) fn body(&self) -> &str {
        self.content["body"].as_str().unwrap_or_default()
    }

    fn replaces(&self) -> Option<&str> {
        let relation = &self.content["m.relates_to"];
        relation["event_id"].as_str().filter(|_| relation["rel_type"] == "m.replace")
    }

    fn answers(&self) -> Option<&str> {
        self.content["m.relates_to"]["m.in_reply_to"]["event_id"].as_str()
    }
}

impl Talker {
    /// Joins the admin room with that power level.
    pub(crate) async fn new(setup: &BotSetup<'_>, level: i64) -> Result<Self> {
        let synapse = setup.synapse;
        let user: User = synapse.register("talker").await?;
        synapse.invite(&setup.admin, &setup.admin_room, &user.user_id).await?;
        let talker = Self::log_in(setup, user).await?;
        synapse.set_power_level(&setup.admin, &setup.admin_room, &talker.user.user_id, level).await?;
        Ok(talker)
    }

    /// The same user on another device.
    pub(crate) async fn log_in(setup: &BotSetup<'_>, user: User) -> Result<Self> {
        let synapse = setup.synapse;
        let client = Client::builder().homeserver_url(synapse.url()).build().await?;
        client.matrix_auth().login_username(&user.user_id, &user.password).send().await?;
        client.join_room_by_id(&RoomId::parse(&setup.admin_room)?).await?;
        // Publishes its keys.
        client.sync_once(SyncSettings::new()).await?;
        let syncing = client.clone();
        let sync = tokio::spawn(async move {
            let _ = syncing.sync(SyncSettings::new()).await;
        });
        let (room, bot) = (setup.admin_room.clone(), setup.account.user_id.clone());
        Ok(Self { client, user, room, bot, sync })
    }

    pub(crate) fn room(&self) -> Result<matrix_sdk::Room> {
        self.client.get_room(&RoomId::parse(&self.room)?).context("the admin room")
    }

    /// Sends a message; returns its event id.
    pub(crate) async fn say(&self, text: &str) -> Result<OwnedEventId> {
        self.send(RoomMessageEventContent::text_plain(text)).await
    }

    pub(crate) async fn send(&self, content: RoomMessageEventContent) -> Result<OwnedEventId> {
        Ok(self.room()?.send(content).with_transaction_id(TransactionId::new()).await?.response.event_id)
    }

    /// Presses ✅.
    pub(crate) async fn tick(&self, event: &str) -> Result<OwnedEventId> {
        let content = ReactionEventContent::new(Annotation::new(EventId::parse(event)?, "✅".to_owned()));
        Ok(self.room()?.send(content).await?.response.event_id)
    }

    /// Everything the bot has said, the oldest first, edits as messages of their own.
    pub(crate) async fn all(&self) -> Result<Vec<Read>> {
        let mut options = MessagesOptions::backward();
        options.limit = 200_u32.into();
        let mut read = Vec::new();
        for event in self.room()?.messages(options).await?.chunk {
            let json: Value = serde_json::from_str(event.raw().json().get())?;
            if json["sender"] == self.bot && json["type"] == "m.room.message" {
                let event = json["event_id"].as_str().unwrap_or_default().to_owned();
                read.push(Read { event, content: json["content"].clone() });
            }
        }
        read.reverse();
        Ok(read)
    }

    /// A message in its last form.
    pub(crate) async fn now(&self, event: &str) -> Result<String> {
        let all = self.all().await?;
        let edit = all.iter().rfind(|read| read.replaces() == Some(event));
        let text = edit.map(|read| read.content["m.new_content"]["body"].as_str().unwrap_or_default());
        let first = || all.iter().find(|read| read.event == event).map(Read::body);
        Ok(text.or_else(first).unwrap_or_default().to_owned())
    }

    /// Waits for an answer to an event; returns its own event and its text, in its last form.
    pub(crate) async fn answer_to(&self, bot: &Bot, event: &str) -> Result<(String, String)> {
        wait_until(&format!("an answer to {event}"), LIMIT, async || {
            let all = self.all().await?;
            let Some(answer) = all.into_iter().find(|read| read.answers() == Some(event)) else {
                return anyhow::Ok(None);
            };
            let text = self.now(&answer.event).await?;
            // It is still being worked on.
            Ok(Some((answer.event, text)).filter(|(_, text)| !text.starts_with('⏳')))
        })
        .await
        .with_context(|| bot.log())
    }

    /// How many answers an event has got.
    pub(crate) async fn times_answered(&self, event: &str) -> Result<usize> {
        Ok(self.all().await?.iter().filter(|read| read.answers() == Some(event)).count())
    }

    pub(crate) async fn ask_for(&self, bot: &Bot, text: &str) -> Result<(String, String)> {
        let event = self.say(text).await?;
        self.answer_to(bot, event.as_str()).await.with_context(|| text.to_owned())
    }

    pub(crate) async fn ask(&self, bot: &Bot, text: &str) -> Result<String> {
        self.ask_for(bot, text).await.map(|(_, text)| text)
    }

    /// Waits until a message, in its last form, has these words.
    pub(crate) async fn becomes(&self, bot: &Bot, event: &str, words: &str) -> Result<String> {
        wait_until(&format!("{event} to say {words:?}"), LIMIT, async || {
            let text = self.now(event).await?;
            anyhow::Ok(Some(text).filter(|text| text.contains(words)))
        })
        .await
        .with_context(|| bot.log())
    }

    /// Waits until the bot says something with these words.
    pub(crate) async fn hears(&self, bot: &Bot, words: &str) -> Result<Read> {
        wait_until(&format!("the bot to say {words:?}"), LIMIT, async || {
            anyhow::Ok(self.all().await?.into_iter().rfind(|read| read.body().contains(words)))
        })
        .await
        .with_context(|| bot.log())
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        self.sync.abort();
    }
}
