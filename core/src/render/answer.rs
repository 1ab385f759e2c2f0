//! Answers to commands, from what they are to say to both forms of a message.
//!
//! Each answer is a plain value; what is from outside is made harmless here. Lists are cut where a
//! message would grow too long, with a count and the way to the rest.

mod beside;
mod calls;
mod explain;
mod help;
mod history;
mod mistake;
mod names;
mod notices;
mod page;
mod plans;
mod refusals;
mod rooms;
mod server;
mod settings;
mod status;
mod survey;

pub use beside::beside;
pub use calls::{Call, Caller, Calls, Connection, Only};
pub use explain::{Explained, Explanation};
pub use help::{commands, one_command};
pub use history::{History, Past};
pub use names::*;
pub use notices::*;
pub use plans::{Outcome, Progress, ShownPlan, held_back, unsettled};
pub use refusals::*;
pub use rooms::{Problem, Room, Rooms};
pub use server::{Lack, Server};
pub use settings::{Setting, Settings};
pub use status::{NeighbourHealth, Status};
pub use survey::{
    JoinsUnderWay, ShownJoins, SurveyFound, no_admin_api, no_survey_to_stop, not_surveyed, proposed_joins,
    survey_lines, survey_problems, survey_progress, survey_running, survey_stopped, survey_totals,
};

pub use crate::plan::PlanKind;

#[cfg(test)]
mod tests;
