//! The account's own devices, to notice that somebody else does the same work with it.

use rtc_janitor_core::{ids::DeviceId, time::Timestamp};
use serde::Deserialize;

use super::{Homeserver, request::JsonRequest, sign_in::WATCH_DEVICE};
use crate::world::NeighbourError;

/// The answer of `GET /devices`.
#[derive(Deserialize)]
pub(crate) struct Devices {
    pub(crate) devices: Vec<Device>,
}

#[derive(Deserialize)]
pub(crate) struct Device {
    #[serde(rename = "device_id")]
    id: String,
    display_name: Option<String>,
    last_seen_ts: Option<i64>,
}

impl Device {
    /// The device, with when the server last saw it where it says so.
    pub(crate) fn seen(self) -> (DeviceId, Option<Timestamp>) {
        (self.id.into(), self.last_seen_ts.map(Timestamp::from_millis))
    }
}

impl Homeserver {
    /// Other devices of this account that are called what a watch device is, with when the server last
    /// saw each where it says so. One that is left over from a sign-in of old is not seen any more; one
    /// that signed in by a token may be called anything, and is not found.
    pub async fn other_watch_devices(&self) -> Result<Vec<(DeviceId, Option<Timestamp>)>, NeighbourError> {
        let request = JsonRequest::get(&["_matrix", "client", "v3", "devices"]);
        let answer: Devices = request.send(self.transport()).await?.json("the list of own devices")?;
        let watches = |device: &Device| {
            device.display_name.as_deref() == Some(WATCH_DEVICE) && device.id != self.device_id().as_str()
        };
        let others = answer.devices.into_iter().filter(watches);
        Ok(others.map(Device::seen).collect())
    }
}
