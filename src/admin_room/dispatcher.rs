//! The command dispatcher: takes in the events of the admin room, and carries out each command once.
//!
//! An event is in the journal before the chat connection may forget it. Then it is checked: is it a command,
//! is it fresh, is its encryption trusted, may its sender give commands? Only then it is carried out.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rtc_janitor_core::{
    command::{self, Command, ModeChange, SurveyOrder},
    ids::{EventId, UserId},
    mode::Mode,
    render::{Message, answer, message::harmless, words},
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

mod carry_out;
mod seldom;
mod under_way;
mod upgrades;

use self::{
    seldom::Seldom,
    under_way::UnderWay,
    upgrades::{Follower, Upgrades},
};
use super::{
    authority::{Authority, Effect},
    commands::{Course, can_do_more, course, needs_full_view},
    request::{CommandContext, Stopped},
};
use crate::{
    janitor::{Janitor, plans::Which},
    shutdown::Shutdown,
    world::{EventBatch, RoomEvent, RoomEventKind, Trust},
};

/// An older command was given with another state of things in view.
const TOO_OLD: Duration = Duration::from_mins(5);

/// How long a command that tells of calls waits after a start for everything to be seen. Others are carried
/// out meanwhile: nothing is written before that, and `pause` is to come first.
const FULL_VIEW: Duration = Duration::from_secs(30);

/// The command dispatcher. Cheap to clone.
#[derive(Clone)]
pub struct CommandDispatcher {
    context: CommandContext,
    authority: Arc<Authority>,
    /// Who was told that a message could not be decrypted: most of those are no commands.
    asked_again: Arc<Seldom>,
    /// Who was told what commands begin with: what looks like one may be talk.
    hinted: Arc<Seldom>,
    /// Which of all was the last that made the janitor do less.
    last_less: Arc<AtomicU64>,
}

impl CommandDispatcher {
    /// A dispatcher. `admins` empty: whoever has the power level in the room may give commands.
    pub fn new(context: CommandContext, power_level: i64, admins: impl IntoIterator<Item = UserId>) -> Self {
        let authority = Arc::new(Authority::new(power_level, admins));
        Self {
            context,
            authority,
            asked_again: Arc::default(),
            hinted: Arc::default(),
            last_less: Arc::default(),
        }
    }

    /// Serves until told to stop.
    pub async fn serve(self, mut batches: mpsc::Receiver<EventBatch>, shutdown: Shutdown) {
        let _ = shutdown.or(self.serve_until_stopped(&mut batches)).await;
    }

    async fn serve_until_stopped(&self, batches: &mut mpsc::Receiver<EventBatch>) -> Result<(), Stopped> {
        self.finish_what_was_begun().await?;
        let full_view = self.context.janitor.ask(|janitor| Ok(janitor.has_seen_all()));
        let mut full_view = full_view.await.ok_or(Stopped)?;
        let mut upgrades = Upgrades::new(Follower {
            chat: Arc::clone(&self.context.chat),
            authority: Arc::clone(&self.authority),
            janitor: self.context.janitor.clone(),
        });
        let mut early = VecDeque::new();
        let mut under_way = UnderWay::default();
        loop {
            let patience_ends = early.front().map_or_else(Instant::now, |early: &Early| early.until);
            let batch = tokio::select! {
                biased;
                batch = batches.recv() => batch.ok_or(Stopped)?,
                done = under_way.next(), if !under_way.is_idle() => {
                    done?;
                    continue;
                }
                () = all_seen(&mut full_view), if !early.is_empty() => {
                    for Early { heard, .. } in early.drain(..) {
                        self.begin(heard, &full_view, &mut under_way).await;
                    }
                    continue;
                }
                () = sleep_until(patience_ends), if !early.is_empty() => {
                    if let Some(Early { heard, .. }) = early.pop_front() {
                        self.begin(heard, &full_view, &mut under_way).await;
                    }
                    continue;
                }
                followed = upgrades.follow(), if !upgrades.is_idle() => {
                    followed?;
                    continue;
                }
            };
            let EventBatch { events, ack } = batch;
            let new = self.take_up(events).await?;
            // From here on it is in the journal.
            let _ = ack.send(());
            for heard in new {
                if let RoomEventKind::Upgrade { successor } = heard.what {
                    upgrades.made(heard.sender, successor);
                } else if self.is_early(&heard, &full_view).await {
                    early.push_back(Early { heard, until: Instant::now() + FULL_VIEW });
                } else {
                    self.begin(heard, &full_view, &mut under_way).await;
                }
            }
        }
    }

    /// Deals with one event: at once where it can only make the janitor do less; in turn where it changes how
    /// the janitor behaves, so that such commands take effect in the order in which they were given; beside
    /// the others where it needs the homeserver, which may hang.
    async fn begin(&self, heard: RoomEvent, full_view: &watch::Receiver<bool>, under_way: &mut UnderWay) {
        let course = self.course_of(&heard).await;
        let (dispatcher, full_view, number) = (self.clone(), full_view.clone(), under_way.next_number());
        under_way.add(course, async move { dispatcher.deal_with(heard, number, &full_view).await });
    }

    async fn course_of(&self, heard: &RoomEvent) -> Course {
        match &heard.what {
            RoomEventKind::Reaction { .. } => Course::InTurn,
            RoomEventKind::Text { .. } => {
                let text = self.command_in(&heard.what).await.unwrap_or_default();
                Command::parse(&text).map_or(Course::Beside, |command| course(&command))
            }
            RoomEventKind::Undecryptable | RoomEventKind::Upgrade { .. } => Course::Beside,
        }
    }

    /// Notes that a command may be carried out; false where one that came later has made the janitor do less
    /// since, which this could undo.
    fn may_still(&self, number: u64, effect: Effect, can_do_more: bool) -> bool {
        if effect == Effect::Less {
            self.last_less.fetch_max(number, Ordering::SeqCst);
        }
        !can_do_more || self.last_less.load(Ordering::SeqCst) < number
    }

    /// Commands that an earlier run took up and did not answer.
    async fn finish_what_was_begun(&self) -> Result<(), Stopped> {
        let unanswered = self.context.janitor.ask(|janitor| janitor.unanswered_commands());
        for event in unanswered.await.ok_or(Stopped)? {
            self.say(&event, answer::interrupted(&self.context.prefix), None).await?;
        }
        Ok(())
    }

    /// Writes down the events that are for the bot; returns those that are new. An upgrade is not written
    /// down: until it is followed, it is to be taken up again after each start.
    async fn take_up(&self, heard: Vec<RoomEvent>) -> Result<Vec<RoomEvent>, Stopped> {
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
                let is_upgrade = matches!(one.what, RoomEventKind::Upgrade { .. });
                // A journal that was lost may have had it, and a plan must not be made and approved twice.
                if !is_upgrade && one.is_backlog && begun.is_some_and(|begun| one.at < begun) {
                    tracing::debug!(sender = %one.sender, "ignored: it was said before the journal began");
                    continue;
                }
                if is_upgrade || janitor.take_up(&one.event, &one.sender)? {
                    new.push(one);
                }
            }
            Ok(new)
        };
        self.context.janitor.ask(work).await.ok_or(Stopped)
    }

    async fn is_for_me(&self, heard: &RoomEvent) -> bool {
        match &heard.what {
            RoomEventKind::Text { .. } => {
                self.command_in(&heard.what).await.is_some()
                    || !heard.is_backlog && self.is_slip(&heard.what).await
            }
            RoomEventKind::Reaction { key, .. } => is_tick(key),
            RoomEventKind::Undecryptable => !heard.is_backlog,
            RoomEventKind::Upgrade { .. } => true,
        }
    }

    /// The text of a command, without what it begins with.
    async fn command_in(&self, what: &RoomEventKind) -> Option<String> {
        let RoomEventKind::Text { body, html } = what else { return None };
        let name = self.context.chat.own_name().await;
        let CommandContext { prefix, me, .. } = &self.context;
        let listener = command::Heard { prefix, me, display_name: name.as_deref() };
        command::heard(&listener, body, html.as_deref())
    }

    /// Whether it is no command, and its sender may have meant one.
    async fn is_slip(&self, what: &RoomEventKind) -> bool {
        let RoomEventKind::Text { body, html } = what else { return false };
        command::is_slip(&self.context.prefix, body, html.as_deref()) && self.command_in(what).await.is_none()
    }

    /// Tells what commands begin with, if a command of its sender would be carried out.
    async fn hint(&self, heard: &RoomEvent) -> Result<(), Stopped> {
        let RoomEvent { event, sender, .. } = heard;
        let now = self.context.clock.now();
        let is_heeded = now.since(heard.at) <= TOO_OLD
            && heard.trust == Trust::Enough
            && self.authority.check(&*self.context.chat, sender, Effect::Any).await.is_ok();
        if is_heeded && self.hinted.may_tell(sender, now) {
            self.say(event, answer::begins_with(&self.context.prefix), None).await
        } else {
            self.ignore(event).await
        }
    }

    /// Whether it is a command that has to wait until everything was seen.
    async fn is_early(&self, heard: &RoomEvent, full_view: &watch::Receiver<bool>) -> bool {
        if *full_view.borrow() {
            return false;
        }
        let text = self.command_in(&heard.what).await;
        text.is_some_and(|text| Command::parse(&text).is_ok_and(|command| needs_full_view(&command)))
    }

    async fn deal_with(
        &self,
        heard: RoomEvent,
        number: u64,
        full_view: &watch::Receiver<bool>,
    ) -> Result<(), Stopped> {
        let RoomEvent { event, sender, what, .. } = &heard;
        let age = self.context.clock.now().since(heard.at);
        if matches!(what, RoomEventKind::Undecryptable) {
            return if age <= TOO_OLD && self.asked_again.may_tell(sender, self.context.clock.now()) {
                self.say(event, answer::undecryptable(sender), None).await
            } else {
                self.ignore(event).await
            };
        }
        if self.is_slip(what).await {
            return self.hint(&heard).await;
        }
        // A reaction to anything but a plan is not for the bot.
        if let RoomEventKind::Reaction { to, .. } = what {
            let to = to.clone();
            let is_plan = self.context.janitor.ask(move |janitor| janitor.is_plan(&to));
            if !is_plan.await.ok_or(Stopped)? {
                return self.ignore(event).await;
            }
        }
        if age > TOO_OLD {
            tracing::info!(%sender, age = words::span(age), "a command is too old");
            // What came before the bot was there waits for no answer.
            if heard.is_backlog {
                return self.ignore(event).await;
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
            tracing::warn!(%sender, "a command is refused: {}", refusal.plain);
            return self.say(event, refusal, None).await;
        }
        let effect = self.effect_of(what).await;
        if let Err(refusal) = self.authority.check(&*self.context.chat, sender, effect).await {
            let refusal = refusal.message();
            tracing::info!(%sender, "a command is refused: {}", refusal.plain);
            return self.say(event, refusal, None).await;
        }
        if let RoomEventKind::Reaction { to, .. } = what {
            if !self.may_still(number, effect, true) {
                return self.say(event, answer::overtaken(), None).await;
            }
            return self.carry_out(event, sender, Wanted::Plan(Which::ShownIn(to.clone()))).await;
        }
        let text = self.command_in(what).await.unwrap_or_default();
        match Command::parse(&text) {
            Ok(command) if !self.may_still(number, effect, can_do_more(&command)) => {
                tracing::info!(%sender, command = harmless(&text), "a command was overtaken");
                self.say(event, answer::overtaken(), None).await
            }
            Ok(command) if needs_full_view(&command) && !*full_view.borrow() => {
                self.say(event, answer::has_not_seen_all(), None).await
            }
            Ok(command) => {
                tracing::info!(%sender, command = harmless(&text), "a command");
                self.carry_out(event, sender, Wanted::Command(command)).await
            }
            Err(mistake) => self.say(event, mistake.message(&self.context.prefix), None).await,
        }
    }

    /// Whether it can only make the janitor do less.
    async fn effect_of(&self, what: &RoomEventKind) -> Effect {
        let text = self.command_in(what).await.unwrap_or_default();
        match Command::parse(&text) {
            Ok(
                Command::Pause { .. }
                | Command::Exclude { .. }
                | Command::Mode { mode: ModeChange::To(Mode::Report) }
                | Command::Survey { order: Some(SurveyOrder::Stop) },
            ) => Effect::Less,
            _ => Effect::Any,
        }
    }

    async fn say(
        &self,
        event: &EventId,
        message: Message,
        interim: Option<(String, EventId)>,
    ) -> Result<(), Stopped> {
        let event = event.clone();
        let say = self.context.janitor.ask(move |janitor| {
            janitor.adopt(&event, interim)?;
            janitor.answer(&event, &message)
        });
        say.await.ok_or(Stopped)
    }

    /// Nothing is to be said.
    async fn ignore(&self, event: &EventId) -> Result<(), Stopped> {
        let event = event.clone();
        self.context.janitor.ask(move |janitor| janitor.ignore(&event)).await.ok_or(Stopped)
    }
}

/// A command that came before everything was seen. Whether its sender may give it is asked when it is dealt
/// with.
struct Early {
    heard: RoomEvent,
    /// When waiting is over.
    until: Instant,
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
