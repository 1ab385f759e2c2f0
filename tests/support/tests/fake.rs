//! The fake homeserver does what it says: what a test concludes from it stands on this.

use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::{Client, Method, StatusCode};
use rtc_janitor_test_support::{Arrival, CALL_MEMBER, FakeHomeserver, Population, matching, wait_until};
use serde_json::{Value, json};
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_secs(20);
const SLIDING: &str = "unstable/org.matrix.simplified_msc3575/sync";

/// Somebody who is signed in as the bot's watch device.
struct Visitor<'a> {
    fake: &'a FakeHomeserver,
    client: Client,
    token: String,
}

impl<'a> Visitor<'a> {
    async fn new(fake: &'a FakeHomeserver, device_name: &str) -> Result<Self> {
        let mut visitor = Self { fake, client: Client::builder().no_proxy().build()?, token: String::new() };
        let body = json!({"initial_device_display_name": device_name});
        let (_, answer) = visitor.ask(Method::POST, "v3/login", body).await?;
        answer["access_token"].as_str().context("a token")?.clone_into(&mut visitor.token);
        Ok(visitor)
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> Result<(StatusCode, Value)> {
        let url = format!("{}/_matrix/client/{path}", self.fake.url());
        let mut request = self.client.request(method.clone(), url).bearer_auth(&self.token);
        if method != Method::GET {
            request = request.json(&body);
        }
        let answer = request.send().await?;
        Ok((answer.status(), answer.json().await?))
    }

    async fn get(&self, path: &str) -> Result<Value> {
        Ok(self.ask(Method::GET, path, Value::Null).await?.1)
    }

    /// The keys that a full `/sync` shows open in a room, by key.
    async fn shown(&self, room: &str) -> Result<Vec<String>> {
        let sync = self.get("v3/sync?timeout=0").await?;
        Ok(open_keys(&sync["rooms"]["join"][room]["state"]["events"]))
    }

    async fn sliding(&self, query: &str) -> Result<(StatusCode, Value)> {
        let list = json!({
            "ranges": [[0, 999]], "timeline_limit": 0,
            "required_state": [[CALL_MEMBER, "*"], ["m.room.member", "$ME"]],
        });
        let body = json!({"conn_id": "c", "lists": {"all": list}});
        self.ask(Method::POST, &format!("{SLIDING}{query}"), body).await
    }
}

fn open_keys(events: &Value) -> Vec<String> {
    let events = events.as_array().into_iter().flatten();
    let open = events.filter(|event| event["type"] == CALL_MEMBER && event["content"] != json!({}));
    open.filter_map(|event| event["state_key"].as_str().map(ToOwned::to_owned)).collect()
}

#[tokio::test]
async fn a_forked_room_is_told_wrongly_by_sync_and_truly_by_its_state_and_by_sliding_sync() -> Result<()> {
    let fake = FakeHomeserver::start(&Population::new().open(3))?;
    let visitor = Visitor::new(&fake, "watch").await?;
    let places: Vec<_> = (0..3).filter_map(|number| fake.place(number).ok()).collect();
    let room = fake.room(0);

    fake.keep_showing(&places[..1]);
    fake.hang_up(&places[0]);
    fake.hide(&places[1..2]);

    assert_eq!(visitor.shown(&room).await?, [places[0].key.as_str(), places[2].key.as_str()]);
    let truth = [places[1].key.clone(), places[2].key.clone()];
    assert_eq!(open_keys(&visitor.get(&format!("v3/rooms/{room}/state")).await?), truth);
    let (_, sliding) = visitor.sliding("").await?;
    assert_eq!(open_keys(&sliding["rooms"][&room]["required_state"]), truth);
    Ok(())
}

#[tokio::test]
async fn a_long_poll_ends_when_something_happens_and_says_what() -> Result<()> {
    let fake = FakeHomeserver::start(&Population::new().open(1))?;
    let visitor = Visitor::new(&fake, "watch").await?;
    let since = visitor.get("v3/sync?timeout=0").await?["next_batch"].as_str().unwrap_or_default().to_owned();
    let (_, sliding) = visitor.sliding("").await?;
    let pos = sliding["pos"].as_str().unwrap_or_default().to_owned();

    let begun = Instant::now();
    let path = format!("v3/sync?timeout=15000&since={since}");
    let query = format!("?timeout=15000&pos={pos}");
    let refresh = async {
        wait_until("both to wait", LIMIT, async || fake.count(Arrival::is_long_poll) == 2).await?;
        fake.refresh(0);
        anyhow::Ok(())
    };
    let (sync, sliding, refreshed) = tokio::join!(visitor.get(&path), visitor.sliding(&query), refresh);

    refreshed?;
    let room = fake.room(0);
    assert_eq!(open_keys(&sync?["rooms"]["join"][&room]["timeline"]["events"]).len(), 1);
    assert_eq!(open_keys(&sliding?.1["rooms"][&room]["required_state"]).len(), 1);
    assert!(begun.elapsed() < Duration::from_secs(15));
    Ok(())
}

#[tokio::test]
async fn tokens_that_were_forgotten_are_refused_as_synapse_refuses_them() -> Result<()> {
    let fake = FakeHomeserver::start(&Population::new())?;
    let visitor = Visitor::new(&fake, "watch").await?;
    let since = visitor.get("v3/sync?timeout=0").await?["next_batch"].as_str().unwrap_or_default().to_owned();
    let (_, sliding) = visitor.sliding("").await?;
    let pos = sliding["pos"].as_str().unwrap_or_default().to_owned();

    fake.forget_tokens();

    let (status, sync) = visitor.ask(Method::GET, &format!("v3/sync?since={since}"), Value::Null).await?;
    assert_eq!((status.as_u16(), &sync["errcode"]), (400, &json!("M_UNKNOWN")));
    let (status, sliding) = visitor.sliding(&format!("?pos={pos}")).await?;
    assert_eq!((status.as_u16(), &sliding["errcode"]), (400, &json!("M_UNKNOWN_POS")));
    Ok(())
}

#[tokio::test]
async fn an_invitation_is_shown_joined_and_left_in_both_kinds_of_sync() -> Result<()> {
    let fake = FakeHomeserver::start(&Population::new())?;
    let visitor = Visitor::new(&fake, "watch").await?;
    let since = visitor.get("v3/sync?timeout=0").await?["next_batch"].as_str().unwrap_or_default().to_owned();
    let room = fake.invite("party");

    let invited = visitor.get(&format!("v3/sync?timeout=0&since={since}")).await?;
    assert!(invited["rooms"]["invite"][&room]["invite_state"]["events"].is_array());
    let (_, sliding) = visitor.sliding("").await?;
    assert!(sliding["rooms"][&room]["invite_state"].is_array());
    let pos = sliding["pos"].as_str().unwrap_or_default().to_owned();

    let (status, _) = visitor.ask(Method::POST, &format!("v3/join/{room}"), json!({})).await?;
    assert!(status.is_success() && fake.bot_is_in(&room));
    let (_, joined) = visitor.sliding(&format!("?timeout=0&pos={pos}")).await?;
    assert_eq!(joined["rooms"][&room]["initial"], true);

    let since = invited["next_batch"].as_str().unwrap_or_default();
    fake.set_bot(&room, "leave");
    let left = visitor.get(&format!("v3/sync?timeout=0&since={since}")).await?;
    assert!(left["rooms"]["leave"][&room].is_object(), "{left}");
    let (status, _) = visitor.ask(Method::POST, &format!("v3/join/{room}"), json!({})).await?;
    assert_eq!(status.as_u16(), 403);
    Ok(())
}

#[tokio::test]
async fn writes_are_taken_where_power_levels_allow_and_an_equal_one_is_no_new_event() -> Result<()> {
    let (open, blocked) = (
        FakeHomeserver::start(&Population::new().open(1))?,
        FakeHomeserver::start(&Population::new().open(1).blocked())?,
    );
    for (fake, allowed) in [(&open, true), (&blocked, false)] {
        let visitor = Visitor::new(fake, "watch").await?;
        let place = fake.place(0).context("a membership")?;
        let path = format!("v3/rooms/{}/state/{CALL_MEMBER}/{}", place.room, place.key);

        let (status, first) = visitor.ask(Method::PUT, &path, json!({})).await?;
        let (_, second) = visitor.ask(Method::PUT, &path, json!({})).await?;

        assert_eq!(status.is_success(), allowed);
        assert_eq!(fake.is_open(&place), !allowed);
        assert_eq!(first["event_id"], second["event_id"]);
        assert_eq!(fake.clears().len(), 2);
    }
    Ok(())
}

#[tokio::test]
async fn faults_delay_refuse_limit_redirect_and_hang() -> Result<()> {
    let fake = FakeHomeserver::start(&Population::new())?;
    let visitor = Visitor::new(&fake, "watch").await?;
    let status =
        async || anyhow::Ok(visitor.ask(Method::GET, "v3/joined_rooms", Value::Null).await?.0.as_u16());

    let limit = fake.limit(2, Duration::from_mins(1), matching("GET", "/joined_rooms"));
    let taken = [status().await?, status().await?, status().await?];
    assert_eq!(taken, [200, 200, 429]);
    drop(limit);

    let once = fake.refuse(502, "M_UNKNOWN", "down", matching("GET", "/joined_rooms")).times(1);
    assert_eq!([status().await?, status().await?], [502, 200]);
    drop(once);

    fake.be_slow(Duration::from_millis(300));
    let begun = Instant::now();
    status().await?;
    assert!(begun.elapsed() >= Duration::from_millis(300));
    fake.be_slow(Duration::ZERO);

    let hanging = fake.hang(matching("GET", "/joined_rooms"));
    let lift = async {
        hanging.first(LIMIT).await?;
        hanging.lift();
        anyhow::Ok(())
    };
    let (answer, lifted) = tokio::join!(status(), lift);
    lifted?;
    assert_eq!(answer?, 200);

    let other = FakeHomeserver::start(&Population::new())?;
    let redirect = fake.redirect(308, other.url());
    let following = visitor.client.get(format!("{}/_matrix/client/versions", fake.url())).send().await?;
    assert!(following.url().as_str().starts_with(other.url()));
    drop(redirect);
    Ok(())
}

#[tokio::test]
async fn what_is_said_is_noted_when_the_chat_device_is_given_it() -> Result<()> {
    let fake = FakeHomeserver::start(&Population::new())?;
    let (watch, chat) = (Visitor::new(&fake, "watch").await?, Visitor::new(&fake, "the chat").await?);

    let said = fake.say("!janitor pause");
    watch.get("v3/sync?timeout=0").await?;
    assert_eq!(fake.served(&said), None, "the watch hears no messages");
    chat.get("v3/sync?timeout=0").await?;

    assert!(fake.served(&said).is_some());
    Ok(())
}

#[tokio::test]
async fn a_bare_loop_empties_what_it_is_given() -> Result<()> {
    let fake = FakeHomeserver::start(&Population::new().rooms(5).open(20).ghosts(10))?;
    let ghosts: Vec<_> = (20..30).filter_map(|number| fake.place(number).ok()).collect();

    fake.clear_bare(&ghosts, 4, true).await?;

    assert_eq!(fake.open().len(), 20);
    assert!(ghosts.iter().all(|ghost| !fake.is_open(ghost)));
    Ok(())
}
