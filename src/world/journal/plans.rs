//! Plans of any kind: what was shown, who approved it, and how far it came.

use rtc_janitor_core::{
    command::PlanId,
    ids::{EventId, UserId},
    plan::Proposal,
    render::{Message, answer::PlanKind},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    Draft, JoinPlan, Journal, Result, Stored, StoredMessage, StoredPlan,
    commands::{answer, done},
    messages::insert,
    plan_record::{COLUMNS, KeptPlan, kind_name},
    statement::{Statements as _, maybe_text, to_json},
};

/// A plan that is about to be shown.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPlan<'a> {
    /// Its number and its name.
    pub id: (u64, PlanId),
    /// What it is for.
    pub kind: PlanKind,
    /// What is shown.
    pub proposals: &'a [Proposal],
}

impl Journal {
    /// The name of the next plan.
    pub fn next_plan(&self) -> Result<(u64, PlanId)> {
        let last: i64 = self
            .db
            .statement("SELECT coalesce(max(number), 0) FROM plans")?
            .query_row([], |row| row.get(0))?;
        let number = u64::try_from(last).unwrap_or(0) + 1;
        Ok((number, PlanId::numbered(number)))
    }

    /// Answers a command with a plan, all or nothing: the message that shows it, the plan, and the ✅ to
    /// be pressed, where nobody can be dropped by it. A plan of nothing is only shown.
    pub fn show(
        &mut self,
        command: &EventId,
        message: &Message,
        plan: &NewPlan<'_>,
        at: Timestamp,
    ) -> Result<Vec<StoredMessage>> {
        let proposals = to_json("a plan", plan.proposals)?;
        // One slip of the thumb must not throw anybody out of a call.
        let has_tick = !plan.proposals.iter().any(Proposal::may_be_there);
        let rows = (!plan.proposals.is_empty()).then_some((kind_name(plan.kind), proposals, has_tick));
        self.write(|db| show(db, command, message, &plan.id, rows, at))
    }

    /// A plan of one kind by its name.
    pub fn plan<P: KeptPlan>(&self, id: &PlanId) -> Result<Stored<P>> {
        self.one_plan("id = ?1", id.as_str())
    }

    /// The plan of one kind that a message shows.
    pub fn plan_shown_in<P: KeptPlan>(&self, event: &EventId) -> Result<Stored<P>> {
        let shown = "message = (SELECT txn FROM messages WHERE event = ?1 AND target IS NULL)";
        self.one_plan(shown, event.as_str())
    }

    /// The event that shows a plan, where the server has it.
    pub fn event_showing(&self, id: &PlanId) -> Result<Option<EventId>> {
        let event = self
            .db
            .statement(
                "SELECT messages.event FROM plans JOIN messages ON messages.txn = plans.message
                 WHERE plans.id = ?1",
            )?
            .query_row([id.as_str()], |row| maybe_text(row, "event"))
            .optional()?;
        Ok(event.flatten())
    }

    /// Approves a plan; false when somebody else did before. It is on disk before the first write. The
    /// plan itself says what comes of it: the command that approved it needs no other answer.
    pub fn approve(&mut self, id: &PlanId, by: &UserId, command: &EventId, at: Timestamp) -> Result<bool> {
        self.write(|db| {
            let rows = db
                .statement(
                    "UPDATE plans SET approved_by = ?2, approved_ms = ?3 WHERE id = ?1 AND approved_by IS NULL",
                )?
                .execute(params![id.as_str(), by.as_str(), at.as_millis()])?;
            if rows > 0 {
                done(db, command)?;
            }
            Ok(rows > 0)
        })
    }

    /// Approved plans of one kind of which the last word is not said. Those that cannot be read are not among them.
    pub fn plans_under_way<P: KeptPlan>(&self) -> Result<Vec<P>> {
        Ok(self.approved()?.into_iter().filter_map(|(_, plan)| plan.read()).collect())
    }

    /// The names of those that were approved and cannot be read: they are not carried out, and
    /// [`Journal::close_plan`] ends them once that is said.
    pub fn unreadable_plans(&self) -> Result<Vec<String>> {
        let mut names = self.unreadable_of::<StoredPlan>()?;
        names.extend(self.unreadable_of::<JoinPlan>()?);
        Ok(names)
    }

    fn unreadable_of<P: KeptPlan>(&self) -> Result<Vec<String>> {
        let approved = self.approved::<P>()?.into_iter();
        Ok(approved
            .filter_map(|(name, plan)| matches!(plan, Stored::Unreadable(_)).then_some(name))
            .collect())
    }

    /// Ends a plan of which nothing more is to be said.
    pub fn close_plan(&self, name: &str) -> Result<()> {
        self.write(|db| {
            db.statement("UPDATE plans SET closed = 1 WHERE id = ?1")?.execute([name])?;
            Ok(())
        })
    }

    /// Writes down how far a plan came.
    pub fn save_plan(&self, plan: &impl KeptPlan) -> Result<()> {
        self.write(|db| plan.save(db))
    }

    /// Writes down how far a plan came, and says so: in a new message, or in place of the last.
    pub fn tell_progress(
        &mut self,
        plan: &mut impl KeptPlan,
        draft: Draft,
        at: Timestamp,
    ) -> Result<StoredMessage> {
        self.write(|db| {
            let draft = Draft { target: plan.progress().clone(), ..draft };
            let stored = insert(db, &draft, at)?;
            plan.progress().get_or_insert_with(|| stored.txn.clone());
            plan.save(db)?;
            Ok(stored)
        })
    }

    fn approved<P: KeptPlan>(&self) -> Result<Vec<(String, Stored<P>)>> {
        self.plans("approved_by IS NOT NULL AND closed = 0", "ORDER BY approved_ms", [])
    }

    fn one_plan<P: KeptPlan>(&self, condition: &str, parameter: &str) -> Result<Stored<P>> {
        let plan = self.plans(condition, "", [parameter])?.into_iter().next();
        Ok(plan.map_or(Stored::Never, |(_, plan)| plan))
    }

    fn plans<P: KeptPlan>(
        &self,
        condition: &str,
        order: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<Vec<(String, Stored<P>)>> {
        let rows = P::ROWS;
        let mut query = self
            .db
            .statement(&format!("SELECT {COLUMNS} FROM plans WHERE {condition} AND {rows} {order}"))?;
        let rows = query.query_map(parameters, |row| {
            let name: String = row.get("id")?;
            let plan = P::read(row)?;
            if let Stored::Unreadable(why) = &plan {
                self.met_unreadable(format!("plan {name}"), why);
            }
            Ok((name, plan))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

/// Answers a command with what shows a plan. Its kind, what is shown, and whether the ✅ is there to be pressed make
/// it one that can be approved.
pub(super) fn show(
    db: &Connection,
    command: &EventId,
    message: &Message,
    (number, id): &(u64, PlanId),
    plan: Option<(&str, String, bool)>,
    at: Timestamp,
) -> Result<Vec<StoredMessage>> {
    let answer = answer(db, command, message, true, at)?;
    let Some((kind, proposals, has_tick)) = plan else { return Ok(vec![answer]) };
    let shown = answer.target.as_ref().map_or(&answer.txn, |(txn, _)| txn).clone();
    db.statement(
        "INSERT INTO plans (id, number, kind, made_ms, proposals, message)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        id.as_str(),
        i64::try_from(*number).unwrap_or(i64::MAX),
        kind,
        at.as_millis(),
        proposals,
        shown
    ])?;
    if !has_tick {
        return Ok(vec![answer]);
    }
    let tick = Draft { target: Some(shown), reaction: Some("✅".to_owned()), ..Draft::default() };
    Ok(vec![answer, insert(db, &tick, at)?])
}
