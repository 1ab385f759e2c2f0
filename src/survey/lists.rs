//! The device lists of the owners of this server, as the admin API gives them.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt as _;
use rtc_janitor_core::{
    ids::{DeviceId, UserId},
    time::Timestamp,
};
use serde_json::{Map, Value, json};

use super::{
    SurveyError,
    under_way::{Found, OpenRoom, Owners, Question, UnderWay, few_at_a_time},
};
use crate::world::{
    NeighbourError,
    device_lists::{DeviceList, UnknownDevices},
};

/// The most users whose device lists are asked for.
const MOST_OWNERS: usize = 2_000;

/// What is known of devices so far.
#[derive(Default)]
pub(super) struct Lists {
    /// For the judge of exports: the answers by user, empty where there was none.
    answers: Map<String, Value>,
    /// Of whom and which devices was asked.
    asked: Owners,
    /// Whether the lists are believed, once that was asked.
    is_proven: Option<bool>,
}

impl Lists {
    /// What is known of the devices of some users.
    pub(super) fn of(&self, users: &Owners) -> Value {
        let known = users.keys().filter_map(|user| self.answers.get_key_value(user.as_str()));
        Value::Object(known.map(|(user, list)| (user.clone(), list.clone())).collect())
    }
}

impl UnderWay<'_> {
    /// Asks for the lists of the owners of some rooms, as far as they are not known.
    pub(super) async fn learn_lists(
        &self,
        lists: &mut Lists,
        open: &[OpenRoom],
        found: &mut Found,
    ) -> Result<(), SurveyError> {
        let wanted = self.wanted(lists, open);
        if wanted.is_empty() || !self.is_proven(lists, found).await? {
            return Ok(());
        }
        let left = MOST_OWNERS.saturating_sub(lists.asked.len());
        if wanted.len() > left {
            let why = format!("there are more than {MOST_OWNERS} owners, and so many were asked for");
            found.without_lists.get_or_insert(why);
        }
        let now = self.now();
        let wanted: Vec<_> = wanted.into_iter().take(left).collect();
        let questions = wanted.iter().map(|(user, devices)| {
            Box::pin(async move {
                let question = || self.with.admin.devices_of(user, devices, now).map(settled);
                let list = self.readable(self.pace.ask(question).await).await?;
                Ok((user, list.and_then(|list| list.map_err(|why| why.to_string()))))
            }) as Question<'_, (&UserId, Result<DeviceList, String>)>
        });
        let answers = &mut lists.answers;
        few_at_a_time(questions.collect(), |(user, list): (&UserId, _)| match list {
            // A bridge's users write device ids that are in no list.
            Ok(DeviceList { account: Some(account), .. }) if account.bridge.is_some() => {
                answers.remove(user.as_str());
            }
            Ok(list) => drop(answers.insert(user.to_string(), as_answered(&list))),
            Err(why) => {
                answers.insert(user.to_string(), json!({}));
                found.without_lists.get_or_insert(format!("of {user}: {why}"));
            }
        })
        .await?;
        lists.asked.extend(wanted);
        Ok(())
    }

    /// Whom to ask about, with all devices that they are in calls with as far as is known.
    fn wanted(&self, lists: &Lists, open: &[OpenRoom]) -> BTreeMap<UserId, BTreeSet<DeviceId>> {
        let mut wanted = Owners::new();
        for (user, devices) in open.iter().flat_map(|(_, owners)| owners) {
            let has_list =
                self.with.admin.covers(user) && !self.with.settings.without_device_lists.matches(user);
            let asked = lists.asked.get(user);
            // Which devices are asked for tells whether the account matters.
            if has_list && asked.is_none_or(|asked| !devices.is_subset(asked)) {
                let wanted = wanted.entry(user.clone()).or_default();
                wanted.extend(devices.iter().chain(asked.into_iter().flatten()).cloned());
            }
        }
        wanted
    }

    async fn is_proven(&self, lists: &mut Lists, found: &mut Found) -> Result<bool, SurveyError> {
        if let Some(known) = lists.is_proven {
            return Ok(known);
        }
        let proof = self.pace.ask(|| self.with.admin.proof().map(settled)).await;
        let proof = self.readable(proof).await?.and_then(|proof| proof.map_err(|why| why.to_string()));
        lists.is_proven = Some(proof.is_ok());
        if let Err(why) = proof {
            found.without_lists = Some(why);
            return Ok(false);
        }
        Ok(true)
    }
}

/// A list that was not obtained because of the list is an answer; one for want of an answer is to be asked for again.
fn settled<T>(answer: Result<T, UnknownDevices>) -> Result<Result<T, UnknownDevices>, NeighbourError> {
    match answer {
        Err(UnknownDevices::NoAnswer(error)) => Err(error),
        settled => Ok(settled),
    }
}

/// As the admin API has it, for the judge of exports.
fn as_answered(list: &DeviceList) -> Value {
    let devices = list
        .devices
        .iter()
        .map(|(device, seen)| json!({"device_id": device, "last_seen_ts": seen.map(Timestamp::as_millis)}));
    json!({"devices": devices.collect::<Vec<_>>()})
}
