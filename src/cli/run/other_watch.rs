//! Another program that does the same work with the same account: it is noticed by its watch device and
//! named. The two know nothing of each other's pauses and exclusions.

use std::time::Duration;

use rtc_janitor_core::{ids::DeviceId, render::report, time::Timestamp};
use tokio::{sync::mpsc, time::sleep};

use crate::{
    janitor::Announcement,
    world::{NeighbourError, Rooms as _, homeserver::Homeserver},
};

/// A device that was seen so lately is in use: its sync is a request every 30 s, and Synapse writes down
/// no more often than every 2 min that a device was seen.
const IN_USE: Duration = Duration::from_mins(5);

/// When it is looked first after the start: by then an active device was seen since.
const FIRST_LOOKS: [Duration; 2] = [Duration::from_mins(1), Duration::from_mins(3)];

/// The pause between looks after that.
const LOOK: Duration = Duration::from_hours(1);

/// Looks now and then for other watch devices that are in use, and has each named once.
pub(super) async fn look_for_others(homeserver: Homeserver, announce: mpsc::UnboundedSender<Announcement>) {
    let mut began = None;
    let mut pauses = FIRST_LOOKS.into_iter();
    loop {
        // By the server's clock, as what it says of devices.
        if began.is_none() {
            began = homeserver.server_time().await.ok();
        }
        sleep(pauses.next().unwrap_or(LOOK)).await;
        let Some(began) = began else { continue };
        match others(&homeserver, began).await {
            Ok(announcements) => {
                for announcement in announcements {
                    let _ = announce.send(announcement);
                }
            }
            Err(error) => tracing::debug!("the account's devices could not be read: {error}"),
        }
    }
}

async fn others(homeserver: &Homeserver, began: Timestamp) -> Result<Vec<Announcement>, NeighbourError> {
    let devices = homeserver.other_watch_devices().await?;
    let now = homeserver.server_time().await?;
    let others = in_use(devices, began, now);
    let announcement = |(device, seen): (DeviceId, _)| Announcement {
        subject: format!("other watch device {device}"),
        message: report::another_watch(&device, seen, now),
    };
    Ok(others.into_iter().map(announcement).collect())
}

/// Those that were seen lately, and since this program began: what an earlier run left behind is not seen
/// any more.
fn in_use(
    devices: Vec<(DeviceId, Option<Timestamp>)>,
    began: Timestamp,
    now: Timestamp,
) -> Vec<(DeviceId, Timestamp)> {
    let seen = devices.into_iter().filter_map(|(device, seen)| Some((device, seen?)));
    seen.filter(|(_, seen)| *seen > began && now.since(*seen) < IN_USE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_watch_device_counts_while_it_is_seen_and_not_when_it_was_left_behind() {
        let began = Timestamp::from_millis(1_800_000_000_000);
        let now = began + Duration::from_hours(1);
        let seen = |minutes| Some(now - Duration::from_mins(minutes));
        let devices = vec![
            ("ACTIVE".into(), seen(1)),
            ("QUIET".into(), seen(6)),
            ("OLD".into(), seen(61)),
            ("UNSEEN".into(), None),
        ];
        let active: Vec<(DeviceId, _)> = vec![("ACTIVE".into(), now - Duration::from_mins(1))];
        assert_eq!(in_use(devices, began, now), active);

        let just_begun = began + Duration::from_mins(1);
        let left_behind = vec![("LAST RUN".into(), Some(began - Duration::from_secs(20)))];
        assert_eq!(in_use(left_behind, began, just_begun), [], "it ended a moment before this began");
    }
}
