//! What the core promises for every input, not only for the cases that somebody thought of.
#![expect(clippy::expect_used, reason = "tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use proptest::prelude::*;
use rtc_janitor_core::{
    export::{Explained, Export, participants},
    guard::{
        breaker::Breakers,
        limits::{Budget, Used},
        quarantine::Quarantine,
    },
    ids::{RoomId, UserId},
    judge::{
        evidence::{Device, DeviceHistory, Evidence, ListKind, Listing, RoomMember, Sfu},
        policy::{Grace, Neighbour, Policy, Reason},
        verdict::{Finding, Verdict, judge},
    },
    ledger::{Due, Ledger, ObservedAt, ReasonClock, Subject},
    plan::{Candidate, Circumstances, LONG_EXPIRED, Plan, Route},
    render::{Html, message, words},
    rtc::{
        membership::{Content, FirstSeen, Membership, read},
        state_event::StateEvent,
        state_key::{self, RoomPower},
    },
    time::Timestamp,
};
use serde_json::{Value, json};

#[path = "properties/strategies.rs"]
mod strategies;
use strategies::{
    Happening, History, NOW, NOW_MS, Room, any_timestamp, candidate, device, evidence, history, limits,
    membership, policy, room, room_member, sfu, text, wild, wild_answer, wild_content, wild_event,
};

fn subject() -> Subject {
    Subject { room: "!r".into(), key: "k".into(), event: "$e".into(), entry: 0 }
}

/// Plays a history through a ledger and hands each state of it to `look`, with the time.
fn play(
    ledger: &mut Ledger,
    membership: &Membership,
    policy: &Policy,
    history: &[(u64, Happening)],
    start: Timestamp,
    mut look: impl FnMut(&Ledger, Timestamp),
) -> Timestamp {
    let mut now = start;
    for (seconds, happening) in history {
        now = now + Duration::from_secs(*seconds);
        match happening {
            Happening::Pause(neighbour) => ledger.pause(*neighbour),
            Happening::Look(evidence) => {
                let judgement = judge(membership, evidence, policy, now);
                let grace = |reason| policy.grace(reason, evidence.device);
                ledger.observe(&subject(), &judgement, ObservedAt::all(now), grace);
            }
        }
        look(ledger, now);
    }
    now
}

/// Everything that fell due in the course of a history.
fn ever_due(membership: &Membership, policy: &Policy, history: &History) -> BTreeSet<Reason> {
    let mut due = BTreeSet::new();
    play(&mut Ledger::default(), membership, policy, history, NOW, |ledger, now| {
        // Nor between this look and the next ones.
        for later in [now, now + Duration::from_hours(100)] {
            due.extend(ledger.due(&subject(), later).iter().map(|due| due.reason));
        }
    });
    due
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_the_sfu_lists_is_never_due_but_for_an_owner_who_left(
        membership in membership(),
        policy in policy(),
        history in history((room_member(), device()).prop_map(|(room_member, device)| {
            Evidence { room_member, device, sfu: Sfu::Listed, superseded_at: None }
        })),
    ) {
        let due = ever_due(&membership, &policy, &history);
        prop_assert!(due.iter().all(|reason| *reason == Reason::NotJoined), "{due:?}");
    }

    #[test]
    fn what_no_neighbour_could_tell_is_never_due(
        membership in membership(),
        policy in policy(),
        history in history(Just(Evidence {
            room_member: RoomMember::Unknown,
            device: Device::Unknown,
            sfu: Sfu::Unknown,
            superseded_at: None,
        })),
    ) {
        let due = ever_due(&membership, &policy, &history);
        prop_assert!(due.iter().all(|reason| reason.neighbour().is_none()), "{due:?}");
    }

    #[test]
    fn one_neighbours_silence_keeps_its_own_reasons_from_falling_due(
        membership in membership(),
        policy in policy(),
        history in history(evidence()),
        silent in prop::sample::select(Neighbour::ALL.to_vec()),
    ) {
        let mute = |evidence: &Evidence| match silent {
            Neighbour::Homeserver => Evidence { room_member: RoomMember::Unknown, ..evidence.clone() },
            Neighbour::DeviceLists => Evidence { device: Device::Unknown, ..evidence.clone() },
            Neighbour::Sfu => Evidence { sfu: Sfu::Unknown, ..evidence.clone() },
        };
        let history = history
            .into_iter()
            .map(|(seconds, happening)| match happening {
                Happening::Look(evidence) => (seconds, Happening::Look(mute(&evidence))),
                pause @ Happening::Pause(_) => (seconds, pause),
            })
            .collect();
        let due = ever_due(&membership, &policy, &history);
        prop_assert!(due.iter().all(|reason| reason.neighbour() != Some(silent)), "{due:?}");
    }

    #[test]
    fn a_reason_that_is_switched_off_is_never_due(
        membership in membership(),
        policy in policy(),
        history in history(evidence()),
    ) {
        let policy = Policy { device_gone_unseen: Grace::Never, ..policy };
        let due = ever_due(&membership, &policy, &history);
        for reason in due.into_iter().filter(|reason| *reason != Reason::DeviceGone) {
            prop_assert_ne!(policy.grace[reason as usize], Grace::Never);
        }
    }

    #[test]
    fn more_grace_never_clears_sooner(
        membership in membership(),
        policy in policy(),
        history in history(evidence()),
        more in prop::array::uniform7(prop_oneof![Just(None), (0..900_u64).prop_map(Some)]),
    ) {
        let longer = |grace: Grace, more: Option<u64>| match (grace, more) {
            (Grace::After(grace), Some(more)) => Grace::After(grace + Duration::from_secs(more)),
            _ => Grace::Never,
        };
        let mut patient = policy.clone();
        for (grace, more) in patient.grace.iter_mut().zip(more) {
            *grace = longer(*grace, more);
        }
        patient.device_gone_unseen = longer(patient.device_gone_unseen, more[Reason::DeviceGone as usize]);
        let clearable = |policy: &Policy| {
            let mut at = Vec::new();
            play(&mut Ledger::default(), &membership, policy, &history, NOW, |ledger, now| {
                let due = ledger.due(&subject(), now);
                at.push(due.iter().filter(|due| due.refreshed).map(|due| due.reason).collect::<BTreeSet<_>>());
            });
            at
        };
        for (patient, hasty) in clearable(&patient).iter().zip(clearable(&policy)) {
            prop_assert!(patient.is_subset(&hasty), "{patient:?} but {hasty:?}");
        }
    }

    #[test]
    fn only_time_between_two_sightings_in_a_row_counts(
        membership in membership(),
        history in history(evidence()),
    ) {
        let policy = Policy::default();
        for reason in Reason::ALL {
            // Told from outside: the stretches in which every look said so and nothing paused.
            let (mut held, mut first, mut last, mut in_a_row) = (Duration::ZERO, None, None, false);
            let mut now = NOW;
            let mut ledger = Ledger::default();
            for (seconds, happening) in &history {
                play(&mut ledger, &membership, &policy, &[(*seconds, happening.clone())], now, |_, _| {});
                now = now + Duration::from_secs(*seconds);
                match happening {
                    Happening::Pause(neighbour) => {
                        in_a_row &= neighbour.is_some() && *neighbour != reason.neighbour();
                    }
                    Happening::Look(evidence) => match judge(&membership, evidence, &policy, now).finding(reason) {
                        Finding::No => (held, first, last, in_a_row) = (Duration::ZERO, None, None, false),
                        Finding::Unknown => in_a_row = false,
                        Finding::Holds { .. } if last == Some(now) => {}
                        Finding::Holds { .. } => {
                            if let Some(last) = last.filter(|_| in_a_row) {
                                held += now.since(last);
                            }
                            first = first.or(Some(now));
                            (last, in_a_row) = (Some(now), true);
                        }
                    },
                }
                let clock = ledger.clock(&subject(), reason);
                prop_assert_eq!(clock.map(|clock| (clock.first, clock.last)), first.zip(last), "{}", reason);
                if let Some(clock) = clock {
                    prop_assert_eq!(clock.held, held, "{}", reason);
                    prop_assert!(clock.held <= clock.last.since(clock.first));
                }
            }
        }
    }

    #[test]
    fn a_restart_is_a_pause(
        membership in membership(),
        policy in policy(),
        history in history(evidence()),
        at in any::<prop::sample::Index>(),
        away in 0..100_000_u64,
    ) {
        let (before, after) = history.split_at(at.index(history.len()));
        let mut paused = Ledger::default();
        let now = play(&mut paused, &membership, &policy, before, NOW, |_, _| {});
        let mut restarted = Ledger::default();
        for (subject, clocks) in paused.take_changes() {
            for (reason, clock) in clocks {
                let ReasonClock { held, sightings, first, last, running, .. } = clock;
                let restored = ReasonClock::restored(held, sightings, first, last, running);
                restarted.restore(subject.clone(), reason, restored, now, Duration::ZERO);
            }
        }
        paused.pause(None);
        let later = now + Duration::from_secs(away);
        prop_assert_eq!(restarted.due(&subject(), later), [], "nothing is due before it is seen again");
        let goes_on = |ledger: &mut Ledger| {
            let mut seen = Vec::new();
            play(ledger, &membership, &policy, after, later, |ledger, now| {
                seen.push((ledger.due(&subject(), now), ledger.due_at(&subject())));
            });
            seen
        };
        prop_assert_eq!(goes_on(&mut paused), goes_on(&mut restarted));
    }

    #[test]
    fn judging_and_observing_twice_gives_the_same(
        membership in membership(),
        policy in policy(),
        history in history(evidence()),
        evidence in evidence(),
    ) {
        prop_assert_eq!(judge(&membership, &evidence, &policy, NOW), judge(&membership, &evidence, &policy, NOW));
        let mut once = Ledger::default();
        let mut twice = Ledger::default();
        let doubled: History = history
            .iter()
            .flat_map(|(seconds, happening)| {
                let again = match happening {
                    Happening::Look(_) => Some((0, happening.clone())),
                    Happening::Pause(_) => None,
                };
                std::iter::once((*seconds, happening.clone())).chain(again)
            })
            .collect();
        play(&mut once, &membership, &policy, &history, NOW, |_, _| {});
        play(&mut twice, &membership, &policy, &doubled, NOW, |_, _| {});
        prop_assert_eq!(once.take_changes(), twice.take_changes());
    }

    #[test]
    fn the_strongest_reason_names_the_verdict(
        membership in membership(), evidence in evidence(), policy in policy(),
    ) {
        let judgement = judge(&membership, &evidence, &policy, NOW);
        let reasons: Vec<_> = judgement.reasons().map(|(reason, _)| reason).collect();
        prop_assert!(reasons.is_sorted());
        match judgement.verdict {
            Verdict::Stale(named) => prop_assert_eq!(reasons.first(), Some(&named)),
            Verdict::Active | Verdict::Unknown(_) => prop_assert_eq!(reasons, []),
        }
        if judgement.vetoed {
            let named = matches!(judgement.verdict, Verdict::Active | Verdict::Stale(Reason::NotJoined));
            prop_assert!(named, "{:?}", judgement.verdict);
        }
    }

    #[test]
    fn what_speaks_of_silence_speaks_only_of_calls(
        membership in membership(), evidence in evidence(), policy in policy(),
    ) {
        if membership.call.is_m_call() {
            return Ok(());
        }
        let judgement = judge(&membership, &evidence, &policy, NOW);
        for reason in [Reason::NotOnSfu, Reason::DeviceIdle, Reason::Silent] {
            prop_assert_eq!(judgement.finding(reason), Finding::No);
        }
    }

    #[test]
    fn time_alone_never_makes_a_stale_membership_look_alive(
        membership in membership(), evidence in evidence(), policy in policy(), later in 0..400_000_u64,
    ) {
        let now = judge(&membership, &evidence, &policy, NOW);
        let later = judge(&membership, &evidence, &policy, NOW + Duration::from_secs(later));
        for (reason, since) in now.reasons() {
            prop_assert_eq!(later.finding(reason), Finding::Holds { since }, "{}", reason);
            prop_assert!(since.is_none_or(|since| since <= NOW), "it began to hold in the past");
        }
    }

    #[test]
    fn a_young_membership_that_nobody_speaks_against_is_active(
        membership in membership(), sfu in sfu(), age in 0..=75 * 60_000_u64,
    ) {
        let now = membership.last_sign + Duration::from_millis(age);
        if membership.expires <= now || sfu == (Sfu::Absent { counts: true }) {
            return Ok(());
        }
        let evidence = Evidence {
            room_member: RoomMember::Joined,
            device: Device::Listed { last_seen: Some(now) },
            sfu,
            superseded_at: None,
        };
        prop_assert_eq!(judge(&membership, &evidence, &Policy::default(), now).verdict, Verdict::Active);
    }

    #[test]
    fn a_keys_query_that_shows_nothing_never_makes_an_unseen_device_gone(
        own in prop_oneof![Just(Listing::NotAsked), Just(Listing::Unknown)],
        came_back in any::<bool>(),
        membership in membership(),
        room_member in room_member(),
    ) {
        let history = DeviceHistory { came_back, ..DeviceHistory::default() };
        let nothing = Listing::Known { device: None, empty: true };
        let device = Device::from_lists(own, nothing, history);
        let evidence = Evidence { room_member, device, ..Evidence::NONE };
        let judgement = judge(&membership, &evidence, &Policy::default(), NOW);
        prop_assert_ne!(judgement.verdict, Verdict::Stale(Reason::DeviceGone));
        prop_assert!(judgement.reasons().all(|(reason, _)| reason != Reason::DeviceGone));
    }

    #[test]
    fn a_device_that_came_back_is_never_gone_by_a_keys_query_again(
        own in prop_oneof![Just(Listing::NotAsked), Just(Listing::Unknown)],
        empty in any::<bool>(),
        (seen_in_own_list, seen_with_keys) in any::<(bool, bool)>(),
    ) {
        let history = DeviceHistory { seen_in_own_list, seen_with_keys, came_back: true };
        let device = Device::from_lists(own, Listing::Known { device: None, empty }, history);
        let gone = matches!(device, Device::Missing { .. });
        prop_assert!(!gone, "{device:?}");
    }

    #[test]
    fn the_servers_own_list_decides_where_it_is_known(
        listed in any::<bool>(), own_empty in any::<bool>(), by_keys in any::<bool>(), empty in any::<bool>(),
        history in any::<(bool, bool, bool)>(),
    ) {
        let listing = |there: bool, empty| Listing::Known { device: there.then_some(None), empty };
        let (seen_in_own_list, seen_with_keys, came_back) = history;
        let history = DeviceHistory { seen_in_own_list, seen_with_keys, came_back };
        let seen_before = seen_in_own_list || seen_with_keys;
        let device = Device::from_lists(listing(listed, own_empty), listing(by_keys, empty), history);
        if listed {
            prop_assert_eq!(device, Device::Listed { last_seen: None });
        } else if came_back && !seen_in_own_list {
            prop_assert_eq!(device, Device::NotAsked);
        } else {
            prop_assert_eq!(device, Device::Missing { by: ListKind::OwnList, seen_before });
        }
        let of_a_bridge = Device::from_lists(Listing::OfNoUse, listing(by_keys, empty), history);
        prop_assert_eq!(of_a_bridge, Device::NotAsked);
    }
}

/// The rows that `explain` gives for a room, each as text, sorted.
fn rows(room: &Room, with_sfu: bool) -> Vec<String> {
    let mut rows: Vec<String> = explained(room, with_sfu).iter().map(|row| json!(row).to_string()).collect();
    rows.sort();
    rows
}

fn explained(room: &Room, with_sfu: bool) -> Vec<Explained> {
    let export = Export::from_state(Value::from(room.state.clone()))
        .and_then(|export| export.with_keys_query(room.keys_query.clone()))
        .and_then(|export| export.with_synapse_devices(room.synapse_devices.clone()))
        .expect("a room");
    let export = if with_sfu { export.with_sfu(room.sfu.clone()).expect("SFU rooms") } else { export };
    export.explain(&Policy::default(), Some(&"@bot:hs".into()), NOW)
}

fn shuffled_room() -> impl Strategy<Value = (Room, Vec<Value>)> {
    room().prop_flat_map(|room| {
        let state = room.state.clone();
        (Just(room), Just(state).prop_shuffle())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_the_events_changes_no_verdict((room, state) in shuffled_room(), with_sfu in any::<bool>()) {
        let shuffled = Room { state, ..room.clone() };
        prop_assert_eq!(rows(&room, with_sfu), rows(&shuffled, with_sfu));
    }

    #[test]
    fn a_room_explained_twice_reads_the_same(room in room(), with_sfu in any::<bool>()) {
        prop_assert_eq!(rows(&room, with_sfu), rows(&room, with_sfu));
    }

    #[test]
    fn whoever_has_no_device_in_the_keys_query_is_not_gone_by_it(mut room in room()) {
        room.synapse_devices = json!({});
        let empty: BTreeMap<_, _> = ["@alice:hs", "@bob:hs", "@carol:remote"].map(|u| (u, json!({}))).into();
        room.keys_query = json!({"device_keys": empty});
        for row in explained(&room, true) {
            prop_assert!(!row.reasons.contains(&"device_gone"), "{row:?}");
        }
    }

    #[test]
    fn the_newest_membership_of_a_device_in_a_call_is_superseded_by_nothing(room in room()) {
        let mut of: BTreeMap<(String, Option<String>, bool), Vec<bool>> = BTreeMap::new();
        for row in explained(&room, false).iter().filter(|row| row.expires_ms.is_some()) {
            let side = row.state_key.as_str().ends_with("side");
            let slot = of.entry((row.user_id.to_string(), row.device_id.clone(), side)).or_default();
            slot.push(row.reasons.contains(&"superseded"));
        }
        for (owner, superseded) in of {
            prop_assert!(superseded.contains(&false), "the newest of {owner:?} is not superseded");
        }
    }

    #[test]
    fn what_was_emptied_is_left_whatever_the_world_says(
        mut room in room(), key in text(), sent in any_timestamp(), leave_reason in prop::option::of(wild()),
    ) {
        let content = leave_reason.map_or(json!({}), |why| json!({"leave_reason": why}));
        room.state = vec![json!({
            "type": "org.matrix.msc3401.call.member", "state_key": key, "sender": "@alice:hs",
            "event_id": "$e", "origin_server_ts": sent, "content": content,
        })];
        let rows = explained(&room, true);
        prop_assert_eq!(rows.len(), 1);
        prop_assert_eq!((rows[0].verdict, rows[0].route), ("left", None));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_content_key_or_time_panics(
        event in wild_event(), seen in any_timestamp(), live in any::<bool>(), now in any_timestamp(),
        evidence in evidence(), policy in policy(),
    ) {
        let Ok(event) = StateEvent::from_json(event) else { return Ok(()) };
        let Content::Entries(entries) = read(&event, FirstSeen { at: seen, live }) else { return Ok(()) };
        for membership in entries.into_iter().flatten() {
            prop_assert!(membership.sent <= seen, "nothing is from the future");
            prop_assert!(membership.start <= membership.sent, "nor begins after its own event");
            prop_assert_eq!(membership.last_sign, if live { seen } else { membership.sent });
            let judgement = judge(&membership, &evidence, &policy, now);
            let _ = words::why(&membership, &judgement, &evidence, now);
            let expired = matches!(judgement.finding(Reason::Expired), Finding::Holds { .. });
            prop_assert_eq!(expired, !judgement.vetoed && membership.expires <= now);
            let mut ledger = Ledger::default();
            ledger.observe(&subject(), &judgement, ObservedAt::all(seen), |r| policy.grace(r, evidence.device));
            ledger.observe(&subject(), &judgement, ObservedAt::all(now), |r| policy.grace(r, evidence.device));
            let _ = (ledger.due(&subject(), now), ledger.due_at(&subject()), ledger.next_due(seen));
            for (subject, clocks) in ledger.take_changes() {
                for (reason, clock) in clocks {
                    Ledger::default().restore(subject.clone(), reason, clock, now, Duration::MAX);
                }
            }
        }
    }

    #[test]
    fn no_export_panics(
        state in prop::collection::vec(prop_oneof![9 => wild_event(), 1 => wild()], 0..4),
        keys_query in wild_answer("device_keys"),
        own in wild_answer("@a:b"),
        sfu in wild_answer("!r"),
        now in any_timestamp(),
        writer in prop::option::of(text()),
    ) {
        let count = state.len();
        let export = Export::from_state(Value::from(state)).and_then(|e| e.with_keys_query(keys_query));
        let export = export.and_then(|e| e.with_synapse_devices(own)).and_then(|e| e.with_sfu(sfu));
        let writer = writer.map(UserId::from);
        let rows = export.expect("the outermost shape is right").explain(&Policy::default(), writer.as_ref(), now);
        prop_assert!(rows.len() <= 64 * count);
        prop_assert!(serde_json::to_string(&rows).is_ok());
    }

    #[test]
    fn no_answer_of_another_shape_panics(answer in wild()) {
        let _ = participants(&answer);
        let empty = || Export::from_state(json!([])).expect("an empty state");
        prop_assert_eq!(Export::from_state(answer.clone()).is_ok(), answer.is_array());
        let has_keys = answer.get("device_keys").is_some_and(Value::is_object);
        let is_error = answer.get("errcode").is_some_and(Value::is_string);
        prop_assert_eq!(empty().with_keys_query(answer.clone()).is_ok(), has_keys && !is_error);
        let is_list = |field| answer.get(field).is_some_and(Value::is_array);
        let devices = empty().with_synapse_devices(answer.clone());
        prop_assert_eq!(devices.is_ok(), answer.is_object() && !is_error && !is_list("devices"));
        let sfu = empty().with_sfu(answer.clone());
        prop_assert_eq!(sfu.is_ok(), answer.is_object() && !is_list("participants"));
    }

    #[test]
    fn no_key_or_power_level_panics(
        key in text(), writer in text(), create in wild(), creator in text(), levels in prop::option::of(wild()),
        content in wild_content(),
    ) {
        let (key, writer) = (key.as_str().into(), UserId::from(writer));
        if let Some(user) = state_key::user(&key) {
            prop_assert!(user.starts_with('@') && user.contains(':') && key.as_str().contains(user));
        }
        for levels in [levels.as_ref(), Some(&content)] {
            let power = RoomPower::new(&create, &creator.as_str().into(), levels, NOW);
            let _ = power.may_write(&writer, &key);
        }
        let plain = RoomPower::new(&json!({"room_version": "12"}), &writer, None, NOW);
        let others = key.as_str().starts_with('@') && key.as_str() != writer.as_str();
        prop_assert_eq!(plain.may_write(&writer, &key).is_err(), others, "a creator is stopped by @ alone");
    }

    #[test]
    fn no_text_breaks_out_of_a_message(
        text in text(), name in prop::option::of(text()), span in any::<u64>(), a in any_timestamp(), b in any_timestamp(),
    ) {
        let _ = (words::span(Duration::from_millis(span)), words::ago(a, b), a.to_string());
        for shown in [message::harmless(&text), Html::escaped(&text).to_string()] {
            prop_assert!(!shown.chars().any(char::is_control));
            prop_assert!(!shown.contains("@room"));
        }
        prop_assert!(!Html::escaped(&text).as_str().contains(['<', '>', '"', '\'']));
        let room = message::room(&RoomId::from(text.as_str()), name.as_deref());
        let user = message::user(&UserId::from(text.as_str()));
        prop_assert_eq!(room.html.as_str().matches('<').count(), 2);
        let with_id = message::room_and_id(&RoomId::from(text.as_str()), name.as_deref());
        prop_assert_eq!(with_id.html.as_str().matches('<').count(), if name.is_some() { 4 } else { 2 });
        prop_assert_eq!(user.html.as_str().matches('<').count(), 2);
        prop_assert!(!room.plain.contains('\n') && !user.plain.contains('\n'));
    }
}

/// The one rule about a due reason that a plan rests on, said again from outside.
fn may_rest_on(due: &Due, candidate: &Candidate, of: usize, remote_device_lists: bool) -> bool {
    let Some(Some(entry)) = candidate.entries.get(of) else { return false };
    due.sightings >= 2
        && due.refreshed
        && !(entry.sfu_is_silent && due.reason != Reason::NotJoined)
        && !(entry.is_remote && due.reason == Reason::DeviceGone && !remote_device_lists)
        && !(due.reason == Reason::Expired
            && entry.was_expired_when_sent
            && NOW.since(entry.last_sign) < Duration::from_mins(75))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_clears_only_entries_that_are_due_and_loses_nothing(
        mut candidates in prop::collection::vec(candidate(), 0..12),
        limits in limits(),
        (in_last_hour, in_interval, in_a) in (0..12_u32, 0..4_u32, 0..4_u32),
        remote_device_lists in any::<bool>(),
        minimum_age in 0..300_u64,
    ) {
        candidates.sort_by(|a, b| (&a.room, &a.key).cmp(&(&b.room, &b.key)));
        candidates.dedup_by(|a, b| (&a.room, &a.key) == (&b.room, &b.key));
        let minimum_age = Duration::from_secs(minimum_age);
        let (breakers, quarantine) = (Breakers::default(), Quarantine::default());
        let circumstances = Circumstances {
            is_paused: false,
            exclusion_is_unknown: false,
            first_sync_is_over: true,
            clock_is_skewed: false,
            minimum_age,
            remote_device_lists,
            breakers: &breakers,
            probing: &[],
            quarantine: &quarantine,
            now: NOW,
        };
        let used = Used {
            in_hour: in_last_hour, in_interval, in_interval_by_room: [("!a".into(), in_a)].into(),
        };
        let plan = Plan::make(candidates.clone(), circumstances, Budget::new(limits, used.clone()));

        let unread: Vec<_> = candidates.iter().map(|c| Candidate { route: None, ..c.clone() }).collect();
        let rooms = Plan::rooms_to_read(&unread, circumstances, Budget::new(limits, used.clone()));
        let own = Some(Ok(Route::OwnPower));
        let read = unread.into_iter().map(|c| Candidate { route: own, ..c }).collect();
        let writes = Plan::make(read, circumstances, Budget::new(limits, used)).writes;
        prop_assert_eq!(writes.iter().map(|write| write.room().clone()).collect::<BTreeSet<_>>(), rooms);

        let is_due = |c: &&Candidate| c.entries.iter().flatten().any(|entry| !entry.due.is_empty());
        prop_assert_eq!(plan.writes.len() + plan.held.len(), candidates.iter().filter(is_due).count());
        let mut in_room: BTreeMap<&RoomId, u32> = BTreeMap::new();
        for write in &plan.writes {
            let candidate = candidates.iter().find(|c| (&c.room, &c.key) == (write.room(), write.key()));
            let candidate = candidate.expect("it was a candidate");
            prop_assert!(!candidate.is_excluded && matches!(candidate.route, Some(Ok(_))));
            let is_cleared = |index: &usize| write.clears(u32::try_from(*index).expect("few"));
            let cleared: Vec<_> = (0..candidate.entries.len()).filter(is_cleared).collect();
            prop_assert_eq!(write.owners().len(), cleared.len());
            prop_assert!(!cleared.is_empty());
            let is_whole = cleared.len() == candidate.entries.len();
            prop_assert_eq!(write.part().is_none(), is_whole);
            prop_assert!(is_whole || (candidate.is_divisible && write.route() == Route::Appservice));
            for index in cleared {
                let entry = candidate.entries[index].as_ref().expect("no entry that no client shows");
                prop_assert!(
                    entry.due.iter().any(|due| may_rest_on(due, candidate, index, remote_device_lists)),
                    "every cleared entry is due by a reason that may be used: {entry:?}"
                );
                prop_assert!(NOW.since(entry.last_sign) >= minimum_age);
                prop_assert!(NOW.since(entry.expires) <= LONG_EXPIRED);
            }
            *in_room.entry(write.room()).or_default() += 1;
        }
        let written = u32::try_from(plan.writes.len()).expect("few");
        prop_assert!(written == 0 || in_interval + written <= limits.per_sweep);
        prop_assert!(written == 0 || in_last_hour + written <= limits.per_hour);
        let before = |room: &RoomId| if room.as_str() == "!a" { in_a } else { 0 };
        prop_assert!(in_room.iter().all(|(room, count)| before(room) + count <= limits.per_room));
        prop_assert!(plan.writes.is_sorted_by_key(|write| !write.is_shown()), "what people see comes first");
    }

    #[test]
    fn nothing_is_planned_while_any_general_condition_fails(
        candidates in prop::collection::vec(candidate(), 0..6), which in 0..4_u8,
    ) {
        let (breakers, quarantine) = (Breakers::default(), Quarantine::default());
        let circumstances = Circumstances {
            is_paused: which == 0,
            first_sync_is_over: which != 1,
            clock_is_skewed: which == 2,
            exclusion_is_unknown: which == 3,
            minimum_age: Duration::ZERO,
            remote_device_lists: true,
            breakers: &breakers,
            probing: &[],
            quarantine: &quarantine,
            now: NOW,
        };
        let no_limits = rtc_janitor_core::guard::limits::Limits {
            per_sweep: u32::MAX, per_room: u32::MAX, per_hour: u32::MAX,
        };
        prop_assert_eq!(Plan::make(candidates, circumstances, Budget::new(no_limits, 0)).writes, []);
    }
}

#[test]
fn the_rooms_of_these_properties_are_not_all_alike() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut seen = BTreeSet::new();
    for _ in 0..400 {
        let room = room().new_tree(&mut runner).expect("a room").current();
        for row in explained(&room, true) {
            seen.insert(row.verdict);
            seen.extend(row.reasons);
        }
    }
    let expected: BTreeSet<_> = ["active", "left", "malformed", "stale", "unknown"]
        .into_iter()
        .chain(Reason::ALL.map(Reason::as_str))
        .collect();
    assert_eq!(seen, expected, "every verdict and every reason comes up around {NOW_MS}");
}
