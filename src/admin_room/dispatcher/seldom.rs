//! What somebody is told once in a while and not each time.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rtc_janitor_core::{ids::UserId, time::Timestamp};

/// How long somebody who was told is not told again.
const AGAIN: Duration = Duration::from_hours(1);

/// Who was told, and when.
#[derive(Debug, Default)]
pub(super) struct Seldom(Mutex<HashMap<UserId, Timestamp>>);

impl Seldom {
    /// Whether somebody is to be told at `now`; they are told then.
    pub(super) fn may_tell(&self, user: &UserId, now: Timestamp) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, at| now.since(*at) < AGAIN);
        if told.contains_key(user) {
            return false;
        }
        told.insert(user.clone(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_once_an_hour() {
        let (seldom, now) = (Seldom::default(), Timestamp::from_millis(1_800_000_000_000));
        let (alice, bob) = (UserId::from("@alice:hs"), UserId::from("@bob:hs"));
        assert!(seldom.may_tell(&alice, now) && seldom.may_tell(&bob, now));
        assert!(!seldom.may_tell(&alice, now + Duration::from_mins(59)));
        assert!(seldom.may_tell(&alice, now + AGAIN));
    }
}
