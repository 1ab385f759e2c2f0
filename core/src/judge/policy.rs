//! The reasons for which a membership is stale, their thresholds and their graces.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use super::evidence::Device;

/// Why a membership is stale. The order is the order of strength: the first that holds names the
/// verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The owner is not in the room.
    NotJoined,
    /// The membership says itself that it is over.
    Expired,
    /// The device is not in its owner's device list.
    DeviceGone,
    /// The same device has a newer membership of the same call under another key.
    Superseded,
    /// Our SFU does not list it.
    NotOnSfu,
    /// The homeserver has not seen the device for a while.
    DeviceIdle,
    /// A client that was still there would have refreshed the event.
    Silent,
}

impl Reason {
    /// All of them, the strongest first.
    pub const ALL: [Self; 7] = [
        Self::NotJoined,
        Self::Expired,
        Self::DeviceGone,
        Self::Superseded,
        Self::NotOnSfu,
        Self::DeviceIdle,
        Self::Silent,
    ];

    /// The name in configuration, JSON and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotJoined => "not_joined",
            Self::Expired => "expired",
            Self::DeviceGone => "device_gone",
            Self::Superseded => "superseded",
            Self::NotOnSfu => "not_on_sfu",
            Self::DeviceIdle => "device_idle",
            Self::Silent => "silent",
        }
    }

    /// Whose answer the reason rests on. `expired`, `superseded` and `silent` follow from the event
    /// itself and the clock: no neighbour can turn a membership stale by them.
    pub const fn neighbour(self) -> Option<Neighbour> {
        match self {
            Self::NotJoined => Some(Neighbour::Homeserver),
            Self::DeviceGone | Self::DeviceIdle => Some(Neighbour::DeviceLists),
            Self::NotOnSfu => Some(Neighbour::Sfu),
            Self::Expired | Self::Superseded | Self::Silent => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Not one of the reasons.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no reason called “{0}”")]
pub struct UnknownReason(String);

impl FromStr for Reason {
    type Err = UnknownReason;

    fn from_str(name: &str) -> Result<Self, UnknownReason> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.as_str() == name)
            .ok_or_else(|| UnknownReason(name.to_owned()))
    }
}

/// A source of evidence that may fail or lie on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Neighbour {
    /// The homeserver's room state.
    Homeserver,
    /// The device lists, by whichever way.
    DeviceLists,
    /// Our LiveKit.
    Sfu,
}

impl Neighbour {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Homeserver, Self::DeviceLists, Self::Sfu];

    /// The name in messages and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Homeserver => "homeserver",
            Self::DeviceLists => "device_lists",
            Self::Sfu => "sfu",
        }
    }
}

impl fmt::Display for Neighbour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How long a reason must have been seen to hold before it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grace {
    /// It never counts: the reason is switched off.
    Never,
    /// It counts after this long.
    After(Duration),
}

impl Grace {
    /// The longer of two.
    #[must_use]
    pub fn longer(self, other: Self) -> Self {
        match (self, other) {
            (Self::After(one), Self::After(other)) => Self::After(one.max(other)),
            _ => Self::Never,
        }
    }
}

/// How long an event may be the newest of a client that provably refreshes every hour
/// (matrix-js-sdk since v39.1, which refreshes at 60 min less 5 s).
pub const HOURLY_SILENCE: Duration = Duration::from_mins(75);

/// How long a first event with an expiry of its own over four hours may be the newest: nothing is
/// known of when its client would refresh.
pub const UNPROVEN_SILENCE: Duration = Duration::from_hours(51);

/// By how much the server's `last_seen_ts` may lie before an event of the same device. Synapse writes
/// it with a delay of about two minutes; what is older is not kept there.
pub const LAST_SEEN_LAG: Duration = Duration::from_mins(3);

/// Thresholds and graces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How old the newest event may be before a membership is `silent`.
    pub silent_after: Duration,
    /// For how long the server may not have seen a device before it is `device_idle`.
    pub device_idle_after: Duration,
    /// Grace of each reason, in the order of [`Reason::ALL`].
    pub grace: [Grace; 7],
    /// Grace of `device_gone` for a device that was never seen in a list.
    pub device_gone_unseen: Grace,
}

impl Policy {
    /// The grace that applies to a reason, given what is known of the device.
    pub fn grace(&self, reason: Reason, device: Device) -> Grace {
        match (reason, device) {
            (Reason::DeviceGone, Device::Missing { seen_before: false, .. }) => {
                // Less is known of it than of one that was seen, so it never gets less time.
                self.grace[reason as usize].longer(self.device_gone_unseen)
            }
            _ => self.grace[reason as usize],
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        let mut grace = [Grace::After(Duration::from_mins(5)); 7];
        grace[Reason::NotJoined as usize] = Grace::After(Duration::from_secs(30));
        grace[Reason::NotOnSfu as usize] = Grace::After(Duration::from_secs(90));
        Self {
            silent_after: Duration::from_mins(4 * 60 + 15),
            device_idle_after: Duration::from_mins(75),
            grace,
            device_gone_unseen: Grace::After(Duration::from_mins(75)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::evidence::ListKind;

    #[test]
    fn the_graces_are_those_that_the_design_names() {
        let policy = Policy::default();
        let listed = Device::Listed { last_seen: None };
        for (reason, seconds) in [
            (Reason::NotJoined, 30),
            (Reason::Expired, 300),
            (Reason::DeviceGone, 300),
            (Reason::Superseded, 300),
            (Reason::NotOnSfu, 90),
            (Reason::DeviceIdle, 300),
            (Reason::Silent, 300),
        ] {
            assert_eq!(policy.grace(reason, listed), Grace::After(Duration::from_secs(seconds)), "{reason}");
        }
    }

    #[test]
    fn a_device_that_was_never_in_a_list_is_given_longer_by_its_list_alone() {
        let policy = Policy::default();
        for by in [ListKind::OwnList, ListKind::KeysQuery] {
            let gone = |reason, seen_before| policy.grace(reason, Device::Missing { by, seen_before });
            assert_eq!(gone(Reason::DeviceGone, true), Grace::After(Duration::from_mins(5)));
            assert_eq!(gone(Reason::DeviceGone, false), Grace::After(Duration::from_mins(75)));
            assert_eq!(gone(Reason::Expired, false), Grace::After(Duration::from_mins(5)));
        }
    }

    #[test]
    fn a_reason_is_called_the_same_wherever_it_is_written() {
        for reason in Reason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(reason));
            assert_eq!(serde_json::json!(reason), reason.as_str());
        }
        assert!(Reason::ALL.is_sorted(), "the strongest first");
        let error = "gone".parse::<Reason>().map_err(|error| error.to_string());
        assert_eq!(error, Err("there is no reason called “gone”".to_owned()));
    }
}
