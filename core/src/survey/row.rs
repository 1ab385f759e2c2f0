//! A surveyed room as `survey --json` prints it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{JoinOutcome, Step, SurveyedRoom, Upgrade};
use crate::{
    export::Explained,
    ids::{RoomId, UserId},
    render::survey as say,
};

/// One room; the form of `survey --json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent key of the JSON")]
pub struct SurveyRow {
    /// The room.
    pub room_id: RoomId,
    /// Its name.
    pub name: Option<String>,
    /// Its main alias.
    pub alias: Option<String>,
    /// `joined`, `invited`, `banned` or `outside`.
    pub bot: &'static str,
    /// `public`, `invite`, `knock`, `restricted` …; null where the room has no join rules.
    pub join_rule: Option<String>,
    /// Whether the room was upgraded.
    pub is_upgraded: bool,
    /// The room that it was upgraded to.
    pub successor: Option<RoomId>,
    /// Whether the bot leaves it alone.
    pub is_excluded: bool,
    /// Whether the bot sees what happens there.
    pub can_see: bool,
    /// Whether it may clear all that is open there.
    pub can_clear: bool,
    /// How many memberships are open.
    pub open: usize,
    /// Of these, how many are active.
    pub active: usize,
    /// How many are stale.
    pub stale: usize,
    /// And of how many that is not known.
    pub unknown: usize,
    /// How many are stale, by the reason that names the verdict.
    pub reasons: BTreeMap<&'static str, usize>,
    /// What is in the way, each in a sentence.
    pub obstacles: Vec<String>,
    /// What would help, in this order.
    pub steps: Vec<StepRow>,
    /// What came of getting into it, where that was asked for: `joined`, `joined_without_power`, `raised`,
    /// `in_successor`, `refused`, `failed` or `held`.
    pub outcome: Option<&'static str>,
    /// The same in a sentence.
    pub outcome_why: Option<String>,
    /// Whether the survey read all rooms that it is about; else there may be more than are printed.
    pub survey_is_complete: bool,
    /// Every open membership, as `explain --json` has it.
    pub memberships: Vec<Explained>,
}

/// One thing that would help.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StepRow {
    /// `unban`, `invite`, `join`, `raise_power`, `make_room_admin` or `go_to_successor`.
    pub step: &'static str,
    /// What to do, in a sentence.
    pub what: String,
    /// What to run, where that is a command of a shell.
    pub run: Option<String>,
}

impl SurveyRow {
    /// A room as it is printed; `me` is the bot, and `homeserver` where the admin API answers.
    pub fn new(room: &SurveyedRoom, survey_is_complete: bool, me: &UserId, homeserver: &str) -> Self {
        let step = |step: &Step| StepRow {
            step: step.as_str(),
            what: say::step(step, me),
            run: say::command(step, &room.listed.room, me, homeserver),
        };
        Self {
            room_id: room.listed.room.clone(),
            name: room.listed.name.clone(),
            alias: room.listed.alias.clone(),
            bot: room.presence.as_str(),
            join_rule: room.join_rule.clone(),
            is_upgraded: room.upgrade != Upgrade::None,
            successor: room.upgrade.successor().cloned(),
            is_excluded: room.is_excluded,
            can_see: room.can_see(),
            can_clear: room.can_clear(),
            open: room.memberships.len(),
            active: room.count("active"),
            stale: room.count("stale"),
            unknown: room.count("unknown"),
            reasons: room.reasons(),
            obstacles: room.obstacles.iter().map(|(why, keys)| say::obstacle(*why, *keys)).collect(),
            steps: room.steps.iter().map(step).collect(),
            outcome: None,
            outcome_why: None,
            survey_is_complete,
            memberships: room.memberships.clone(),
        }
    }

    /// The same, with what came of getting into it.
    #[must_use]
    pub fn with_outcome(self, outcome: Option<&JoinOutcome>) -> Self {
        Self { outcome: outcome.map(JoinOutcome::as_str), outcome_why: outcome.map(say::outcome), ..self }
    }
}
