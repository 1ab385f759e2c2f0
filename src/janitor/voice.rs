//! Findings and notes into messages: what the janitor posts without being asked.
//!
//! At most one such message in [`PACE`]; what comes in between is put together. While the admin room cannot
//! be reached, it gathers in the journal and is summed up afterwards.

mod damage;
mod outbox;

use std::time::Duration;

use rtc_janitor_core::{
    ids::{RoomId, UserId},
    mode::Mode,
    render::{
        Message,
        message::{and_more, together},
        report::{Report, Row, restarted},
    },
    time::Timestamp,
};

pub(in crate::janitor) use damage::give_up_unreadable_plans;
pub use outbox::{Mail, Outbox};

use crate::world::journal::{Draft, Finding, Hello, Journal, JournalError, Note, StoredMessage};

/// The least time between two messages that nobody asked for.
const PACE: Duration = Duration::from_secs(10);

/// How long a report may wait for writes.
const LONGEST_UNTOLD: Duration = Duration::from_mins(1);

/// How often it is looked whether a report that waits for writes may go.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// There is no more than one first word in this time, however often the program is started.
const ONE_HELLO: Duration = Duration::from_hours(1);

/// For how long a report takes in what is found again.
const OPEN_REPORT: Duration = Duration::from_hours(24);

/// What there is to know when something is to be said.
pub(in crate::janitor) struct Speaking<'a> {
    /// The time.
    pub(in crate::janitor) now: Timestamp,
    /// Whether the admin room takes messages.
    pub(in crate::janitor) may_speak: bool,
    /// Whether writes wait or are under way: one message then tells of all.
    pub(in crate::janitor) writes_wait: bool,
    /// Who is mentioned when a person is needed at once.
    pub(in crate::janitor) alert: &'a [UserId],
    /// What it does with what it finds.
    pub(in crate::janitor) mode: Mode,
    /// The admin room.
    pub(in crate::janitor) admin_room: Option<&'a RoomId>,
    /// The account that posts there.
    pub(in crate::janitor) account: &'a UserId,
    /// How many keys expired over 30 days ago.
    pub(in crate::janitor) long_expired: usize,
    /// What rooms are called.
    pub(in crate::janitor) name_of: &'a dyn Fn(&RoomId) -> Option<String>,
}

/// What is to be posted in the admin room, and when.
#[derive(Debug)]
pub(in crate::janitor) struct Voice {
    outbox: Outbox,
    /// When something was last said that nobody asked for.
    last: Option<Timestamp>,
    /// There are notes or findings to be told.
    has_more: bool,
    /// How much of what cannot be read in the journal was told.
    damage_told: usize,
    /// Nothing is said: whoever has started this reads it elsewhere.
    is_silent: bool,
}

impl Voice {
    /// A voice that first posts what an earlier start did not get through.
    pub(in crate::janitor) fn new(mut outbox: Outbox, unsent: Vec<StoredMessage>) -> Self {
        for message in unsent {
            outbox.put(message);
        }
        Self { outbox, last: None, has_more: true, damage_told: 0, is_silent: false }
    }

    /// Notes something to be said; one of the same subject is said once. An alarm needs a person at once,
    /// and mentions those who are to be alerted.
    pub(in crate::janitor) fn note(
        &mut self,
        journal: &Journal,
        message: &Message,
        subject: Option<&str>,
        is_alarm: bool,
        now: Timestamp,
    ) -> Result<(), JournalError> {
        self.has_more |= journal.note(message, subject, is_alarm, now)?;
        Ok(())
    }

    /// Says nothing from now on; what is to be said waits in the journal.
    pub(in crate::janitor) const fn keep_silent(&mut self) {
        self.is_silent = true;
    }

    /// Something was found that is to be told, if `there_is`.
    pub(in crate::janitor) fn has_more_to_say(&mut self, there_is: bool) {
        self.has_more |= there_is;
    }

    /// When something may be said unasked, if there is something to say.
    pub(in crate::janitor) fn next(
        &self,
        may_speak: bool,
        writes_wait: bool,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let at = self.last.map_or(now, |last| last + PACE);
        let held = if writes_wait { now + LOOK_AGAIN } else { at };
        (self.has_more && may_speak && !self.is_silent).then_some(at.max(held))
    }

    /// Says what is to be said, if it may now.
    pub(in crate::janitor) fn speak(
        &mut self,
        journal: &mut Journal,
        speaking: &Speaking<'_>,
    ) -> Result<(), JournalError> {
        let now = speaking.now;
        if self.is_silent
            || !self.has_more
            || !speaking.may_speak
            || self.last.is_some_and(|last| now < last + PACE)
        {
            return Ok(());
        }
        let (alarms, notes): (Vec<_>, Vec<_>) = journal.untold()?.into_iter().partition(|note| note.is_alarm);
        // What needs a person at once is said first and by itself, and none of it is cut.
        let (notes, mentions) = match (alarms.first(), notes.is_empty()) {
            (Some(_), _) => (alarms, speaking.alert.to_vec()),
            (None, false) => (notes, Vec::new()),
            (None, true) => return self.report(journal, speaking),
        };
        // The first word after a start is a message of its own: it may be edited.
        let notes = match notes.iter().position(|note| note.is_hello) {
            Some(0) => return self.greet(journal, &notes[0], speaking),
            Some(at) => notes.into_iter().take(at).collect(),
            None => notes,
        };
        let texts: Vec<_> = notes.iter().map(|note| &note.message).collect();
        let (text, shown) = together(&texts);
        let is_alarm = notes.first().is_some_and(|note| note.is_alarm);
        let told = if is_alarm { shown } else { notes.len() };
        let text = if shown < told { and_more(text, told - shown) } else { text };
        let draft = Draft {
            notes: notes[..told].iter().map(|note| note.id).collect(),
            mentions,
            is_alarm,
            ..Draft::of(text)
        };
        self.post(journal, &draft, now)?;
        self.last = Some(now);
        // There may be findings, too.
        self.has_more = true;
        Ok(())
    }

    /// Whether this journal knows of no first word after a start in this admin room.
    pub(in crate::janitor) fn is_new_in(
        journal: &Journal,
        admin_room: Option<&RoomId>,
    ) -> Result<bool, JournalError> {
        Ok(journal.last_hello()?.is_none_or(|last| Some(&last.room) != admin_room))
    }

    /// Says the first word after a start; where the last one is less than an hour old and of the same mode, in its
    /// place.
    fn greet(
        &mut self,
        journal: &mut Journal,
        hello: &Note,
        speaking: &Speaking<'_>,
    ) -> Result<(), JournalError> {
        let now = speaking.now;
        let draft = Draft { notes: vec![hello.id], ..Draft::of(hello.message.clone()) };
        let room = speaking.admin_room.cloned().unwrap_or_else(|| "".into());
        // A room in which it stands that it clears must not have it above the reports of the time before. And
        // nobody can edit what another account has posted.
        let is_same =
            |last: &Hello| last.room == room && last.mode == speaking.mode && last.by == *speaking.account;
        let last = journal
            .last_hello()?
            .filter(|last| last.at <= now && now.since(last.at) < ONE_HELLO && is_same(last));
        let said = match last {
            Some(last) => {
                let restarts = last.restarts + 1;
                let message = restarted(&hello.message, restarts, last.at, now);
                let edit = Draft { message, target: Some(last.txn.clone()), ..draft };
                self.post(journal, &edit, now)?;
                Hello { restarts, ..last }
            }
            None => Hello {
                at: now,
                restarts: 0,
                mode: speaking.mode,
                txn: self.post(journal, &draft, now)?,
                room,
                by: speaking.account.clone(),
            },
        };
        journal.set_last_hello(&said)?;
        self.has_more = true;
        Ok(())
    }

    /// Puts a message into the journal and on its way; its transaction id.
    pub(in crate::janitor) fn post(
        &mut self,
        journal: &mut Journal,
        draft: &Draft,
        now: Timestamp,
    ) -> Result<String, JournalError> {
        let stored = journal.post(draft, now)?;
        let txn = stored.txn.clone();
        self.outbox.put(stored);
        Ok(txn)
    }

    /// Puts a message on its way that the journal has already.
    pub(in crate::janitor) fn send(&mut self, stored: StoredMessage) {
        self.outbox.put(stored);
    }

    /// Lets go what was put on its way: the journal is on disk.
    pub(in crate::janitor) fn release(&mut self) {
        self.outbox.release();
    }

    /// Whether somebody waits for an answer that is on its way.
    pub(in crate::janitor) fn is_awaited(&self) -> bool {
        self.outbox.is_awaited()
    }

    /// Says what was found since the last report, in one message; what was all found before is edited
    /// into that report.
    fn report(&mut self, journal: &mut Journal, speaking: &Speaking<'_>) -> Result<(), JournalError> {
        let now = speaking.now;
        let findings = journal.unreported()?;
        let Some(first) = findings.first() else {
            self.has_more = false;
            return Ok(());
        };
        // One message tells of all; and a server that takes few events at a time is to take the clears first.
        if speaking.writes_wait && now.since(first.at) < LONGEST_UNTOLD {
            return Ok(());
        }
        // Nobody can edit what another account has posted, or what stands in another room.
        let own = journal.speaks_since(speaking.account, speaking.admin_room, now)?;
        let last = journal.last_report(own.max(now - OPEN_REPORT))?;
        let repeated =
            last.filter(|(_, told)| findings.iter().all(|new| told.iter().any(|old| same(old, new))));
        let draft = match repeated {
            Some((report, told)) => {
                let all: Vec<_> = told.iter().chain(&findings).collect();
                Draft { target: Some(report), ..Draft::of(report_of(&all, speaking).message(now)) }
            }
            None => Draft::of(report_of(&findings.iter().collect::<Vec<_>>(), speaking).message(now)),
        };
        self.post(journal, &Draft { findings, ..draft }, now)?;
        self.last = Some(now);
        self.has_more = false;
        Ok(())
    }

    /// The next word need not wait for the pause after the last one.
    pub(in crate::janitor) fn hurry(&mut self) {
        self.last = None;
    }
}

fn report_of(findings: &[&Finding], speaking: &Speaking<'_>) -> Report {
    let mut report = Report { long_expired: speaking.long_expired, ..Report::default() };
    for finding in findings {
        let room_name = (speaking.name_of)(&finding.room);
        report.add(finding.kind, Row { room_name, ..finding.row.clone() });
    }
    report
}

/// Whether the same was found of the same key.
fn same(one: &Finding, other: &Finding) -> bool {
    (one.kind, &one.room, &one.key) == (other.kind, &other.room, &other.key)
}

#[cfg(test)]
mod tests {
    use rtc_janitor_core::render::message::words;

    use super::*;
    use crate::world::journal::HELLO;

    /// What a start at this minute says in this room: its text, and whether it edits the message before.
    fn started(journal: &mut Journal, minute: u64, mode: Mode, room: &RoomId) -> (String, bool) {
        started_by(&"@bot:hs".into(), journal, minute, mode, room)
    }

    /// The same, where this account chats.
    fn started_by(
        account: &UserId,
        journal: &mut Journal,
        minute: u64,
        mode: Mode,
        room: &RoomId,
    ) -> (String, bool) {
        let now = Timestamp::from_millis(1_800_000_000_000) + Duration::from_mins(minute);
        let mut voice = Voice::new(Outbox::new().0, Vec::new());
        let subject = format!("{HELLO}{}", now.as_millis());
        voice.note(journal, &words("hello"), Some(&subject), false, now).expect("SQLite");
        voice.note(journal, &words("and more"), None, false, now).expect("SQLite");
        let speaking = Speaking {
            now,
            may_speak: true,
            writes_wait: false,
            alert: &[],
            mode,
            admin_room: Some(room),
            account,
            long_expired: 0,
            name_of: &|_| None,
        };
        voice.speak(journal, &speaking).expect("SQLite");
        voice.speak(journal, &speaking).expect("SQLite");
        let unsent = journal.unsent().expect("SQLite");
        let [.., hello, next] = unsent.as_slice() else { panic!("{unsent:?}") };
        assert_eq!((next.message.plain.as_str(), &next.target), ("and more", &None), "a message of its own");
        (hello.message.plain.clone(), hello.target.is_some())
    }

    #[test]
    fn however_often_it_starts_it_says_hello_once_an_hour_in_a_room() {
        let mut journal = Journal::in_memory(&"@bot:hs".into()).expect("SQLite");
        let (room, other) = ("!admin:hs".into(), "!other".into());
        assert!(Voice::is_new_in(&journal, Some(&room)).expect("SQLite"));
        assert_eq!(started(&mut journal, 0, Mode::Report, &room), ("hello".to_owned(), false));
        assert!(!Voice::is_new_in(&journal, Some(&room)).expect("SQLite"));
        let (text, is_edit) = started(&mut journal, 1, Mode::Report, &room);
        assert!(is_edit && text.contains("Restarted since 2027-01-15 08:00 UTC"), "{text}");
        let (text, is_edit) = started(&mut journal, 59, Mode::Report, &room);
        assert!(is_edit && text.contains("Restarted 2 times since 2027-01-15 08:00 UTC"), "{text}");
        assert_eq!(started(&mut journal, 60, Mode::Report, &room), ("hello".to_owned(), false));
        assert!(Voice::is_new_in(&journal, Some(&other)).expect("SQLite"));
        assert_eq!(started(&mut journal, 61, Mode::Report, &other), ("hello".to_owned(), false), "not there");
        assert_eq!(
            started(&mut journal, 62, Mode::Clean, &other),
            ("hello".to_owned(), false),
            "another mode"
        );
    }

    #[test]
    fn the_hello_of_another_account_is_not_edited() {
        let mut journal = Journal::in_memory(&"@bot:hs".into()).expect("SQLite");
        let (room, other) = ("!admin:hs".into(), "@other:hs".into());
        assert!(!started(&mut journal, 0, Mode::Report, &room).1);
        assert!(!started_by(&other, &mut journal, 1, Mode::Report, &room).1, "nobody could");
        assert!(started_by(&other, &mut journal, 2, Mode::Report, &room).1, "its own");
    }
}
