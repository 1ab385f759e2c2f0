//! The unit of work: many calls, one transaction.
//!
//! What comes of one sync answer or one sweep belongs together, and a flush to disk costs milliseconds.
//! From [`Journal::begin_unit`] to [`Journal::commit_unit`] nothing is on disk, and then all of it is. A
//! unit that writes nothing takes no transaction and flushes nothing.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{Journal, JournalError, Result};

/// How far the unit of work is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Unit {
    /// None: each call is a transaction of its own.
    #[default]
    None,
    /// Begun, and nothing written yet.
    Idle,
    /// A transaction is open.
    Writing,
    /// A write failed and all was rolled back. What follows would be half a unit, so it is refused.
    Failed,
}

impl Journal {
    /// Begins a unit of work; goes on with the one that is under way. One that failed is over.
    ///
    /// A call that fails within a unit takes the whole unit back.
    pub fn begin_unit(&self) {
        if matches!(self.unit.get(), Unit::None | Unit::Failed) {
            self.unit.set(Unit::Idle);
        }
    }

    /// Puts the unit of work on disk and ends it; without one, nothing happens. To be called before
    /// anything that others see begins: a request must not go out on what may never have been written
    /// down.
    ///
    /// # Errors
    ///
    /// When the disk does not take it, or a write of the unit had failed: then nothing of it is there.
    pub fn commit_unit(&self) -> Result<()> {
        match self.unit.replace(Unit::None) {
            Unit::None | Unit::Idle => Ok(()),
            Unit::Failed => Err(JournalError::UnitFailed),
            Unit::Writing => {
                let committed = self.db.execute_batch("COMMIT");
                if committed.is_err() {
                    self.roll_back();
                }
                Ok(committed?)
            }
        }
    }

    /// Whether something was written that is not on disk before [`Journal::commit_unit`].
    pub fn has_uncommitted(&self) -> bool {
        matches!(self.unit.get(), Unit::Writing | Unit::Failed)
    }

    /// Runs what writes: within the unit of work, else as a transaction of its own. All or nothing.
    pub(super) fn write<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        match self.unit.get() {
            // A write that is part of another one.
            Unit::None if !self.db.is_autocommit() => work(&self.db),
            Unit::None => {
                let transaction = Transaction::new_unchecked(&self.db, TransactionBehavior::Immediate)?;
                let done = work(&transaction)?;
                transaction.commit()?;
                Ok(done)
            }
            Unit::Failed => Err(JournalError::UnitFailed),
            Unit::Idle | Unit::Writing => {
                let begin = || -> Result<()> {
                    if self.unit.get() == Unit::Idle {
                        self.db.execute_batch("BEGIN IMMEDIATE")?;
                        self.unit.set(Unit::Writing);
                    }
                    Ok(())
                };
                begin().and_then(|()| work(&self.db)).inspect_err(|_| {
                    self.roll_back();
                    self.unit.set(Unit::Failed);
                })
            }
        }
    }

    fn roll_back(&self) {
        // SQLite rolls back by itself when the disk is full.
        if !self.db.is_autocommit()
            && let Err(error) = self.db.execute_batch("ROLLBACK")
        {
            tracing::error!("the journal cannot take back a transaction: {error}");
        }
    }
}
