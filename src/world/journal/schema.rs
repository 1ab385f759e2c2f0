//! The tables, and the way from each version to the next.

use std::{cmp::Ordering, path::Path};

use rusqlite::Connection;

use super::{JournalError, Result};

/// Each step leads from its index to the next version. Steps are never changed once released.
pub(super) const MIGRATIONS: &[&str] = &[
    r"
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

    -- Rooms the bot is in, with the name people last knew them by.
    CREATE TABLE rooms (room TEXT PRIMARY KEY, name TEXT) STRICT;

    -- Open membership events, and when each was first seen.
    CREATE TABLE seen (
        room TEXT NOT NULL, key TEXT NOT NULL, event TEXT NOT NULL,
        at_ms INTEGER NOT NULL, live INTEGER NOT NULL,
        PRIMARY KEY (room, key, event)
    ) STRICT, WITHOUT ROWID;

    -- Devices that were in a device list, and those that a list was wrong about.
    CREATE TABLE devices (
        user TEXT NOT NULL, device TEXT NOT NULL,
        last_listed_ms INTEGER, came_back INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (user, device)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE sightings (
        room TEXT NOT NULL, key TEXT NOT NULL, event TEXT NOT NULL, entry INTEGER NOT NULL,
        reason TEXT NOT NULL, held_ms INTEGER NOT NULL, sightings INTEGER NOT NULL,
        first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, running INTEGER NOT NULL,
        PRIMARY KEY (room, key, event, entry, reason)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE quarantine (
        room TEXT NOT NULL, key TEXT NOT NULL,
        reason TEXT NOT NULL, until_ms INTEGER NOT NULL, returns INTEGER NOT NULL,
        PRIMARY KEY (room, key, reason)
    ) STRICT, WITHOUT ROWID;

    -- Messages to the admin room. `event` is set once the server has it; `subject` keeps one thing
    -- from being said twice.
    CREATE TABLE messages (
        txn TEXT PRIMARY KEY, subject TEXT UNIQUE, plain TEXT NOT NULL, html TEXT NOT NULL,
        created_ms INTEGER NOT NULL, event TEXT
    ) STRICT;

    -- One row per attempt to clear a key: the intent first, the outcome when it is known.
    CREATE TABLE writes (
        id INTEGER PRIMARY KEY, room TEXT NOT NULL, key TEXT NOT NULL, event TEXT NOT NULL,
        owners TEXT NOT NULL, reason TEXT NOT NULL, route TEXT NOT NULL, evidence TEXT NOT NULL,
        old_content TEXT NOT NULL, asked_by TEXT, intended_ms INTEGER NOT NULL,
        outcome TEXT, finished_ms INTEGER, written_event TEXT, detail TEXT,
        verified INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX writes_by_key ON writes (room, key, intended_ms);
    CREATE INDEX writes_open ON writes (id) WHERE outcome IS NULL;
    CREATE INDEX writes_unverified ON writes (written_event) WHERE verified = 0;
    CREATE INDEX writes_finished ON writes (finished_ms);

    -- What was found about an event, each kind once; `message` is set when it has been put into one.
    CREATE TABLE findings (
        event TEXT NOT NULL, kind TEXT NOT NULL, room TEXT NOT NULL, key TEXT NOT NULL,
        at_ms INTEGER NOT NULL, details TEXT NOT NULL, message TEXT REFERENCES messages (txn),
        PRIMARY KEY (event, kind)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX findings_unreported ON findings (message) WHERE message IS NULL;
",
    r"
    -- What goes with a message. `target` is the transaction id of the message that this one edits, or
    -- reacts to where `reaction` is set.
    ALTER TABLE messages ADD COLUMN reply_to TEXT;
    ALTER TABLE messages ADD COLUMN target TEXT;
    ALTER TABLE messages ADD COLUMN reaction TEXT;
    ALTER TABLE messages ADD COLUMN mentions TEXT NOT NULL DEFAULT '';
    CREATE INDEX messages_by_event ON messages (event);

    -- What nobody asked for and is to be said; `message` is set when it has been put into one.
    CREATE TABLE notes (
        id INTEGER PRIMARY KEY, subject TEXT UNIQUE, plain TEXT NOT NULL, html TEXT NOT NULL,
        alarm INTEGER NOT NULL, at_ms INTEGER NOT NULL, message TEXT REFERENCES messages (txn)
    ) STRICT;
    CREATE INDEX notes_untold ON notes (id) WHERE message IS NULL;

    -- Settings changed by command.
    CREATE TABLE settings (
        key TEXT PRIMARY KEY, value TEXT NOT NULL, set_by TEXT NOT NULL, at_ms INTEGER NOT NULL
    ) STRICT;
    DELETE FROM meta WHERE key = 'paused';

    -- Commands that were taken up, each once; `message` is the first answer to it.
    CREATE TABLE commands (
        event TEXT PRIMARY KEY, sender TEXT NOT NULL, at_ms INTEGER NOT NULL,
        message TEXT REFERENCES messages (txn), done INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX commands_unfinished ON commands (event) WHERE done = 0;

    -- Plans as they were shown, who approved them, and how far they came.
    CREATE TABLE plans (
        id TEXT PRIMARY KEY, number INTEGER NOT NULL UNIQUE, kind TEXT NOT NULL, made_ms INTEGER NOT NULL,
        proposals TEXT NOT NULL, message TEXT REFERENCES messages (txn),
        approved_by TEXT, approved_ms INTEGER, progress TEXT REFERENCES messages (txn),
        outcomes TEXT NOT NULL DEFAULT '{}', returned TEXT NOT NULL DEFAULT '[]', ended_ms INTEGER,
        closed INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX plans_by_message ON plans (message);
    CREATE INDEX plans_under_way ON plans (id) WHERE approved_by IS NOT NULL AND closed = 0;

    ALTER TABLE writes ADD COLUMN plan TEXT REFERENCES plans (id);
    CREATE INDEX writes_by_plan ON writes (plan) WHERE plan IS NOT NULL;
",
    r"
    -- Every reference and every time that is searched has an index: without one, each deleted message
    -- is looked for in all findings.
    DROP INDEX findings_unreported;
    CREATE INDEX findings_by_message ON findings (message);
    CREATE INDEX findings_by_time ON findings (at_ms, kind, room);
    CREATE INDEX notes_by_message ON notes (message);
    CREATE INDEX notes_by_time ON notes (at_ms);
    CREATE INDEX commands_by_message ON commands (message);
    CREATE INDEX commands_by_time ON commands (at_ms);
    DROP INDEX commands_unfinished;
    CREATE INDEX commands_unfinished ON commands (at_ms) WHERE done = 0;
    CREATE INDEX plans_by_progress ON plans (progress);
    CREATE INDEX plans_by_time ON plans (made_ms);
    CREATE INDEX devices_by_time ON devices (last_listed_ms) WHERE came_back = 0;
    CREATE INDEX quarantine_by_time ON quarantine (until_ms);
    DROP INDEX writes_open;
    CREATE INDEX writes_open ON writes (room, key) WHERE outcome IS NULL;

    -- What became of a message; an event is one that the server has.
    ALTER TABLE messages ADD COLUMN state TEXT NOT NULL DEFAULT 'waiting'
        CHECK (state IN ('waiting', 'sent', 'given_up', 'told_elsewhere'));
    UPDATE messages SET state = CASE event
            WHEN '' THEN 'given_up' WHEN 'told on a terminal' THEN 'told_elsewhere' ELSE 'sent' END
        WHERE event IS NOT NULL;
    UPDATE messages SET event = NULL WHERE state IN ('given_up', 'told_elsewhere');
    CREATE INDEX messages_waiting ON messages (created_ms) WHERE state = 'waiting';
    CREATE INDEX messages_by_time ON messages (created_ms);

    -- Whom a write spoke for, to be searched; `writes.owners` is the record.
    CREATE TABLE write_owners (
        write INTEGER NOT NULL REFERENCES writes (id) ON DELETE CASCADE, user TEXT NOT NULL,
        PRIMARY KEY (write, user)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX write_owners_by_user ON write_owners (user, write);
    INSERT OR IGNORE INTO write_owners
        SELECT writes.id, json_extract(owner.value, '$[0]')
        FROM writes, json_each(iif(json_valid(owners), owners, '[]')) AS owner
        WHERE owner.type = 'array' AND json_type(owner.value, '$[0]') = 'text';

    -- Rooms that aliases in the configuration led to when they were resolved.
    CREATE TABLE aliases (alias TEXT PRIMARY KEY, room TEXT NOT NULL) STRICT, WITHOUT ROWID;
",
    r"
    -- Memberships that an SFU has listed; one is known by when it began, for a refresh is another event.
    CREATE TABLE sfu_seen (
        sfu TEXT NOT NULL, room TEXT NOT NULL, key TEXT NOT NULL, start_ms INTEGER NOT NULL,
        seen_ms INTEGER NOT NULL, PRIMARY KEY (sfu, room, key, start_ms)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX sfu_seen_by_key ON sfu_seen (room, key);
    CREATE INDEX sfu_seen_by_time ON sfu_seen (seen_ms);

    -- Authorisation services that gave a token for an SFU, and until when it is known to have named its rooms so.
    CREATE TABLE sfu_services (
        sfu TEXT NOT NULL, service TEXT NOT NULL, PRIMARY KEY (sfu, service)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE sfu_recipes (
        sfu TEXT NOT NULL, recipe TEXT NOT NULL, until_ms INTEGER NOT NULL, PRIMARY KEY (sfu, recipe)
    ) STRICT, WITHOUT ROWID;
",
    r"
    -- From gone at the SFU to gone in the room, and who ended it.
    CREATE TABLE leave_lags (
        id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, lag_ms INTEGER NOT NULL, leaver TEXT NOT NULL
    ) STRICT;
    CREATE INDEX leave_lags_by_time ON leave_lags (at_ms);
",
    r"
    -- What needs a person at once is no notice.
    ALTER TABLE messages ADD COLUMN alarm INTEGER NOT NULL DEFAULT 0;
",
    r"
    -- Which list a device was in: one without encryption keys is in the server's own alone. Before this there was no
    -- other than /keys/query.
    ALTER TABLE devices ADD COLUMN own_list INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE devices ADD COLUMN with_keys INTEGER NOT NULL DEFAULT 0;
    UPDATE devices SET with_keys = 1 WHERE last_listed_ms IS NOT NULL;
",
    r"
    -- By what a write as the owner of a key is known: when it says it was sent, and what it leaves there.
    ALTER TABLE writes ADD COLUMN sent_ms INTEGER;
    ALTER TABLE writes ADD COLUMN new_content TEXT;
",
];

/// The version that this program writes.
pub(super) const VERSION: i64 = {
    #[expect(clippy::cast_possible_wrap, reason = "a handful of migrations")]
    let version = MIGRATIONS.len() as i64;
    version
};

/// Refuses a database of another version.
pub(super) fn check(db: &Connection, path: &Path) -> Result<()> {
    let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let path = path.to_owned();
    match found.cmp(&VERSION) {
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(JournalError::Newer { path, found, known: VERSION }),
        Ordering::Less => Err(JournalError::Older { path, found, known: VERSION }),
    }
}

/// Brings the database to [`VERSION`], one step and one transaction at a time. Returns the version that it
/// had; 0 is a new one.
pub(super) fn migrate(db: &mut Connection, path: &Path) -> Result<i64> {
    let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > VERSION {
        return Err(JournalError::Newer { path: path.to_owned(), found, known: VERSION });
    }
    let done = usize::try_from(found).unwrap_or(0);
    for (version, step) in MIGRATIONS.iter().enumerate().skip(done) {
        let transaction = db.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", version + 1)?;
        transaction.commit()?;
    }
    Ok(found)
}
