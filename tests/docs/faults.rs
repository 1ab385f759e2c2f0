//! Pages that are wrong on purpose: each check finds what it is for.

use std::collections::BTreeSet;

use crate::{
    blocks, names,
    page::{self, Page},
};

fn page(text: &str) -> Page {
    Page { path: "docs/wrong.md".to_owned(), text: text.to_owned() }
}

fn block(language: &str, text: &str) -> Page {
    page(&format!("# Wrong\n\n```{language}\n{text}\n```\n"))
}

/// The one fault that there is.
fn only(faults: &[String]) -> &str {
    let [fault] = faults else { panic!("not one fault: {faults:?}") };
    fault
}

#[test]
fn a_block_that_is_wrong_is_a_fault() {
    for (language, text, expected) in [
        ("", "anything", "without a language"),
        ("perl", "1", "nothing tries blocks of “perl”"),
        ("toml", "[janitor]\nmood = \"clean\"", "janitor.mood"),
        ("toml", "[janitor]\nmode = \"clear\"", "janitor.mode"),
        ("toml", "[janitor\n", "config check says"),
        ("toml", "[rules]\nsilent_after = \"1h\"", "warning"),
        ("sh", "if true; then", "bash does not take it"),
        ("sh", "rtc-janitor swep", "the program refuses “swep"),
        ("sh", "curl \"$URL\" | rtc-janitor sweep --clear", "--clear"),
        ("sh", "rtc-janitor sweep --room team", "the program refuses"),
        ("sh", "rtc-janitor explain --json", "the program refuses"),
        ("sh", "rtc-janitor explain --state missing.json", "cannot read missing.json"),
        ("sh", "rtc-janitor --config other.toml config check", "other.toml"),
        ("sh", "X=$(frobnicate)", "“frobnicate” is not among the programs"),
        ("sh", "cargo test --test nothing", "there is no tests/nothing.rs"),
        ("sh", ".ci/walk", "there is no .ci/walk"),
        ("crontab", "*/5 * * * rtc-janitor sweep", "no field of a crontab"),
        ("crontab", "*/5 * * * * rtc-janitor sweep --silent", "--silent"),
        ("yaml", "webhook:\n  api_key: KEY\n urls: []", "no YAML"),
        ("yaml", "webhook: 1\nwebhook: 2", "no YAML"),
        ("yaml", "just words", "neither keys nor a list"),
        ("json", "{\"a\": 1,}", "no JSON"),
        ("ini", "ExecStart=/bin/true", "no section"),
        ("ini", "[Service]\nExecStart", "no section and no key"),
        ("text", "!janitor swep", "no command: !janitor swep"),
        ("text", "!janitor mode sometimes", "no command"),
        ("text", "!janitor status\nAll is well", "among commands, and none"),
    ] {
        let faults = blocks::check(&block(language, text));
        let [fault] = &faults[..] else { panic!("not one fault in {language}: {text}: {faults:?}") };
        assert!(fault.starts_with("docs/wrong.md:4: "), "{fault}");
        assert!(fault.contains(expected), "{language}: {text}: {fault}");
    }
    assert!(only(&blocks::check(&page("```sh\ntrue\n"))).contains("does not end"));
}

#[test]
fn a_block_that_is_right_is_none() {
    for (language, text) in [
        ("toml", "[janitor]\nmode = \"clean\""),
        ("toml", "[login]\npassword_file = \"/run/secrets/password\""),
        ("sh", "rtc-janitor --config /etc/rtc-janitor/config.toml config check"),
        ("sh", "curl \"$URL\" | rtc-janitor explain --state - --json"),
        ("crontab", "0 3 * * 1-5 rtc-janitor sweep"),
        ("yaml", "a: [1, 2]"),
        ("json", "{}"),
        ("ini", "# A unit\n[Service]\nExecStart=/bin/true"),
        ("text", "Whatever a program prints"),
        ("text", "!janitor status"),
    ] {
        assert_eq!(blocks::check(&block(language, text)), Vec::<String>::new(), "{language}: {text}");
    }
}

#[test]
fn a_name_or_a_link_that_is_wrong_is_a_fault() {
    for (text, expected) in [
        ("[a](nowhere.md)", "leads to no file"),
        ("[a](../README.md#nowhere)", "leads to no heading"),
        ("# One\n\n[a](#two)", "leads to no heading"),
    ] {
        assert!(only(&page::check_links(&page(text))).contains(expected), "{text}");
    }
    assert!(
        page::check_links(&page("# One Two, three\n\n[a](#one-two-three) [b](../README.md#install)"))
            .is_empty()
    );

    for text in
        ["Set `janitor.mood`.", "Set `RTC_JANITOR__JANITOR__MOOD=clean`.", "Set `admin_room.login.name`."]
    {
        assert!(only(&names::check_keys(&page(text))).contains("there is no key"), "{text}");
    }
    assert!(names::check_keys(&page("`janitor.mode`, `livekit.yaml`, `login.password_file`")).is_empty());

    for text in ["Say `!janitor swep`.", "Run `rtc-janitor swep`.", "Run `rtc-janitor sweep --clear`."] {
        assert_eq!(names::check_commands(&page(text)).len(), 1, "{text}");
    }
    assert!(names::check_commands(&page("`!janitor …`, `!janitor status`, `rtc-janitor sweep`")).is_empty());

    let tests = BTreeSet::from(["a_rule_is_held".to_owned()]);
    assert!(
        only(&names::check_tests(&page("| a | `a_rule_is_broken` |"), &tests))
            .contains("no test a_rule_is_broken")
    );
    assert!(
        only(&names::check_tests(&page("| a | nothing |"), &tests)).contains("a rule that no test holds")
    );
    assert!(names::check_tests(&page("| a | `a_rule_is_held` |"), &tests).is_empty());

    assert!(only(&page::check_lines(&page(&"x".repeat(121)))).contains("longer than"));
    assert!(page::check_lines(&page("Say `!janitor\nstatus`."))[0].contains("code goes over"));
    assert!(only(&page::check_lines(&page("It hangs up."))).contains("is called"));
}
