//! Surveys for the admin room: one at a time, the last one kept; and plans to get into rooms, carried out one room
//! after the other beside everything else.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rtc_janitor_core::{
    ids::{EventId, UserId},
    plan::{FRESH, HeldBack},
    render::{answer::held_back, survey as say},
    survey::{JoinOutcome, NoWay, Progress, Scope, Survey},
};
use tokio::{sync::mpsc, time::Instant};

use super::request::Stopped;
use crate::{
    janitor::{Settings, handle::JanitorHandle},
    shutdown::Shutdown,
    survey::{SurveyError, Surveyor},
    world::{Rooms, clock::Clock, journal::JoinPlan, synapse_admin::AllRooms},
};

/// How often an approved plan says how far it is.
const NEWS: Duration = Duration::from_secs(10);

/// Surveys, as commands ask for them. Cheap to clone.
#[derive(Clone)]
pub struct Surveys {
    neighbours: Neighbours,
    me: UserId,
    under_way: Arc<Mutex<Option<UnderWay>>>,
    last: Arc<Mutex<Option<Arc<Survey>>>>,
    approved: mpsc::UnboundedSender<Approved>,
}

/// What a survey asks.
#[derive(Clone)]
struct Neighbours {
    admin: Arc<dyn AllRooms>,
    rooms: Arc<dyn Rooms>,
    clock: Arc<dyn Clock>,
}

impl Neighbours {
    fn surveyor<'a>(&'a self, settings: &'a Settings) -> Surveyor<'a> {
        Surveyor { admin: &*self.admin, rooms: &*self.rooms, clock: &*self.clock, settings }
    }
}

impl fmt::Debug for Surveys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surveys").field("me", &self.me).finish_non_exhaustive()
    }
}

/// The survey under way.
#[derive(Clone)]
struct UnderWay {
    /// How far it is.
    progress: Progress,
    /// When it began.
    since: Instant,
    /// Ends it.
    stop: Shutdown,
}

/// An approved plan, and the event that its progress answers.
type Approved = (JoinPlan, Option<EventId>);

/// Why there is no survey.
pub(super) enum NoSurvey {
    /// There is one, so far, for so long.
    UnderWay(Progress, Duration),
    /// It failed.
    Failed(SurveyError),
}

impl Surveys {
    /// Of the rooms that `admin` knows, for the account `me`; what is approved is carried out by the other half.
    pub fn new(
        admin: Arc<dyn AllRooms>,
        rooms: Arc<dyn Rooms>,
        clock: Arc<dyn Clock>,
        me: UserId,
    ) -> (Self, Joins) {
        let neighbours = Neighbours { admin, rooms, clock };
        let (approved, to_do) = mpsc::unbounded_channel();
        let joins = Joins { neighbours: neighbours.clone(), approved: to_do };
        (Self { neighbours, me, under_way: Arc::default(), last: Arc::default(), approved }, joins)
    }

    /// The account that surveys.
    pub(super) fn me(&self) -> &UserId {
        &self.me
    }

    /// The last survey of all rooms since the start, or of some while there was none of all.
    pub(super) fn last(&self) -> Option<Arc<Survey>> {
        locked(&self.last).clone()
    }

    /// Takes the place of the survey under way, unless there is one.
    pub(super) fn begin(&self) -> Result<Place<'_>, NoSurvey> {
        let mut under_way = locked(&self.under_way);
        if let Some(UnderWay { progress, since, .. }) = &*under_way {
            return Err(NoSurvey::UnderWay(*progress, since.elapsed()));
        }
        let stop = Shutdown::new();
        let progress = Progress::Listing { rooms: 0 };
        *under_way = Some(UnderWay { progress, since: Instant::now(), stop: stop.clone() });
        drop(under_way);
        Ok(Place { surveys: self, stop })
    }

    /// Ends the survey under way, whatever it waits for; how far it came, where there is one.
    pub(super) fn stop(&self) -> Option<Progress> {
        let under_way = locked(&self.under_way).clone()?;
        under_way.stop.request();
        Some(under_way.progress)
    }

    /// Keeps a survey for `rooms problems`, unless the one that there is tells more: one of a few rooms says nothing of
    /// the others, and one that was cut short nothing of the rest.
    fn keep(&self, survey: &Arc<Survey>) {
        let tells = |survey: &Survey| (survey.scope == Scope::All, survey.cut.is_none());
        let mut last = locked(&self.last);
        if last.as_ref().is_none_or(|last| tells(survey) >= tells(last)) {
            *last = Some(Arc::clone(survey));
        }
    }

    /// Has an approved plan carried out; what comes of it is said in reply to `event`.
    pub(super) fn carry_out(&self, plan: JoinPlan, event: EventId) {
        // It is in the journal, and where the other half has ended, the program ends.
        let _ = self.approved.send((plan, Some(event)));
    }
}

/// Held while a survey is under way, however that ends.
pub(super) struct Place<'a> {
    surveys: &'a Surveys,
    stop: Shutdown,
}

impl Place<'_> {
    /// Makes the survey.
    pub(super) async fn make(
        &self,
        settings: &Settings,
        scope: &Scope,
        news: &(dyn Fn(Progress) + Sync),
    ) -> Result<Arc<Survey>, NoSurvey> {
        let tell = |progress| {
            if let Some(under_way) = &mut *locked(&self.surveys.under_way) {
                under_way.progress = progress;
            }
            news(progress);
        };
        let surveyor = self.surveys.neighbours.surveyor(settings);
        let survey = surveyor.survey(scope, &self.stop, &tell).await.map_err(NoSurvey::Failed)?;
        let survey = Arc::new(survey);
        self.surveys.keep(&survey);
        Ok(survey)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *locked(&self.surveys.under_way) = None;
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Carries out approved plans to get into rooms.
pub struct Joins {
    neighbours: Neighbours,
    approved: mpsc::UnboundedReceiver<Approved>,
}

impl fmt::Debug for Joins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Joins").finish_non_exhaustive()
    }
}

impl Joins {
    /// Serves until told to stop. What an earlier run has begun goes first.
    pub async fn serve(mut self, janitor: JanitorHandle, shutdown: Shutdown) {
        let _ = shutdown.or(self.serve_until_stopped(&janitor)).await;
    }

    async fn serve_until_stopped(&mut self, janitor: &JanitorHandle) -> Result<(), Stopped> {
        for (mut plan, event) in janitor.ask(|janitor| janitor.joins_under_way()).await.ok_or(Stopped)? {
            if self.neighbours.clock.now().since(plan.made) >= FRESH {
                leave_the_rest(&mut plan, &held_back(HeldBack::TooOld));
            }
            self.carry_out(janitor, plan, event).await?;
        }
        while let Some((plan, event)) = self.approved.recv().await {
            self.carry_out(janitor, plan, event).await?;
        }
        Ok(())
    }

    /// Gets into one room after the other. Each is read anew, and each is in the journal before the next.
    async fn carry_out(
        &self,
        janitor: &JanitorHandle,
        mut plan: JoinPlan,
        event: Option<EventId>,
    ) -> Result<(), Stopped> {
        let settings = janitor.ask(|janitor| Ok(janitor.settings_now())).await.ok_or(Stopped)?;
        let joining = self.neighbours.surveyor(&settings).joining();
        let mut told: Option<Instant> = None;
        for room in plan.rooms.clone() {
            if plan.outcomes.contains_key(&room.room) {
                continue;
            }
            // It was approved, and that is to be seen.
            if told.is_none_or(|told| told.elapsed() >= NEWS) {
                plan = tell(janitor, plan, event.clone()).await?;
                told = Some(Instant::now());
            }
            let held = janitor.ask(|janitor| Ok(janitor.joins_held_because())).await.ok_or(Stopped)?;
            if let Some(why) = held {
                leave_the_rest(&mut plan, &why);
                break;
            }
            // What was excluded since the plan was approved is left alone.
            let id = room.room.clone();
            let covers = janitor.ask(move |janitor| Ok(janitor.settings_now().covers(&id)));
            let outcome = if covers.await.ok_or(Stopped)? {
                joining.get_into(&room).await
            } else {
                JoinOutcome::Held(say::no_way(NoWay::Excluded).to_owned())
            };
            tracing::info!(plan = %plan.id, room = %room.room, ?outcome, "a room of an approved plan");
            plan.outcomes.insert(room.room, outcome);
            let so_far = plan.clone();
            janitor.ask(move |janitor| janitor.save_joins(&so_far)).await.ok_or(Stopped)?;
        }
        plan.closed = true;
        tell(janitor, plan, event).await.map(drop)
    }
}

async fn tell(janitor: &JanitorHandle, plan: JoinPlan, event: Option<EventId>) -> Result<JoinPlan, Stopped> {
    janitor.ask(move |janitor| janitor.tell_joins(plan, event)).await.ok_or(Stopped)
}

/// Nothing more is done about rooms that nothing was done about so far.
fn leave_the_rest(plan: &mut JoinPlan, why: &str) {
    for room in &plan.rooms {
        plan.outcomes.entry(room.room.clone()).or_insert_with(|| JoinOutcome::Held(why.to_owned()));
    }
}
