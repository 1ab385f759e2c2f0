//! Whether an earlier journal of this account was lost.
//!
//! Pauses, exclusions, graces and the mode set by command go with a journal. A new one must not do what the
//! lost one forbade; so until it is known that there was none, or somebody has said what holds, it counts
//! as lost.

use super::{Journal, Result, statement::Statements as _};

const EARLIER: &str = "earlier_journal";

/// What is known of a journal before this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EarlierJournal {
    /// This one is new, and nobody has asked yet whether this account has spoken before.
    #[default]
    Unknown,
    /// This one is new and the account is not: what was set by command is forgotten.
    Lost,
    /// There was none, or somebody has said since what holds.
    Settled,
}

impl EarlierJournal {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Lost => "lost",
            Self::Settled => "settled",
        }
    }
}

impl Journal {
    /// What is known of a journal before this one; what cannot be read counts as lost.
    pub fn earlier_journal(&self) -> Result<EarlierJournal> {
        let all = [EarlierJournal::Unknown, EarlierJournal::Lost, EarlierJournal::Settled];
        let Some(stored) = self.meta(EARLIER)? else { return Ok(EarlierJournal::Unknown) };
        Ok(all.into_iter().find(|earlier| earlier.as_str() == stored).unwrap_or_else(|| {
            self.met_unreadable("whether an earlier journal was lost".to_owned(), &stored);
            EarlierJournal::Lost
        }))
    }

    /// Keeps what is known of a journal before this one.
    pub fn set_earlier_journal(&self, earlier: EarlierJournal) -> Result<()> {
        self.set_meta(EARLIER, earlier.as_str())
    }

    /// A journal from before this was asked is no new one where it has had a message posted. It is kept,
    /// for messages are forgotten after a while.
    pub(super) fn settle_by_messages(&self) -> Result<()> {
        if self.earlier_journal()? != EarlierJournal::Unknown {
            return Ok(());
        }
        // Only what was posted has an event; and there is an index of those.
        let has_posted = self.db.statement("SELECT 1 FROM messages WHERE event > ''")?.exists([])?;
        if has_posted { self.set_earlier_journal(EarlierJournal::Settled) } else { Ok(()) }
    }
}
