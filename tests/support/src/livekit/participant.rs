//! The lightest participant there is: a WebSocket, and never any media.
//!
//! The SFU lists it as `JOINED` as soon as it is connected, for 60 s at most, and drops it as soon as the connection
//! ends. It tells no webhook that it joined. For crashes, stalls and webhooks take [`crate::RealClient`].

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::{Instant, sleep, timeout, timeout_at},
};

use super::LiveKit;
use crate::{clock, names};

/// The SFU gives up on somebody without media after 60 s.
const STAY: Duration = Duration::from_secs(45);

/// How soon somebody who stays tries again when the SFU is down.
const AGAIN: Duration = Duration::from_millis(200);

/// Joining takes milliseconds.
const JOIN_LIMIT: Duration = Duration::from_secs(10);

/// Somebody in a room of the SFU, until dropped.
#[derive(Debug)]
pub struct Participant {
    presence: Presence,
}

#[derive(Debug)]
enum Presence {
    /// The SFU takes its end for the leave.
    Once { _connection: TcpStream },
    /// Owns the connection, and makes new ones.
    Renewed(JoinHandle<()>),
}

impl Participant {
    /// Joins; the SFU lists them when this returns, for 60 s at most. Their own earlier connection ends.
    pub async fn join(livekit: &LiveKit, room: &str, identity: &str) -> Result<Self> {
        Self::join_with(livekit, &LiveKit::join_token(identity, room)).await
    }

    /// Joins by a token, such as an authorisation service gives out.
    pub async fn join_with(livekit: &LiveKit, token: &str) -> Result<Self> {
        let connection = connect(livekit.address(), token).await?;
        Ok(Self { presence: Presence::Once { _connection: connection } })
    }

    /// Joins and stays, for minutes: whenever the connection grows old or is ended by others, there is a new one. They
    /// are back at once after a restart of the SFU, and after a removal.
    pub async fn stay(livekit: &LiveKit, room: &str, identity: &str) -> Result<Self> {
        Self::stay_renewed_every(STAY, livekit, room, identity).await
    }

    /// The same with a connection that grows old sooner. The new one is made before the old one ends, and the SFU puts
    /// it in the other's place: it never lists both, and for a moment it may list neither.
    pub async fn stay_renewed_every(
        interval: Duration,
        livekit: &LiveKit,
        room: &str,
        identity: &str,
    ) -> Result<Self> {
        let address = livekit.address();
        let (room, identity) = (room.to_owned(), identity.to_owned());
        let mut connection = connect(address, &LiveKit::join_token(&identity, &room)).await?;
        let staying = tokio::spawn(async move {
            loop {
                let due = clock::moment() + interval;
                until_ended_or(due, &mut connection).await;
                connection = loop {
                    match connect(address, &LiveKit::join_token(&identity, &room)).await {
                        Ok(new) => break new,
                        Err(_) => sleep(AGAIN).await,
                    }
                };
            }
        });
        Ok(Self { presence: Presence::Renewed(staying) })
    }

    /// Leaves, as dropping does.
    pub fn leave(self) {
        drop(self);
    }
}

impl Drop for Participant {
    fn drop(&mut self) {
        if let Presence::Renewed(staying) = &self.presence {
            staying.abort();
        }
    }
}

/// Reads what the SFU says, which is of no interest, until it says no more or the time has come.
async fn until_ended_or(due: Instant, connection: &mut TcpStream) {
    let mut ignored = [0; 4096];
    while let Ok(Ok(1..)) = timeout_at(due, connection.read(&mut ignored)).await {}
}

/// Opens the WebSocket. LiveKit takes its handshake for the join, and need not be told anything more.
async fn connect(address: SocketAddr, token: &str) -> Result<TcpStream> {
    let key = STANDARD.encode(&names::random_key()[..16]);
    let request = format!(
        "GET /rtc?access_token={token}&protocol=16&auto_subscribe=1&sdk=python HTTP/1.1\r\n\
         Host: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    );
    let joining = async {
        let mut connection = TcpStream::connect(address).await?;
        connection.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(connection.read_u8().await.context("the SFU closed the connection")?);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let status = head.lines().next().unwrap_or_default();
        ensure!(status.contains(" 101 "), "the SFU let nobody in: {status}");
        Ok(connection)
    };
    timeout(JOIN_LIMIT, joining).await.context("the SFU did not answer to a join")?
}
