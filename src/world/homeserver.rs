//! The homeserver, as the janitor's own account sees it: sign-in, the watch connection, reading
//! rooms, and what is written there.
//!
//! Everything is a plain request with the session that the SDK keeps and renews. The watch connection
//! never lets the SDK sync, so it has no encryption keys.

use std::sync::Arc;

use matrix_sdk::{Client, reqwest::Url};
use rtc_janitor_core::ids::{DeviceId, UserId};

mod abilities;
mod by_appservice;
pub(crate) mod connect;
pub(crate) mod credentials;
pub(crate) mod devices;
mod event;
pub(crate) mod failure;
mod full_view;
pub(crate) mod identity;
pub(crate) mod private_file;
pub(crate) mod reading;
pub(crate) mod request;
pub mod rooms;
pub(crate) mod session;
pub mod sign_in;
pub(crate) mod transport;
pub mod watch;
pub mod write;

use crate::metrics::Metrics;
use transport::{Counted, Transport};

/// A signed-in connection of the janitor's account. Cheap to clone; clones share the session.
#[derive(Clone, Debug)]
pub struct Homeserver {
    transport: Arc<dyn Transport>,
    address: Url,
    user_id: UserId,
    device_id: DeviceId,
}

impl Homeserver {
    pub(crate) fn new(client: Client, user_id: UserId, device_id: DeviceId) -> Self {
        let address = client.homeserver();
        Self { transport: Arc::new(client), address, user_id, device_id }
    }

    /// The same connection, whose requests are counted.
    #[must_use]
    pub fn counted(self, metrics: Metrics) -> Self {
        let transport = Arc::new(Counted { transport: self.transport, metrics });
        Self { transport, ..self }
    }

    /// The account.
    pub fn user_id(&self) -> &UserId {
        &self.user_id
    }

    /// Where it answers, `.well-known` followed.
    pub fn address(&self) -> &Url {
        &self.address
    }

    /// The device of this connection.
    pub fn device_id(&self) -> &DeviceId {
        &self.device_id
    }

    /// What its requests are sent through.
    pub(crate) fn transport(&self) -> &dyn Transport {
        &*self.transport
    }

    /// The same, to be kept.
    pub(crate) fn shared_transport(&self) -> Arc<dyn Transport> {
        Arc::clone(&self.transport)
    }
}
