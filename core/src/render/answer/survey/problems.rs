//! What `rooms problems` says of rooms that the bot is not in.

use super::{entry, in_order, lines};
use crate::{
    ids::UserId,
    render::{
        Message,
        answer::page::{Page, count, words},
        message::{harmless, sentences},
        survey as say, words as time,
    },
    survey::{Survey, SurveyedRoom},
    time::Timestamp,
};

/// What `rooms problems` says of rooms that a survey found: those that the bot cannot see or clear, but for those that
/// it has come to be in since.
pub fn survey_problems(
    survey: &Survey,
    is_in: &dyn Fn(&SurveyedRoom) -> bool,
    me: &UserId,
    prefix: &str,
    now: Timestamp,
) -> Message {
    let mut page = Page::default();
    let rooms: Vec<_> = in_order(survey)
        .into_iter()
        .filter(|room| !room.can_clear() && !room.is_excluded && !is_in(room))
        .collect();
    let entries: Vec<_> = rooms.iter().map(|room| entry(&lines(room, me, Some(prefix)))).collect();
    let scope = survey.scope.to_string();
    // What it was not about may hold anything.
    let only = if scope.is_empty() { scope } else { format!(", only of {}", harmless(&scope)) };
    let which = format!("The last survey ({}{only})", time::ago(survey.at, now));
    for line in say::incomplete(survey) {
        page.say(&line);
    }
    if entries.is_empty() {
        page.say(&format!("{which} found no other room that I cannot see or clear."));
    }
    let heading = format!(
        "{which} found {} open memberships that I cannot see or clear",
        count(rooms.len(), "more room with", "more rooms with")
    );
    page.list(&words(&heading), &entries, &format!("`{prefix} survey` looks again."));
    page.done()
}

/// What `rooms problems` says before there was a survey.
pub fn not_surveyed(prefix: &str) -> Message {
    sentences(&[&format!(
        "Rooms I am not in: `{prefix} survey` looks through all rooms of the server. There was none since my start."
    )])
}
