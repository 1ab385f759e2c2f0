//! Plans to get into rooms that a survey found: what is proposed, and what came of each room.

use super::in_order;
use crate::{
    ids::UserId,
    plan::PlanId,
    render::{
        Message,
        answer::page::{MOST_ENTRIES, Page, count, join, words},
        message, survey as say,
    },
    survey::{JoinOutcome, JoinProposal, NoWay, Survey, SurveyedRoom},
};

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
            page.say(&format!("🔭 {}", nothing_to_do(self.survey)));
        } else {
            page.say(&format!(
                "📋 Plan `{id}`: get into {}. Nothing has been changed yet.",
                count(proposals.len(), "room", "rooms")
            ));
        }
        for line in say::incomplete(self.survey) {
            page.say(&line);
        }
        let entries: Vec<_> = proposals.iter().map(proposal).collect();
        let shown = page.list(&Message::default(), &entries, "");
        if left_out > 0 {
            page.say(&not_part_of_it(left_out));
        }
        page.list(&words("Left out"), &self::left_out(self.survey), "");
        if !proposals.is_empty() {
            page.say(&format!("React with ✅ or send `{prefix} apply {id}` within 15 min to carry it out."));
        }
        (page.done(), shown)
    }
}

/// The same for somebody at a terminal, and what it shows: no more rooms than a message in the admin room would.
pub fn proposed_joins(survey: &Survey) -> (Vec<String>, Vec<JoinProposal>) {
    let mut proposals: Vec<_> =
        in_order(survey).into_iter().filter_map(|room| room.proposal().ok()).collect();
    let more = proposals.len().saturating_sub(MOST_ENTRIES);
    proposals.truncate(MOST_ENTRIES);
    let mut lines = vec![match proposals.len() {
        0 => nothing_to_do(survey).to_owned(),
        all => format!("I would get into {}:", count(all, "room", "rooms")),
    }];
    lines.extend(proposals.iter().map(|one| format!("- {}", proposal(one).plain)));
    if more > 0 {
        lines.push(not_part_of_it(more));
    }
    let left_out = left_out(survey);
    if !left_out.is_empty() {
        lines.push("Left out:".to_owned());
        lines.extend(left_out.iter().map(|line| format!("- {}", line.plain)));
    }
    lines.extend(say::incomplete(survey));
    (lines, proposals)
}

fn nothing_to_do(survey: &Survey) -> &'static str {
    if survey.is_complete() {
        "There is no room that I could get into by myself."
    } else {
        "Among the rooms that I read there is none that I could get into by myself."
    }
}

fn not_part_of_it(rooms: usize) -> String {
    format!(
        "{} not part of this plan. Give the same command again once it is carried out.",
        count(rooms, "more is", "more are")
    )
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
