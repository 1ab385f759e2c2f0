//! How fast memberships are judged on one core, and how fast a large exported state is explained.
//!
//! `cargo bench -p rtc-janitor-core --bench verdicts`
#![expect(clippy::expect_used, reason = "a benchmark")]

use std::{hint::black_box, time::Duration};

use criterion::{BatchSize, Criterion, Throughput};
use rtc_janitor_core::{
    export::Export,
    judge::{
        evidence::{Device, Evidence, ListKind, RoomMember, Sfu},
        policy::{Policy, Reason},
        verdict::{Verdict, judge},
    },
    rtc::{
        membership::{Content, FirstSeen, Membership, read},
        state_event::{CALL_MEMBER, StateEvent},
    },
    time::Timestamp,
};
use serde_json::{Value, json};

const NOW_MS: i64 = 1_800_000_000_000;
const NOW: Timestamp = Timestamp::from_millis(NOW_MS);
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

fn session(device: &str, created: Option<i64>, expires: i64) -> Value {
    json!({
        "application": "m.call", "call_id": "", "scope": "m.room", "device_id": device, "expires": expires,
        "membershipID": format!("@user:example.org:{device}"),
        "focus_active": {"type": "livekit", "focus_selection": "multi_sfu"},
        "foci_preferred": [{
            "type": "livekit", "livekit_alias": "!room:example.org",
            "livekit_service_url": "https://sfu.example.org/livekit/jwt",
        }],
        "created_ts": created.unwrap_or(NOW_MS - 12 * HOUR),
    })
}

fn event(key: &str, user: &str, sent: i64, content: &Value) -> Value {
    json!({
        "type": CALL_MEMBER, "state_key": key, "sender": user, "origin_server_ts": sent,
        "event_id": format!("$of_{key}_at_{sent}"), "room_id": "!room:example.org", "content": content,
    })
}

fn memberships(age: i64, content: &Value) -> Vec<Membership> {
    let event =
        StateEvent::from_json(event("_@u:example.org_D_m.call", "@u:example.org", NOW_MS - age, content))
            .expect("an event");
    let Content::Entries(entries) = read(&event, FirstSeen { at: NOW, live: false }) else {
        unreachable!("somebody is in it")
    };
    entries.into_iter().map(|entry| entry.expect("a membership")).collect()
}

/// One membership of each kind: active by each form, vetoed, unknown, and stale by each reason.
fn mixed() -> Vec<(Membership, Evidence, &'static str)> {
    let fine = Evidence {
        room_member: RoomMember::Joined,
        device: Device::Listed { last_seen: Some(NOW) },
        sfu: Sfu::NotOurs,
        superseded_at: None,
    };
    let refreshed = session("D", None, 52 * HOUR);
    let array = json!({"memberships": [session("D", None, 13 * HOUR), session("E", None, 11 * HOUR)]});
    let gone = Device::Missing { by: ListKind::KeysQuery, seen_before: true };
    let idle = Device::Listed { last_seen: Some(NOW - Duration::from_hours(2)) };
    let cases = [
        ("active", 30 * MINUTE, &refreshed, fine.clone()),
        ("active", 30 * MINUTE, &array, fine.clone()),
        ("active", 30 * MINUTE, &refreshed, Evidence { sfu: Sfu::Listed, device: gone, ..fine.clone() }),
        ("unknown", 30 * MINUTE, &refreshed, Evidence { device: Device::Unknown, ..fine.clone() }),
        (
            "not_joined",
            30 * MINUTE,
            &refreshed,
            Evidence { room_member: RoomMember::NotJoined { since: Some(NOW) }, ..fine.clone() },
        ),
        ("device_gone", 30 * MINUTE, &refreshed, Evidence { device: gone, ..fine.clone() }),
        ("superseded", 30 * MINUTE, &refreshed, Evidence { superseded_at: Some(NOW), ..fine.clone() }),
        (
            "not_on_sfu",
            30 * MINUTE,
            &refreshed,
            Evidence { sfu: Sfu::Absent { counts: true }, ..fine.clone() },
        ),
        ("device_idle", 2 * HOUR - MINUTE, &array, Evidence { device: idle, ..fine.clone() }),
        ("silent", 76 * MINUTE, &refreshed, fine.clone()),
    ];
    let mut mixed = Vec::new();
    for (verdict, age, content, evidence) in cases {
        for membership in memberships(age, content) {
            // The second entry of the array has expired.
            let verdict = if membership.expires <= NOW { "expired" } else { verdict };
            mixed.push((membership, evidence.clone(), verdict));
        }
    }
    mixed
}

fn verdicts(criterion: &mut Criterion) {
    let policy = Policy::default();
    let mixed = mixed();
    for (membership, evidence, expected) in &mixed {
        let name = match judge(membership, evidence, &policy, NOW).verdict {
            Verdict::Active => "active",
            Verdict::Unknown(_) => "unknown",
            Verdict::Stale(reason) => reason.as_str(),
        };
        assert_eq!(name, *expected, "what is measured is what it is called");
    }
    let reasons = Reason::ALL.iter().filter(|r| mixed.iter().any(|(_, _, name)| *name == r.as_str())).count();
    assert_eq!(reasons, Reason::ALL.len(), "every reason is in the mix");

    let many: Vec<_> = mixed.iter().cycle().take(10_000).collect();
    let mut group = criterion.benchmark_group("judge");
    group.throughput(Throughput::Elements(many.len() as u64)).sample_size(20);
    group.bench_function("10,000 mixed memberships", |bencher| {
        bencher.iter(|| {
            many.iter()
                .filter(|(membership, evidence, _)| {
                    let judgement = judge(black_box(membership), black_box(evidence), &policy, NOW);
                    black_box(judgement).verdict == Verdict::Active
                })
                .count()
        });
    });
    group.finish();
}

/// An exported room with this many memberships, of 2,500 users with four devices each.
fn large_state(count: usize) -> (Value, Value, Value) {
    let mut state = vec![json!({
        "type": "m.room.create", "state_key": "", "sender": "@creator:example.org", "event_id": "$create",
        "origin_server_ts": NOW_MS - 900 * HOUR, "room_id": "!room:example.org",
        "content": {"room_version": "12"},
    })];
    let mut keys = serde_json::Map::new();
    let mut there = Vec::new();
    for n in 0..count {
        let (user, device) = (format!("@user{}:example.org", n / 4), format!("DEVICE{n}"));
        if n % 4 == 0 {
            let membership = if n % 40 == 0 { "leave" } else { "join" };
            state.push(json!({
                "type": "m.room.member", "state_key": user, "sender": user, "event_id": format!("$member{n}"),
                "origin_server_ts": NOW_MS - 800 * HOUR, "content": {"membership": membership},
            }));
            keys.insert(user.clone(), json!({device.clone(): {}, format!("DEVICE{}", n + 1): {}}));
        }
        let age = i64::try_from(n % 600).expect("small") * MINUTE;
        let mut content = session(&device, Some(NOW_MS - age - 2 * HOUR), 12 * HOUR);
        if n % 2 == 0 {
            content["focus_active"]["focus_selection"] = json!("oldest_membership");
        }
        state.push(event(&format!("_{user}_{device}_m.call"), &user, NOW_MS - age, &content));
        if n % 3 == 0 {
            there.push(json!({"identity": format!("{user}:{device}"), "state": "ACTIVE"}));
        }
    }
    let sfu = json!({"TK4o8wNCXi5t5936bOvIzE/X3XFc7cgp3jGRDqK0j5E": {"participants": there}});
    (state.into(), json!({"device_keys": keys}), sfu)
}

fn explain(criterion: &mut Criterion) {
    const COUNT: usize = 10_000;
    let (state, keys, sfu) = large_state(COUNT);
    let text = state.to_string();
    let export = |state: Value| {
        Export::from_state(state)
            .and_then(|export| export.with_keys_query(keys.clone()))
            .and_then(|export| export.with_sfu(sfu.clone()))
            .expect("an export")
    };
    let policy = Policy::default();
    let writer = Some("@creator:example.org".into());
    let mut group = criterion.benchmark_group("explain");
    group.throughput(Throughput::Elements(COUNT as u64)).sample_size(10);
    let read_in = export(state);
    group.bench_function("10,000 memberships, already read in", |bencher| {
        bencher.iter(|| {
            let rows = read_in.explain(&policy, writer.as_ref(), NOW);
            assert_eq!(rows.len(), COUNT);
            rows
        });
    });
    group.bench_function("10,000 memberships, from JSON text to JSON text", |bencher| {
        bencher.iter_batched(
            || text.clone(),
            |text| {
                let state = serde_json::from_str(&text).expect("JSON");
                let rows = export(state).explain(&policy, writer.as_ref(), NOW);
                serde_json::to_string(&rows).expect("JSON").len()
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    verdicts(&mut criterion);
    explain(&mut criterion);
    criterion.final_summary();
}
