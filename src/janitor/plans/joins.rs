//! Plans to get into rooms: shown and approved like all others, and carried out beside the loop, for joins take long.

use std::collections::BTreeSet;

use rtc_janitor_core::{
    ids::{EventId, RoomId},
    plan::HeldBack,
    render::answer::{JoinsUnderWay, ShownJoins, held_back},
    survey::Survey,
};

use crate::{
    janitor::{Janitor, Settings},
    world::journal::{Draft, JoinPlan, JournalError},
};

impl Janitor {
    /// What applies now: what a survey leaves alone, and by which thresholds it judges.
    pub(crate) fn settings_now(&self) -> Settings {
        self.settings.clone()
    }

    /// Those of some rooms that the bot is in.
    pub(crate) fn joined_among(&self, rooms: Vec<RoomId>) -> BTreeSet<RoomId> {
        rooms.into_iter().filter(|room| self.memory.knows(room)).collect()
    }

    /// Writes a plan to get into rooms down and shows it in the answer to a command.
    pub(crate) fn show_joins(&mut self, survey: &Survey, command: &EventId) -> Result<(), JournalError> {
        let id = self.journal.next_plan()?;
        let prefix = self.settings.command_prefix.as_str();
        let (message, rooms) = ShownJoins { id: &id.1, survey, prefix }.message();
        for stored in self.journal.show_joins(command, &message, &id, &rooms, self.now())? {
            self.voice.send(stored);
        }
        Ok(())
    }

    /// Approved plans to get into rooms that are not over.
    pub(crate) fn joins_under_way(&self) -> Result<Vec<(JoinPlan, Option<EventId>)>, JournalError> {
        let plans = self.journal.plans_under_way::<JoinPlan>()?;
        plans.into_iter().map(|plan| Ok((plan.clone(), self.journal.event_showing(&plan.id)?))).collect()
    }

    /// Why nobody is to get into rooms now, where that is so.
    pub(crate) fn joins_held_because(&self) -> Option<String> {
        self.overrides.is_paused(self.now()).then(|| held_back(HeldBack::Paused))
    }

    /// Writes down what came of the rooms of a plan so far.
    pub(crate) fn save_joins(&self, plan: &JoinPlan) -> Result<(), JournalError> {
        self.journal.save_plan(plan)
    }

    /// The same, and says so in reply to an event.
    pub(crate) fn tell_joins(
        &mut self,
        mut plan: JoinPlan,
        reply_to: Option<EventId>,
    ) -> Result<JoinPlan, JournalError> {
        let outcomes = plan.rooms.iter().map(|room| (room, plan.outcomes.get(&room.room))).collect();
        let message = JoinsUnderWay { id: &plan.id, by: plan.approved_by.as_ref(), outcomes }.message();
        let draft = Draft { reply_to, ..Draft::of(message) };
        let stored = self.journal.tell_progress(&mut plan, draft, self.now())?;
        self.voice.send(stored);
        Ok(plan)
    }
}
