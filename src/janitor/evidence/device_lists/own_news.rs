//! What people are told of the server's own lists: that they cannot be had, and that they can again.

use std::time::Duration;

use rtc_janitor_core::time::Timestamp;

use super::DeviceListEvidence;
use crate::world::{NeighbourError, device_lists::UnknownDevices};

/// What is to be said of the server's own lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::janitor) enum OwnNews {
    /// They cannot be had.
    Away { why: String, needs_a_person: bool },
    /// They can be had again.
    Back,
}

/// They are away for so long before anybody is told, unless only a person can do something about it.
const WORTH_TELLING: Duration = Duration::from_mins(2);

impl DeviceListEvidence {
    /// Why the server's own lists cannot be had, while that is so.
    pub(in crate::janitor) fn own_failure(&self) -> Option<&UnknownDevices> {
        self.own.as_ref().and_then(|(lane, _)| lane.failure.as_ref())
    }

    /// What is to be said now of the server's own lists, once.
    pub(in crate::janitor) fn own_news(&mut self, now: Timestamp) -> Option<OwnNews> {
        let (lane, _) = self.own.as_ref()?;
        let Some(failure) = &lane.failure else {
            return std::mem::take(&mut self.is_told).then_some(OwnNews::Back);
        };
        let needs_a_person = matches!(
            failure,
            UnknownDevices::NotProven
                | UnknownDevices::NoAnswer(
                    NeighbourError::SignedOut(_)
                        | NeighbourError::Refused { .. }
                        | NeighbourError::Redirected(_)
                )
        );
        let is_long = lane.health.away_since().is_some_and(|since| now.since(since) >= WORTH_TELLING);
        if self.is_told || !(needs_a_person || is_long) {
            return None;
        }
        self.is_told = true;
        Some(OwnNews::Away { why: failure.to_string(), needs_a_person })
    }
}
