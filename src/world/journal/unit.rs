//! The unit of work: many calls, one transaction.
//!
//! What comes of one sync answer or one sweep belongs together, and a flush to disk costs milliseconds.
//! From [`Journal::begin_unit`] to [`Journal::commit_unit`] nothing is on disk, and then all of it is. A
//! unit that writes nothing takes no transaction and flushes nothing.
//!
//! What is only seen again when it is lost ([`Journal::write_behind`]: which event stands under a key, how far
//! the watch came) need not be on disk at once: a unit of nothing else may be put off
//! ([`Journal::put_off_unit`]) and is committed with the next. Twenty refreshes a second are then one flush
//! a minute and not twelve hundred.

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
    /// A transaction is open; there is nothing in it that could not wait.
    Behind,
    /// The same between two units of work.
    PutOff,
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
        match self.unit.get() {
            Unit::None | Unit::Failed => self.unit.set(Unit::Idle),
            Unit::PutOff => self.unit.set(Unit::Behind),
            Unit::Idle | Unit::Behind | Unit::Writing => {}
        }
    }

    /// Ends a unit of work in which there is nothing that could not wait, without a flush; false when there
    /// is, and [`Self::commit_unit`] is to follow.
    pub fn put_off_unit(&self) -> bool {
        let after = match self.unit.get() {
            Unit::None | Unit::Idle => Unit::None,
            Unit::Behind | Unit::PutOff => Unit::PutOff,
            Unit::Writing | Unit::Failed => return false,
        };
        self.unit.set(after);
        true
    }

    /// Whether a unit was put off that is not on disk yet.
    pub fn is_put_off(&self) -> bool {
        self.unit.get() == Unit::PutOff
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
            Unit::Behind | Unit::PutOff | Unit::Writing => {
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
        !matches!(self.unit.get(), Unit::None | Unit::Idle)
    }

    /// Runs what writes: within the unit of work, else as a transaction of its own. All or nothing.
    pub(super) fn write<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.write_as(Unit::Writing, work)
    }

    /// The same for what is only seen again when it is lost: it may be put off.
    pub(super) fn write_behind<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.write_as(Unit::Behind, work)
    }

    fn write_as<T>(&self, kind: Unit, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        match self.unit.get() {
            // A write that is part of another one.
            Unit::None if !self.db.is_autocommit() => work(&self.db),
            Unit::None => {
                let transaction = Transaction::new_unchecked(&self.db, TransactionBehavior::Immediate)?;
                let done = work(&transaction)?;
                transaction.commit()?;
                Ok(done)
            }
            Unit::PutOff => {
                // Outside of a unit, what was put off goes to disk first.
                self.commit_unit()?;
                self.write_as(kind, work)
            }
            Unit::Failed => Err(JournalError::UnitFailed),
            unit @ (Unit::Idle | Unit::Behind | Unit::Writing) => {
                let begin = || -> Result<()> {
                    if unit == Unit::Idle {
                        self.db.execute_batch("BEGIN IMMEDIATE")?;
                    }
                    if unit != Unit::Writing {
                        self.unit.set(kind);
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
