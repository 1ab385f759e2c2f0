use std::time::Duration;

use rtc_janitor_core::ids::{RoomId, UserId};

use super::{
    amounts::{count, duration, grace, share},
    matrix::{room_text, rooms, url, user_globs, user_id_text, users},
    *,
};
use crate::config::{Grace, RoomRef};

#[test]
fn durations_have_a_unit_and_last_at_least_a_second() {
    for (written, seconds) in [("1s", 1), ("90s", 90), ("5m", 300), ("4h15m", 15_300), ("90d", 7_776_000)] {
        assert_eq!(duration(&written.into()), Ok(Duration::from_secs(seconds)), "{written}");
    }
    for (written, sentence) in [
        ("soon", r#""soon" is not a duration; write a duration such as "90s", "5m" or "4h15m""#),
        ("", r#""" is not a duration; write a duration such as "90s", "5m" or "4h15m""#),
        ("90", r#""90" has no unit; write a duration such as "90s", "5m" or "4h15m""#),
        ("5M", r#""5M" is not a duration; write a duration such as "90s", "5m" or "4h15m""#),
        ("-5m", r#""-5m" is not a duration; write a duration such as "90s", "5m" or "4h15m""#),
        ("0s", r#""0s" is too short; the least is "1s""#),
        ("999ms", r#""999ms" is too short; the least is "1s""#),
        ("4000d", r#""4000d" is longer than ten years"#),
        ("99999999999999999999w", r#""99999999999999999999w" is longer than ten years"#),
    ] {
        assert_eq!(duration(&written.into()).unwrap_err(), sentence);
    }
    assert_eq!(duration(&"\u{a0}4h\u{a0}15m\u{a0}".into()), Ok(Duration::from_mins(255)));
    assert_eq!(
        duration(&ValueKind::I64(90)).unwrap_err(),
        r#"90 is not a duration in quotes; write a duration such as "90s", "5m" or "4h15m""#
    );
}

#[test]
fn a_grace_may_be_never() {
    assert_eq!(grace(&"never".into()), Ok(Grace::Never));
    assert_eq!(grace(&"30s".into()), Ok(Grace::After(Duration::from_secs(30))));
    assert!(grace(&"Never".into()).unwrap_err().ends_with(r#", or "never""#));
}

#[test]
fn a_share_is_above_nothing_and_at_most_all() {
    assert_eq!(share(&ValueKind::Float(0.01)), Ok(0.01));
    assert_eq!(share(&ValueKind::Float(1.0)), Ok(1.0));
    assert_eq!(share(&ValueKind::I64(1)), Ok(1.0));
    for bad in [ValueKind::Float(0.0), ValueKind::Float(1.01), ValueKind::Float(f64::NAN), ValueKind::I64(0)]
    {
        assert!(share(&bad).unwrap_err().ends_with("it must be above 0 and at most 1"), "{bad:?}");
    }
}

#[test]
fn counts_start_at_one() {
    assert_eq!(count(&ValueKind::I64(1)).unwrap().get(), 1);
    assert_eq!(count(&ValueKind::I64(0)).unwrap_err(), "0 is out of range; it goes from 1 to 4294967295");
    assert_eq!(
        count(&"20".into()).unwrap_err(),
        r#""20" is not a whole number; write it without quotes, such as 20"#
    );
}

#[test]
fn only_full_user_ids_are_user_ids() {
    assert_eq!(user_id_text("@janitor:example.org:8448"), Ok(UserId::from("@janitor:example.org:8448")));
    for bad in [
        "janitor",
        "@janitor",
        "janitor:example.org",
        "@janitor:",
        "@janitor:exa mple.org",
        "@*:example.org:x",
    ] {
        assert!(user_id_text(bad).is_err(), "{bad}");
    }
}

#[test]
fn rooms_are_ids_or_aliases() {
    assert_eq!(room_text("!abc:example.org"), Ok(RoomRef::Id(RoomId::from("!abc:example.org"))));
    // Room version 12: the id is a hash, with no server in it.
    let hashed = "!n8f893n9qnmaYyRvF5Ip4hrNDB6fDNRwdjl04aCkq4U";
    assert_eq!(room_text(hashed), Ok(RoomRef::Id(RoomId::from(hashed))));
    assert_eq!(room_text("#janitor:example.org"), Ok(RoomRef::Alias("#janitor:example.org".to_owned())));
    for bad in ["janitor", "#janitor", "", "https://matrix.to/#/#janitor:example.org"] {
        assert!(room_text(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_wrong_url_is_not_shown() {
    assert_eq!(url(&"http://localhost:8008".into()).unwrap().as_str(), "http://localhost:8008/");
    for bad in [
        "matrix.hunter2.org",
        "ftp://hunter2",
        "https://me:hunter2@example.org",
        "https://example.org/?hunter2",
    ] {
        let sentence = url(&bad.into()).unwrap_err();
        assert!(!sentence.contains("hunter2"), "{sentence}");
    }
}

#[test]
fn a_room_id_without_a_server_is_a_whole_hash() {
    for bad in [
        "!abc",
        "!",
        "!:example.org",
        "!abc:",
        "!abc:exa/mple",
        "!n8f893n9qnmaYyRvF5Ip4hrNDB6fDNRwdjl04aCkq4",
    ] {
        assert!(room_text(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_url_is_one_address_of_a_host() {
    for bad in [
        "https://matrix.example.org,https://b.example.org",
        "https://matrix.example.org https://b.example.org",
        "https://matrix.exam\nple.org",
        "https://matrix.example.org\u{200b}",
        "https://a;b",
    ] {
        assert!(url(&bad.into()).is_err(), "{bad:?}");
    }
    for good in ["http://matrix_synapse:8008", "https://[fd00::1]:8448/", "https://example.org/base"] {
        assert!(url(&good.into()).is_ok(), "{good}");
    }
}

#[test]
fn a_glob_that_fits_nobody_is_refused() {
    let globs = |entry: &str| user_globs(&ValueKind::Array(vec![entry.into()]));
    for good in
        ["*", "*:example.org", "@a:b", "@bridge_?:*", "@rec*", "*example.org", "@*:*.example.org:8448"]
    {
        assert!(globs(good).is_ok(), "{good}");
    }
    for bad in
        ["example.org", "@recorder", "@recorder:", "recorder:*", "*:", "@a?", "@*:exa/mple", "#a*:b", "!a*:b"]
    {
        assert_eq!(
            globs(bad).unwrap_err(),
            format!("{bad:?} fits no user id; write \"@user:example.org\" or \"*:example.org\"")
        );
    }
}

#[test]
fn two_entries_in_one_are_refused_in_every_list() {
    for between in [" ", ",", ", ", "\n", "\u{a0}", "\u{2003}", "\t", ";\u{200b}"] {
        let two = |one: &str| ValueKind::Array(vec![format!("{one}{between}{one}").as_str().into()]);
        for told in [
            rooms(&two("!a:example.org")).unwrap_err(),
            rooms(&two("#a:example.org")).unwrap_err(),
            users(&two("@a:example.org")).unwrap_err(),
            user_globs(&two("@a:example.org")).unwrap_err(),
            user_globs(&two("*:example.org")).unwrap_err(),
        ] {
            assert!(told.contains("in it"), "{told}");
        }
    }
    let around = ValueKind::Array(vec!["\u{a0}@a:example.org\u{a0}".into()]);
    assert_eq!(users(&around), Ok(vec![UserId::from("@a:example.org")]));
}
