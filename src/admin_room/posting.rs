//! Posts messages in the admin room, one at a time and each exactly once; and watches whether the room can be
//! reached.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use rtc_janitor_core::{ids::EventId, render::report};
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};

use crate::{
    janitor::{Mail, Posted, Side},
    metrics::{Asked, Metrics},
    shutdown::Shutdown,
    world::{Chat, NeighbourError, Post, backoff::Backoff, journal::StoredMessage},
};

/// How often it is checked whether the room can be reached.
const LOOK: Duration = Duration::from_secs(5);

/// The first look comes when the room was synced, or when this much time is over.
const FIRST_LOOK: Duration = Duration::from_secs(20);

/// The pauses after a message could not be posted.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_mins(5));

/// The longest one message may take.
const POST_TIMEOUT: Duration = Duration::from_mins(1);

/// Sends whether the room can be reached, whenever that changes. `ready` is over when the room was synced for
/// the first time.
pub async fn watch_reachability(
    chat: Arc<dyn Chat>,
    ready: impl Future<Output = ()>,
    state: watch::Sender<Option<Side>>,
    shutdown: Shutdown,
) {
    let _ = shutdown.or(timeout(FIRST_LOOK, ready)).await;
    let look = async {
        loop {
            let late = || NeighbourError::Unreachable("the homeserver does not answer".to_owned());
            let now = timeout(POST_TIMEOUT, chat.reachable()).await.unwrap_or_else(|_| Err(late()));
            set(&state, now.map_err(|error| error.to_string()));
            sleep(LOOK).await;
        }
    };
    let _: Option<()> = shutdown.or(look).await;
}

/// Sends `side` where it has changed.
fn set(state: &watch::Sender<Option<Side>>, side: Side) {
    state.send_if_modified(|last| {
        let changed = last.as_ref() != Some(&side);
        *last = Some(side);
        changed
    });
}

/// The task that posts messages.
pub struct Posting {
    /// The admin room.
    pub chat: Arc<dyn Chat>,
    /// The messages.
    pub mail: Mail,
    /// Told what became of each.
    pub posted: mpsc::UnboundedSender<Posted>,
    /// Told whether the homeserver takes messages: while it does not, nobody can be told of a write.
    pub posts: watch::Sender<Option<Side>>,
    /// Counts.
    pub metrics: Metrics,
}

impl Posting {
    /// Posts messages until told to stop; answers go before what nobody asked for. What is not posted by
    /// then is in the journal, and is posted after the next start under the same transaction id. Nothing
    /// is dropped because the homeserver refuses it: it may be refusing everything.
    pub async fn run(mut self, shutdown: Shutdown) {
        // Dropping a request that is under way is harmless: the server knows its transaction.
        let _: Option<()> = shutdown.or(self.post_messages()).await;
    }

    async fn post_messages(&mut self) {
        let mut waiting = VecDeque::new();
        // Where edits and reactions go, of what was posted since the start.
        let mut known: HashMap<String, EventId> = HashMap::new();
        let mut backoff = BACKOFF;
        loop {
            if waiting.is_empty() {
                let Some(message) = self.mail.messages.recv().await else { return };
                waiting.push_back(message);
            }
            while let Ok(message) = self.mail.messages.try_recv() {
                waiting.push_back(message);
            }
            let next = waiting.iter().position(StoredMessage::is_answer).unwrap_or(0);
            let Some(stored) = waiting.remove(next) else { continue };
            let Some(post) = post_of(&stored, &known) else {
                // What it is about will never be there: it can only have been given up.
                tracing::warn!(txn = stored.txn, "an edit or a reaction has lost what it is about");
                self.settle(stored, None);
                continue;
            };
            let posted = self.post(&stored, &post).await;
            self.metrics.asked(Asked::AdminRoom, NeighbourError::outcome_of(&posted));
            match posted {
                Ok(event) => {
                    backoff.reset();
                    set(&self.posts, Ok(()));
                    remember(&mut known, stored.txn.clone(), event.clone());
                    self.settle(stored, event);
                }
                Err(error) => {
                    let pause = backoff.after(&error);
                    if !matches!(error, NeighbourError::RateLimited { .. }) {
                        let shown = humantime::format_duration(pause);
                        tracing::warn!("a message to the admin room waits, trying again in {shown}: {error}");
                        set(&self.posts, Err(error.to_string()));
                    }
                    waiting.push_front(stored);
                    sleep(pause).await;
                }
            }
        }
    }

    /// Posts one message. `None` when it can never be posted, and that is its own fault: the homeserver
    /// takes others.
    async fn post(&self, stored: &StoredMessage, post: &Post) -> Result<Option<EventId>, NeighbourError> {
        match self.send(&stored.txn, post).await {
            // A room may allow no reactions; what there is to press can be said as well. Anything else that is
            // refused, such as terms that are to be agreed to, may be over soon.
            Err(NeighbourError::Refused { status, errcode, message: why })
                if stored.reaction.is_some() && (errcode == "M_FORBIDDEN" || matches!(status, 400 | 413)) =>
            {
                tracing::warn!("the homeserver takes no reaction in the admin room: {why}");
                Ok(None)
            }
            // It may never be taken as it is, and those behind it must not wait for ever.
            Err(NeighbourError::Refused { status: 400 | 413, message: why, .. }) => {
                tracing::error!("the homeserver refuses a message to the admin room: {why}");
                let short = Post::Notice {
                    message: report::not_taken(&why),
                    reply_to: stored.reply_to.clone(),
                    mentions: stored.mentions.clone(),
                    is_alarm: stored.is_alarm,
                };
                // Where it refuses this too, it was not the message.
                self.send(&format!("{}-short", stored.txn), &short).await.map(Some)
            }
            other => other.map(Some),
        }
    }

    async fn send(&self, txn: &str, post: &Post) -> Result<EventId, NeighbourError> {
        let late = || NeighbourError::Unreachable(format!("no answer within {} s", POST_TIMEOUT.as_secs()));
        timeout(POST_TIMEOUT, self.chat.post(txn, post)).await.unwrap_or_else(|_| Err(late()))
    }

    fn settle(&self, stored: StoredMessage, event: Option<EventId>) {
        self.mail.posted(&stored);
        let _ = self.posted.send(Posted { txn: stored.txn, event });
    }
}

/// How many messages are kept in mind for edits and reactions that follow them; of older ones the journal
/// tells.
const KNOWN: usize = 1_000;

fn remember(known: &mut HashMap<String, EventId>, txn: String, event: Option<EventId>) {
    if known.len() >= KNOWN {
        known.clear();
    }
    if let Some(event) = event {
        known.insert(txn, event);
    }
}

/// What a stored message is in the room; `None` while what it is about has no event.
fn post_of(stored: &StoredMessage, known: &HashMap<String, EventId>) -> Option<Post> {
    let StoredMessage { message, reply_to, target, reaction, mentions, is_alarm, .. } = stored.clone();
    let Some((txn, event)) = target else {
        return Some(Post::Notice { message, reply_to, mentions, is_alarm });
    };
    let event = event.or_else(|| known.get(&txn).cloned())?;
    Some(match reaction {
        Some(key) => Post::Reaction { to: event, key },
        None => Post::Edit { message, of: event, mentions },
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use rtc_janitor_core::{
        ids::{RoomId, UserId},
        render::{Html, Message},
    };

    use super::*;
    use crate::{janitor::Outbox, world::Standing};

    /// A room that takes everything but what is too long, once it has failed in these ways.
    pub(crate) struct Narrow {
        pub(crate) posted: Mutex<Vec<(String, Post)>>,
        failures: Mutex<Vec<NeighbourError>>,
        /// Which posts they are for.
        fails: fn(&Post) -> bool,
    }

    impl Narrow {
        pub(crate) fn new(failures: Vec<NeighbourError>) -> Self {
            Self { posted: Mutex::default(), failures: Mutex::new(failures), fails: |_| true }
        }
    }

    fn refused(status: u16, errcode: &str) -> NeighbourError {
        NeighbourError::Refused { status, errcode: errcode.to_owned(), message: "event too large".to_owned() }
    }

    #[async_trait]
    impl Chat for Narrow {
        async fn post(&self, transaction: &str, post: &Post) -> Result<EventId, NeighbourError> {
            if (self.fails)(post)
                && let Some(failure) = self.failures.lock().unwrap().pop()
            {
                return Err(failure);
            }
            if matches!(post, Post::Notice { message, .. } if message.plain == "too long") {
                return Err(refused(413, "M_TOO_LARGE"));
            }
            let mut posted = self.posted.lock().unwrap();
            posted.push((transaction.to_owned(), post.clone()));
            Ok(format!("${}", posted.len()).into())
        }

        async fn reachable(&self) -> Result<(), NeighbourError> {
            Ok(())
        }

        async fn standing(&self, _: &UserId) -> Result<Standing, NeighbourError> {
            Ok(Standing::Outside)
        }

        fn move_to(&self, _: &RoomId) -> Result<(), NeighbourError> {
            Ok(())
        }

        async fn identity_changed(&self, _: &UserId) -> Result<bool, NeighbourError> {
            Ok(false)
        }

        async fn own_name(&self) -> Option<String> {
            None
        }

        async fn has_spoken_before(&self) -> Result<bool, NeighbourError> {
            Ok(true)
        }
    }

    pub(crate) fn notice(txn: &str, plain: &str) -> StoredMessage {
        StoredMessage {
            txn: txn.to_owned(),
            message: Message { plain: plain.to_owned(), html: Html::escaped(plain) },
            reply_to: None,
            is_alarm: false,
            target: None,
            reaction: None,
            mentions: Vec::new(),
        }
    }

    /// What was posted, as transaction id and text, edit or reaction.
    async fn post_all(chat: Narrow, messages: Vec<StoredMessage>) -> Vec<(String, String)> {
        let chat = Arc::new(chat);
        let (mut outbox, mail) = Outbox::new();
        let (posted, mut acknowledged) = mpsc::unbounded_channel();
        let number = messages.len();
        for message in messages {
            outbox.put(message);
        }
        outbox.release();
        drop(outbox);
        let posting = Posting {
            chat: Arc::clone(&chat) as _,
            mail,
            posted,
            posts: watch::Sender::new(None),
            metrics: Metrics::new(),
        };
        posting.run(Shutdown::new()).await;
        for _ in 0..number {
            acknowledged.recv().await.expect("each is acknowledged");
        }
        let posted = chat.posted.lock().unwrap().clone();
        let text = |post: Post| match post {
            Post::Notice { message, .. } => message.plain,
            Post::Edit { message, of, .. } => format!("{of} is now {}", message.plain),
            Post::Reaction { to, key } => format!("{key} on {to}"),
        };
        posted.into_iter().map(|(txn, post)| (txn, text(post))).collect()
    }

    #[tokio::test]
    async fn a_message_that_the_server_will_never_take_does_not_keep_the_others_waiting() {
        let posted =
            post_all(Narrow::new(Vec::new()), vec![notice("a", "too long"), notice("b", "hello")]).await;
        assert_eq!(posted[0].0, "a-short");
        assert!(posted[0].1.contains("event too large"), "{}", posted[0].1);
        assert_eq!(posted[1], ("b".to_owned(), "hello".to_owned()));
    }

    #[tokio::test]
    async fn answers_go_first_and_edits_and_reactions_find_what_they_are_about() {
        let answer = StoredMessage { reply_to: Some("$command".into()), ..notice("answer", "yes") };
        let edit = StoredMessage { target: Some(("first".into(), None)), ..notice("edit", "better") };
        let tick = StoredMessage {
            target: Some(("first".into(), None)),
            reaction: Some("✅".into()),
            ..notice("tick", "")
        };
        let limited = NeighbourError::RateLimited { retry_after: Duration::from_millis(1) };
        let slow = Narrow::new(vec![limited; 3]);
        let posted = post_all(slow, vec![notice("first", "one"), edit, tick, answer]).await;
        let texts: Vec<_> = posted.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["yes", "one", "$2 is now better", "✅ on $2"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reaction_is_given_up_where_the_room_allows_none_and_else_tried_again() {
        let tick = || StoredMessage {
            target: Some(("first".into(), None)),
            reaction: Some("✅".into()),
            ..notice("tick", "")
        };
        for (error, comes) in [
            (refused(403, "M_FORBIDDEN"), false),
            (refused(403, "M_CONSENT_NOT_GIVEN"), true),
            (refused(403, "M_RESOURCE_LIMIT_EXCEEDED"), true),
            (NeighbourError::NotInRoom("not there".to_owned()), true),
        ] {
            let fails = |post: &Post| matches!(post, Post::Reaction { .. });
            let room = Narrow { fails, ..Narrow::new(vec![error.clone(); 3]) };
            let posted = post_all(room, vec![notice("first", "a plan"), tick()]).await;
            assert_eq!(posted.iter().any(|(_, text)| text == "✅ on $1"), comes, "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn while_the_homeserver_takes_no_messages_that_is_told_and_nothing_is_lost() {
        for (status, errcode) in [
            (403, "M_FORBIDDEN"),
            (403, "M_CONSENT_NOT_GIVEN"),
            (403, "M_RESOURCE_LIMIT_EXCEEDED"),
            (400, "M_UNKNOWN"),
            (413, "M_TOO_LARGE"),
        ] {
            let chat = Arc::new(Narrow::new(vec![refused(status, errcode); 8]));
            let (mut outbox, mail) = Outbox::new();
            let (posted, mut acknowledged) = mpsc::unbounded_channel();
            let posts = watch::Sender::new(None);
            let mut state = posts.subscribe();
            outbox.put(notice("a", "a clear"));
            outbox.release();
            let posting =
                Posting { chat: Arc::clone(&chat) as _, mail, posted, posts, metrics: Metrics::new() };
            let task = tokio::spawn(posting.run(Shutdown::new()));
            let refused = state.wait_for(|state| matches!(state, Some(Err(_)))).await;
            drop(refused.expect("it is told"));
            let taken = state.wait_for(|state| *state == Some(Ok(()))).await;
            drop(taken.expect("it is told, too"));
            let through = acknowledged.recv().await.expect("it is posted in the end");
            assert_eq!((through.txn.as_str(), through.event.is_some()), ("a", true), "{errcode}");
            drop(outbox);
            task.await.expect("it ends when nobody is left");
        }
    }
}
