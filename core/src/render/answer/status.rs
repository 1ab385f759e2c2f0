//! `status`: how things stand.

use super::{
    Server,
    page::{Page, count, words},
};
use crate::{
    guard::breaker,
    judge::policy::Neighbour,
    leave_lag::LeaveLags,
    mode::{Mode, Pause},
    render::{Message, message::harmless_sentence, report, sight::Sight, words as say},
    time::Timestamp,
};

/// Whether a neighbour answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NeighbourHealth {
    /// It answered when it was last asked.
    Answers,
    /// It was away for long and is only just back: its word does not count yet.
    Settling,
    /// It does not answer; with why and since when, where that is known.
    Away(Option<String>, Option<Timestamp>),
    /// It answers, and it is not known which memberships are about it: why.
    Unidentified(String),
    /// It is not set up.
    NotSetUp,
}

/// What `status` says.
#[derive(Clone, Debug, PartialEq)]
pub struct Status<'a> {
    /// This program's version.
    pub version: &'a str,
    /// What holds now.
    pub mode: Mode,
    /// What the config file says.
    pub mode_of_file: Mode,
    /// What a command said.
    pub mode_by_command: Option<Mode>,
    /// Whether what was set by command is forgotten, and nobody has said anything since.
    pub journal_is_new: bool,
    /// Whether it is paused.
    pub paused: Option<Pause>,
    /// Whether everything was seen once since the start.
    pub has_seen_all: bool,
    /// How many rooms are watched.
    pub rooms: usize,
    /// How many of them need a person.
    pub problems: usize,
    /// How many memberships are active.
    pub active: usize,
    /// How many are stale.
    pub stale: usize,
    /// How many of those are due and can be cleared.
    pub due: usize,
    /// How many of those are due and cannot be cleared.
    pub blocked: usize,
    /// Of how many nothing can be said.
    pub unknown: usize,
    /// When a sweep last looked.
    pub last_sweep: Option<Timestamp>,
    /// The neighbours.
    pub neighbours: Vec<(Neighbour, NeighbourHealth, breaker::State)>,
    /// The server's own device lists.
    pub own_lists: NeighbourHealth,
    /// The appservice, by which it writes as the owners of keys.
    pub appservice: NeighbourHealth,
    /// How often the homeserver has refused a request with 429 since the start.
    pub times_limited: u64,
    /// The call that lifts its limits, where an admin of the server can make it.
    pub lifts_limit: Option<String>,
    /// What the homeserver cannot do.
    pub server: Server,
    /// How long memberships stood in the last day after their device had gone from the SFU.
    pub leave_lags: LeaveLags,
    /// How many keys were cleared, or would have been, in the last hour, and how many may be.
    pub hour: (u32, u32),
    /// How many keys are in quarantine.
    pub quarantined: usize,
    /// How many rooms and users are excluded.
    pub excluded: (usize, usize),
    /// What it sees, and what would let it see more.
    pub sight: Sight,
    /// What commands begin with.
    pub prefix: String,
    /// Now.
    pub now: Timestamp,
}

impl Status<'_> {
    /// The answer.
    pub fn message(&self) -> Message {
        let mut page = Page::default();
        let first = match (self.paused, self.mode) {
            (Some(Pause::UntilResume), _) => {
                format!("⏸️ Paused until `{} resume`: I write nothing.", self.prefix)
            }
            (Some(Pause::Until(until)), _) => {
                format!(
                    "⏸️ Paused until {} ({}): I write nothing.",
                    say::instant(until),
                    say::ago(until, self.now)
                )
            }
            (None, Mode::Clean) => "🧹 Clean mode: I clear what is stale.".to_owned(),
            (None, Mode::Report) => "🔍 Report mode: I change nothing and say what I would clear.".to_owned(),
        };
        page.say(&format!("{first}{}", self.whence()));
        if !self.has_seen_all {
            page.say("⏳ I have not read all rooms since my start: these counts are not complete.");
        }
        let blocked = match self.blocked {
            0 => String::new(),
            number => format!(", {number} that I cannot clear"),
        };
        let mut lines = vec![format!(
            "{}: {} active, {} stale ({} due{blocked}), {} unknown",
            count(self.active + self.stale + self.unknown, "membership", "memberships"),
            self.active,
            self.stale,
            self.due,
            self.unknown
        )];
        let problems = match self.problems {
            0 => String::new(),
            number => {
                format!("; {} you (`{} rooms problems`)", count(number, "needs", "need"), self.prefix)
            }
        };
        lines.push(format!("{} watched{problems}", count(self.rooms, "room", "rooms")));
        lines.push(match self.last_sweep {
            Some(at) => format!("last sweep {}", say::ago(at, self.now)),
            None => "no sweep yet since my start".to_owned(),
        });
        let set_up = self.neighbours.iter().filter(|(_, health, _)| *health != NeighbourHealth::NotSetUp);
        let is_well = |(_, health, breaker): &&(_, NeighbourHealth, breaker::State)| {
            *health == NeighbourHealth::Answers && *breaker == breaker::State::Closed
        };
        let (well, troubled): (Vec<_>, Vec<_>) = set_up.partition(is_well);
        let mut names: Vec<_> = well.iter().map(|(neighbour, ..)| report::neighbour(*neighbour)).collect();
        if self.own_lists == NeighbourHealth::Answers {
            names.push("this server's own device lists");
        }
        if !names.is_empty() {
            lines.push(format!("sources that answer: {}", names.join(", ")));
        }
        lines.extend(troubled.into_iter().map(|neighbour| self.neighbour(neighbour)));
        if !matches!(self.own_lists, NeighbourHealth::NotSetUp | NeighbourHealth::Answers) {
            lines.push(format!("this server's own device lists: {}", self.health(&self.own_lists)));
        }
        if !matches!(self.appservice, NeighbourHealth::NotSetUp | NeighbourHealth::Answers) {
            lines.push(format!("⚠️ writing as owners, by the appservice: {}", self.health(&self.appservice)));
        }
        lines.extend(self.rate_limits());
        lines.extend(self.server.line());
        lines.extend(say::leave_lags(&self.leave_lags));
        let verb = if self.mode == Mode::Clean { "cleared" } else { "would have cleared" };
        lines.push(format!("last hour: {verb} {} (limit {}; plans aside)", self.hour.0, self.hour.1));
        if self.quarantined > 0 {
            lines.push(format!(
                "{} in quarantine: rejoined after being cleared",
                count(self.quarantined, "membership", "memberships")
            ));
        }
        if self.excluded != (0, 0) {
            lines.push(format!(
                "excluded: {}, {}",
                count(self.excluded.0, "room", "rooms"),
                count(self.excluded.1, "rule for users", "rules for users")
            ));
        }
        lines.push(format!("rtc-janitor {}", self.version));
        let lines: Vec<_> = lines.iter().map(|line| words(line)).collect();
        page.list(&Message::default(), &lines, "");
        if let Some(given) = self.sight.given() {
            page.say(&given);
        }
        page.say(&self.sight.blind(&self.prefix));
        let gains = self.sight.gains();
        let gains: Vec<_> = gains.iter().map(|(key, gain)| words(&format!("{key}: {gain}"))).collect();
        page.list(
            &words("My config file could let me see or reach more, the greatest gain first:"),
            &gains,
            "",
        );
        page.done()
    }

    /// That the homeserver asks for less, and what lifts that.
    fn rate_limits(&self) -> Option<String> {
        let times = match self.times_limited {
            0 => return None,
            1 => "1 request".to_owned(),
            times => format!("{times} requests"),
        };
        let cure = match &self.lifts_limit {
            Some(call) => format!("a server admin lifts that with `{call}`"),
            None => "a server admin can lift that (docs/operations.md)".to_owned(),
        };
        Some(format!("⚠️ the homeserver rate-limits me: {times} refused (429) since my start; {cure}"))
    }

    /// Why the mode is what it is, where settings and command differ.
    fn whence(&self) -> String {
        match self.mode_by_command {
            _ if self.journal_is_new && self.mode_of_file == Mode::Clean => format!(
                " (My journal is new, and what was set by command is forgotten: this holds until somebody says \
                 `{} mode clean`.)",
                self.prefix
            ),
            Some(by_command) if by_command != self.mode_of_file => format!(
                " (The config file says {}, a command said {by_command}; the stricter of the two applies.)",
                self.mode_of_file
            ),
            _ => String::new(),
        }
    }

    fn health(&self, health: &NeighbourHealth) -> String {
        match health {
            NeighbourHealth::Answers => "answers".to_owned(),
            NeighbourHealth::Settling => "only just back; its word counts again in a few minutes".to_owned(),
            NeighbourHealth::Away(why, since) => {
                let why = why.as_deref().map_or_else(|| "no answer".to_owned(), harmless_sentence);
                let since = since.map(|since| format!(", for {} now", say::span(self.now.since(since))));
                format!("{why}{}", since.unwrap_or_default())
            }
            NeighbourHealth::Unidentified(why) => {
                format!(
                    "answers, but I do not know which memberships are its own: {}",
                    harmless_sentence(why)
                )
            }
            NeighbourHealth::NotSetUp => "not set up".to_owned(),
        }
    }

    fn neighbour(
        &self,
        (neighbour, health, breaker): &(Neighbour, NeighbourHealth, breaker::State),
    ) -> String {
        let name = report::neighbour(*neighbour);
        let health = self.health(health);
        let breaker = match breaker {
            breaker::State::Closed => String::new(),
            breaker::State::Open { until, .. } => {
                let next =
                    if *until > self.now { say::ago(*until, self.now) } else { "when one is due".into() };
                format!(
                    "; ⚠️ its breaker is open, as too many turned stale at once: I clear one as a probe {next}; \
                     `{} breaker close {name}` lets me go on now",
                    self.prefix
                )
            }
            breaker::State::Probing { until, .. } => format!(
                "; ⚠️ its breaker waits for the probe: trusted again {} if that stays away",
                say::ago(*until, self.now)
            ),
        };
        format!("{name}: {health}{breaker}")
    }
}
