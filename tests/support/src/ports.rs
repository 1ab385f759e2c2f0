//! Ports for servers that are started and stopped.

use std::{
    collections::BTreeSet,
    io,
    net::{TcpListener, UdpSocket},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result};

use crate::names;

/// What this process has handed out. A port is free while its server is down, and whoever took it then would be taken for
/// that server when it answers.
static TAKEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A port that is free now and stays so while the server is down: it lies below the ports that systems hand out to
/// outgoing connections, of which tests make many.
pub fn free_tcp() -> Result<u16> {
    free(|port| TcpListener::bind(("127.0.0.1", port)).map(drop))
}

/// The same for datagrams.
pub(crate) fn free_udp() -> Result<u16> {
    free(|port| UdpSocket::bind(("127.0.0.1", port)).map(drop))
}

fn free(bind: impl Fn(u16) -> io::Result<()>) -> Result<u16> {
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    (0..200)
        .map(|_| 20_000 + (names::random() % 12_000) as u16)
        .find(|port| !taken.contains(port) && bind(*port).is_ok())
        .inspect(|port| _ = taken.insert(*port))
        .context("found no free port between 20000 and 32000")
}
