//! Ports for servers that are started and stopped.

use std::{
    io,
    net::{TcpListener, UdpSocket},
};

use anyhow::{Context, Result};

use crate::names;

/// A port that is free now and stays so while the server is down: it lies below the ports that systems hand out to
/// outgoing connections, of which tests make many.
pub(crate) fn free_tcp() -> Result<u16> {
    free(|port| TcpListener::bind(("127.0.0.1", port)).map(drop))
}

/// The same for datagrams.
pub(crate) fn free_udp() -> Result<u16> {
    free(|port| UdpSocket::bind(("127.0.0.1", port)).map(drop))
}

fn free(bind: impl Fn(u16) -> io::Result<()>) -> Result<u16> {
    (0..200)
        .map(|_| 20_000 + (names::random() % 12_000) as u16)
        .find(|port| bind(*port).is_ok())
        .context("found no free port between 20000 and 32000")
}
