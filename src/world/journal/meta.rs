//! Single values: whose the journal is, where the watch goes on, the breakers.

use rtc_janitor_core::{
    guard::breaker::Breakers,
    ids::{RoomId, UserId},
    mode::Mode,
    render::Message,
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension as _};

use super::{Journal, JournalError, Result, Stored, statement::Statements as _, statement::to_json};

const ACCOUNT: &str = "account";
const BEGUN: &str = "begun";
const SINCE: &str = "since";
const ADMIN_ROOM: &str = "admin_room";
const BREAKERS: &str = "breakers";
const DIGEST: &str = "digest";
const SLOW_LEAVES: &str = "last_slow_leaves";
const LAST_HELLO: &str = "last_hello";
const SPEAKER: &str = "speaker";
const PRUNED: &str = "last_pruned";

/// The message with the first word after a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// When it was posted.
    pub at: Timestamp,
    /// How often the program was started again since.
    pub restarts: i64,
    /// The mode it was in.
    pub mode: Mode,
    /// Its transaction id.
    pub txn: String,
    /// The admin room it stands in.
    pub room: RoomId,
    /// The account that posted it.
    pub by: UserId,
}

impl Journal {
    pub(super) fn meta(&self, key: &str) -> Result<Option<String>> {
        let mut query = self.db.statement("SELECT value FROM meta WHERE key = ?1")?;
        Ok(query.query_row([key], |row| row.get("value")).optional()?)
    }

    pub(super) fn set_meta(&self, key: &str, value: &str) -> Result<()> {
        if self.meta(key)?.as_deref() == Some(value) {
            return Ok(());
        }
        self.write(|db| put_meta(db, key, value))
    }

    fn time_of(&self, key: &str, what: &str) -> Result<Stored<Timestamp>> {
        let Some(text) = self.meta(key)? else { return Ok(Stored::Never) };
        Ok(match text.parse() {
            Ok(ms) => Stored::Read(Timestamp::from_millis(ms)),
            Err(error) => {
                self.met_unreadable(what.to_owned(), &error);
                Stored::Unreadable(error.to_string())
            }
        })
    }

    /// Begins a new journal, or one that cannot say when it was begun.
    pub(super) fn begin(&self, is_new: bool, now: Timestamp) -> Result<()> {
        let begun = self.time_of(BEGUN, "when it was begun")?;
        if is_new || matches!(begun, Stored::Unreadable(_)) {
            self.set_meta(BEGUN, &now.as_millis().to_string())?;
        }
        Ok(())
    }

    /// Refuses an account when another one has signed in with this store.
    pub(super) fn check_account(&self, account: &UserId) -> Result<()> {
        match self.meta(ACCOUNT)? {
            Some(found) if found != account.as_str() => {
                Err(JournalError::OtherAccount { found: found.into(), expected: account.clone() })
            }
            _ => Ok(()),
        }
    }

    /// Binds the store to an account that has signed in: until then, its name may be a slip of the pen.
    ///
    /// # Errors
    ///
    /// When it is bound to another one.
    pub fn bind_account(&self, account: &UserId) -> Result<()> {
        self.check_account(account)?;
        self.set_meta(ACCOUNT, account.as_str())
    }

    /// When this journal was begun, where it says so: of what was said before, nobody knows whether it
    /// was heard.
    pub fn begun(&self) -> Result<Option<Timestamp>> {
        Ok(self.time_of(BEGUN, "when it was begun")?.read())
    }

    /// Where the watch goes on (`next_batch` of the last answer that was taken in).
    pub fn since(&self) -> Result<Option<String>> {
        self.meta(SINCE)
    }

    /// Notes where the watch goes on.
    pub fn set_since(&self, token: &str) -> Result<()> {
        if self.since()?.as_deref() == Some(token) {
            return Ok(());
        }
        self.write_behind(|db| put_meta(db, SINCE, token))
    }

    /// Drops it: the server no longer takes it, and everything is read anew.
    pub fn forget_since(&self) -> Result<()> {
        self.write(|db| {
            db.statement("DELETE FROM meta WHERE key = ?1")?.execute([SINCE])?;
            Ok(())
        })
    }

    /// The id that the configured admin room was resolved to, with what was configured. Where that cannot
    /// be read, an alias must not be resolved anew: it may lead to a room with other people by now.
    pub fn admin_room(&self) -> Result<Stored<(String, RoomId)>> {
        let Some(stored) = self.meta(ADMIN_ROOM)? else { return Ok(Stored::Never) };
        Ok(match stored.split_once('\n') {
            Some((configured, id)) if id.starts_with('!') => Stored::Read((configured.to_owned(), id.into())),
            _ => {
                self.met_unreadable("which room the admin room is".to_owned(), &stored);
                Stored::Unreadable(stored)
            }
        })
    }

    /// Keeps the id of the admin room: an alias is resolved once.
    pub fn set_admin_room(&self, configured: &str, id: &RoomId) -> Result<()> {
        self.set_meta(ADMIN_ROOM, &format!("{configured}\n{id}"))
    }

    /// Keeps that the admin room goes on elsewhere, and what is to be said of it there, both or neither.
    pub fn move_admin_room(&self, to: &RoomId, message: &Message, at: Timestamp) -> Result<()> {
        self.write(|_| {
            if let Stored::Read((configured, _)) = self.admin_room()? {
                self.set_admin_room(&configured, to)?;
            }
            self.note(message, Some(&format!("moved to {to}")), false, at)?;
            Ok(())
        })
    }

    /// The breakers as they were last saved. Unreadable ones are to be taken as open.
    pub fn breakers(&self) -> Result<Stored<Breakers>> {
        let Some(json) = self.meta(BREAKERS)? else { return Ok(Stored::Never) };
        Ok(match serde_json::from_str(&json) {
            Ok(breakers) => Stored::Read(breakers),
            Err(error) => {
                self.met_unreadable("the breakers".to_owned(), &error);
                Stored::Unreadable(error.to_string())
            }
        })
    }

    /// Saves the breakers where they changed.
    pub fn save_breakers(&self, breakers: &Breakers) -> Result<()> {
        self.set_meta(BREAKERS, &to_json("the breakers", breakers)?)
    }

    /// The last message with the first word after a start, and how often it was said anew since; `None` where none was.
    pub fn last_hello(&self) -> Result<Option<Hello>> {
        let Some(text) = self.meta(LAST_HELLO)? else { return Ok(None) };
        // What cannot be read decides nothing but whether a message is edited.
        let mut parts = text.splitn(6, ' ');
        let mut read = || {
            Some(Hello {
                at: Timestamp::from_millis(parts.next()?.parse().ok()?),
                restarts: parts.next()?.parse().ok()?,
                mode: parts.next()?.parse().ok()?,
                txn: parts.next()?.to_owned(),
                room: parts.next()?.into(),
                // An earlier version did not keep it.
                by: parts.next().unwrap_or_default().into(),
            })
        };
        Ok(read())
    }

    /// Keeps the message with the first word after a start.
    pub fn set_last_hello(&self, hello: &Hello) -> Result<()> {
        self.set_meta(
            LAST_HELLO,
            &format!(
                "{} {} {} {} {} {}",
                hello.at.as_millis(),
                hello.restarts,
                hello.mode,
                hello.txn,
                hello.room,
                hello.by
            ),
        )
    }

    /// Since when this account speaks in this admin room; from now on where another did before, or nobody knows. What
    /// is older is not its own there.
    pub fn speaks_since(&self, account: &UserId, room: Option<&RoomId>, now: Timestamp) -> Result<Timestamp> {
        let who = format!("{} {account}", room.map_or("", RoomId::as_str));
        let known = self.meta(SPEAKER)?;
        let known = known.as_deref().and_then(|known| known.split_once(' '));
        let since = known.filter(|(_, before)| *before == who).and_then(|(since, _)| since.parse().ok());
        if let Some(since) = since {
            return Ok(Timestamp::from_millis(since));
        }
        self.set_meta(SPEAKER, &format!("{} {who}", now.as_millis()))?;
        Ok(now)
    }

    /// When the last digest was due.
    pub fn last_digest(&self) -> Result<Option<Timestamp>> {
        Ok(self.time_of(DIGEST, "when the last digest was")?.read())
    }

    /// Notes when a digest was due.
    pub fn set_last_digest(&self, at: Timestamp) -> Result<()> {
        self.set_meta(DIGEST, &at.as_millis().to_string())
    }

    /// When it was last said that leaves come late.
    pub fn last_slow_leaves(&self) -> Result<Option<Timestamp>> {
        Ok(self.time_of(SLOW_LEAVES, "when it was last said that leaves come late")?.read())
    }

    /// Notes that it was said.
    pub fn set_last_slow_leaves(&self, at: Timestamp) -> Result<()> {
        self.set_meta(SLOW_LEAVES, &at.as_millis().to_string())
    }

    /// When everything was last pruned.
    pub(super) fn last_pruned(&self) -> Result<Option<Timestamp>> {
        Ok(self.time_of(PRUNED, "when it was last pruned")?.read())
    }

    pub(super) fn set_last_pruned(&self, at: Timestamp) -> Result<()> {
        self.set_meta(PRUNED, &at.as_millis().to_string())
    }
}

fn put_meta(db: &Connection, key: &str, value: &str) -> Result<()> {
    db.statement("INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2")?
        .execute([key, value])?;
    Ok(())
}
