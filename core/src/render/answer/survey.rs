//! `survey`: what was found, and how far it is.

mod joins;
mod problems;

use std::{collections::BTreeMap, time::Duration};

pub use joins::{JoinsUnderWay, ShownJoins, proposed_joins};
pub use problems::{not_surveyed, survey_problems};

use super::page::{Page, count, join, line_break, words};
use crate::{
    ids::UserId,
    render::{
        Message,
        message::{self, harmless, sentences},
        survey as say, words as time,
    },
    survey::{Progress, Step, Survey, SurveyedRoom},
};

/// The most lines that one room takes.
const MOST_LINES: usize = 5;

/// A survey as the admin room is told of it.
#[derive(Clone, Copy, Debug)]
pub struct SurveyFound<'a> {
    /// What was found.
    pub survey: &'a Survey,
    /// The bot.
    pub me: &'a UserId,
    /// What commands begin with.
    pub prefix: &'a str,
}

impl SurveyFound<'_> {
    /// The answer.
    pub fn message(&self) -> Message {
        let Self { survey, me, prefix } = *self;
        let mut page = Page::default();
        for line in survey_totals(survey) {
            page.say(&line);
        }
        let proposed = survey.rooms.iter().filter(|room| room.proposal().is_ok()).count();
        if proposed > 0 {
            let scope = survey.scope.to_string();
            let scope = if scope.is_empty() { scope } else { format!(" {}", harmless(&scope)) };
            page.say(&format!(
                "`{prefix} survey join{scope}` proposes what I could do about {} by myself.",
                count(proposed, "of them", "of them")
            ));
        }
        let entries: Vec<_> =
            in_order(survey).into_iter().map(|room| entry(&lines(room, me, Some(prefix)))).collect();
        let so_far = if survey.cut.is_none() { "" } else { ", as far as I looked" };
        page.list(
            &words(&format!("Rooms with open memberships{so_far}")),
            &entries,
            "Narrow the survey to see them: a space, an alias, or a part of a name.",
        );
        let unread: Vec<_> = survey
            .unread
            .iter()
            .map(|(room, why)| {
                let name = message::room_and_id(&room.room, room.shown_name().as_deref());
                join(&[&name, &words(&format!(": {}", harmless(why)))])
            })
            .collect();
        page.list(&words("Could not be read"), &unread, "");
        page.done()
    }
}

/// What a survey comes to, line by line.
pub fn survey_totals(survey: &Survey) -> Vec<String> {
    let all = |verdict| survey.rooms.iter().map(|room| room.count(verdict)).sum::<usize>();
    let mut reasons: BTreeMap<&'static str, usize> = BTreeMap::new();
    for (reason, number) in survey.rooms.iter().flat_map(SurveyedRoom::reasons) {
        *reasons.entry(reason).or_default() += number;
    }
    let open: usize = survey.rooms.iter().map(|room| room.memberships.len()).sum();
    let mut lines = vec![format!(
        "🔭 I looked at {} in {}: {} open memberships{}.",
        say::looked_at(survey),
        if survey.took < Duration::from_secs(1) { "under 1 s".to_owned() } else { time::span(survey.took) },
        count(survey.rooms.len(), "has", "have"),
        if open == 0 { String::new() } else { format!(" ({open} in all)") }
    )];
    lines.extend(say::incomplete(survey));
    if open > 0 {
        lines.push(format!(
            "Memberships: {} active, {} stale{}, {} unknown, by the rooms' state and device lists alone.",
            all("active"),
            all("stale"),
            say::by_reason(reasons),
            all("unknown")
        ));
        let clears = survey.rooms.iter().filter(|room| room.can_clear()).count();
        let sees = survey.rooms.iter().filter(|room| room.can_see() && !room.can_clear()).count();
        let rest = survey.rooms.len() - clears - sees;
        lines.push(format!(
            "I can clear in {}, see {sees} more in which I cannot clear all, and do not see {rest}.",
            count(clears, "of these rooms", "of these rooms")
        ));
    }
    if let Some(why) = &survey.without_lists {
        lines.push(format!("⚠️ The server's device lists were not all read ({}).", harmless(why)));
    }
    lines
}

/// Those that need somebody first, the most stale ones before the others.
fn in_order(survey: &Survey) -> Vec<&SurveyedRoom> {
    let mut rooms: Vec<_> = survey.rooms.iter().collect();
    rooms.sort_by_cached_key(|room| {
        (room.can_clear(), std::cmp::Reverse(room.count("stale")), room.listed.room.clone())
    });
    rooms
}

/// All rooms of a survey, each in lines of plain text; the first names the room. `homeserver` is where the admin API
/// answers.
pub fn survey_lines(survey: &Survey, me: &UserId, homeserver: &str) -> Vec<Vec<String>> {
    let plain = |room: &SurveyedRoom| {
        let mut all: Vec<_> = lines(room, me, None).into_iter().map(|line| line.plain).collect();
        all.extend(
            room.steps.iter().filter_map(|step| say::command(step, &room.listed.room, me, homeserver)),
        );
        all
    };
    in_order(survey).into_iter().map(plain).collect()
}

/// What there is to say of a room; `prefix` where the admin room reads it.
fn lines(room: &SurveyedRoom, me: &UserId, prefix: Option<&str>) -> Vec<Message> {
    let name = message::room_and_id(&room.listed.room, room.listed.shown_name().as_deref());
    let mut lines = vec![join(&[&name, &words(&format!(": {}", say::counts(room)))])];
    if room.can_clear() {
        lines.push(words("✅ I can clear there."));
        return lines;
    }
    let obstacles: Vec<_> = room.obstacles.iter().map(|(why, keys)| say::obstacle(*why, *keys)).collect();
    lines.push(words(&format!("⚠️ {}.", obstacles.join(". "))));
    let is_mine = |step: &Step| matches!(step, Step::MakeRoomAdmin | Step::Join | Step::GoToSuccessor(_));
    // One command does all that the bot can do.
    let command = prefix.filter(|_| room.proposal().is_ok());
    let last_of_mine = room.steps.iter().rposition(is_mine);
    for (at, step) in room.steps.iter().enumerate() {
        let how = match command {
            Some(prefix) if Some(at) == last_of_mine => {
                format!(": `{prefix} survey join {}`", harmless(room.listed.room.as_str()))
            }
            _ => String::new(),
        };
        lines.push(words(&format!("→ {}{how}", say::step(step, me))));
    }
    if let Some(successor) = room.upgrade.successor().filter(|_| room.can_see()) {
        lines.push(join(&[&words("It was upgraded to "), &message::room(successor, None)]));
    }
    lines.truncate(MOST_LINES);
    lines
}

/// An entry of a list, of several lines; a plain body has one line for it.
fn entry(lines: &[Message]) -> Message {
    let mut entry = Message::default();
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            entry.push(&line_break(" "));
        }
        entry.push(line);
    }
    entry
}

/// How far the survey is that somebody has asked for.
pub fn survey_progress(progress: Progress) -> Message {
    sentences(&[&format!("⏳ Survey: {}.", say::progress(progress))])
}

/// Somebody asked for a survey while there is one.
pub fn survey_running(progress: Progress, since: Duration, prefix: &str) -> Message {
    let so_far = say::progress(progress);
    sentences(&[&format!(
        "⏳ A survey has been under way for {}: {so_far}. Ask again when it is over, or end it: `{prefix} survey stop`.",
        time::span(since)
    )])
}

/// Somebody stopped the survey that was under way.
pub fn survey_stopped(progress: Progress) -> Message {
    let so_far = match progress {
        Progress::Listing { rooms } => format!("while it was listing the rooms ({rooms} so far)"),
        Progress::Rooms { done, of, open } => {
            format!("after {done} of {}, {open} with open memberships", count(of, "room", "rooms"))
        }
    };
    sentences(&[&format!("🛑 I stopped the survey {so_far}. The answer to it says what it found.")])
}

/// Somebody wants to stop a survey, and there is none.
pub fn no_survey_to_stop(prefix: &str) -> Message {
    sentences(&[&format!("No survey is under way. `{prefix} pause` stops a plan that is being carried out.")])
}

/// The admin API may not be asked.
pub fn no_admin_api() -> Message {
    sentences(&[&format!("I cannot: {}.", say::NO_ADMIN_API)])
}

#[cfg(test)]
mod tests;
