//! The admin room as the person in it sees it.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    FakeHomeserver,
    event::Event,
    world::{ADMIN, ADMIN_ROOM, BOT},
};
use crate::wait::wait_until;

/// Something the bot has posted.
#[derive(Debug, Clone)]
pub struct Post {
    /// Its event id.
    pub id: String,
    /// The plain text.
    pub body: String,
    /// When the server took it, by its own clock.
    pub at_ms: i64,
    /// The whole content.
    pub content: Value,
}

/// Something that was said to the bot.
#[derive(Debug, Clone)]
pub struct Said {
    /// Its event id.
    pub id: String,
    number: u64,
}

impl FakeHomeserver {
    /// Somebody with authority says this in the admin room.
    pub fn say(&self, body: &str) -> Said {
        self.say_content(&json!({"msgtype": "m.text", "body": body}))
    }

    /// The same with a content of one's own.
    pub fn say_content(&self, content: &Value) -> Said {
        let mut world = self.shared.world();
        let room = world.by_id[ADMIN_ROOM];
        let event = world.send(room, "m.room.message", ADMIN, content, None);
        // Before it can be handed over.
        self.shared.counts().wait_for(event.number);
        drop(world);
        self.shared.wake();
        Said { id: event.id(), number: event.number }
    }

    /// Somebody with authority reacts to a post.
    pub fn react(&self, to: &Post, key: &str) {
        let relation = json!({"rel_type": "m.annotation", "event_id": to.id, "key": key});
        let mut world = self.shared.world();
        let room = world.by_id[ADMIN_ROOM];
        world.send(room, "m.reaction", ADMIN, &json!({"m.relates_to": relation}), None);
        drop(world);
        self.shared.wake();
    }

    /// When the chat connection was first given this.
    pub fn served(&self, said: &Said) -> Option<Instant> {
        self.shared.counts().served(said.number)
    }

    /// Everything the bot has posted in the admin room, the oldest first.
    pub fn posts(&self) -> Vec<Post> {
        let world = self.shared.world();
        let room = world.by_id[ADMIN_ROOM];
        let own = world.log.iter().filter(|(of, event)| *of == room && is_post(event));
        own.map(|(_, event)| post(event)).collect()
    }

    /// Waits until the bot has posted something with these words in it, edits included, and returns it.
    pub async fn hear(&self, words: &str, limit: Duration) -> Result<Post> {
        wait_until(&format!("a post with {words:?}"), limit, async || {
            self.posts().into_iter().find(|post| post.body.contains(words))
        })
        .await
        .with_context(|| {
            format!("posted: {:#?}", self.posts().iter().map(|post| &post.body).collect::<Vec<_>>())
        })
    }

    /// Waits for the bot's reply to something said.
    pub async fn reply_to(&self, said: &Said, limit: Duration) -> Result<Post> {
        wait_until("a reply", limit, async || {
            let mut posts = self.posts().into_iter();
            posts.find(|post| post.content["m.relates_to"]["m.in_reply_to"]["event_id"] == *said.id)
        })
        .await
    }

    /// Says this and waits for the reply.
    pub async fn ask(&self, body: &str, limit: Duration) -> Result<Post> {
        let said = self.say(body);
        self.reply_to(&said, limit).await.with_context(|| format!("{body:?} was not answered"))
    }
}

fn is_post(event: &Event) -> bool {
    &*event.sender == BOT && event.kind == "m.room.message"
}

fn post(event: &Event) -> Post {
    let content = event.content();
    let body = content["body"].as_str().unwrap_or_default().to_owned();
    Post { id: event.id(), body, at_ms: event.at_ms, content }
}
