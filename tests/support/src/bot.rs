//! The real program, run beside the server as an admin would run it.

use std::{
    ops::Deref,
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::{
    Bot, CALL_MEMBER, Device, FaultProxy, Homeserver, Message, RoomOptions, Synapse, User, call_key,
    program::Program, wait_until,
};

/// How long the bot has for what it does within a second or two on an idle machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A bot's account, admin room, settings and store; the program can be started on them again and again.
#[derive(Debug)]
pub struct BotSetup<'a, S = Synapse> {
    /// The server.
    pub synapse: &'a S,
    /// The bot's account.
    pub account: User,
    /// The person who made the admin room and reads there.
    pub admin: Device,
    /// The admin room.
    pub admin_room: String,
    program: Program,
}

impl<'a, S: Deref<Target = Homeserver>> BotSetup<'a, S> {
    /// An account and an admin room for the program at `program`, with short graces, in mode `clean`.
    pub async fn new(synapse: &'a S, program: &str) -> Result<Self> {
        Self::with_admin_room(synapse, program, RoomOptions::new().name("Janitor")).await
    }

    /// The same with an admin room of one's own making; the bot is invited to it.
    pub async fn with_admin_room(synapse: &'a S, program: &str, room: RoomOptions) -> Result<Self> {
        let account = synapse.register("janitor").await?;
        let admin = synapse.sign_in_new("admin").await?;
        let admin_room = synapse.create_room(&admin, room.invite(&account.user_id)).await?;
        let program = Program::new(program)?;
        program
            .set("homeserver.url", synapse.url())
            .set("homeserver.user_id", &account.user_id)
            .set("login.password", &account.password)
            .set("admin_room.room", &admin_room);
        Ok(Self { synapse, account, admin, admin_room, program })
    }

    /// Sets a key, `section.key`, to text.
    pub fn set(&self, key: &str, value: &str) -> &Self {
        self.program.set(key, value);
        self
    }

    /// Sets a key to a TOML value that is no text.
    pub fn set_raw(&self, key: &str, value: &str) -> &Self {
        self.program.set_raw(key, value);
        self
    }

    /// Sets a variable of its environment.
    pub fn env(&self, name: &str, value: &str) -> &Self {
        self.program.env(name, value);
        self
    }

    /// Puts a proxy between the bot and the server.
    pub fn proxied(&self) -> Result<FaultProxy> {
        let proxy = FaultProxy::start(self.synapse.url())?;
        self.set("homeserver.url", proxy.url());
        Ok(proxy)
    }

    /// Takes a key out of the settings.
    pub fn unset(&self, key: &str) -> &Self {
        self.program.unset(key);
        self
    }

    /// The folder of the settings; the store is `data` in it.
    pub fn directory(&self) -> &Path {
        self.program.directory()
    }

    /// Writes the settings and names the file.
    pub fn write_config(&self) -> Result<PathBuf> {
        self.program.write_config()
    }

    /// Runs a subcommand to its end.
    pub async fn run(&self, arguments: &[&str]) -> Result<Output> {
        self.program.run(arguments).await
    }

    /// Starts `run` without waiting for anything.
    pub fn spawn(&self) -> Result<Bot> {
        self.program.spawn()
    }

    /// Starts `run` and waits until it has greeted the admin room.
    pub async fn start(&self) -> Result<Bot> {
        let before = self.greetings().await?;
        let bot = self.spawn()?;
        wait_until("the bot to say hello in its admin room", PATIENCE, async || {
            Ok::<_, anyhow::Error>(self.greetings().await? > before)
        })
        .await
        .with_context(|| bot.log())?;
        Ok(bot)
    }

    async fn greetings(&self) -> Result<usize> {
        Ok(self.said().await?.iter().filter(|message| message.body.contains("is watching")).count())
    }

    /// What the bot has said in its admin room, the oldest first.
    pub async fn said(&self) -> Result<Vec<Message>> {
        let messages = self.synapse.messages(&self.admin_room).await?;
        Ok(messages.into_iter().filter(|message| message.sender == self.account.user_id).collect())
    }

    /// Waits until the bot has said something with these words in it, and returns it.
    pub async fn hear(&self, words: &str) -> Result<Message> {
        wait_until(&format!("the bot to say {words:?}"), PATIENCE, async || {
            Ok::<_, anyhow::Error>(
                self.said().await?.into_iter().find(|message| message.body.contains(words)),
            )
        })
        .await
    }

    /// Gives a command in the admin room and waits for its answer, in its last form.
    pub async fn ask(&self, command: &str, limit: Duration) -> Result<String> {
        let said = format!("!janitor {command}");
        let command = self.synapse.send_text(&self.admin, &self.admin_room, &said).await?;
        wait_until(&format!("the bot to answer {said:?}"), limit, async || {
            // One that takes long is told of first, and edited when it is there.
            let mut about = vec![command.clone()];
            let mut answer = None;
            for message in self.said().await? {
                let content = message.content.to_string();
                if about.iter().any(|event| content.contains(event)) {
                    about.push(message.event_id);
                    answer = Some(message.body).filter(|body| !body.contains("Working on it"));
                }
            }
            anyhow::Ok(answer)
        })
        .await
    }

    /// How often the bot has said these words; several things can stand in one message. What is said again
    /// in an edit is not said twice.
    pub async fn times_said(&self, words: &str) -> Result<usize> {
        let said = self.said().await?;
        let first_said = said.iter().filter(|message| message.content["m.new_content"].is_null());
        Ok(first_said.map(|message| message.body.matches(words).count()).sum())
    }

    /// A room made by `owner`, with the bot in it.
    pub async fn watched_room(&self, owner: &Device, options: RoomOptions) -> Result<String> {
        let room = self.synapse.create_room(owner, options.invite(&self.account.user_id)).await?;
        self.wait_for_the_bot_in(&room).await?;
        Ok(room)
    }

    /// Waits until the bot has joined a room.
    pub async fn wait_for_the_bot_in(&self, room: &str) -> Result<()> {
        wait_until("the bot to join the room", PATIENCE, async || {
            let member = self.synapse.state_event(room, "m.room.member", &self.account.user_id).await?;
            Ok::<_, anyhow::Error>(member.is_some_and(|member| member["content"]["membership"] == "join"))
        })
        .await
    }

    /// A new person in the call of `host`'s room, on a device that the bot has seen in a device list.
    pub async fn caller(&self, bot: &Bot, host: &Device, room: &str) -> Result<Device> {
        let caller = self.synapse.sign_in_new("caller").await?;
        self.synapse.bring_in(host, room, &caller).await?;
        self.synapse.join_call(&caller, room).await?;
        bot.knows(&caller).await?;
        Ok(caller)
    }

    /// Waits until a key is empty.
    pub async fn wait_until_cleared(&self, room: &str, key: &str) -> Result<()> {
        wait_until(&format!("{key} to be cleared"), PATIENCE, async || {
            Ok::<_, anyhow::Error>(!self.synapse.is_open(room, key).await?)
        })
        .await
    }

    /// Every state event and redaction that the bot has sent into a room, its own joining aside.
    pub async fn changes_by_the_bot(&self, room: &str) -> Result<Vec<serde_json::Value>> {
        let events = self.synapse.events_by(room, &self.account.user_id).await?;
        Ok(events.into_iter().filter(|event| event["type"] != "m.room.member").collect())
    }

    /// The keys of the memberships that the bot has emptied in a room, in order, each as often as it did.
    ///
    /// # Errors
    /// If it has sent anything else there, its own joining aside.
    pub async fn emptied(&self, room: &str) -> Result<Vec<String>> {
        let mut keys = Vec::new();
        for event in self.changes_by_the_bot(room).await? {
            ensure!(event["type"] == CALL_MEMBER && event["content"] == json!({}), "the bot sent {event}");
            keys.push(event["state_key"].as_str().context("it is a state event")?.to_owned());
        }
        keys.sort();
        Ok(keys)
    }

    /// How often the bot has emptied this device's membership of the room's call.
    pub async fn times_emptied(&self, room: &str, device: &Device) -> Result<usize> {
        let key = call_key(device);
        Ok(self.emptied(room).await?.iter().filter(|emptied| **emptied == key).count())
    }
}
