//! Getting the bot into rooms, once a person has approved it: by joining, by `make_room_admin`, or into the room that
//! one was upgraded to.
//!
//! Each room is read anew before anything is done about it, and nothing is done that was not shown.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use rtc_janitor_core::{
    ids::{RoomId, UserId},
    render::survey as say,
    rtc::power::Blocked,
    survey::{How, JoinOutcome, JoinProposal, NoWay, Obstacle, Presence, Step, SurveyedRoom, Way},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    SurveyError, Surveyor, is_for_all, is_unknown,
    pace::{GIVEN_UP, Pace},
    unnamed,
};
use crate::world::NeighbourError;

/// How many upgrades of a room are followed.
const MOST_UPGRADES: usize = 5;

/// How long one room may take: its state is read, power is given, and a room of another server is joined, which may not
/// answer at all.
const LONGEST: Duration = Duration::from_mins(5);

/// Gets the bot into one room after the other.
pub struct Joining<'a> {
    with: Surveyor<'a>,
    pace: Pace,
    /// Why no other room need be tried, once that is known.
    over: Mutex<Option<String>>,
}

impl<'a> Surveyor<'a> {
    /// Ready to get into rooms, with a pace for all of them.
    pub fn joining(self) -> Joining<'a> {
        Joining { with: self, pace: Pace::new(), over: Mutex::default() }
    }
}

impl Joining<'_> {
    /// Does what was shown of a room, where that still holds, within 5 min.
    pub fn get_into<'a>(&'a self, proposal: &'a JoinProposal) -> BoxFuture<'a, JoinOutcome> {
        Box::pin(async move {
            if let Some(why) = self.over_because() {
                return JoinOutcome::Held(say::left(&why));
            }
            match timeout(LONGEST, self.follow(proposal)).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(error)) => failed(&error),
                Err(_) => JoinOutcome::Failed(say::took_too_long(LONGEST)),
            }
        })
    }

    /// Why the rooms that remain are not tried, where that is so.
    fn over_because(&self) -> Option<String> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn follow(&self, proposal: &JoinProposal) -> Result<JoinOutcome, NeighbourError> {
        let state = match self.read(&proposal.room).await {
            Ok(Ok(state)) => state,
            Ok(Err(why)) => return Ok(JoinOutcome::Held(why)),
            Err(error) if is_unknown(&error) => return Ok(JoinOutcome::Held(say::is_gone().to_owned())),
            Err(error) => return Err(error),
        };
        let by = tombstone_server(&state);
        // Whoever has left the room with nobody else in it has no state there.
        let room = match self.with.read(unnamed(&proposal.room), state, json!({})) {
            Ok(room) => room,
            Err(why) => return Ok(JoinOutcome::Held(why)),
        };
        match (&proposal.how, &room.way) {
            (How::Successor(shown), Way::Successor(successor)) if shown == successor => {
                self.go_to_successor(&proposal.room, shown, by).await
            }
            (How::Join, Way::Join) | (How::MakeRoomAdmin { .. }, Way::Join | Way::MakeRoomAdmin) => {
                self.get_in(&room).await
            }
            // Somebody was faster.
            (How::Join | How::MakeRoomAdmin { .. }, _) if is_in(&room) && room.way != Way::MakeRoomAdmin => {
                Ok(came_in(&room))
            }
            (_, Way::None(why)) => Ok(JoinOutcome::Held(say::no_way(*why).to_owned())),
            _ => Ok(JoinOutcome::Held(say::changed_since().to_owned())),
        }
    }

    /// Into the room that another was upgraded to, and on where that was upgraded, too.
    async fn go_to_successor(
        &self,
        old: &RoomId,
        first: &RoomId,
        mut by: Option<String>,
    ) -> Result<JoinOutcome, NeighbourError> {
        let (mut old, mut successor) = (old.clone(), first.clone());
        for _ in 0..MOST_UPGRADES {
            let room = match self.read(&successor).await {
                Ok(Ok(state)) if !replaces(&state, &old) => {
                    return Ok(JoinOutcome::Held(say::of_successor(&successor, say::replaces_another())));
                }
                Ok(Ok(state)) => {
                    by = tombstone_server(&state);
                    match self.with.read(unnamed(&successor), state, json!({})) {
                        Ok(room) => room,
                        Err(why) => return Ok(JoinOutcome::Held(say::of_successor(&successor, &why))),
                    }
                }
                Ok(Err(why)) => return Ok(JoinOutcome::Held(why)),
                // Nobody of this server is there, so its admin API does not know it.
                Err(error) if is_unknown(&error) => {
                    self.join(&successor, by.as_deref()).await?;
                    return Ok(JoinOutcome::InSuccessor(successor));
                }
                Err(error) => return Err(error),
            };
            match &room.way {
                Way::Successor(next) => old = std::mem::replace(&mut successor, next.clone()),
                Way::None(NoWay::InTheRoom) => return Ok(JoinOutcome::InSuccessor(successor)),
                Way::None(why) => {
                    return Ok(JoinOutcome::Held(say::of_successor(&successor, say::no_way(*why))));
                }
                Way::Join | Way::MakeRoomAdmin => {
                    self.get_in(&room).await?;
                    return Ok(JoinOutcome::InSuccessor(successor));
                }
            }
        }
        Ok(JoinOutcome::Held(say::changed_since().to_owned()))
    }

    async fn get_in(&self, room: &SurveyedRoom) -> Result<JoinOutcome, NeighbourError> {
        let (id, me) = (&room.listed.room, &self.with.settings.user_id);
        if room.way == Way::MakeRoomAdmin {
            self.pace.ask(|| self.with.admin.make_room_admin(id, me)).await?;
        }
        if is_in(room) {
            return Ok(JoinOutcome::Raised);
        }
        self.join(id, None).await?;
        Ok(came_in(room))
    }

    /// By way of this server, the one that the room's id names, and one that is known to be in the room: the id of a
    /// room of version 12 names none.
    async fn join(&self, room: &RoomId, by: Option<&str>) -> Result<(), NeighbourError> {
        let mut via: Vec<String> = Vec::new();
        for server in [self.with.settings.user_id.server_name(), by, room.server()].into_iter().flatten() {
            if !via.iter().any(|known| known == server) {
                via.push(server.to_owned());
            }
        }
        self.pace.ask(|| self.with.rooms.join(room, &via)).await
    }

    /// The state of a room as it is now; the sentence that says why none is joined now.
    async fn read(&self, room: &RoomId) -> Result<Result<Vec<Value>, String>, NeighbourError> {
        if let Some(why) = self.with.settings.writes_forbidden_because() {
            return Ok(Err(why));
        }
        let state = self.pace.ask(|| self.with.admin.room_state(room, None)).await;
        if let Err(error) = &state {
            let over = if is_for_all(error) {
                Some(SurveyError::Refused(error.clone()))
            } else {
                (self.pace.given_up() >= GIVEN_UP).then(|| SurveyError::Unreachable(error.clone()))
            };
            *self.over.lock().unwrap_or_else(PoisonError::into_inner) = over.map(|over| over.to_string());
        }
        state.map(Ok)
    }
}

/// The server of whoever said that a room was upgraded: it is in the successor, most likely.
fn tombstone_server(state: &[Value]) -> Option<String> {
    let tombstone = state.iter().find(|event| event["type"] == "m.room.tombstone")?;
    let sender = UserId::from(tombstone["sender"].as_str()?);
    sender.server_name().map(str::to_owned)
}

/// Whether a room says that it was made in place of another: anybody may name any room in a tombstone.
fn replaces(state: &[Value], old: &RoomId) -> bool {
    let create = state.iter().find(|event| event["type"] == "m.room.create");
    create.is_some_and(|create| create["content"]["predecessor"]["room_id"] == old.as_str())
}

/// A room that the bot is in now.
fn came_in(room: &SurveyedRoom) -> JoinOutcome {
    let lacks_power = room.steps.iter().any(|step| matches!(step, Step::RaisePower { .. }));
    let has_gone = |obstacle: &Obstacle| match obstacle {
        Obstacle::Outside(_) => true,
        Obstacle::Blocked(Blocked::NotEnoughPower { .. }) => room.way == Way::MakeRoomAdmin && !lacks_power,
        Obstacle::Excluded | Obstacle::Blocked(_) | Obstacle::PowerUnknown => false,
    };
    if room.obstacles.keys().all(has_gone) { JoinOutcome::Joined } else { JoinOutcome::JoinedWithoutPower }
}

fn is_in(room: &SurveyedRoom) -> bool {
    room.presence == Presence::Joined
}

/// A no of the server is one; all else may have come to pass.
fn failed(error: &NeighbourError) -> JoinOutcome {
    match error {
        NeighbourError::Refused { errcode, message, .. } => {
            JoinOutcome::Refused(if message.is_empty() { errcode } else { message }.clone())
        }
        other => JoinOutcome::Failed(other.to_string()),
    }
}
