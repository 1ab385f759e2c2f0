//! An admin room with encryption, read by a second real client.

use std::{fs, os::unix::fs::PermissionsExt as _};

use anyhow::Context as _;
use matrix_sdk::{
    Client,
    config::SyncSettings,
    deserialized_responses::TimelineEvent,
    room::MessagesOptions,
    ruma::{RoomId as RumaRoomId, UserId as RumaUserId},
};
use rtc_janitor_test_support::User;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::*;

/// Somebody in the admin room with an encrypting client.
struct Reader {
    client: Client,
    room: String,
    sync: JoinHandle<()>,
}

/// A message as the reader sees it, decrypted.
#[derive(Debug, Clone, PartialEq)]
struct Read {
    content: Value,
    /// Whether it came encrypted.
    was_encrypted: bool,
}

impl Reader {
    /// Joins the admin room before the bot speaks there.
    async fn new(setup: &BotSetup<'_>) -> Result<Self> {
        let synapse = setup.synapse;
        let account: User = synapse.register("reader").await?;
        synapse.invite(&setup.admin, &setup.admin_room, &account.user_id).await?;
        let client = Client::builder().homeserver_url(synapse.url()).build().await?;
        client.matrix_auth().login_username(&account.user_id, &account.password).send().await?;
        client.join_room_by_id(&RumaRoomId::parse(&setup.admin_room)?).await?;
        // Publishes its keys.
        client.sync_once(SyncSettings::new()).await?;
        let syncing = client.clone();
        let sync = tokio::spawn(async move {
            let _ = syncing.sync(SyncSettings::new()).await;
        });
        Ok(Self { client, room: setup.admin_room.clone(), sync })
    }

    /// All messages of this user that it can read, the oldest first.
    async fn messages_of(&self, user_id: &str) -> Result<Vec<Read>> {
        let room = self.client.get_room(&RumaRoomId::parse(&self.room)?).context("the admin room")?;
        let mut options = MessagesOptions::backward();
        options.limit = 100_u32.into();
        let mut read = Vec::new();
        for event in room.messages(options).await?.chunk {
            let json: Value = serde_json::from_str(event.raw().json().get())?;
            if json["sender"] == user_id && json["type"] == "m.room.message" {
                read.push(Read { content: json["content"].clone(), was_encrypted: is_encrypted(&event) });
            }
        }
        read.reverse();
        Ok(read)
    }

    /// Waits until it can read a message with these words.
    async fn hears(&self, bot: &Bot, user_id: &str, words: &str) -> Result<Read> {
        wait_until(&format!("a message with {words:?} to be readable"), LIMIT, async || {
            let messages = self.messages_of(user_id).await?;
            anyhow::Ok(messages.into_iter().rfind(|read| body(read).contains(words)))
        })
        .await
        .with_context(|| bot.log())
    }

    /// The devices of a user that this client knows, each with whether its account has signed it.
    async fn devices_of(&self, user_id: &str) -> Result<Vec<(String, bool)>> {
        let user = RumaUserId::parse(user_id)?;
        let encryption = self.client.encryption();
        encryption.request_user_identity(&user).await?;
        let devices = encryption.get_user_devices(&user).await?;
        Ok(devices.devices().map(|it| (it.device_id().to_string(), it.is_cross_signed_by_owner())).collect())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.sync.abort();
    }
}

fn is_encrypted(event: &TimelineEvent) -> bool {
    event.encryption_info().is_some()
}

fn body(read: &Read) -> &str {
    read.content["body"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_second_client_reads_the_report_and_sees_a_device_that_its_account_has_signed() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::with_admin_room(synapse, PROGRAM, RoomOptions::new().encrypted()).await?;
    let user_id = &setup.account.user_id;
    let reader = Reader::new(&setup).await?;
    let bot = setup.spawn()?;
    let hello = reader.hears(&bot, user_id, "is watching").await?;
    assert!(hello.was_encrypted);

    let host = synapse.sign_in_new("host").await?;
    let room = setup.watched_room(&host, RoomOptions::new().name("Stand-up")).await?;
    synapse.join_call(&host, &room).await?;
    haunt(synapse, &room, &host, "DEAD").await?;
    let report = reader.hears(&bot, user_id, "Cleared 1 stale membership").await?;
    assert!(report.was_encrypted);
    assert!(body(&report).contains(&format!("- Stand-up: {} on DEAD: expired", host.user_id)));
    let html = report.content["formatted_body"].as_str().unwrap();
    assert!(html.starts_with("<p>🧹 Cleared 1 stale membership;"), "{html}");
    assert_eq!(report.content["msgtype"], "m.notice");
    assert_eq!(report.content["m.mentions"], json!({}));
    // The server has seen none of it.
    assert_eq!(setup.said().await?, []);

    // Of its two devices, one has keys, and a person may trust it.
    let [(chat, is_signed)] = &reader.devices_of(user_id).await?[..] else {
        panic!("not one device with keys")
    };
    assert!(is_signed);
    assert_eq!(synapse.keys_query(user_id).await?, [chat.clone()].into());
    let devices = synapse.devices(user_id).await?;
    assert!(devices.len() == 2 && devices.contains(chat), "{devices:?}");
    let watch = fs::read_to_string(setup.directory().join("data/session-watch.json"))?;
    let watch: Value = serde_json::from_str(&watch)?;
    let watch = watch["device_id"].as_str().unwrap();
    assert!(watch != chat && devices.contains(watch), "{watch} of {devices:?}");

    // The recovery key is told of, not told.
    let notice = reader.hears(&bot, user_id, "recovery key").await?;
    let path = setup.directory().join("data/recovery-key");
    assert!(body(&notice).contains(&path.display().to_string()), "{}", body(&notice));
    let key = fs::read_to_string(&path)?;
    assert!(key.trim().len() > 40 && !notice.content.to_string().contains(key.trim()));
    assert_eq!(fs::metadata(&path)?.permissions().mode() & 0o777, 0o600);

    bot.sweeps_again().await?;
    assert!(bot.stop().await?.success());
    let before = reader.messages_of(user_id).await?;
    let bot = setup.spawn()?;
    wait_until("the bot to say hello again", LIMIT, async || {
        let messages = reader.messages_of(user_id).await?;
        anyhow::Ok(messages.iter().filter(|read| body(read).contains("is watching")).count() == 2)
    })
    .await
    .with_context(|| bot.log())?;
    bot.sweeps_again().await?;
    assert!(bot.stop().await?.success());
    let after = reader.messages_of(user_id).await?;
    assert_eq!(after.len(), before.len() + 1, "{after:?}");
    assert_eq!(after[..before.len()], before);
    assert_eq!(after.iter().filter(|read| body(read).contains("recovery key")).count(), 1);
    assert_eq!(synapse.devices(user_id).await?, devices);
    assert!(synapse.is_open(&room, &call_key(&host)).await?);
    Ok(())
}
