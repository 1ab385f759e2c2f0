//! `survey`: what was found, how far it is, what is proposed to be joined, and what came of that.

use std::{collections::BTreeMap, time::Duration};

use super::page::{Page, count, join, line_break, words};
use crate::{
    ids::UserId,
    plan::PlanId,
    render::{
        Message,
        message::{self, harmless, sentences},
        survey as say, words as time,
    },
    survey::{JoinOutcome, JoinProposal, NoWay, Progress, Step, Survey, SurveyedRoom},
    time::Timestamp,
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
        page.list(
            &words("Rooms with open memberships"),
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
        count(survey.looked_at, "room", "rooms"),
        if survey.took < Duration::from_secs(1) { "under 1 s".to_owned() } else { time::span(survey.took) },
        count(survey.rooms.len(), "has", "have"),
        if open == 0 { String::new() } else { format!(" ({open} in all)") }
    )];
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
    if !survey.unread.is_empty() {
        lines.push(format!("⚠️ {} not be read.", count(survey.unread.len(), "room could", "rooms could")));
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
pub fn survey_running(progress: Progress, since: Duration) -> Message {
    let so_far = say::progress(progress);
    sentences(&[&format!(
        "⏳ A survey has been under way for {}: {so_far}. Ask again when it is over.",
        time::span(since)
    )])
}

/// The admin API may not be asked.
pub fn no_admin_api() -> Message {
    sentences(&[&format!("I cannot: {}.", say::NO_ADMIN_API)])
}

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
    let age = time::ago(survey.at, now);
    if entries.is_empty() {
        page.say(&format!("The last survey ({age}) found no other room that I cannot see or clear."));
    }
    let heading = format!(
        "The last survey ({age}) found {} open memberships that I cannot see or clear",
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

/// A plan to get into rooms, as it is shown.
#[derive(Clone, Copy, Debug)]
pub struct ShownJoins<'a> {
    /// Its name.
    pub id: &'a PlanId,
    /// What was found.
    pub survey: &'a Survey,
    /// What commands begin with.
    pub prefix: &'a str,
}

impl ShownJoins<'_> {
    /// The message that is approved with ✅, and what it shows: nobody can approve what they do not see.
    pub fn message(&self) -> (Message, Vec<JoinProposal>) {
        let proposals: Vec<_> =
            in_order(self.survey).into_iter().filter_map(|room| room.proposal().ok()).collect();
        let (message, shown) = self.page(&proposals, 0);
        let (fit, left_out) = proposals.split_at(shown);
        let message = if left_out.is_empty() { message } else { self.page(fit, left_out.len()).0 };
        (message, fit.to_vec())
    }

    fn page(&self, proposals: &[JoinProposal], left_out: usize) -> (Message, usize) {
        let mut page = Page::default();
        let (id, prefix) = (self.id, self.prefix);
        if proposals.is_empty() {
            page.say("🔭 There is no room that I could get into by myself.");
        } else {
            page.say(&format!(
                "📋 Plan `{id}`: get into {}. Nothing has been changed yet.",
                count(proposals.len(), "room", "rooms")
            ));
        }
        let entries: Vec<_> = proposals.iter().map(proposal).collect();
        let shown = page.list(&Message::default(), &entries, "");
        if left_out > 0 {
            page.say(&format!(
                "{} not part of this plan. Give the same command again once it is carried out.",
                count(left_out, "more is", "more are")
            ));
        }
        page.list(&words("Left out"), &self::left_out(self.survey), "");
        if !proposals.is_empty() {
            page.say(&format!("React with ✅ or send `{prefix} apply {id}` within 15 min to carry it out."));
        }
        (page.done(), shown)
    }
}

/// The same for somebody at a terminal.
pub fn proposed_joins(survey: &Survey) -> Vec<String> {
    let proposals: Vec<_> = in_order(survey).into_iter().filter_map(|room| room.proposal().ok()).collect();
    let mut lines = vec![match proposals.len() {
        0 => "There is no room that I could get into by myself.".to_owned(),
        all => format!("I would get into {}:", count(all, "room", "rooms")),
    }];
    lines.extend(proposals.iter().map(|one| format!("- {}", proposal(one).plain)));
    let left_out = left_out(survey);
    if !left_out.is_empty() {
        lines.push("Left out:".to_owned());
        lines.extend(left_out.iter().map(|line| format!("- {}", line.plain)));
    }
    lines
}

fn proposal(one: &JoinProposal) -> Message {
    let room = message::room_and_id(&one.room, one.name.as_deref());
    join(&[&room, &words(&format!(": {}", say::how(&one.how)))])
}

/// Those that the bot cannot get into, each with why. Where it is in and may clear, there is nothing to say.
fn left_out(survey: &Survey) -> Vec<Message> {
    let line = |room: &SurveyedRoom, why: NoWay| {
        let name = message::room_and_id(&room.listed.room, room.listed.shown_name().as_deref());
        join(&[&name, &words(&format!(": {}", say::no_way(why)))])
    };
    let rooms = in_order(survey).into_iter().filter(|room| !room.can_clear());
    rooms.filter_map(|room| room.proposal().err().map(|why| line(room, why))).collect()
}

/// How far an approved plan to get into rooms has come.
#[derive(Clone, Debug)]
pub struct JoinsUnderWay<'a> {
    /// Its name.
    pub id: &'a PlanId,
    /// Who approved it; `None` for somebody at a terminal.
    pub by: Option<&'a UserId>,
    /// The rooms, and what came of each so far.
    pub outcomes: Vec<(&'a JoinProposal, Option<&'a JoinOutcome>)>,
}

impl JoinsUnderWay<'_> {
    /// The message.
    pub fn message(&self) -> Message {
        let mut page = Page::default();
        let all = self.outcomes.len();
        let done =
            self.outcomes.iter().filter(|(_, outcome)| outcome.is_some_and(JoinOutcome::is_success)).count();
        let pending = self.outcomes.iter().filter(|(_, outcome)| outcome.is_none()).count();
        let (mark, rest) = match pending {
            0 if done == all => ("✅", String::new()),
            0 => ("☑️", String::new()),
            pending => ("⏳", format!("; {pending} to go")),
        };
        let by = self.by.map(|by| join(&[&words(", approved by "), &message::user(by)])).unwrap_or_default();
        page.paragraph(&join(&[
            &words(&format!("{mark} Plan `{}`", self.id)),
            &by,
            &words(&format!(": I got into {done} of {}{rest}.", count(all, "room", "rooms"))),
        ]));
        let entries: Vec<_> = self
            .outcomes
            .iter()
            .filter_map(|(proposal, outcome)| {
                let room = message::room_and_id(&proposal.room, proposal.name.as_deref());
                Some(join(&[&room, &words(&format!(": {}", say::outcome((*outcome)?)))]))
            })
            .collect();
        page.list(&Message::default(), &entries, "");
        page.done()
    }
}

#[cfg(test)]
mod tests;
