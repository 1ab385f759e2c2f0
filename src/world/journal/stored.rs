//! What was kept, as it can be read back.
//!
//! Own memory that cannot be read is unknown, and unknown never opens a door. Each row that this program
//! cannot read leads to this, and is named by [`Journal::unreadable`], so that people are told:
//!
//! | what cannot be read | what it leads to |
//! | --- | --- |
//! | the breakers | [`Stored::Unreadable`]: all are open |
//! | a plan: its kind, what was shown, what came of it, who came back | it is refused: [`Stored::Unreadable`], and not among [`Journal::plans_under_way`]; [`Journal::unreadable_plans`] has those that were approved |
//! | the owners of a write | whoever writes under that key may be one of them: [`Owners::may_include`](super::Owners::may_include) |
//! | the old content of a write | it may have held any `created_ts`: [`WriteRecord::may_have_had`](super::WriteRecord::may_have_had) |
//! | the reason of a write | any may have been wrong: [`WriteRecord::reasons_in_doubt`](super::WriteRecord::reasons_in_doubt) |
//! | the reason of a quarantine | no reason is believed for that key as long as it lasts |
//! | the reason of a sighting | its clock begins anew |
//! | the kind or the details of a finding | it is not in a report; a kind counts for the limits as a clear |
//! | where the admin room is | [`Stored::Unreadable`]: an alias is not resolved anew, for it may lead elsewhere by now |
//! | how an SFU names its rooms | it is not known: nobody's absence counts by it |
//! | when the journal was begun | now: what was said before may have been heard |
//! | when the last digest was | never |
//! | when was last pruned | never: it is done now |
//! | whether an earlier journal was lost | it was: nothing is cleared until somebody says which mode holds |
//!
//! Overrides are text and are read by whoever applies them; times and counts are numbers by the schema.

use super::Journal;

/// A value that the journal may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored<T> {
    /// It was never kept.
    Never,
    /// As it was kept.
    Read(T),
    /// It was kept and cannot be read: for what reason.
    Unreadable(String),
}

impl<T> Stored<T> {
    /// The value where there is one that can be read.
    pub fn read(self) -> Option<T> {
        match self {
            Self::Read(value) => Some(value),
            Self::Never | Self::Unreadable(_) => None,
        }
    }

    /// The same as something else.
    pub fn map<U>(self, into: impl FnOnce(T) -> U) -> Stored<U> {
        match self {
            Self::Never => Stored::Never,
            Self::Read(value) => Stored::Read(into(value)),
            Self::Unreadable(why) => Stored::Unreadable(why),
        }
    }

    /// Whether it was kept, readable or not.
    pub fn is_kept(&self) -> bool {
        !matches!(self, Self::Never)
    }
}

impl<T> From<Option<T>> for Stored<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Never, Self::Read)
    }
}

impl Journal {
    /// What could not be read since the journal was opened, each once, as in "the owners of write 12".
    /// Whoever speaks to people asks for it and tells them.
    pub fn unreadable(&self) -> Vec<String> {
        self.unreadable.borrow().iter().cloned().collect()
    }

    /// Notes that something could not be read.
    pub(super) fn met_unreadable(&self, what: String, why: &dyn std::fmt::Display) {
        let mut met = self.unreadable.borrow_mut();
        // A file full of them is damaged, and the first few say so.
        if met.len() < MOST_NAMED && !met.contains(&what) {
            tracing::error!("the journal cannot read {what}: {why}");
            met.insert(what);
        }
    }
}

/// How many rows that cannot be read are named.
const MOST_NAMED: usize = 100;
