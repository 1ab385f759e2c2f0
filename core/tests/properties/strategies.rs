//! Input for the properties: wild JSON that tests what cannot panic, and plausible rooms, evidence
//! and histories that test what is concluded.

use std::{collections::BTreeMap, time::Duration};

use proptest::{collection, option, prelude::*, sample::select};
use rtc_janitor_core::{
    guard::limits::Limits,
    ids::{RoomId, StateKey},
    judge::{
        evidence::{Device, Evidence, ListKind, RoomMember, Sfu},
        policy::{Grace, Neighbour, Policy, Reason},
    },
    ledger::Due,
    plan::{Candidate, Entry, Route},
    rtc::{
        membership::{Content, FirstSeen, Membership, Owner, read},
        state_event::{CALL_MEMBER, StateEvent},
        state_key::Blocked,
    },
    time::Timestamp,
};
use serde_json::{Map, Value, json};

pub(crate) const NOW_MS: i64 = 1_800_000_000_000;
pub(crate) const NOW: Timestamp = Timestamp::from_millis(NOW_MS);
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// Field names that the code looks for, so that wild JSON hits them.
const FIELDS: &[&str] = &[
    "application",
    "call_id",
    "device_id",
    "focus_active",
    "foci_preferred",
    "foci_active",
    "type",
    "focus_selection",
    "livekit_service_url",
    "livekit_alias",
    "created_ts",
    "expires",
    "expires_ts",
    "membershipID",
    "scope",
    "leave_reason",
    "memberships",
    "m.calls",
    "m.call_id",
    "m.devices",
    "membership",
    "room_version",
    "additional_creators",
    "users",
    "users_default",
    "events",
    "state_default",
    CALL_MEMBER,
    "device_keys",
    "failures",
    "devices",
    "last_seen_ts",
    "participants",
    "identity",
    "state",
    "code",
    "redacted_because",
    "replaces_state",
];

pub(crate) fn any_millis() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => (NOW_MS - 60 * 24 * HOUR)..(NOW_MS + 48 * HOUR),
        1 => any::<i64>(),
        1 => select(vec![i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX]),
    ]
}

pub(crate) fn any_timestamp() -> impl Strategy<Value = Timestamp> {
    any_millis().prop_map(Timestamp::from_millis)
}

/// Text with what breaks parsers: separators, sigils, other scripts, directions, nothing.
pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => any::<String>(),
        2 => "[@_:!ab.\\[\\]\u{e9}\u{1f600}\u{202e}<&\"' ]{0,12}",
        1 => select(vec!["", "_", "@", ":", "@:", "_@:", "_@:_", "@a:b", "_@a:b_D", "_@a:b:8448_D_m.call"])
            .prop_map(str::to_owned),
    ]
}

pub(crate) fn wild() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any_millis().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
        select(vec!["m.call", "join", "12", "livekit", "oldest_membership"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            collection::vec((field(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn field() -> impl Strategy<Value = String> {
    prop_oneof![4 => select(FIELDS).prop_map(str::to_owned), 1 => text()]
}

/// Membership content: wild, or any of the forms with some of its fields replaced or taken away.
pub(crate) fn wild_content() -> impl Strategy<Value = Value> {
    let session = json!({
        "application": "m.call", "call_id": "", "scope": "m.room", "device_id": "D", "expires": 4 * HOUR,
        "created_ts": NOW_MS - 9 * HOUR, "membershipID": "m", "focus_active": {"type": "livekit"},
        "foci_preferred": [{"type": "livekit", "livekit_service_url": "https://sfu", "livekit_alias": "a"}],
    });
    let entry = json!({"application": "m.call", "call_id": "", "device_id": "D", "expires_ts": NOW_MS});
    let damaged = move |whole: Value| {
        collection::vec((field(), option::of(wild())), 0..4).prop_map(move |changes| {
            let mut content = whole.as_object().cloned().unwrap_or_default();
            for (field, change) in changes {
                match change {
                    Some(value) => content.insert(field, value),
                    None => content.remove(&field),
                };
            }
            Value::Object(content)
        })
    };
    prop_oneof![
        1 => wild(),
        3 => damaged(session),
        2 => collection::vec(damaged(entry.clone()), 0..3).prop_map(|m| json!({"memberships": m})),
        2 => collection::vec(damaged(entry), 0..3)
            .prop_map(|d| json!({"m.calls": [{"m.call_id": "c", "m.devices": d}]})),
    ]
}

/// Any JSON that calls itself a state event.
pub(crate) fn wild_event() -> impl Strategy<Value = Value> {
    let kind = select(vec![
        CALL_MEMBER,
        CALL_MEMBER,
        CALL_MEMBER,
        "m.room.member",
        "m.room.create",
        "m.room.power_levels",
        "org.matrix.msc4143.rtc.member",
    ]);
    let fields = (kind, text(), text(), any_millis(), prop_oneof![wild_content(), wild()], wild());
    (fields, option::of((field(), wild()))).prop_map(
        |((kind, key, sender, sent, content, unsigned), damage)| {
            let mut event = json!({
                "type": kind, "state_key": key, "sender": sender, "event_id": "$e", "room_id": "!r",
                "origin_server_ts": sent, "content": content, "unsigned": unsigned,
            });
            if let (Some((field, value)), Some(event)) = (damage, event.as_object_mut()) {
                event.insert(field, value);
            }
            event
        },
    )
}

/// A neighbour's answer: the right outermost field, and anything within.
pub(crate) fn wild_answer(field: &'static str) -> impl Strategy<Value = Value> {
    let inner = collection::vec((text(), wild()), 0..4)
        .prop_map(|fields| Value::Object(fields.into_iter().collect()));
    (inner, wild()).prop_map(move |(inner, failures)| json!({field: inner, "failures": failures}))
}

/// A plausible membership, its event at most twelve hours old.
pub(crate) fn membership() -> impl Strategy<Value = Membership> {
    let times = (0..12 * HOUR, option::of(0..60 * HOUR), option::of(-HOUR..70 * HOUR), any::<bool>());
    (times, select(vec!["m.call", "m.call", "org.example.board"])).prop_map(
        |((age, before, expires, live), application)| {
            let sent = NOW_MS - age;
            let mut content = json!({
                "application": application, "call_id": "", "device_id": "D", "focus_active": {"type": "livekit"},
            });
            for (field, value) in [("created_ts", before.map(|b| sent - b)), ("expires", expires)] {
                if let (Some(value), Some(content)) = (value, content.as_object_mut()) {
                    content.insert(field.to_owned(), value.into());
                }
            }
            let event = StateEvent {
                event_type: CALL_MEMBER.to_owned(),
                state_key: "_@a:hs_D_m.call".into(),
                event_id: "$e".into(),
                sender: "@a:hs".into(),
                origin_server_ts: Timestamp::from_millis(sent),
                content,
                redacted: false,
                redacted_by: None,
                replaces_state: None,
            prev_content: None,
            };
            let seen = FirstSeen { at: Timestamp::from_millis(sent + age / 2), live };
            let Content::Entries(entries) = read(&event, seen) else { unreachable!("it is a session") };
            entries.into_iter().next().and_then(Result::ok).expect("it is well-formed")
        },
    )
}

pub(crate) fn room_member() -> impl Strategy<Value = RoomMember> {
    prop_oneof![
        Just(RoomMember::Unknown),
        Just(RoomMember::Joined),
        option::of((NOW_MS - HOUR)..NOW_MS)
            .prop_map(|since| RoomMember::NotJoined { since: since.map(Timestamp::from_millis) }),
    ]
}

pub(crate) fn device() -> impl Strategy<Value = Device> {
    let missing = |by| any::<bool>().prop_map(move |seen_before| Device::Missing { by, seen_before });
    prop_oneof![
        Just(Device::NotAsked),
        Just(Device::Unknown),
        option::of((NOW_MS - 12 * HOUR)..NOW_MS)
            .prop_map(|seen| Device::Listed { last_seen: seen.map(Timestamp::from_millis) }),
        missing(ListKind::OwnList),
        missing(ListKind::KeysQuery),
    ]
}

pub(crate) fn sfu() -> impl Strategy<Value = Sfu> {
    prop_oneof![
        Just(Sfu::NotOurs),
        Just(Sfu::Unknown),
        Just(Sfu::Listed),
        any::<bool>().prop_map(|counts| Sfu::Absent { counts }),
    ]
}

pub(crate) fn evidence() -> impl Strategy<Value = Evidence> {
    (room_member(), device(), sfu(), option::of((NOW_MS - HOUR)..NOW_MS)).prop_map(
        |(room_member, device, sfu, superseded)| Evidence {
            room_member,
            device,
            sfu,
            superseded_at: superseded.map(Timestamp::from_millis),
        },
    )
}

pub(crate) fn grace() -> impl Strategy<Value = Grace> {
    prop_oneof![1 => Just(Grace::Never), 6 => (0..20 * 60_u64).prop_map(|s| Grace::After(Duration::from_secs(s)))]
}

pub(crate) fn policy() -> impl Strategy<Value = Policy> {
    (prop::array::uniform7(grace()), grace(), 1..400_u64, 1..400_u64).prop_map(
        |(grace, device_gone_unseen, silent, idle)| Policy {
            silent_after: Duration::from_mins(silent),
            device_idle_after: Duration::from_mins(idle),
            grace,
            device_gone_unseen,
        },
    )
}

/// One thing that happens to a ledger.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    /// The janitor looks, and this is the evidence.
    Look(Evidence),
    /// A neighbour (or everything) is away.
    Pause(Option<Neighbour>),
}

/// What happens, each after so many seconds.
pub(crate) type History = Vec<(u64, Happening)>;

/// Mostly looks, up to ten minutes apart, some of them at the same instant.
pub(crate) fn history(evidence: impl Strategy<Value = Evidence> + 'static) -> impl Strategy<Value = History> {
    let pause = option::of(select(Neighbour::ALL.to_vec())).prop_map(Happening::Pause);
    let happening = prop_oneof![7 => evidence.prop_map(Happening::Look), 1 => pause];
    collection::vec((prop_oneof![1 => Just(0), 8 => 1..600_u64], happening), 1..24)
}

/// A room as `/state` returns it: the owners, the calls and the devices overlap a lot.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    /// The member and membership events, one for each type and key.
    pub state: Vec<Value>,
    pub keys_query: Value,
    pub synapse_devices: Value,
    pub sfu: Value,
}

const USERS: [&str; 3] = ["@alice:hs", "@bob:hs", "@carol:remote"];
const DEVICES: [&str; 2] = ["ONE", "TWO"];
const ALIASES: [&str; 2] = ["alias-1", "alias-2"];

fn event(kind: &str, key: &str, sender: &str, sent: i64, content: &Value) -> Value {
    json!({
        "type": kind, "state_key": key, "sender": sender, "origin_server_ts": sent,
        "event_id": format!("${kind}{key}"), "room_id": "!room:hs", "content": content,
    })
}

fn room_event() -> impl Strategy<Value = Value> {
    let who = (select(&USERS), select(&DEVICES), select(vec!["", "_m.call", "_m.callside"]));
    // Few ages, so that ties are common.
    let when = (select(vec![1, 30, 30, 76, 90, 300]), option::of(select(vec![10, 30, 200])), 1..5_i64);
    let focus = (
        select(vec!["multi_sfu", "oldest_membership"]),
        select(&ALIASES),
        select(vec!["https://one", "https://two"]),
    );
    (who, when, focus, 0..10_u8).prop_map(|((user, device, suffix), (age, before, steps), focus, form)| {
        let (selection, alias, url) = focus;
        let sent = NOW_MS - age * MINUTE;
        let mut content = json!({
            "application": "m.call", "call_id": if suffix == "_m.callside" { "side" } else { "" },
            "device_id": device, "expires": steps * 4 * HOUR,
            "focus_active": {"type": "livekit", "focus_selection": selection},
            "foci_preferred": [{"type": "livekit", "livekit_alias": alias, "livekit_service_url": url}],
        });
        if let (Some(before), Some(content)) = (before, content.as_object_mut()) {
            content.insert("created_ts".to_owned(), json!(sent - before * MINUTE));
        }
        let key = format!("_{user}_{device}{suffix}");
        match form {
            0 => event(CALL_MEMBER, &key, user, sent, &json!({})),
            1 => event(CALL_MEMBER, &key, user, sent, &json!({"some": "thing", "else": 1})),
            2 => {
                let two = DEVICES.map(|device| {
                    let mut entry = content.clone();
                    entry["device_id"] = json!(device);
                    entry["call_id"] = json!("");
                    entry["foci_active"] = entry["foci_preferred"].take();
                    entry
                });
                event(CALL_MEMBER, user, user, sent, &json!({"memberships": two}))
            }
            3 => event(CALL_MEMBER, &key, USERS[0], sent, &content),
            _ => event(CALL_MEMBER, &key, user, sent, &content),
        }
    })
}

pub(crate) fn room() -> impl Strategy<Value = Room> {
    let identities = USERS
        .iter()
        .flat_map(|user| DEVICES.map(|device| format!("{user}:{device}")))
        .chain(["stranger".to_owned()])
        .collect::<Vec<_>>();
    let there = prop::sample::subsequence(identities, 0..5);
    let sfu = prop::array::uniform3(there);
    let lists = prop::array::uniform3(option::of(prop::sample::subsequence(DEVICES.to_vec(), 0..=2)));
    let own = prop::array::uniform3(option::of(option::of(1..200_i64)));
    let members = prop::array::uniform3(select(vec!["join", "join", "join", "leave", ""]));
    (collection::vec(room_event(), 1..9), members, lists, own, sfu).prop_map(
        |(memberships, members, lists, own, sfu)| {
            let mut state: BTreeMap<(String, String), Value> = BTreeMap::new();
            let joined = members.iter().zip(USERS).filter(|(membership, _)| !membership.is_empty()).map(
                |(membership, user)| {
                    event("m.room.member", user, user, NOW_MS - 9 * HOUR, &json!({"membership": membership}))
                },
            );
            for event in memberships.into_iter().chain(joined) {
                state.insert((event["type"].to_string(), event["state_key"].to_string()), event);
            }
            let keys: Map<String, Value> = USERS
                .iter()
                .zip(lists)
                .filter_map(|(user, devices)| {
                    let devices: Map<String, Value> =
                        devices?.into_iter().map(|device| (device.to_owned(), json!({}))).collect();
                    Some(((*user).to_owned(), devices.into()))
                })
                .collect();
            let own: Map<String, Value> = USERS
                .iter()
                .zip(own)
                .filter_map(|(user, seen)| {
                    let seen = seen?.map(|minutes| NOW_MS - minutes * MINUTE);
                    let device = json!({"device_id": DEVICES[0], "last_seen_ts": seen});
                    Some(((*user).to_owned(), json!({"devices": [device]})))
                })
                .collect();
            let sfu: Map<String, Value> = ALIASES
                .iter()
                .chain(&["!room:hs"])
                .zip(sfu)
                .map(|(name, identities)| {
                    let participants: Vec<_> =
                        identities.iter().map(|identity| json!({"identity": identity})).collect();
                    ((*name).to_owned(), json!({"participants": participants}))
                })
                .collect();
            Room {
                state: state.into_values().collect(),
                keys_query: json!({"device_keys": keys}),
                synapse_devices: own.into(),
                sfu: sfu.into(),
            }
        },
    )
}

fn due() -> impl Strategy<Value = Due> {
    (select(Reason::ALL.to_vec()), 1..4_u32, prop::bool::weighted(0.8))
        .prop_map(|(reason, sightings, refreshed)| Due { reason, sightings, first: NOW, refreshed })
}

fn entry() -> impl Strategy<Value = Entry> {
    let times = (-40 * 24 * HOUR..HOUR, 0..10 * MINUTE);
    (collection::vec(due(), 0..4), times, prop::bool::weighted(0.2), prop::bool::weighted(0.2)).prop_map(
        |(mut due, (expires, age), is_remote, sfu_is_silent)| {
            due.sort_by_key(|due| due.reason);
            Entry {
                owner: Owner { user: "@a:hs".into(), device: "D".into() },
                index: 0,
                due,
                expires: NOW.offset_millis(expires),
                was_expired_when_sent: sfu_is_silent != is_remote,
                last_sign: NOW.offset_millis(-age),
                is_remote,
                sfu_is_silent,
            }
        },
    )
}

pub(crate) fn candidate() -> impl Strategy<Value = Candidate> {
    let route = prop_oneof![
        1 => Just(None),
        1 => Just(Some(Err(Blocked::OnlyItsOwner))),
        8 => select(Route::ALL.to_vec()).prop_map(|route| Some(Ok(route))),
    ];
    let what = (select(vec!["!a", "!b"]), "[a-h]", collection::vec(option::weighted(0.9, entry()), 0..4));
    let is_it = (any::<bool>(), any::<bool>(), prop::bool::weighted(0.1), any::<bool>());
    (what, is_it, route).prop_map(
        |((room, key, mut entries), (is_shown, ends_call, is_excluded, is_divisible), route)| {
            for (index, entry) in (0..).zip(&mut entries) {
                if let Some(entry) = entry {
                    entry.index = index;
                }
            }
            Candidate {
                room: RoomId::from(room),
                key: StateKey::from(key),
                event: "$e".into(),
                entries,
                is_shown,
                ends_call,
                is_excluded,
                is_divisible,
                route,
            }
        },
    )
}

pub(crate) fn limits() -> impl Strategy<Value = Limits> {
    (0..6_u32, 0..4_u32, 0..10_u32).prop_map(|(per_sweep, per_room, per_hour)| Limits {
        per_sweep,
        per_room,
        per_hour,
    })
}
