//! Getting the bot into rooms, once a person has approved it: by joining, by `make_room_admin`, or into the room that
//! one was upgraded to.
//!
//! Each room is read anew before anything is done about it, and nothing is done that was not shown.

use futures_util::future::BoxFuture;
use rtc_janitor_core::{
    ids::RoomId,
    render::survey as say,
    rtc::power::Blocked,
    survey::{How, JoinOutcome, JoinProposal, NoWay, Obstacle, Presence, Step, SurveyedRoom, Way},
};
use serde_json::{Value, json};

use super::{Surveyor, is_unknown, pace::Pace, unnamed};
use crate::world::NeighbourError;

/// How many upgrades of a room are followed.
const MOST_UPGRADES: usize = 5;

/// Gets the bot into one room after the other.
pub struct Joining<'a> {
    with: Surveyor<'a>,
    pace: Pace,
}

impl<'a> Surveyor<'a> {
    /// Ready to get into rooms, with a pace for all of them.
    pub fn joining(self) -> Joining<'a> {
        Joining { with: self, pace: Pace::new() }
    }
}

impl Joining<'_> {
    /// Does what was shown of a room, where that still holds.
    pub fn get_into<'a>(&'a self, proposal: &'a JoinProposal) -> BoxFuture<'a, JoinOutcome> {
        Box::pin(async move { self.follow(proposal).await.unwrap_or_else(|error| refused(&error)) })
    }

    async fn follow(&self, proposal: &JoinProposal) -> Result<JoinOutcome, NeighbourError> {
        let room = match self.look(&proposal.room).await? {
            Ok(room) => room,
            Err(why) => return Ok(JoinOutcome::Held(why)),
        };
        match (&proposal.how, &room.way) {
            (How::Successor(shown), Way::Successor(successor)) if shown == successor => {
                self.go_to_successor(&proposal.room, shown).await
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
    async fn go_to_successor(&self, old: &RoomId, first: &RoomId) -> Result<JoinOutcome, NeighbourError> {
        let (mut old, mut successor) = (old.clone(), first.clone());
        for _ in 0..MOST_UPGRADES {
            let room = match self.read(&successor).await {
                Ok(Ok(state)) if !replaces(&state, &old) => {
                    return Ok(JoinOutcome::Held(say::of_successor(&successor, say::replaces_another())));
                }
                Ok(Ok(state)) => match self.with.read(unnamed(&successor), state, json!({})) {
                    Ok(room) => room,
                    Err(why) => return Ok(JoinOutcome::Held(why)),
                },
                Ok(Err(why)) => return Ok(JoinOutcome::Held(why)),
                // Nobody of this server is there, so its admin API does not know it.
                Err(error) if is_unknown(&error) => {
                    self.join(&successor).await?;
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
        self.join(id).await?;
        Ok(came_in(room))
    }

    async fn join(&self, room: &RoomId) -> Result<(), NeighbourError> {
        let servers = [self.with.settings.user_id.server_name(), room.server()];
        let mut via: Vec<_> = servers.into_iter().flatten().map(str::to_owned).collect();
        via.dedup();
        self.pace.ask(|| self.with.rooms.join(room, &via)).await
    }

    /// A room as it is now; the sentence that says why it is left alone.
    async fn look(&self, room: &RoomId) -> Result<Result<SurveyedRoom, String>, NeighbourError> {
        // Whoever has left the room with nobody else in it has no state there.
        Ok(self.read(room).await?.and_then(|state| self.with.read(unnamed(room), state, json!({}))))
    }

    async fn read(&self, room: &RoomId) -> Result<Result<Vec<Value>, String>, NeighbourError> {
        if let Some(why) = self.with.settings.writes_forbidden_because() {
            return Ok(Err(why));
        }
        self.pace.ask(|| self.with.admin.room_state(room, None)).await.map(Ok)
    }
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

fn refused(error: &NeighbourError) -> JoinOutcome {
    JoinOutcome::Refused(match error {
        NeighbourError::Refused { message, .. } => message.clone(),
        other => other.to_string(),
    })
}
