//! A Synapse on PostgreSQL is one like any other.
//!
//! Without PostgreSQL these tests pass and show nothing; `untried.rs` says so.

use std::fs;

use anyhow::{Context, Result};
use rtc_janitor_test_support::{Database, Postgres, RoomOptions, Synapse, SynapseOptions, call_key};

/// A server for one test, if there is a PostgreSQL for it.
async fn synapse() -> Result<Option<Synapse>> {
    if Postgres::installed().is_none() {
        eprintln!("not tried, for there is no PostgreSQL: see tests/postgres/get");
        return Ok(None);
    }
    Synapse::start(SynapseOptions { database: Database::Postgres, ..SynapseOptions::default() })
        .await
        .map(Some)
}

#[tokio::test]
async fn what_postgres_keeps_outlives_a_killed_synapse() -> Result<()> {
    let Some(synapse) = synapse().await? else { return Ok(()) };
    let alice = synapse.sign_in_new("alice").await?;
    let room = synapse.create_room(&alice, RoomOptions::new()).await?;
    synapse.join_call(&alice, &room).await?;
    assert!(!fs::exists(synapse.data_directory().join("homeserver.db"))?, "it has a file beside it");

    synapse.kill().await?;
    synapse.start_again().await?;

    assert!(synapse.is_open(&room, &call_key(&alice)).await?);
    synapse.leave_call(&alice, &room).await?;
    assert!(!synapse.is_open(&room, &call_key(&alice)).await?);

    let database = synapse.postgres_directory().context("it has none")?.to_owned();
    assert!(fs::exists(&database)?);
    drop(synapse);
    assert!(!fs::exists(&database)?, "a database is left");
    Ok(())
}
