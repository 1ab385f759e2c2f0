//! What would have the bot see and clear a room: by people, and by the admin API alone.

use super::facts::{Facts, Presence};
use crate::ids::RoomId;

/// One thing that would help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Somebody with power unbans the bot.
    Unban,
    /// Somebody in the room invites it.
    Invite,
    /// The bot joins: everybody may, or it was invited.
    Join,
    /// Somebody with more power gives it enough.
    RaisePower {
        /// What it has.
        has: i64,
        /// What memberships take.
        needs: i64,
    },
    /// A server admin has Synapse do it, on behalf of somebody of this server who has the power: gives the bot power,
    /// and invites it where it is not in the room.
    MakeRoomAdmin,
    /// The room was upgraded: the bot is to be in its successor.
    GoToSuccessor(RoomId),
}

impl Step {
    /// The name in JSON.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Unban => "unban",
            Self::Invite => "invite",
            Self::Join => "join",
            Self::RaisePower { .. } => "raise_power",
            Self::MakeRoomAdmin => "make_room_admin",
            Self::GoToSuccessor(_) => "go_to_successor",
        }
    }
}

/// How the bot gets into a room by itself and by the admin API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// It just joins.
    Join,
    /// It is given power by `make_room_admin`, and joins if it is not there.
    MakeRoomAdmin,
    /// It joins the room that this one was upgraded to.
    Successor(RoomId),
    /// There is nothing that it could do.
    None(NoWay),
}

/// Why the bot does nothing about a room by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoWay {
    /// It is in the room, and no more power is to be had.
    InTheRoom,
    /// The room was upgraded, and it is in the successor.
    InTheSuccessor,
    /// It is to leave the room alone.
    Excluded,
    /// It was banned; nothing overrides that.
    Banned,
    /// One has to be invited, and nobody of this server may.
    InviteOnly,
}

/// Power in a room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Levels {
    pub(super) has: i64,
    pub(super) needs: i64,
    /// What `make_room_admin` would give.
    pub(super) given: Option<i64>,
}

/// What helps, and what of it the bot can do.
pub(super) fn find(facts: &Facts, levels: Option<Levels>, is_excluded: bool) -> (Vec<Step>, Way) {
    let Facts { presence, upgrade, join_rule, .. } = facts;
    let is_in = *presence == Presence::Joined;
    let lacks = levels.filter(|levels| levels.has < levels.needs);
    let given = levels.and_then(|levels| levels.given);
    let is_open = *presence == Presence::Invited || join_rule.as_deref() == Some("public");
    // Power that would still not do is not worth a change of the room's levels.
    let raises = lacks.zip(given).is_some_and(|(lacks, given)| given >= lacks.needs);
    let mut steps = Vec::new();
    if is_excluded {
        return (steps, Way::None(NoWay::Excluded));
    }
    if *presence == Presence::Banned {
        steps.push(Step::Unban);
    }
    let is_for_admin = raises || (!is_in && !is_open && given.is_some());
    if is_for_admin {
        steps.push(Step::MakeRoomAdmin);
    } else if !is_in && !is_open {
        steps.push(Step::Invite);
    }
    if !is_in {
        steps.push(Step::Join);
    }
    if let Some(Levels { has, needs, .. }) = lacks.filter(|_| !raises) {
        steps.push(Step::RaisePower { has, needs });
    }
    let way = match (upgrade.successor(), presence) {
        (Some(successor), Presence::Invited | Presence::Banned | Presence::Outside) => {
            steps = vec![Step::GoToSuccessor(successor.clone())];
            Way::Successor(successor.clone())
        }
        (_, Presence::Banned) => Way::None(NoWay::Banned),
        _ if is_for_admin => Way::MakeRoomAdmin,
        (_, Presence::Joined) => Way::None(NoWay::InTheRoom),
        _ if is_open => Way::Join,
        _ => Way::None(NoWay::InviteOnly),
    };
    (steps, way)
}
