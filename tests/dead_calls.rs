//! Stale memberships are cleared, and active ones are not: the real program beside a real Synapse.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use rtc_janitor_test_support::{
    Bot, BotSetup, CALL_MEMBER, Device, Membership, Method, PATIENCE, RoomOptions, Synapse, call_key,
    wait_until,
};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_rtc-janitor");

/// A grace so long that its reason has no part in a test.
const NEVER_IN_A_TEST: &str = "1h";

/// What was left behind by a device that nobody knows: it expired half an hour ago.
fn ghost(user_id: &str, device_id: &str) -> Membership {
    Membership::session(user_id, device_id).aged(Duration::from_hours(1)).expires(Duration::from_mins(30))
}

/// One more signed-in device of the same user, with keys.
async fn keyed_device(synapse: &Synapse, user: &rtc_janitor_test_support::User) -> Result<Device> {
    let device = synapse.login(user).await?;
    synapse.upload_keys(&device).await?;
    Ok(device)
}

/// When the server says that this membership's event was sent.
async fn sent(synapse: &Synapse, room: &str, key: &str) -> Result<i64> {
    let event = synapse.call_member(room, key).await?.context("there is such a membership")?;
    event["origin_server_ts"].as_i64().context("an event has a time")
}

/// The event that stands under a key: as long as it is the same, nobody has touched the membership.
async fn event_id(synapse: &Synapse, room: &str, key: &str) -> Result<Value> {
    let event = synapse.call_member(room, key).await?.context("there is such a membership")?;
    Ok(event["event_id"].clone())
}

#[tokio::test]
async fn a_logged_out_device_is_hung_up_after_its_grace_and_the_live_one_beside_it_is_not() -> Result<()> {
    const GRACE: Duration = Duration::from_secs(5);
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let bot = setup.set("grace.default", "5s").start().await?;
    let alice = synapse.register("alice").await?;
    let live = keyed_device(synapse, &alice).await?;
    let dead = keyed_device(synapse, &alice).await?;
    let room = setup.watched_room(&live, RoomOptions::new()).await?;
    for device in [&live, &dead] {
        synapse.join_call(device, &room).await?;
        bot.knows(device).await?;
    }

    let mark = synapse.send_text(&live, &room, "now the other one signs out").await?;
    synapse.logout(&dead).await?;
    setup.wait_until_cleared(&room, &call_key(&dead)).await?;
    bot.sweeps_again().await?;

    let messages = synapse.messages(&room).await?;
    let mark = messages.iter().find(|message| message.event_id == mark).context("the mark is there")?;
    let cleared = sent(synapse, &room, &call_key(&dead)).await?;
    let held = Duration::from_millis(u64::try_from(cleared - mark.sent.timestamp_millis())?);
    assert!(held >= GRACE, "cleared {held:?} after the logout");
    assert!(synapse.is_open(&room, &call_key(&live)).await?);
    assert_eq!(setup.emptied(&room).await?, [call_key(&dead)]);
    let report = setup.hear(&dead.device_id).await?;
    assert!(report.body.contains("device gone"), "{}", report.body);
    assert!(!report.body.contains(&live.device_id), "{}", report.body);
    assert!(bot.stop().await?.success());
    Ok(())
}

#[tokio::test]
async fn a_device_without_keys_is_not_taken_for_one_that_signed_out() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let bot = setup.start().await?;
    let alice = synapse.register("alice").await?;
    let live = keyed_device(synapse, &alice).await?;
    let dead = keyed_device(synapse, &alice).await?;
    let keyless = synapse.login(&alice).await?;
    let room = setup.watched_room(&live, RoomOptions::new()).await?;
    for device in [&keyless, &live, &dead] {
        synapse.join_call(device, &room).await?;
    }
    bot.knows(&dead).await?;

    synapse.logout(&dead).await?;
    setup.wait_until_cleared(&room, &call_key(&dead)).await?;
    bot.sweeps_again().await?;

    assert!(synapse.is_open(&room, &call_key(&keyless)).await?);
    assert_eq!(setup.emptied(&room).await?, [call_key(&dead)]);
    Ok(())
}

#[tokio::test]
async fn an_expired_membership_is_hung_up_and_one_just_as_old_that_has_not_expired_is_not() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    setup.set("grace.default", NEVER_IN_A_TEST).set("grace.expired", "2s");
    let bot = setup.start().await?;
    let alice = synapse.register("alice").await?;
    let live = keyed_device(synapse, &alice).await?;
    let dead = keyed_device(synapse, &alice).await?;
    let room = setup.watched_room(&live, RoomOptions::new()).await?;
    let hour_old = |device| Membership::of(device).aged(Duration::from_hours(1));
    synapse.write_membership(&room, hour_old(&live).expires(Duration::from_hours(2))).await?;
    synapse.write_membership(&room, hour_old(&dead).expires(Duration::from_mins(30))).await?;

    setup.wait_until_cleared(&room, &call_key(&dead)).await?;
    bot.sweeps_again().await?;

    assert!(synapse.is_open(&room, &call_key(&live)).await?);
    assert_eq!(setup.emptied(&room).await?, [call_key(&dead)]);
    assert!(setup.hear(&dead.device_id).await?.body.contains("expired"));
    Ok(())
}

#[tokio::test]
async fn whoever_left_was_kicked_or_was_deactivated_is_hung_up_and_who_stayed_is_not() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    // A deactivated account has no devices either; here only its absence from the room may count.
    let bot = setup.set("grace.default", NEVER_IN_A_TEST).start().await?;
    let host = synapse.sign_in_new("host").await?;
    let room = setup.watched_room(&host, RoomOptions::new()).await?;
    synapse.join_call(&host, &room).await?;
    let mut guests = Vec::new();
    for stem in ["left", "kicked", "deactivated"] {
        let guest = synapse.sign_in_new(stem).await?;
        synapse.bring_in(&host, &room, &guest).await?;
        synapse.join_call(&guest, &room).await?;
        bot.knows(&guest).await?;
        guests.push(guest);
    }
    let [left, kicked, deactivated] = &guests[..] else { unreachable!("three were made") };

    // One after the other: three at once would open the breaker.
    synapse.leave(left, &room).await?;
    setup.wait_until_cleared(&room, &call_key(left)).await?;
    synapse.kick(&host, &room, &kicked.user_id).await?;
    setup.wait_until_cleared(&room, &call_key(kicked)).await?;
    synapse.deactivate(&deactivated.user_id).await?;
    setup.wait_until_cleared(&room, &call_key(deactivated)).await?;
    bot.sweeps_again().await?;

    assert!(synapse.is_open(&room, &call_key(&host)).await?);
    let mut gone: Vec<_> = guests.iter().map(call_key).collect();
    gone.sort();
    assert_eq!(setup.emptied(&room).await?, gone);
    for guest in &guests {
        assert!(setup.hear(&guest.user_id).await?.body.contains("not in the room"));
    }
    Ok(())
}

/// Whether the bot's sync says that a user is in the room, and whether it shows a membership of the user.
async fn sync_shows(setup: &BotSetup<'_>, room: &str, user_id: &str) -> Result<(bool, bool)> {
    let synapse = setup.synapse;
    let types = [CALL_MEMBER, "m.room.member"];
    let filter = json!({"room": {
        "rooms": [room],
        "state": {"types": types, "lazy_load_members": true},
        "timeline": {"types": types, "lazy_load_members": true, "limit": 50},
    }});
    let eyes = synapse.login(&setup.account).await?;
    let sync = synapse.as_device(&eyes, Method::GET, &["sync"]).query("filter", &filter.to_string());
    let answer = sync.send().await?;
    let joined = &answer["rooms"]["join"][room];
    let shows = |event_type: &str, key: &str| {
        let blocks = ["state", "timeline"].map(|block| joined[block]["events"].as_array());
        let mut events = blocks.into_iter().flatten().flatten();
        events.any(|event| event["type"] == event_type && event["state_key"] == key)
    };
    Ok((shows("m.room.member", user_id), shows(CALL_MEMBER, &format!("_{user_id}_PHONE_m.call"))))
}

#[tokio::test]
async fn a_member_whom_the_sync_never_showed_counts_as_joined() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let bot = setup.set("grace.default", NEVER_IN_A_TEST).start().await?;
    let host = synapse.sign_in_new("host").await?;
    // Of a room without a name, the sync shows some members so that clients can make one up.
    let room = synapse.create_room(&host, RoomOptions::new().name("Big")).await?;
    let mut members = Vec::new();
    for stem in ["silent", "gone"] {
        let user = synapse.register(stem).await?;
        let device = synapse.login_as(&user, "PHONE").await?;
        synapse.upload_keys(&device).await?;
        synapse.bring_in(&host, &room, &device).await?;
        synapse.join_call(&device, &room).await?;
        members.push(device);
    }
    let [silent, gone] = &members[..] else { unreachable!("two were made") };
    synapse.leave(gone, &room).await?;
    // More than a sync shows of a room's past, so that the bot hears of neither from there.
    for _ in 0..30 {
        synapse.join_call(&host, &room).await?;
        synapse.leave_call(&host, &room).await?;
    }

    synapse.invite(&host, &room, &setup.account.user_id).await?;
    setup.wait_for_the_bot_in(&room).await?;
    for member in [silent, gone] {
        assert_eq!(sync_shows(&setup, &room, &member.user_id).await?, (false, true), "member, membership");
    }
    setup.wait_until_cleared(&room, &call_key(gone)).await?;
    bot.sweeps_again().await?;

    assert!(synapse.is_open(&room, &call_key(silent)).await?);
    assert_eq!(setup.emptied(&room).await?, [call_key(gone)]);
    Ok(())
}

#[tokio::test]
async fn an_array_form_membership_is_reported_as_blocked_once_and_never_written() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let bot = setup.start().await?;
    let alice = synapse.sign_in_new("alice").await?;
    let room = setup.watched_room(&alice, RoomOptions::new()).await?;
    // All the power there is does not help with such a key.
    synapse.set_power_level(&alice, &room, &setup.account.user_id, 100).await?;
    synapse.write_membership(&room, ghost(&alice.user_id, "OLDPHONE").array().also("OLDTABLET")).await?;
    synapse.write_membership(&room, ghost(&alice.user_id, "CONTROL")).await?;
    let session_key = format!("_{}_CONTROL_m.call", alice.user_id);

    setup.wait_until_cleared(&room, &session_key).await?;
    let report = setup.hear("Only its owner may write such a key").await?;
    assert!(report.body.contains("OLDPHONE, OLDTABLET"), "{}", report.body);
    bot.sweeps_again().await?;

    assert!(synapse.is_open(&room, &alice.user_id).await?);
    assert_eq!(setup.emptied(&room).await?, [session_key]);
    assert_eq!(setup.times_said("Only its owner may write such a key").await?, 1);
    Ok(())
}

/// What the journal holds as found: of which key in which room and which of its events, and why it is stale.
type Findings = BTreeMap<(String, String, String), String>;

fn findings(setup: &BotSetup<'_>, store: &str, kind: &str) -> Result<Findings> {
    let path = setup.directory().join(store).join("journal.sqlite3");
    let journal = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut query =
        journal.prepare("SELECT room, key, event, details ->> 'reason' FROM findings WHERE kind = ?1")?;
    let rows = query.query_map([kind], |row| Ok(((row.get(0)?, row.get(1)?, row.get(2)?), row.get(3)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Memberships of every kind that can be found stale here, each with a live neighbour.
struct Stage {
    host: Device,
    open: String,
    strict: String,
    /// Room, key and reason of what can be cleared.
    stale: Vec<(String, String, &'static str)>,
    /// Room and key of what is stale and cannot be.
    blocked: Vec<(String, String)>,
    /// Room and key of what is alive.
    live: Vec<(String, String)>,
}

impl Stage {
    /// Two rooms with the bot in them.
    async fn build(setup: &BotSetup<'_>) -> Result<Self> {
        let host = setup.synapse.sign_in_new("host").await?;
        let open = setup.watched_room(&host, RoomOptions::new()).await?;
        let strict = setup.watched_room(&host, RoomOptions::new().call_member_level(50)).await?;
        Ok(Self { host, open, strict, stale: Vec::new(), blocked: Vec::new(), live: Vec::new() })
    }

    /// A stale membership of the host's device, which is alive; each is of a call of its own, lest one supersede the
    /// other, so that no other reason holds.
    async fn add(&mut self, synapse: &Synapse, membership: Membership, reason: &'static str) -> Result<()> {
        let membership = membership.field("call_id", reason).key(&format!("_{}_{reason}", self.host.user_id));
        self.stale.push((self.open.clone(), membership.state_key(), reason));
        synapse.write_membership(&self.open, membership).await.map(drop)
    }

    /// What has to be there before the bot looks: what it sees arrive has given a sign of life just then.
    async fn set_up_while_the_bot_is_away(&mut self, synapse: &Synapse) -> Result<()> {
        let silent =
            Membership::of(&self.host).aged(Duration::from_hours(52)).expires(Duration::from_hours(100));
        self.add(synapse, silent, "silent").await
    }

    async fn set_up(&mut self, synapse: &Synapse, bot: &Bot) -> Result<()> {
        let alice = synapse.register("alice").await?;
        let [live, dead] = [keyed_device(synapse, &alice).await?, keyed_device(synapse, &alice).await?];
        let bob = synapse.sign_in_new("bob").await?;
        for guest in [&live, &bob] {
            synapse.bring_in(&self.host, &self.open, guest).await?;
        }
        for device in [&self.host, &live, &dead, &bob] {
            synapse.join_call(device, &self.open).await?;
            bot.knows(device).await?;
        }
        synapse.join_call(&self.host, &self.strict).await?;

        self.add(synapse, ghost(&self.host.user_id, &self.host.device_id), "expired").await?;
        let old_key = format!("_{}_{}", live.user_id, live.device_id);
        let superseded = Membership::of(&live).key(&old_key).aged(Duration::from_mins(10));
        let array = ghost(&alice.user_id, "ARRAY").array();
        for membership in [superseded, array] {
            synapse.write_membership(&self.open, membership).await?;
        }
        let out_of_reach = ghost(&self.host.user_id, "STRICT");
        let out_of_reach_key = out_of_reach.state_key();
        synapse.write_membership(&self.strict, out_of_reach).await?;
        synapse.logout(&dead).await?;
        synapse.leave(&bob, &self.open).await?;

        let stale =
            [(old_key, "superseded"), (call_key(&dead), "device_gone"), (call_key(&bob), "not_joined")];
        self.stale.extend(stale.map(|(key, reason)| (self.open.clone(), key, reason)));
        self.stale.sort();
        self.blocked = vec![(self.open.clone(), alice.user_id), (self.strict.clone(), out_of_reach_key)];
        let live = [(&self.open, &self.host), (&self.open, &live), (&self.strict, &self.host)];
        self.live = live.map(|(room, device)| (room.clone(), call_key(device))).into();
        Ok(())
    }
}

/// Waits until the journal holds as many findings of this kind.
async fn wait_for_findings(setup: &BotSetup<'_>, bot: &Bot, kind: &str, count: usize) -> Result<()> {
    wait_until(&format!("{count} findings of kind {kind}"), PATIENCE, async || {
        Ok::<_, anyhow::Error>(findings(setup, "data", kind)?.len() >= count)
    })
    .await
    .with_context(|| bot.log())
}

#[tokio::test]
async fn report_mode_changes_nothing_and_finds_just_what_clean_mode_clears() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let bot = setup.set("janitor.mode", "report").start().await?;
    let mut stage = Stage::build(&setup).await?;
    assert!(bot.stop().await?.success());
    stage.set_up_while_the_bot_is_away(synapse).await?;
    let bot = setup.start().await?;
    stage.set_up(synapse, &bot).await?;
    wait_for_findings(&setup, &bot, "would_clear", stage.stale.len()).await?;
    wait_for_findings(&setup, &bot, "blocked", stage.blocked.len()).await?;
    bot.sweeps_again().await?;
    assert!(bot.stop().await?.success());

    for room in [&stage.open, &stage.strict] {
        assert_eq!(setup.changes_by_the_bot(room).await?, Vec::<Value>::new());
    }
    let would_clear = findings(&setup, "data", "would_clear")?;
    let named: Vec<_> = would_clear
        .iter()
        .map(|((room, key, _), reason)| (room.clone(), key.clone(), reason.as_str()))
        .collect();
    assert_eq!(named, stage.stale);
    let blocked = findings(&setup, "data", "blocked")?;
    assert_eq!(findings(&setup, "data", "cleared")?, Findings::new());

    // In mode clean with a journal of its own, so that nothing is taken over from the report. It has not seen the
    // dead device in a list, and waits longer for such a one unless told otherwise; and as its account has spoken
    // before, it stays in mode report until somebody says otherwise.
    setup.set("janitor.mode", "clean").set("store.path", "data-clean").set("grace.device_gone_unseen", "2s");
    let bot = setup.start().await?;
    synapse.send_text(&setup.admin, &setup.admin_room, "!janitor mode clean").await?;
    for (room, key, _) in &stage.stale {
        setup.wait_until_cleared(room, key).await.with_context(|| bot.log())?;
    }
    bot.sweeps_again().await?;
    assert!(bot.stop().await?.success());

    let journal = |kind| findings(&setup, "data-clean", kind);
    assert_eq!(journal("cleared")?, would_clear);
    assert_eq!(journal("blocked")?, blocked);
    for (room, key) in stage.live.iter().chain(&stage.blocked) {
        assert!(synapse.is_open(room, key).await?, "{key} in {room}");
    }
    Ok(())
}

#[tokio::test]
async fn a_report_that_turned_into_cleaning_says_each_thing_once_in_each_mode() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let bot = setup.set("janitor.mode", "report").start().await?;
    let alice = synapse.sign_in_new("alice").await?;
    let room = setup.watched_room(&alice, RoomOptions::new()).await?;
    synapse.write_membership(&room, ghost(&alice.user_id, "DEAD")).await?;
    let key = format!("_{}_DEAD_m.call", alice.user_id);
    setup.hear("Would clear 1 stale membership").await?;
    assert!(bot.stop().await?.success());
    let bot = setup.start().await?;
    bot.sweeps_again().await?;
    assert!(bot.stop().await?.success());
    assert_eq!(setup.times_said("Would clear").await?, 1);
    assert!(synapse.is_open(&room, &key).await?);

    let _bot = setup.set("janitor.mode", "clean").start().await?;
    setup.wait_until_cleared(&room, &key).await?;
    setup.hear("Cleared 1 stale membership").await?;
    assert_eq!(setup.times_said("Would clear").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_live_membership_that_is_refreshed_again_and_again_is_left_alone() -> Result<()> {
    const STEP: Duration = Duration::from_secs(6);
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let bot = setup.start().await?;
    let alice = synapse.register("alice").await?;
    let live = keyed_device(synapse, &alice).await?;
    let dead = keyed_device(synapse, &alice).await?;
    let room = setup.watched_room(&live, RoomOptions::new()).await?;
    for device in [&live, &dead] {
        synapse.write_membership(&room, Membership::of(device).expires(STEP)).await?;
    }

    // Both would be over soon; one is put off as its client does, the other is not.
    let mut refreshes = 0;
    wait_until("the one that is not refreshed to be cleared", PATIENCE, async || {
        synapse.refresh_call_by(&live, &room, STEP).await?;
        refreshes += 1;
        Ok::<_, anyhow::Error>(!synapse.is_open(&room, &call_key(&dead)).await?)
    })
    .await?;
    let last = synapse.refresh_call_by(&live, &room, STEP).await?;
    bot.sweeps_again().await?;

    ensure!(refreshes > 3, "refreshed only {refreshes} times");
    assert_eq!(event_id(synapse, &room, &call_key(&live)).await?, json!(last));
    assert_eq!(setup.emptied(&room).await?, [call_key(&dead)]);
    Ok(())
}

#[tokio::test]
async fn excluded_owners_and_rooms_are_left_alone() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let alice = synapse.sign_in_new("alice").await?;
    let recorder = synapse.sign_in_new("recorder").await?;
    let invited = || RoomOptions::new().invite(&setup.account.user_id);
    let swept = synapse.create_room(&alice, invited()).await?;
    let excluded = synapse.create_room(&alice, invited()).await?;
    synapse.bring_in(&alice, &swept, &recorder).await?;
    setup.set_raw("rooms.exclude", &json!([excluded]).to_string());
    setup.set_raw("owners.exclude", &json!(["@recorder-*"]).to_string());
    // The same ghost three times: of an excluded owner, in an excluded room, and neither.
    for (room, user) in [(&swept, &recorder), (&excluded, &alice), (&swept, &alice)] {
        synapse.write_membership(room, ghost(&user.user_id, "DEAD")).await?;
    }
    let key = |user: &Device| format!("_{}_DEAD_m.call", user.user_id);

    let bot = setup.start().await?;
    setup.wait_for_the_bot_in(&excluded).await?;
    setup.wait_until_cleared(&swept, &key(&alice)).await?;
    bot.sweeps_again().await?;

    assert!(synapse.is_open(&swept, &key(&recorder)).await?);
    assert!(synapse.is_open(&excluded, &key(&alice)).await?);
    assert_eq!(setup.emptied(&swept).await?, [key(&alice)]);
    assert_eq!(setup.emptied(&excluded).await?, Vec::<String>::new());
    assert_eq!(setup.times_said(&recorder.user_id).await?, 0);
    Ok(())
}

#[tokio::test]
async fn too_little_power_is_reported_with_the_cure_and_enough_of_it_needs_no_restart() -> Result<()> {
    let synapse = Synapse::shared().await?;
    let setup = BotSetup::new(synapse, PROGRAM).await?;
    let bot = setup.start().await?;
    let alice = synapse.sign_in_new("alice").await?;
    let strict = setup.watched_room(&alice, RoomOptions::new().call_member_level(50)).await?;
    let free = setup.watched_room(&alice, RoomOptions::new()).await?;
    let key = format!("_{}_DEAD_m.call", alice.user_id);
    for room in [&strict, &free] {
        synapse.write_membership(room, ghost(&alice.user_id, "DEAD")).await?;
    }

    setup.wait_until_cleared(&free, &key).await?;
    setup.hear("My power level there is 0 and call memberships need 50: raise mine").await?;
    bot.sweeps_again().await?;
    assert!(synapse.is_open(&strict, &key).await?);
    assert_eq!(setup.times_said("My power level there is 0").await?, 1);

    synapse.set_power_level(&alice, &strict, &setup.account.user_id, 50).await?;
    setup.wait_until_cleared(&strict, &key).await?;
    assert_eq!(setup.emptied(&strict).await?, [key]);
    Ok(())
}
