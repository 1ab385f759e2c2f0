//! Every test vector: an exported state, the answers saved with it, and the verdicts that must come out.
#![expect(clippy::expect_used, reason = "tests")]

use rtc_janitor_core::{export::Export, judge::policy::Policy, time::Timestamp};
use serde_json::Value;

fn rows(case: &Value) -> Value {
    let mut export = Export::from_state(case["state"].clone()).expect("a state");
    if let Some(answer) = case.get("keys_query") {
        export = export.with_keys_query(answer.clone()).expect("a keys query");
    }
    if let Some(lists) = case.get("synapse_devices") {
        export = export.with_synapse_devices(lists.clone()).expect("device lists");
    }
    if let Some(rooms) = case.get("sfu") {
        export = export.with_sfu(rooms.clone()).expect("SFU rooms");
    }
    let now = Timestamp::from_millis(case["now_ms"].as_i64().expect("now_ms"));
    let writer = case.get("as").and_then(Value::as_str).map(Into::into);
    serde_json::to_value(export.explain(&Policy::default(), writer.as_ref(), now)).expect("rows")
}

/// Whether a row has every field that is expected, with the value that is expected.
fn matches(row: &Value, expected: &Value) -> bool {
    expected.as_object().expect("an object").iter().all(|(field, value)| row.get(field) == Some(value))
}

/// What rows there may be beside those that are expected.
#[derive(Clone, Copy, PartialEq)]
enum Others {
    None,
    UnderOtherKeys,
}

/// Whether each expectation is met by a row of its own, in any order.
fn all_match(rows: &[Value], expected: &[Value], others: Others) -> bool {
    let mut left: Vec<_> = rows.iter().collect();
    let all_there = expected.iter().all(|expected| {
        let found = left.iter().position(|row| matches(row, expected));
        found.map(|at| left.remove(at)).is_some()
    });
    let is_expected = |row: &&Value| expected.iter().any(|one| one["state_key"] == row["state_key"]);
    all_there && !left.iter().any(|row| others == Others::None || is_expected(row))
}

/// Whether every key has the route that is expected of it.
fn routes_match(rows: &[Value], routes: Option<&Value>) -> bool {
    let routes = routes.map(|routes| routes.as_object().expect("a map from key to route"));
    routes.into_iter().flatten().all(|(key, route)| {
        let mut of_key = rows.iter().filter(|row| row["state_key"] == key.as_str()).peekable();
        of_key.peek().is_some() && of_key.all(|row| row["route"] == *route)
    })
}

fn expect_the_verdicts(cases: &str, at_least: usize, others: Others) {
    let cases: Vec<Value> = serde_json::from_str(cases).expect("vectors");
    assert!(cases.len() >= at_least, "the vectors are there");
    let mut wrong = Vec::new();
    for case in &cases {
        let rows = rows(case);
        let rows = rows.as_array().expect("an array");
        let expected = case["expect"].as_array().expect("expectations");
        if !all_match(rows, expected, others) || !routes_match(rows, case.get("routes")) {
            wrong.push(format!(
                "{}:\n  expected {expected:?}, routes {:?}\n  got {rows:?}",
                case["name"],
                case.get("routes")
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {} vectors fail:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn every_vector_gives_the_expected_verdicts() {
    expect_the_verdicts(include_str!("data/memberships.json"), 42, Others::None);
}

#[test]
fn every_further_vector_gives_the_expected_verdicts() {
    expect_the_verdicts(include_str!("data/more-memberships.json"), 134, Others::None);
}

#[test]
fn every_exported_room_gives_the_expected_verdicts_and_routes() {
    expect_the_verdicts(include_str!("data/exports.json"), 13, Others::UnderOtherKeys);
}
