//! rtc-janitor: clears the Matrix calls nobody is in.
//!
//! # What lives where
//!
//! | module | what it does |
//! | --- | --- |
//! | `rtc_janitor_core` (`core/`) | everything that is concluded: memberships, verdicts, graces, guards, plans, the grammar of commands, texts |
//! | [`world`] | the outside: one port (trait) for each neighbour, and its implementation beside it |
//! | [`janitor`] | the loop, and the parts that own its state |
//! | [`survey`] | a look through all rooms of the server by its admin API, and getting into them |
//! | [`admin_room`] | the command dispatcher, who may give commands, one file for each command, posting |
//! | [`http`] | what other programs may ask: live, ready, metrics, webhooks |
//! | [`metrics`] | what is counted |
//! | [`config`] | file, environment and defaults into a checked [`config::Config`], from one table of keys |
//! | [`cli`] | one file for each subcommand; it wires everything together |
//! | [`supervisor`], [`shutdown`] | starts the tasks of `run`; ends all of them when one ends unasked, or on a signal |
//!
//! # What may import what
//!
//! - `core` imports none of the others, and no async runtime, network, clock or SDK.
//! - `world` implements the ports and decides nothing. It imports `core`, and nothing from `janitor`,
//!   `admin_room` or `cli`. Only `world::chat` uses the SDK's store and crypto; only `world::clock` reads the wall clock.
//! - `janitor` reaches the outside by ports alone ([`janitor::Ports`]), but for the journal, which it owns. It
//!   takes its settings from `config`.
//! - `admin_room` asks the janitor by a [`janitor::handle::JanitorHandle`], between two steps of its loop, and
//!   reaches the outside by ports.
//! - `survey` reaches the outside by ports, and knows nobody who asks for it; what it finds is `core`'s to say.
//! - `http` waits for nobody: it reads what others have left for it, and leaves what it was told.
//! - `metrics` imports `core`; whoever counts holds a clone.
//! - `cli` may import all of them, and nobody imports `cli`.
//!
//! # The way of one event, from sync to write
//!
//! 1. [`world::homeserver`] follows `/sync` and reduces an answer to what matters of each room
//!    ([`world::SyncBatch`]). The task `watch` ([`janitor::watcher`]) sends it to the loop.
//! 2. `janitor::ingest` takes it in, room by room: `core::rtc` reads the content, `janitor::memory` keeps what
//!    is open, `janitor::keys` tells the other parts. The room is marked to be looked at. After a gap, its current
//!    state is read first (`janitor::reads`).
//! 3. `janitor::evidence` says what is to be asked about the owner, `janitor::requests` asks in the background, and
//!    the answer comes back as one more input (`janitor::outcomes`).
//! 4. `janitor::sweep::look` judges the marked rooms: `core::judge` gives verdicts, `core::ledger` counts how
//!    long each reason has been seen to hold, `core::plan` with `core::guard` says what may be written.
//! 5. `janitor::sweep::writes` queues that: one key of a room at a time. Its intent goes into the journal, and
//!    when that is on disk, `janitor::sweep::clear` reads the key once more and clears it through
//!    [`world::StateWriter`], with its own power, as the owner ([`world::appservice`]) or by redaction; in mode `report` through [`world::dry_run`], which writes nothing.
//! 6. The result goes into the journal. `janitor::voice` makes a report of it, and [`admin_room::Posting`] posts
//!    that. When the write comes back by sync, `janitor::sweep::aftermath` checks what it replaced, and notices who
//!    comes back.
//!
//! Each turn of the loop is one transaction of the journal (`janitor::run`): requests begin, messages go out
//! and commands are answered once it is on disk.
#![recursion_limit = "256"]

pub mod admin_room;
pub mod cli;
pub mod config;
pub mod http;
pub mod janitor;
pub mod metrics;
pub mod shutdown;
pub mod supervisor;
pub mod survey;
pub mod world;
