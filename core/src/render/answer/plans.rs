//! Plans: what would be written, what came of it, and who came back.

use super::{
    calls::device,
    page::{Page, count, join, line_break, words},
};
use crate::{
    guard::limits::Limit,
    ids::UserId,
    plan::{HeldBack, PlanId, PlanKind, Proposal, Route},
    render::{
        Message,
        message::{self, harmless},
        report, words as say,
    },
    rtc::membership::Owner,
    time::Timestamp,
};

/// A plan as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownPlan<'a> {
    /// Its name.
    pub id: &'a PlanId,
    /// What it is for.
    pub kind: PlanKind,
    /// The keys.
    pub proposals: &'a [Proposal],
    /// How many are stale and not yet due, with when the next one is; of a sweep.
    pub undue: (usize, Option<Timestamp>),
    /// What cannot be written, with what would help.
    pub blocked: &'a [(Proposal, String)],
    /// Whether nothing is written now.
    pub is_paused: bool,
    /// What the commands begin with.
    pub prefix: &'a str,
    /// Now.
    pub now: Timestamp,
}

impl ShownPlan<'_> {
    /// The message that is approved with ✅, and what it shows: nobody can approve what they do not see.
    pub fn message(&self) -> (Message, Vec<Proposal>) {
        let sorted = in_order(self.proposals);
        let (message, shown) = self.page(&sorted, 0);
        let (fit, left_out) = sorted.split_at(shown);
        let message = if left_out.is_empty() { message } else { self.page(fit, left_out.len()).0 };
        (message, fit.iter().map(|one| (*one).clone()).collect())
    }

    /// The message, and how many of the keys it has room for.
    fn page(&self, proposals: &[&Proposal], left_out: usize) -> (Message, usize) {
        let mut page = Page::default();
        let (id, prefix) = (self.id, self.prefix);
        let number = count(proposals.len(), "membership", "memberships");
        if proposals.is_empty() {
            page.say(match self.kind {
                PlanKind::Sweep => "🔍 There is nothing to clear now.",
                PlanKind::Clear if self.blocked.is_empty() => {
                    "🔍 There is nothing to clear there: no membership is open."
                }
                PlanKind::Clear => "🔍 There is nothing there that I may clear.",
            });
        } else {
            page.say(&match self.kind {
                PlanKind::Sweep => format!("📋 Plan `{id}`: clear {number}. Nothing has been changed yet."),
                PlanKind::Clear => {
                    format!("📋 Plan `{id}`: clear {number}, active or not. Nothing has been changed yet.")
                }
            });
        }
        let unknown = proposals.iter().filter(|proposal| proposal.is_unknown).count();
        let alive = proposals.iter().filter(|proposal| proposal.is_alive).count();
        if alive > 0 {
            let who = of_them(alive, proposals.len(), "looks", "look");
            page.say(&format!(
                "⚠️ {who} active. Most clients are back within a second, with a short glitch (new encryption keys); some \
                 stay out until the person rejoins. To end a call for good, leave it in the client."
            ));
        }
        if unknown > 0 {
            page.say(&format!(
                "⚠️ {}: most clients would be back within a second, with a short glitch (new encryption keys), and some \
                 stay out until the person rejoins.",
                of_them(unknown, proposals.len(), "may be active", "may be active")
            ));
        }
        let reserved = proposals.iter().filter(|proposal| proposal.reservation.is_some()).count();
        if reserved > 0 {
            page.say(&match proposals.len() {
                1 => "⚠️ By myself I would not clear it.".to_owned(),
                all if reserved == all => {
                    format!("⚠️ By myself I would clear none of these {all}; the list says why.")
                }
                all => format!("⚠️ By myself I would not clear {reserved} of {all}; the list says why."),
            });
        }
        let entries: Vec<_> = proposals.iter().map(|one| proposal(one, self.now)).collect();
        let shown = page.list(&Message::default(), &entries, "");
        let by_redaction = proposals.iter().filter(|one| one.route == Some(Route::Redaction));
        if let redacted @ 1.. = by_redaction.count() {
            page.say(&say::after_redaction(redacted));
        }
        if left_out > 0 {
            page.say(&format!(
                "{} not part of this plan. Give the same command again once it is carried out.",
                count(left_out, "more is", "more are")
            ));
        }
        page.list(&words("Left out"), &self.left_out(), "");
        if let (undue @ 1.., next) = self.undue {
            let next = next.map_or_else(String::new, |at| format!(", the next {}", say::ago(at, self.now)));
            page.say(&format!(
                "{} stale and not due yet{next}.",
                count(undue, "membership is", "memberships are")
            ));
        }
        if !proposals.is_empty() {
            page.say(&if self.is_paused {
                format!("I am paused: `{prefix} resume` first, then `{prefix} apply {id}` within 15 min.")
            } else if proposals.iter().any(|one| one.may_be_there()) {
                // No ✅ stands ready under it, for one slip of the thumb would do it.
                format!("To carry it out, send `{prefix} apply {id}` within 15 min.")
            } else {
                format!("React with ✅ or send `{prefix} apply {id}` within 15 min to carry it out.")
            });
        }
        (page.done(), shown)
    }

    /// What would help, and below it each key that it would help with.
    fn left_out(&self) -> Vec<Message> {
        let mut entries: Vec<(&str, Message)> = Vec::new();
        for (one, obstacle) in self.blocked {
            let known = entries.iter().position(|(of, _)| of == obstacle);
            let at = known.unwrap_or_else(|| {
                entries.push((obstacle, words(&format!("{}.", say::capitalised(obstacle)))));
                entries.len() - 1
            });
            let entry = &mut entries[at].1;
            let between = if known.is_some() { "; " } else { " " };
            *entry = join(&[entry, &line_break(between), &proposal(one, self.now)]);
        }
        entries.into_iter().map(|(_, entry)| entry).collect()
    }
}

/// How many of a plan's memberships something holds for: `It looks`, `All look`, `2 of 3 look`.
fn of_them(number: usize, all: usize, one: &str, several: &str) -> String {
    match (number, all) {
        (1, 1) => format!("It {one}"),
        (1, _) => format!("1 of {all} {one}"),
        _ if number == all => format!("All {all} {several}"),
        _ => format!("{number} of {all} {several}"),
    }
}

fn in_order(proposals: &[Proposal]) -> Vec<&Proposal> {
    let mut sorted: Vec<_> = proposals.iter().collect();
    sorted.sort_by_key(|one| (!one.is_shown, &one.room, &one.owners));
    sorted
}

fn proposal(one: &Proposal, now: Timestamp) -> Message {
    let reason = match one.reason {
        Some(reason) => format!("{}, first noticed {}", say::reason(reason), say::ago(one.since, now)),
        None => harmless_why(&one.why),
    };
    let mark = match (one.is_alive, one.is_unknown) {
        (true, _) => "🟢 ",
        (false, true) => "❓ ",
        (false, false) => "👻 ",
    };
    let route = say::other_route(one.route).map_or_else(String::new, |route| format!("; {route}"));
    let reservation = one
        .reservation
        .as_ref()
        .map_or_else(String::new, |why| format!(". ⚠️ By myself I would wait: {}", harmless_why(why)));
    let room = message::room(&one.room, one.room_name.as_deref());
    join(&[
        &words(mark),
        &owners(&one.owners),
        &words(" in "),
        &room,
        &words(&format!(": {reason}{route}{reservation}")),
    ])
}

fn harmless_why(text: &str) -> String {
    message::harmless_sentence(text)
}

/// Whom a key speaks for; an array form can speak for many.
pub(super) fn owners(owners: &[Owner]) -> Message {
    const MOST: usize = 5;
    let Some(first) = owners.first() else { return words("nobody") };
    let mut devices = device(first.device.as_str());
    for owner in owners.iter().skip(1).take(MOST - 1) {
        devices = join(&[&devices, &words(", "), &device(owner.device.as_str())]);
    }
    if owners.len() > MOST {
        devices = join(&[&devices, &words(&format!(" and {} more", owners.len() - MOST))]);
    }
    join(&[&message::user(&first.user), &words(" on "), &devices])
}

/// What came of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is empty.
    Cleared,
    /// It was no longer what was shown.
    Changed,
    /// Somebody else had emptied it.
    Gone,
    /// It was held back all the same.
    Held(String),
    /// The server said no.
    Refused(String),
    /// It is still to be tried.
    Pending,
}

/// How far a plan has come.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress<'a> {
    /// Its name.
    pub id: &'a PlanId,
    /// What it is for.
    pub kind: PlanKind,
    /// Who approved it.
    pub by: &'a UserId,
    /// The keys and what came of each.
    pub outcomes: Vec<(&'a Proposal, Outcome)>,
    /// Who came back after being cleared.
    pub returned: Vec<&'a Proposal>,
    /// What it waits for, in a sentence.
    pub waits_for: Option<&'a str>,
    /// Until when it is watched who comes back; `None` when that is over.
    pub watched_until: Option<Timestamp>,
    /// Now.
    pub now: Timestamp,
}

impl Progress<'_> {
    /// The message.
    pub fn message(&self) -> Message {
        let mut page = Page::default();
        let number = |kind: fn(&Outcome) -> bool| self.outcomes.iter().filter(|(_, o)| kind(o)).count();
        let cleared = number(|outcome| *outcome == Outcome::Cleared);
        let gone = number(|outcome| *outcome == Outcome::Gone);
        let pending = number(|outcome| *outcome == Outcome::Pending);
        let all = self.outcomes.len();
        let (mark, rest) = if pending > 0 {
            let why =
                self.waits_for.map_or_else(String::new, |why| format!(". It waits: {}", harmless_why(why)));
            ("⏳", format!("; {pending} to go{why}"))
        } else if cleared + gone == all {
            ("✅", String::new())
        } else {
            ("☑️", String::new())
        };
        page.paragraph(&join(&[
            &words(&format!("{mark} Plan `{}`, approved by ", self.id)),
            &message::user(self.by),
            &words(&format!(": cleared {cleared} of {}{rest}.", count(all, "membership", "memberships"))),
        ]));
        let dropped: Vec<_> = self
            .outcomes
            .iter()
            .filter_map(|(proposal, outcome)| {
                let why = match outcome {
                    Outcome::Cleared | Outcome::Pending => return None,
                    Outcome::Changed => "changed since it was shown".to_owned(),
                    Outcome::Gone => "gone already".to_owned(),
                    Outcome::Held(why) => harmless_why(why),
                    Outcome::Refused(why) => format!("the server refused: {}", harmless(why)),
                };
                Some(Self::line(proposal, &why))
            })
            .collect();
        page.list(&words("Left as they are"), &dropped, "");
        let returned: Vec<_> = self
            .returned
            .iter()
            .map(|proposal| Self::line(proposal, "active, so its client rejoined"))
            .collect();
        page.list(&words("Came back"), &returned, "");
        if self.kind == PlanKind::Clear && cleared > 0 {
            match (self.watched_until, self.returned.is_empty()) {
                (Some(until), _) => page.say(&format!(
                    "Watching for another {}: whoever rejoins is added here.",
                    say::span(until.since(self.now))
                )),
                (None, true) => page.say("Nobody came back within 2 min."),
                (None, false) => page.say(
                    "Their calls end only when they leave them. The owner can sign out a device that should not be in a \
                     call.",
                ),
            };
        }
        page.done()
    }

    fn line(proposal: &Proposal, why: &str) -> Message {
        let room = message::room(&proposal.room, proposal.room_name.as_deref());
        join(&[&owners(&proposal.owners), &words(" in "), &room, &words(&format!(": {why}"))])
    }
}

/// What a plan waits for whose last write was not answered.
pub fn unsettled() -> String {
    "the homeserver does not say what came of an earlier write".into()
}

/// Why something is not written, for people.
pub fn held_back(why: HeldBack) -> String {
    match why {
        HeldBack::Paused => "I am paused".into(),
        HeldBack::ExclusionUnknown => {
            "an alias in rooms.exclude leads nowhere today, and it may mean this room".into()
        }
        HeldBack::Excluded => "it is excluded, by command or by the config file".into(),
        HeldBack::FirstSync => "I have not read all rooms since my start".into(),
        HeldBack::OneSighting => "I have noticed it only once so far".into(),
        HeldBack::TooYoung => "it is younger than janitor.minimum_age".into(),
        HeldBack::SentExpired => {
            "its client sent it after its own expiry; I wait 75 min for a newer one".into()
        }
        HeldBack::NotRefreshed => "I have to look once more after its grace period".into(),
        HeldBack::ClockSkew => "my clock and the homeserver's differ by over 30 s".into(),
        HeldBack::Breaker(neighbour) => {
            format!(
                "the breaker of the {} is open: too many turned stale at once",
                report::neighbour(neighbour)
            )
        }
        HeldBack::Quarantine => {
            "it came back after an earlier clear, so that reason alone is not enough".into()
        }
        HeldBack::RemoteDeviceList => "only another server's device list says so".into(),
        HeldBack::SfuSilent => "the call server did not answer".into(),
        HeldBack::OthersInEvent => "another device in the same event is not stale".into(),
        HeldBack::LongExpired => "it expired over 30 days ago; no client shows it".into(),
        HeldBack::NoRoute(blocked) => say::within_a_sentence(&report::obstacle(blocked)),
        HeldBack::RouteUnknown => "I could not read who may write it".into(),
        HeldBack::Limit(limit) => match limit {
            Limit::Sweep => "limits.per_sweep is reached; it goes on within janitor.sweep_interval".into(),
            Limit::Room => {
                "limits.per_room is reached in the room; it goes on within janitor.sweep_interval".into()
            }
            Limit::Hour => "limits.per_hour is reached; it goes on within the hour".into(),
        },
        HeldBack::TooOld => "the plan was more than 15 min old".into(),
        HeldBack::OtherRoute => "it would be cleared in another way than the plan showed".into(),
    }
}
