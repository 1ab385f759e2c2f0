//! Every mistake that a config file can hold, with its exact sentence.

use crate::{Home, and, but};

/// Each text, as the config file, is answered by exactly its sentence.
fn expect(cases: &[(String, &str)]) {
    for (toml, sentence) in cases {
        let home = Home::with(toml).file("password", "hunter2").file("void", "\n");
        assert_eq!(home.mistakes(&[]), format!("error: {sentence}\n"), "{toml}");
    }
}

#[test]
fn a_name_that_does_not_exist_is_told_the_nearest_right_one() {
    expect(&[
        (
            and("[janitor]\nsweep_intervall = \"1m\""),
            "unknown key janitor.sweep_intervall (config.toml); did you mean janitor.sweep_interval?",
        ),
        (and("mode = \"clean\""), "unknown key mode (config.toml); did you mean janitor.mode?"),
        (
            and("[Janitor]\nmode = \"clean\""),
            "unknown section [Janitor] (config.toml); did you mean [janitor]?",
        ),
        (
            and("[synapse]\nurl = \"x\""),
            "unknown section [synapse] (config.toml); the sections are homeserver, login, store, janitor, \
             grace, rules, limits, breaker, rooms, owners, admin_room, synapse_admin, livekit, appservice, http, log",
        ),
        (
            and("admin_room.zzz = \"blue\""),
            "unknown key admin_room.zzz (config.toml); [admin_room] has room, command_prefix, power_level, \
             admins, alert, digest, recovery_key, recovery_key_file, login",
        ),
        (
            and("limits = 5"),
            "limits (config.toml) is a section; write [limits] on a line of its own and its keys below",
        ),
        (
            and("[[rules]]\nsilent_after = \"5h\""),
            "rules (config.toml) is a section; write [rules] with single brackets",
        ),
    ]);
}

#[test]
fn a_wrong_value_is_told_what_is_right() {
    expect(&[
        (
            and("[janitor]\nsweep_interval = \"soon\""),
            "janitor.sweep_interval (config.toml): \"soon\" is not a duration; write a duration such as \
             \"90s\", \"5m\" or \"4h15m\"",
        ),
        (
            and("[janitor]\nsweep_interval = 90"),
            "janitor.sweep_interval (config.toml): 90 is not a duration in quotes; write a duration such as \
             \"90s\", \"5m\" or \"4h15m\"",
        ),
        (
            and("[janitor]\nminimum_age = \"0s\""),
            "janitor.minimum_age (config.toml): \"0s\" is too short; the least is \"1s\"",
        ),
        (
            and("[grace]\nsilent = \"nie\""),
            "grace.silent (config.toml): \"nie\" is not a duration; write a duration such as \"90s\", \"5m\" \
             or \"4h15m\", or \"never\"",
        ),
        (
            and("[janitor]\nmode = \"clear\""),
            "janitor.mode (config.toml): \"clear\" is neither \"report\" nor \"clean\"",
        ),
        (
            and("[janitor]\nremote_device_lists = \"yes\""),
            "janitor.remote_device_lists (config.toml): \"yes\" is neither true nor false (without quotes)",
        ),
        (
            and("[breaker]\nshare = 1.5"),
            "breaker.share (config.toml): 1.5 is out of range; it must be above 0 and at most 1",
        ),
        (
            and("[breaker]\nshare = 0"),
            "breaker.share (config.toml): 0 is out of range; it must be above 0 and at most 1",
        ),
        (
            and("[limits]\nper_hour = 0"),
            "limits.per_hour (config.toml): 0 is out of range; it goes from 1 to 4294967295",
        ),
        (
            and("[limits]\nper_hour = \"many\""),
            "limits.per_hour (config.toml): \"many\" is not a whole number; write it without quotes, such as 20",
        ),
        (
            and("[rooms]\nexclude = \"!a:b\""),
            "rooms.exclude (config.toml): \"!a:b\" is not a list; write it in brackets, such as \
             [\"one\", \"two\"]",
        ),
        (
            and("[rooms]\ninclude = [\"lobby\"]"),
            "rooms.include (config.toml): \"lobby\" is neither a room id (\"!id:example.org\") nor an alias \
             (\"#name:example.org\")",
        ),
        (
            and("[rooms]\nexclude = [\"Team Meeting\", \"#a:hs #b:hs\"]"),
            "rooms.exclude (config.toml): \"Team Meeting\" is neither a room id (\"!id:example.org\") nor an alias \
             (\"#name:example.org\"); \"#a:hs #b:hs\" has a space in it; write one entry for each",
        ),
        (
            and("[owners]\nexclude = [\"recorder\"]"),
            "owners.exclude (config.toml): \"recorder\" fits no user id; write \"@user:example.org\" or \
             \"*:example.org\"",
        ),
        (
            and("[log]\nfilter = \"rtc_janitor=loud\""),
            "log.filter (config.toml): \"rtc_janitor=loud\" is not a log filter; write a level (error, warn, \
             info, debug, trace, off), or one by module: \"info,rtc_janitor=debug\"",
        ),
    ]);
}

#[test]
fn the_homeserver_has_one_address_and_a_full_account() {
    expect(&[
        (
            but("homeserver.user_id", "homeserver.user_id = \"rtc-janitor\""),
            "homeserver.user_id (config.toml): \"rtc-janitor\" is not a user id; write it in full, such as \
             \"@janitor:example.org\"",
        ),
        (
            but("homeserver.url", "homeserver.url = \"matrix.example.org\""),
            "homeserver.url (config.toml): is not a full URL; write one such as \
             \"https://matrix.example.org\"",
        ),
        (
            but("homeserver.url", "homeserver.url = \"matrix://example.org\""),
            "homeserver.url (config.toml): must begin with https:// or http://; write one such as \
             \"https://matrix.example.org\"",
        ),
        (
            but("homeserver.url", ""),
            "homeserver.url is not set; write the address of the homeserver, such as \
             \"https://matrix.example.org\", or its homeserver.server_name",
        ),
        (
            and("homeserver.server_name = \"example.org\""),
            "homeserver.url (config.toml) and homeserver.server_name (config.toml) are both set; keep one of \
             them",
        ),
        (
            but("homeserver.url", "homeserver.server_name = \"example.net\""),
            "homeserver.server_name (config.toml) is example.net, but homeserver.user_id (config.toml) is \
             @rtc-janitor:example.org; the account must be on that server",
        ),
    ]);
}

#[test]
fn there_is_one_way_to_sign_in_and_there_are_two_devices() {
    let token = "login.access_token = \"syt\"\nlogin.device_id = \"WATCH\"";
    expect(&[
        (
            but("login.password", ""),
            "no way to sign in is set; write login.password_file (or login.password), \
             login.access_token_file with login.device_id, or appservice.as_token_file",
        ),
        (
            and("login.access_token = \"syt\"\nlogin.device_id = \"WATCH\""),
            "login.password (config.toml) and login.access_token (config.toml) are two ways to sign in; keep \
             one of them",
        ),
        (
            and("login.password_file = \"password\""),
            "login.password (config.toml) and login.password_file (config.toml) are both set; keep one of them",
        ),
        (
            but("login.password", "login.password_file = \"nowhere\""),
            "login.password_file (config.toml): the file HOME/nowhere does not exist",
        ),
        (
            but("login.password", "login.password_file = \"void\""),
            "login.password_file (config.toml): the file HOME/void is empty",
        ),
        (
            but("login.password", "login.password = 123"),
            "login.password (config.toml): must be text: put it in quotes",
        ),
        (
            but("login.password", "login.access_token = \"syt\""),
            "login.access_token (config.toml) is set without login.device_id; write the id of the device that \
             the token belongs to",
        ),
        (
            and("login.device_id = \"WATCH\""),
            "login.device_id (config.toml) goes with an access token, but login.password (config.toml) is \
             set; remove one of them",
        ),
        (
            but("login.password", token),
            "login.access_token (config.toml) is one device, and the janitor needs two: one that watches and \
             one that chats in the admin room; write [admin_room.login] with the access_token_file and \
             device_id of a second one, or with a password_file",
        ),
        (
            but("login.password", token)
                + "admin_room.login.access_token = \"syt2\"\nadmin_room.login.device_id = \"WATCH\"\n",
            "admin_room.login.device_id (config.toml) is the device of [login]; the janitor needs two: one \
             that watches and one that chats in the admin room",
        ),
        (
            and("admin_room.login.user_id = \"@chat:example.org\""),
            "admin_room.login.user_id (config.toml) is set without a way to sign in as that user; write \
             admin_room.login.password_file, or admin_room.login.access_token_file with \
             admin_room.login.device_id",
        ),
        (
            and("[admin_room.login]\nuser_id = \"@chat:example.net\"\npassword = \"x\""),
            "admin_room.login.user_id (config.toml) is @chat:example.net, on another server than \
             @rtc-janitor:example.org; both accounts must be on one homeserver",
        ),
        (
            but("admin_room.room", ""),
            "admin_room.room is not set; write one such as \"#janitor:example.org\"",
        ),
    ]);
}

#[test]
fn an_appservice_that_cannot_serve_is_told_in_one_sentence() {
    expect(&[
        (
            and("[appservice]\nas_token = \"x\"\nuser_id = \"@other:example.org\""),
            "appservice.user_id (config.toml) is @other:example.org, but homeserver.user_id (config.toml) is \
             @rtc-janitor:example.org; write the same in both, or leave appservice.user_id out",
        ),
        (
            and("[appservice]\nnamespace = \"@.*\""),
            "appservice.namespace (config.toml) is set without a token; write appservice.as_token_file, with the \
             as_token of the registration",
        ),
        (
            and("[appservice]\nas_token = \"x\"\nnamespace = \"@(.*:example\""),
            "appservice.namespace (config.toml): \"@(.*:example\" is not a regular expression: unclosed group",
        ),
        (
            and("[appservice]\nas_token_file = \"nowhere\""),
            "appservice.as_token_file (config.toml): the file HOME/nowhere does not exist",
        ),
        (
            but("login.password", "appservice.as_token = \"x\"\nappservice.namespace = \"@bridge_.*\""),
            "appservice.namespace (config.toml) does not have homeserver.user_id (config.toml), \
             @rtc-janitor:example.org, so the appservice cannot sign it in; widen the namespace, here and in the \
             registration, or write [login]",
        ),
        (
            and("[janitor]\nallow_redaction = \"yes\""),
            "janitor.allow_redaction (config.toml): \"yes\" is neither true nor false (without quotes)",
        ),
    ]);
}

#[test]
fn what_is_not_toml_is_told_with_its_place() {
    expect(&[
        (
            and("[janitor]\nmode = report"),
            "the config file config.toml is not valid TOML: line 7, column 8: string values must be quoted, \
             expected literal string",
        ),
        (
            but("login.password", "login.password = 0123"),
            "the config file config.toml is not valid TOML: line 4, column 18: a number has no leading zero; if \
             it is text, put it in quotes",
        ),
        (and("\"jan\\nitor\" = 1"), "unknown key \"jan\\nitor\" (config.toml); did you mean [janitor]?"),
    ]);
}
