//! The homeserver, as an appservice sees it: writes as one of its own users, and which devices they have.
//!
//! No other user is ever acted for, whatever the registration would let it do.

use std::collections::BTreeSet;

use async_trait::async_trait;
use rtc_janitor_core::{
    ids::{DeviceId, EventId, RoomId, StateKey, UserId},
    judge::evidence::ListKind,
    rtc::{membership::Remainder, state_event::CALL_MEMBER},
    time::Timestamp,
};
use secrecy::SecretString;

use super::{
    NeighbourError,
    device_lists::{DeviceList, OwnLists, UnknownDevices},
    homeserver::{
        Homeserver,
        devices::{Device, Devices},
        identity::WhoAmI,
        request::{JsonRequest, JsonResponse},
        write::Answer,
    },
};
use crate::config::Namespace;

/// An appservice. Cheap to clone.
#[derive(Clone)]
pub struct Appservice {
    /// How the server is reached; its session is not used.
    homeserver: Homeserver,
    token: SecretString,
    namespace: Namespace,
}

impl Appservice {
    /// With the token of its registration, for the users of its namespace.
    pub fn new(homeserver: Homeserver, token: SecretString, namespace: Namespace) -> Self {
        Self { homeserver, token, namespace }
    }

    /// Writes what is left of a membership event, as the owner of its key. The event says that it was sent
    /// at `sent`.
    pub(super) async fn write(
        &self,
        room: &RoomId,
        key: &StateKey,
        owner: &UserId,
        rest: &Remainder,
        sent: Timestamp,
    ) -> Result<EventId, NeighbourError> {
        let path = ["_matrix", "client", "v3", "rooms", room.as_str(), "state", CALL_MEMBER, key.as_str()];
        let request = JsonRequest::put(&path, rest.content()).query("ts", &sent.as_millis().to_string());
        let answer = match self.send_as(owner, request).await {
            Err(refused @ NeighbourError::Refused { status: 403, .. }) => {
                // A room refuses in the same words a write by somebody else's token, which `user_id` does not change.
                return Err(self
                    .may_act_for(owner)
                    .await
                    .err()
                    .filter(is_about_the_token)
                    .unwrap_or(refused));
            }
            answer => answer?,
        };
        let written: Answer = answer.json("the answer to a write")?;
        Ok(written.event_id.into())
    }

    /// The devices of one of its users, also those without encryption keys, with when the server last saw
    /// each where it says so.
    ///
    /// # Errors
    ///
    /// [`NeighbourError::Invalid`] for a user whom it does not act for; else the homeserver's.
    async fn list(&self, user: &UserId) -> Result<DeviceList, NeighbourError> {
        let request = JsonRequest::get(&["_matrix", "client", "v3", "devices"]);
        let answer: Devices = self.send_as(user, request).await?.json("a list of devices")?;
        let devices = answer.devices.into_iter().map(Device::seen).collect();
        // Whose account it is, an appservice may not ask.
        Ok(DeviceList { devices, by: ListKind::OwnList, account: None })
    }

    async fn send_as(&self, user: &UserId, request: JsonRequest) -> Result<JsonResponse, NeighbourError> {
        if !self.namespace.has(user) {
            return Err(NeighbourError::Invalid(format!("{user} is not in appservice.namespace")));
        }
        let request = request.query("user_id", user.as_str()).token(&self.token);
        match request.send(self.homeserver.transport()).await {
            // It is no end of the janitor's own session.
            Err(NeighbourError::SignedOut(message)) => Err(NeighbourError::AppserviceRefused(message)),
            answer => answer,
        }
    }
}

fn is_about_the_token(error: &NeighbourError) -> bool {
    matches!(error, NeighbourError::AppserviceRefused(_))
}

/// Acting for the owners of keys.
#[async_trait]
pub trait ActsForOwners: Send + Sync {
    /// Whether the homeserver lets it speak as this user.
    ///
    /// # Errors
    ///
    /// [`NeighbourError::AppserviceRefused`] where it would let it speak as nobody; else the homeserver's.
    async fn may_act_for(&self, user: &UserId) -> Result<(), NeighbourError>;
}

#[async_trait]
impl ActsForOwners for Appservice {
    async fn may_act_for(&self, user: &UserId) -> Result<(), NeighbourError> {
        let me: WhoAmI = self.send_as(user, WhoAmI::request()).await?.json("the answer to whoami")?;
        if me.user_id == user.as_str() {
            return Ok(());
        }
        // The homeserver does not look at `user_id` where the token is a user's own.
        Err(NeighbourError::AppserviceRefused(format!(
            "it is the token of {}, and no appservice's",
            me.user_id
        )))
    }
}

#[async_trait]
impl OwnLists for Appservice {
    fn covers(&self, user: &UserId) -> bool {
        self.namespace.has(user)
    }

    fn knows_accounts(&self) -> bool {
        false
    }

    async fn proof(&self) -> Result<(), UnknownDevices> {
        self.list(self.homeserver.user_id()).await?.proves(self.homeserver.device_id())
    }

    async fn devices_of(
        &self,
        user: &UserId,
        _: &BTreeSet<DeviceId>,
        _: Timestamp,
    ) -> Result<DeviceList, UnknownDevices> {
        match self.list(user).await {
            // That it may not speak as this one says nothing of the next: see `proof`.
            Err(NeighbourError::Refused { status: 403, message, .. }) => {
                Err(UnknownDevices::NoSuchUser(message))
            }
            answer => Ok(answer?),
        }
    }
}

impl std::fmt::Debug for Appservice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Appservice").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}
