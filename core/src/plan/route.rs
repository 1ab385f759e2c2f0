//! By which route a key can be cleared. What `explain` says and what the bot does is decided here.

use serde::{Deserialize, Serialize};

use crate::{
    ids::{StateKey, UserId},
    rtc::power::{Blocked, RoomPower},
};

/// How a key can be cleared, in the order in which they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// By the bot itself, with the power it has in the room.
    OwnPower,
    /// As the owner, by an appservice whose namespace has it.
    Appservice,
    /// By redacting the event: it stays the current one, with nothing in it.
    Redaction,
}

impl Route {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::OwnPower, Self::Appservice, Self::Redaction];

    /// The route of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|route| route.as_str() == name)
    }

    /// The name in JSON, the journal and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OwnPower => "own_power",
            Self::Appservice => "appservice",
            Self::Redaction => "redaction",
        }
    }
}

/// Whom and what there is to clear a key with.
#[derive(Clone, Copy, Debug)]
pub struct Means<'a> {
    /// The bot, which is in the room.
    pub writer: &'a UserId,
    /// The owner of the key, where an appservice may write as them and they are in the room.
    pub appservice: Option<&'a UserId>,
    /// Whether the homeserver takes nothing from the appservice at present.
    pub appservice_is_away: bool,
    /// `janitor.allow_redaction`. Clients miss a redaction more easily than a write, so it is only for
    /// keys that nobody else may write.
    pub allow_redaction: bool,
}

impl<'a> Means<'a> {
    /// The bot alone.
    pub const fn own_power(writer: &'a UserId) -> Self {
        Self { writer, appservice: None, appservice_is_away: false, allow_redaction: false }
    }
}

/// The first route by which a key can be cleared.
///
/// # Errors
///
/// What keeps the bot from writing it, where there is no other route either.
pub fn route(power: &RoomPower, key: &StateKey, means: Means<'_>) -> Result<Route, Blocked> {
    let Err(blocked) = power.may_write(means.writer, key) else { return Ok(Route::OwnPower) };
    let may_its_owner = means.appservice.is_some_and(|owner| power.may_write(owner, key).is_ok());
    if may_its_owner && !means.appservice_is_away {
        return Ok(Route::Appservice);
    }
    let is_the_owners_alone = match blocked {
        Blocked::OnlyItsOwner | Blocked::OwnerHasAsMuchPower | Blocked::NotAUserKey => true,
        Blocked::NotEnoughPower { .. } | Blocked::NotInTheRoom | Blocked::AppserviceAway => false,
    };
    if means.allow_redaction && is_the_owners_alone && power.may_redact(means.writer) {
        return Ok(Route::Redaction);
    }
    Err(if may_its_owner { Blocked::AppserviceAway } else { blocked })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{rtc::state_event::CALL_MEMBER, time::Timestamp};

    const EVERYBODYS: &str = "_@alice:hs_D_m.call";
    const OWNERS: &str = "@alice:hs";

    fn power(levels: &Value) -> RoomPower {
        let create = json!({"room_version": "11"});
        RoomPower::new(&create, &"@creator:hs".into(), Some(levels), Timestamp::from_millis(0))
    }

    /// The route in a room where writing memberships takes `needs` and redacting 50.
    fn route_of(key: &str, has: i64, needs: i64, appservice: bool, allow_redaction: bool) -> Option<Route> {
        let levels = json!({
            "users": {"@bot:hs": has}, "events": {"org.matrix.msc3401.call.member": needs}, "redact": 50,
        });
        let (writer, owner) = ("@bot:hs".into(), "@alice:hs".into());
        let appservice = appservice.then_some(&owner);
        let means = Means { writer: &writer, appservice, appservice_is_away: false, allow_redaction };
        route(&power(&levels), &key.into(), means).ok()
    }

    #[test]
    fn the_first_route_that_may_is_taken() {
        use Route::{Appservice, OwnPower, Redaction};
        for (key, has, needs, appservice, allow_redaction, expected) in [
            (EVERYBODYS, 50, 50, true, true, Some(OwnPower)),
            (EVERYBODYS, 49, 50, false, true, None),
            (EVERYBODYS, 49, 0, true, true, Some(OwnPower)),
            (EVERYBODYS, -1, 0, true, true, Some(Appservice)),
            // The owner has no power for it either.
            (EVERYBODYS, 49, 50, true, true, None),
            (OWNERS, 100, 0, true, true, Some(Appservice)),
            (OWNERS, 100, 0, false, true, Some(Redaction)),
            (OWNERS, 100, 0, false, false, None),
            (OWNERS, 49, 0, false, true, None),
            // The appservice may write as the owner, who may not write memberships.
            (OWNERS, 100, 1, true, true, Some(Redaction)),
        ] {
            assert_eq!(
                route_of(key, has, needs, appservice, allow_redaction),
                expected,
                "{key} {has} {needs}"
            );
        }
    }

    #[test]
    fn while_the_appservice_is_away_the_next_route_is_taken_or_it_is_waited_for() {
        let (writer, owner) = ("@bot:hs".into(), "@alice:hs".into());
        let way = |key: &str, has: i64, allow_redaction| {
            let levels = json!({"users": {"@bot:hs": has}, "events": {CALL_MEMBER: 0}, "redact": 50});
            let means = Means {
                writer: &writer,
                appservice: Some(&owner),
                appservice_is_away: true,
                allow_redaction,
            };
            route(&power(&levels), &key.into(), means)
        };
        assert_eq!(way(OWNERS, 100, true), Ok(Route::Redaction));
        assert_eq!(way(OWNERS, 100, false), Err(Blocked::AppserviceAway));
        assert_eq!(way(OWNERS, 49, true), Err(Blocked::AppserviceAway));
        assert_eq!(way(EVERYBODYS, 0, false), Ok(Route::OwnPower));
        // Its owner could not write it either: that the appservice is away is nothing to it.
        assert_eq!(way("@bob:hs", 100, false), Err(Blocked::OnlyItsOwner));
    }

    #[test]
    fn without_a_route_it_is_said_what_keeps_the_bot_from_writing() {
        let bot = "@bot:hs".into();
        let blocked = |key: &str, levels: Value| route(&power(&levels), &key.into(), Means::own_power(&bot));
        assert_eq!(blocked(OWNERS, json!({"users": {"@bot:hs": 100}})), Err(Blocked::OnlyItsOwner));
        let low = Blocked::NotEnoughPower { has: 0, needs: 50 };
        assert_eq!(blocked(EVERYBODYS, json!({})), Err(low));
        assert_eq!(blocked(OWNERS, json!({})), Err(low));
    }
}
