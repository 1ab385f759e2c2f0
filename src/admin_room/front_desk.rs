//! Hears what people do in the admin room and sees to it that each command is carried out once.
//!
//! What is heard is written down before the chat connection may forget it; then it is judged: is it a
//! command, is it fresh, is it vouched for, has its sender a say? Only then it is carried out.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rtc_janitor_core::{
    command::{self, Command},
    ids::{EventId, RoomId, UserId},
    render::{Message, answer},
    time::Timestamp,
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};

use super::{
    apply::approve,
    asked::{Asked, Gone, House, Reply},
    authority::{Authority, Refusal},
    commands::{needs_full_view, run},
};
use crate::{
    janitor::{Janitor, plans::Which, run::Stop},
    world::{Delivery, Heard, Post, Trust, What},
};

/// What is older was said about another state of things.
const TOO_OLD: Duration = Duration::from_mins(5);

/// A command that takes longer shows that it is being worked on.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a command that tells of calls waits after a start for everything to be seen. Others are carried
/// out meanwhile: nothing is written before that, and `pause` is to come first.
const FULL_VIEW: Duration = Duration::from_secs(30);

/// The pause before it is asked again whether an upgrade is to be followed: doubled each time up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(5));

/// How long somebody whose messages cannot be decrypted is not told so again.
const ASK_AGAIN: Duration = Duration::from_hours(1);

/// Listens in the admin room. Cheap to clone.
#[derive(Clone)]
pub struct FrontDesk {
    house: House,
    authority: Arc<Authority>,
    /// Who was told that a message could not be decrypted, and when.
    asked_again: Arc<Mutex<HashMap<UserId, Timestamp>>>,
}

impl FrontDesk {
    /// A front desk. `admins` empty: who has the power level in the room has a say.
    pub fn new(house: House, power_level: i64, admins: impl IntoIterator<Item = UserId>) -> Self {
        let authority = Authority { power_level, admins: admins.into_iter().collect() };
        Self { house, authority: Arc::new(authority), asked_again: Arc::default() }
    }

    /// Serves until told to stop.
    pub async fn serve(self, mut ears: mpsc::Receiver<Delivery>, stop: Stop) {
        // Boxed: the futures of all commands together are large.
        let _ = stop.or(Box::pin(self.finish_what_was_begun())).await;
        let full_view = self.house.desk.ask(|janitor| Box::pin(async move { Ok(janitor.has_seen_all()) }));
        let Some(Some(mut full_view)) = stop.or(full_view).await else { return };
        let mut upgrade: Option<Upgrade> = None;
        let mut early = VecDeque::new();
        loop {
            let at = upgrade.as_ref().map_or_else(Instant::now, |upgrade| upgrade.at);
            let patience_ends = early.front().map_or_else(Instant::now, |early: &Early| early.until);
            let delivery = tokio::select! {
                biased;
                () = stop.wait() => return,
                delivery = ears.recv() => delivery,
                () = all_seen(&mut full_view), if !early.is_empty() => {
                    for Early { heard, .. } in early.drain(..) {
                        let dealt_with = stop.or(Box::pin(self.deal_with(heard, &full_view))).await;
                        if !matches!(dealt_with, Some(Ok(()))) {
                            return;
                        }
                    }
                    continue;
                }
                () = sleep_until(patience_ends), if !early.is_empty() => {
                    let Some(Early { heard, .. }) = early.pop_front() else { continue };
                    let dealt_with = stop.or(Box::pin(self.deal_with(heard, &full_view))).await;
                    if !matches!(dealt_with, Some(Ok(()))) {
                        return;
                    }
                    continue;
                }
                () = sleep_until(at), if upgrade.is_some() => {
                    let Some(Ok(rest)) = stop.or(self.follow(upgrade.take())).await else { return };
                    upgrade = rest;
                    continue;
                }
            };
            let Some(Delivery { heard, taken }) = delivery else { return };
            let Some(Ok(new)) = stop.or(self.take_up(heard)).await else { return };
            // From here on it is in the journal.
            let _ = taken.send(());
            for one in new {
                if let What::Upgrade { successor } = one.what {
                    upgrade = Some(Upgrade {
                        by: one.sender,
                        successor,
                        pause: Duration::ZERO,
                        at: Instant::now(),
                    });
                } else if self.is_early(&one, &full_view).await {
                    early.push_back(Early { heard: one, until: Instant::now() + FULL_VIEW });
                } else if !matches!(stop.or(Box::pin(self.deal_with(one, &full_view))).await, Some(Ok(()))) {
                    return;
                }
            }
        }
    }

    /// Commands that an earlier run took up and did not answer.
    async fn finish_what_was_begun(&self) -> Result<(), Gone> {
        let unanswered =
            self.house.desk.ask(|janitor| Box::pin(async move { janitor.unanswered_commands() }));
        for event in unanswered.await.ok_or(Gone)? {
            self.say(&event, answer::interrupted(&self.house.prefix), None).await?;
        }
        Ok(())
    }

    /// Writes down what is for the bot; what was written down before is left out. An upgrade is not
    /// written down: until it is followed, it is to be heard again after each start.
    async fn take_up(&self, heard: Vec<Heard>) -> Result<Vec<Heard>, Gone> {
        let mut mine = Vec::new();
        for one in heard {
            if self.is_for_me(&one).await {
                mine.push(one);
            }
        }
        let work = move |janitor: &mut Janitor| {
            let mut new = Vec::new();
            let begun = janitor.begun()?;
            for one in mine {
                let is_upgrade = matches!(one.what, What::Upgrade { .. });
                // A journal that was lost may have had it, and a plan must not be made and approved twice.
                if !is_upgrade && one.is_backlog && begun.is_some_and(|begun| one.at < begun) {
                    tracing::info!(sender = %one.sender, "left alone: it was said before my journal began");
                    continue;
                }
                if is_upgrade || janitor.take_up(&one.event, &one.sender)? {
                    new.push(one);
                }
            }
            Ok(new)
        };
        self.house.desk.ask(|janitor| Box::pin(async move { work(janitor) })).await.ok_or(Gone)
    }

    async fn is_for_me(&self, heard: &Heard) -> bool {
        match &heard.what {
            What::Text { .. } => self.command_in(&heard.what).await.is_some(),
            What::Reaction { key, .. } => is_tick(key),
            What::Undecryptable => !heard.is_backlog,
            What::Upgrade { .. } => true,
        }
    }

    /// The text of a command, without what it begins with.
    async fn command_in(&self, what: &What) -> Option<String> {
        let What::Text { body, html } = what else { return None };
        let name = self.house.chat.own_name().await;
        let House { prefix, me, .. } = &self.house;
        let listener = command::Heard { prefix, me, display_name: name.as_deref() };
        command::heard(&listener, body, html.as_deref())
    }

    /// Whether it is a command that has to wait until everything was seen.
    async fn is_early(&self, heard: &Heard, full_view: &watch::Receiver<bool>) -> bool {
        if *full_view.borrow() {
            return false;
        }
        let text = self.command_in(&heard.what).await;
        text.is_some_and(|text| Command::parse(&text).is_ok_and(|command| needs_full_view(&command)))
    }

    async fn deal_with(&self, heard: Heard, full_view: &watch::Receiver<bool>) -> Result<(), Gone> {
        let Heard { event, sender, what, .. } = &heard;
        let age = self.house.clock.now().since(heard.at);
        if matches!(what, What::Undecryptable) {
            return if age <= TOO_OLD && self.may_ask_again(sender) {
                self.say(event, answer::undecryptable(sender), None).await
            } else {
                self.let_be(event).await
            };
        }
        // What is no plan is nobody's business.
        if let What::Reaction { to, .. } = what {
            let to = to.clone();
            let is_plan = self.house.desk.ask(move |janitor| Box::pin(async move { janitor.is_plan(&to) }));
            if !is_plan.await.ok_or(Gone)? {
                return self.let_be(event).await;
            }
        }
        if age > TOO_OLD {
            tracing::info!(%sender, ?age, "a command is too old");
            // What came before the bot was there waits for no answer.
            if heard.is_backlog {
                return self.let_be(event).await;
            }
            return self.say(event, answer::too_old(age), None).await;
        }
        let mistrust = match heard.trust {
            Trust::Enough => None,
            Trust::InTheClear => Some(answer::in_the_clear()),
            Trust::IdentityViolated => Some(answer::identity_violated(sender)),
            Trust::Unattributable => Some(answer::unattributable()),
        };
        if let Some(refusal) = mistrust {
            tracing::warn!(%sender, trust = ?heard.trust, "a command is refused");
            return self.say(event, refusal, None).await;
        }
        if let Err(refusal) = self.authority.check(&*self.house.chat, sender).await {
            tracing::info!(%sender, ?refusal, "a command is refused");
            return self.say(event, refusal.message(), None).await;
        }
        if let What::Reaction { to, .. } = what {
            return self.carry_out(event, sender, Wanted::Plan(Which::ShownIn(to.clone()))).await;
        }
        let text = self.command_in(what).await.unwrap_or_default();
        match Command::parse(&text) {
            Ok(command) if needs_full_view(&command) && !*full_view.borrow() => {
                self.say(event, answer::has_not_seen_all(), None).await
            }
            Ok(command) => {
                tracing::info!(%sender, ?command, "a command");
                self.carry_out(event, sender, Wanted::Command(command)).await
            }
            Err(mistake) => self.say(event, mistake.message(&self.house.prefix), None).await,
        }
    }

    /// Goes on in the room that an upgrade names, when somebody with a say made it. Returns it where that
    /// could not be read: nobody would say it again.
    async fn follow(&self, upgrade: Option<Upgrade>) -> Result<Option<Upgrade>, Gone> {
        let Some(Upgrade { by, successor, pause, .. }) = upgrade else { return Ok(None) };
        match self.authority.check(&*self.house.chat, &by).await {
            Ok(()) => {}
            Err(Refusal::Unknown(error)) => {
                tracing::warn!(%by, %successor, "the upgrade of the admin room is not followed yet: {error}");
                let pause = (pause * 2).clamp(PAUSES.0, PAUSES.1);
                return Ok(Some(Upgrade { by, successor, pause, at: Instant::now() + pause }));
            }
            // Who may upgrade a room has power there, and need not have a say here.
            Err(refusal) => {
                tracing::warn!(%by, %successor, ?refusal, "the upgrade of the admin room is not followed");
                return Ok(None);
            }
        }
        if let Err(error) = self.house.chat.move_to(&successor) {
            tracing::warn!(%successor, "the admin room was upgraded to no room: {error}");
            return Ok(None);
        }
        tracing::info!(%by, %successor, "the admin room was upgraded");
        let moved =
            self.house.desk.ask(move |janitor| Box::pin(async move { janitor.move_admin_room(&successor) }));
        moved.await.ok_or(Gone)?;
        Ok(None)
    }

    /// Carries out a command; one that takes its time shows that it is being worked on, and its answer
    /// takes that one's place.
    async fn carry_out(&self, event: &EventId, by: &UserId, wanted: Wanted) -> Result<(), Gone> {
        let asked = Asked { house: &self.house, by, event };
        let mut work = Box::pin(async {
            match wanted {
                Wanted::Plan(which) => approve(&asked, which).await,
                Wanted::Command(command) => run(&asked, command).await,
            }
        });
        let mut interim = None;
        let reply = tokio::select! {
            biased;
            reply = &mut work => reply?,
            () = sleep(PATIENCE) => {
                let post = Post::Notice {
                    message: answer::working(),
                    reply_to: Some(event.clone()),
                    mentions: Vec::new(),
                };
                // The same for the same command, also after a restart.
                let txn = format!("rtc-janitor-working-{}", event.as_str().trim_start_matches('$'));
                interim = self.house.chat.post(&txn, &post).await.ok().map(|shown| (txn, shown));
                work.await?
            }
        };
        match reply {
            Reply::Message(message) => self.say(event, message, interim).await,
            Reply::Elsewhere if interim.is_some() => self.say(event, answer::under_way(), interim).await,
            Reply::Elsewhere => self.let_be(event).await,
            Reply::Plan(proposed) => {
                let event = event.clone();
                let show = self.house.desk.ask(move |janitor| {
                    Box::pin(async move {
                        janitor.adopt(&event, interim)?;
                        janitor.show_plan(&proposed, &event)
                    })
                });
                show.await.ok_or(Gone)
            }
        }
    }

    async fn say(
        &self,
        event: &EventId,
        message: Message,
        interim: Option<(String, EventId)>,
    ) -> Result<(), Gone> {
        let event = event.clone();
        let say = self.house.desk.ask(move |janitor| {
            Box::pin(async move {
                janitor.adopt(&event, interim)?;
                janitor.answer(&event, &message)
            })
        });
        say.await.ok_or(Gone)
    }

    /// Whether somebody is told once more that their messages cannot be decrypted: most of them are no
    /// commands.
    fn may_ask_again(&self, sender: &UserId) -> bool {
        let now = self.house.clock.now();
        let mut asked = self.asked_again.lock().unwrap_or_else(PoisonError::into_inner);
        asked.retain(|_, at| now.since(*at) < ASK_AGAIN);
        if asked.contains_key(sender) {
            return false;
        }
        asked.insert(sender.clone(), now);
        true
    }

    /// Nothing is to be said.
    async fn let_be(&self, event: &EventId) -> Result<(), Gone> {
        let event = event.clone();
        self.house.desk.ask(move |janitor| Box::pin(async move { janitor.let_be(&event) })).await.ok_or(Gone)
    }
}

/// A command that came before everything was seen. Whether its sender has a say is asked when it is dealt
/// with.
struct Early {
    heard: Heard,
    /// When waiting is over.
    until: Instant,
}

/// An upgrade of the admin room that is not followed yet.
struct Upgrade {
    by: UserId,
    successor: RoomId,
    /// How long was waited last.
    pause: Duration,
    /// When it is tried next.
    at: Instant,
}

enum Wanted {
    Command(Command),
    Plan(Which),
}

/// Waits until everything was seen; for ever where that cannot be any more.
async fn all_seen(full_view: &mut watch::Receiver<bool>) {
    if full_view.wait_for(|seen| *seen).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// ✅, with or without the mark that asks for it in colour.
fn is_tick(key: &str) -> bool {
    key.trim_end_matches('\u{fe0f}') == "✅"
}
