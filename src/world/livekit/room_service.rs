//! LiveKit's RoomService (Twirp over JSON): which rooms there are and who is in them.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, stream};
use matrix_sdk::{bytes::BytesMut, reqwest::header};
use rtc_janitor_core::{
    export::participants,
    judge::room::{Participants, SfuRoom},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{LiveKit, failure, failure::SfuError};
use crate::metrics::Asked;

/// How many names one request asks for: proxies often take no body over 1 MB, and this is 100 kB.
const NAMES: usize = 2_000;

/// How many rooms are asked at once for their participants.
const ROOMS_AT_ONCE: usize = 8;

/// No answer is longer: a participant takes about 500 bytes.
const MOST_BYTES: usize = 64 << 20;

/// One room of an SFU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SfuRoomView {
    /// The SFU's own id of the room; a room of the same name that was made anew has another.
    pub sid: String,
    /// Who is connected.
    pub participants: Participants,
}

/// The rooms that there are, of those that were asked for, by name.
pub type SfuView = BTreeMap<String, SfuRoomView>;

#[derive(Deserialize)]
struct Rooms {
    rooms: Vec<Room>,
}

/// What is read of a room. It also has a password for TURN, which goes nowhere.
#[derive(Deserialize)]
struct Room {
    sid: String,
    name: String,
}

impl LiveKit {
    /// Which of the rooms of these names there are, and who is in them: one request for every 2,000 names, and
    /// one for each room that there is.
    pub(super) async fn list(&self, names: &BTreeSet<String>) -> Result<SfuView, SfuError> {
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut rooms = Vec::new();
        for names in all.chunks(NAMES) {
            let answer = self.call("ListRooms", json!({"roomList": true}), json!({"names": names})).await?;
            let answer: Rooms = serde_json::from_value(answer)
                .map_err(|_| SfuError::NotLiveKit("its list of rooms is none".to_owned()))?;
            // Whatever it tells of others was not asked for.
            rooms.extend(answer.rooms.into_iter().filter(|room| names.contains(&room.name.as_str())));
        }
        let mut reads = stream::iter(rooms).map(|room| self.room(room)).buffer_unordered(ROOMS_AT_ONCE);
        let mut view = SfuView::new();
        while let Some(read) = reads.next().await {
            let (name, room) = read?;
            view.insert(name, room);
        }
        Ok(view)
    }

    async fn room(&self, Room { sid, name }: Room) -> Result<(String, SfuRoomView), SfuError> {
        let grant = json!({"roomAdmin": true, "room": name});
        let answer = self.call("ListParticipants", grant, json!({"room": name})).await?;
        match participants(&answer) {
            SfuRoom::Participants(participants) => Ok((name, SfuRoomView { sid, participants })),
            SfuRoom::Unknown | SfuRoom::AtLeast(_) => {
                Err(SfuError::NotLiveKit("its list of participants is none".to_owned()))
            }
        }
    }

    /// One call of the RoomService.
    async fn call(&self, method: &str, grant: Value, body: Value) -> Result<Value, SfuError> {
        let answer = self.exchange(method, &grant, &body).await;
        self.metrics.asked(
            Asked::Sfu,
            match &answer {
                Ok(_) => "ok",
                Err(SfuError::RateLimited { .. }) => "rate_limited",
                Err(SfuError::Unreachable(_)) => "unreachable",
                Err(_) => "refused",
            },
        );
        answer
    }

    async fn exchange(&self, method: &str, grant: &Value, body: &Value) -> Result<Value, SfuError> {
        let request = self
            .http
            .post(format!("{}/twirp/livekit.RoomService/{method}", self.base))
            .bearer_auth(self.key.sign(grant, self.clock.now()))
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.to_string());
        let mut response = request.send().await.map_err(|error| failure::of_network(&error))?;
        let status = response.status();
        let header =
            |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (location, retry_after) = (header(header::LOCATION), header(header::RETRY_AFTER));
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failure::of_network(&error))? {
            if body.len() + chunk.len() > MOST_BYTES {
                return Err(SfuError::NotLiveKit("its answer has no end".to_owned()));
            }
            body.extend_from_slice(&chunk);
        }
        if !status.is_success() {
            let retry_after = retry_after.and_then(|seconds| seconds.parse().ok());
            return Err(failure::of_answer(status.as_u16(), location.as_deref(), retry_after, &body));
        }
        serde_json::from_slice(&body).map_err(|_| SfuError::NotLiveKit("its answer is no JSON".to_owned()))
    }
}
