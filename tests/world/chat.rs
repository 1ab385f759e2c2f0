//! The admin room, plain and encrypted, read by a second real client.

use std::{collections::BTreeSet, path::Path};

use matrix_sdk::{
    Client,
    config::SyncSettings,
    ruma::{EventId as RumaEventId, RoomId as RumaRoomId, UserId as RumaUserId},
};
use rtc_janitor::world::{
    Chat as _, NeighbourError, Post,
    chat::{self, AdminRoom, ChatConnection, ChatSettings, KeySetUp},
    homeserver::sign_in::SignIn,
};
use rtc_janitor_core::{
    ids::RoomId,
    render::{Html, Message},
};
use rtc_janitor_test_support::{Device, Method, RoomOptions, Synapse, User, wait_until};
use serde_json::{Value, json};
use tempfile::tempdir;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{LIMIT, by_password, by_token, janitor};

/// Without a passphrase: to derive keys from one takes a debug build 20 s for every start.
pub(crate) fn settings(store: &Path) -> ChatSettings {
    ChatSettings { store: store.to_owned(), passphrase: None, recovery_key: None }
}

/// A chat connection that runs, until it is stopped.
pub(crate) struct Running {
    pub(crate) connection: ChatConnection,
    pub(crate) room: AdminRoom,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), NeighbourError>>,
}

impl Running {
    pub(crate) async fn start(sign_in: &SignIn, settings: &ChatSettings, room: &str) -> Self {
        let connection = chat::sign_in(sign_in, settings).await.unwrap();
        let room = connection.admin_room(&room.into()).unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let runs = room.clone();
        let task = tokio::spawn(async move {
            // What is said there is nobody's business here.
            let (ears, mut heard) = mpsc::channel::<rtc_janitor::world::EventBatch>(1);
            tokio::spawn(async move {
                while let Some(batch) = heard.recv().await {
                    let _ = batch.ack.send(());
                }
            });
            runs.run(ears, async {
                let _ = stopped.await;
            })
            .await
        });
        Self { connection, room, stop, task }
    }

    pub(crate) async fn ready(self) -> Self {
        tokio::time::timeout(LIMIT, self.room.ready()).await.expect("the admin room to be entered");
        self
    }

    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.task.await.unwrap().unwrap();
    }
}

pub(crate) fn message(text: &str) -> Post {
    let message =
        Message { plain: text.to_owned(), html: Html::markup("<b>{}</b>", &[&Html::escaped(text)]) };
    Post::Notice { message, reply_to: None, mentions: Vec::new(), is_alarm: false }
}

/// A person with an encrypting client, in the room or on the way there.
struct Reader {
    client: Client,
    room: String,
    sync: JoinHandle<()>,
}

impl Reader {
    async fn start(synapse: &Synapse, user: &User, room: &str) -> Self {
        let client = Client::builder().homeserver_url(synapse.url()).build().await.unwrap();
        client.matrix_auth().login_username(&user.user_id, &user.password).send().await.unwrap();
        client.join_room_by_id(&RumaRoomId::parse(room).unwrap()).await.unwrap();
        // Publishes its keys.
        client.sync_once(SyncSettings::new()).await.unwrap();
        let syncing = client.clone();
        let sync = tokio::spawn(async move {
            let _ = syncing.sync(SyncSettings::new()).await;
        });
        Self { client, room: room.to_owned(), sync }
    }

    /// The content of a message, decrypted.
    async fn read(&self, event: &str) -> Value {
        let room = self.client.get_room(&RumaRoomId::parse(&self.room).unwrap()).unwrap();
        let event = RumaEventId::parse(event).unwrap();
        wait_until("a message to be readable", LIMIT, async || {
            let event = room.event(&event, None).await?;
            let event: Value = serde_json::from_str(event.raw().json().get())?;
            anyhow::Ok((event["type"] == "m.room.message").then(|| event["content"].clone()))
        })
        .await
        .unwrap()
    }

    /// Whether it sees the account's one device with keys signed by the account.
    async fn trusts(&self, user: &str) -> bool {
        let user = RumaUserId::parse(user).unwrap();
        let encryption = self.client.encryption();
        encryption.request_user_identity(&user).await.unwrap();
        let devices = encryption.get_user_devices(&user).await.unwrap();
        devices.devices().count() > 0 && devices.devices().all(|device| device.is_cross_signed_by_owner())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.sync.abort();
    }
}

pub(crate) struct Set {
    pub(crate) synapse: &'static Synapse,
    /// The account of the chat connection.
    pub(crate) user: User,
    pub(crate) alice: Device,
    alice_account: User,
    pub(crate) room: String,
}

/// An admin room of alice's into which the bot is invited.
pub(crate) async fn set_up(options: RoomOptions) -> Set {
    let synapse = Synapse::shared().await.unwrap();
    let user = synapse.register("chat").await.unwrap();
    let alice_account = synapse.register("alice").await.unwrap();
    let alice = synapse.login(&alice_account).await.unwrap();
    let room = synapse.create_room(&alice, options.invite(&user.user_id)).await.unwrap();
    Set { synapse, user, alice, alice_account, room }
}

#[tokio::test]
async fn an_encrypted_notice_is_read_by_others_from_a_device_they_can_trust() {
    let set = set_up(RoomOptions::new().encrypted()).await;
    let store = tempdir().unwrap();
    let watching =
        super::sign_in::watch(&by_password(set.synapse.url(), &set.user), store.path()).await.unwrap();
    let sign_in = by_password(set.synapse.url(), &set.user);
    let running = Running::start(&sign_in, &settings(store.path()), &set.room).await.ready().await;

    let KeySetUp::FirstStart { recovery_key_path } = running.connection.set_up_keys().await.unwrap() else {
        panic!("not a first start")
    };
    assert!(std::fs::read_to_string(recovery_key_path).unwrap().trim().len() > 40);
    let reader = Reader::start(set.synapse, &set.alice_account, &set.room).await;
    wait_until("the bot to may speak", LIMIT, async || running.room.reachable().await.is_ok()).await.unwrap();

    let event = running.room.post("txn-1", &message("one ghost")).await.unwrap();
    let content = reader.read(event.as_str()).await;
    assert_eq!(content["msgtype"], "m.notice");
    assert_eq!(content["body"], "one ghost");
    assert_eq!(content["formatted_body"], "<b>one ghost</b>");
    assert_eq!(content["m.mentions"], json!({}));
    assert!(reader.trusts(&set.user.user_id).await);

    // Posted again, it is the same event, and the room holds it once.
    assert_eq!(running.room.post("txn-1", &message("one ghost")).await.unwrap(), event);
    let events = set.synapse.events_by(&set.room, &set.user.user_id).await.unwrap();
    assert_eq!(events.iter().filter(|event| event["type"] == "m.room.encrypted").count(), 1);
    assert_eq!(events.iter().filter(|event| event["type"] == "m.room.message").count(), 0);

    // Somebody who comes later reads what is said from then on.
    let bob = set.synapse.register("bob").await.unwrap();
    set.synapse.invite(&set.alice, &set.room, &bob.user_id).await.unwrap();
    let late = Reader::start(set.synapse, &bob, &set.room).await;
    // The bot hears of the newcomer by sync, so the first words may come too soon for them.
    wait_until("the newcomer to get the keys", LIMIT, async || {
        let event = running.room.post(&rtc_janitor_test_support::unique("txn"), &message("two")).await?;
        let room = late.client.get_room(&RumaRoomId::parse(&set.room)?).unwrap();
        let event = room.event(&RumaEventId::parse(event.as_str())?, None).await?;
        anyhow::Ok(event.encryption_info().is_some())
    })
    .await
    .unwrap();

    // Of the two devices of the account only the chat one has keys.
    let with_keys = set.synapse.keys_query(&set.user.user_id).await.unwrap();
    assert_eq!(with_keys.len(), 1);
    assert!(!with_keys.contains(watching.device_id().as_str()));
    running.stop().await;
}

#[tokio::test]
async fn after_a_restart_it_is_the_same_device_and_says_nothing_new_about_keys() {
    let set = set_up(RoomOptions::new().encrypted()).await;
    let store = tempdir().unwrap();
    let sign_in = by_password(set.synapse.url(), &set.user);
    let running = Running::start(&sign_in, &settings(store.path()), &set.room).await.ready().await;
    assert!(matches!(running.connection.set_up_keys().await.unwrap(), KeySetUp::FirstStart { .. }));
    let first = running.room.post("txn-1", &message("before")).await.unwrap();
    running.stop().await;
    let devices = set.synapse.devices(&set.user.user_id).await.unwrap();

    let reader = Reader::start(set.synapse, &set.alice_account, &set.room).await;
    let running = Running::start(&sign_in, &settings(store.path()), &set.room).await.ready().await;
    assert_eq!(running.connection.set_up_keys().await.unwrap(), KeySetUp::Ready);
    assert_eq!(running.room.post("txn-1", &message("before")).await.unwrap(), first);
    let second = running.room.post("txn-2", &message("after")).await.unwrap();
    assert_eq!(reader.read(second.as_str()).await["body"], "after");
    assert_eq!(set.synapse.devices(&set.user.user_id).await.unwrap(), devices);
    running.stop().await;
}

#[tokio::test]
async fn a_new_device_recovers_the_trust_of_the_old_one() {
    let set = set_up(RoomOptions::new().encrypted()).await;
    let store = tempdir().unwrap();
    let sign_in = by_password(set.synapse.url(), &set.user);
    let running = Running::start(&sign_in, &settings(store.path()), &set.room).await.ready().await;
    running.connection.set_up_keys().await.unwrap();
    let old = set.synapse.devices(&set.user.user_id).await.unwrap();

    let [device] = old.iter().collect::<Vec<_>>()[..] else { panic!("{old:?}") };
    let delete = ["v2", "users", &set.user.user_id, "devices", device];
    set.synapse.admin_request(Method::DELETE, &delete).send().await.unwrap();
    let lost = tokio::time::timeout(LIMIT, running.task).await.unwrap().unwrap();
    assert!(matches!(lost, Err(NeighbourError::SignedOut(_))), "{lost:?}");

    let running = Running::start(&sign_in, &settings(store.path()), &set.room).await.ready().await;
    assert_eq!(running.connection.set_up_keys().await.unwrap(), KeySetUp::Ready);
    let reader = Reader::start(set.synapse, &set.alice_account, &set.room).await;
    let event = running.room.post("txn-1", &message("back")).await.unwrap();
    assert_eq!(reader.read(event.as_str()).await["body"], "back");
    assert!(reader.trusts(&set.user.user_id).await);
    assert!(set.synapse.devices(&set.user.user_id).await.unwrap().is_disjoint(&old));
    running.stop().await;
}

#[tokio::test]
async fn with_a_key_of_a_persons_own_nothing_is_written_and_a_new_device_is_trusted() {
    let set = set_up(RoomOptions::new().encrypted()).await;
    let own_key =
        |store: &Path| ChatSettings { recovery_key: Some("correct horse".into()), ..settings(store) };
    let sign_in = by_password(set.synapse.url(), &set.user);
    let reader = Reader::start(set.synapse, &set.alice_account, &set.room).await;
    for _ in 0..2 {
        let store = tempdir().unwrap();
        let running = Running::start(&sign_in, &own_key(store.path()), &set.room).await.ready().await;
        assert_eq!(running.connection.set_up_keys().await.unwrap(), KeySetUp::Ready);
        assert!(!store.path().join("recovery-key").exists());
        wait_until("the device to be trusted", LIMIT, async || reader.trusts(&set.user.user_id).await)
            .await
            .unwrap();
        running.stop().await;
    }

    let store = tempdir().unwrap();
    let running = Running::start(&sign_in, &settings(store.path()), &set.room).await.ready().await;
    let without = running.connection.set_up_keys().await.unwrap();
    assert!(
        matches!(&without, KeySetUp::Incomplete(why) if why.contains("recovery_key_file")),
        "{without:?}"
    );
    running.stop().await;

    let wrong = ChatSettings { recovery_key: Some("wrong".into()), ..settings(store.path()) };
    let running = Running::start(&sign_in, &wrong, &set.room).await.ready().await;
    let with_a_wrong_one = running.connection.set_up_keys().await.unwrap();
    assert!(
        matches!(&with_a_wrong_one, KeySetUp::Incomplete(why) if why.contains("recovery key")),
        "{with_a_wrong_one:?}"
    );
    running.stop().await;
}

#[tokio::test]
async fn it_waits_to_be_invited_and_comes_back_after_a_kick() {
    let set = set_up(RoomOptions::new().name("Ops")).await;
    let synapse = set.synapse;
    synapse.kick(&set.alice, &set.room, &set.user.user_id).await.unwrap();
    let store = tempdir().unwrap();
    let running =
        Running::start(&by_password(synapse.url(), &set.user), &settings(store.path()), &set.room).await;
    let invite_me = async |running: &Running| {
        wait_until("the bot to know that it is out", LIMIT, async || {
            let answer = running.room.reachable().await;
            matches!(answer, Err(NeighbourError::NotInRoom(why)) if why.contains("invite"))
        })
        .await
        .unwrap();
    };
    invite_me(&running).await;
    assert!(running.room.post("txn", &message("too soon")).await.is_err());

    synapse.invite(&set.alice, &set.room, &set.user.user_id).await.unwrap();
    let running = running.ready().await;
    running.room.post("txn", &message("here")).await.unwrap();

    synapse.kick(&set.alice, &set.room, &set.user.user_id).await.unwrap();
    invite_me(&running).await;
    synapse.invite(&set.alice, &set.room, &set.user.user_id).await.unwrap();
    let running = running.ready().await;
    running.room.post("txn-2", &message("back")).await.unwrap();
    let said: Vec<_> = synapse.messages(&set.room).await.unwrap().into_iter().map(|it| it.body).collect();
    assert_eq!(
        said.iter().collect::<BTreeSet<_>>(),
        BTreeSet::from([&"here".to_owned(), &"back".to_owned()])
    );

    // In the room, but not allowed to speak.
    let mut levels = synapse.power_levels(&set.room).await.unwrap();
    levels["events_default"] = json!(50);
    synapse.put_power_levels(&set.alice, &set.room, levels).await.unwrap();
    wait_until("the bot to know that it may not speak", LIMIT, async || {
        let answer = running.room.reachable().await;
        matches!(answer, Err(NeighbourError::NotAllowed(why)) if why.contains("speak"))
    })
    .await
    .unwrap();
    running.stop().await;
}

#[tokio::test]
async fn another_room_is_known_from_the_beginning() {
    let set = set_up(RoomOptions::new()).await;
    let store = tempdir().unwrap();
    let sign_in = by_password(set.synapse.url(), &set.user);
    Running::start(&sign_in, &settings(store.path()), &set.room).await.ready().await.stop().await;

    // The account is in the other room before the chat connection ever asks for it.
    let other = RoomOptions::new().invite(&set.user.user_id);
    let other = set.synapse.create_room(&set.alice, other).await.unwrap();
    let elsewhere = set.synapse.login(&set.user).await.unwrap();
    set.synapse.join(&elsewhere, &other).await.unwrap();
    Running::start(&sign_in, &settings(store.path()), &set.room).await.ready().await.stop().await;

    let running = Running::start(&sign_in, &settings(store.path()), &other).await.ready().await;
    running.room.reachable().await.unwrap();
    running.room.post("txn", &message("moved")).await.unwrap();
    assert_eq!(set.synapse.messages(&other).await.unwrap().len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn with_a_token_and_in_the_watch_accounts_company_it_works_the_same() {
    let set = set_up(RoomOptions::new().encrypted()).await;
    let store = tempdir().unwrap();
    // An account of its own for the watch connection, in the same store.
    let (watching, _) = janitor(set.synapse, store.path()).await;
    let device = set.synapse.login(&set.user).await.unwrap();
    let sign_in = by_token(set.synapse.url(), &device);
    for transaction in ["txn-1", "txn-2"] {
        let running = Running::start(&sign_in, &settings(store.path()), &set.room).await.ready().await;
        running.connection.set_up_keys().await.unwrap();
        running.room.post(transaction, &message("hello")).await.unwrap();
        running.stop().await;
    }
    let reader = Reader::start(set.synapse, &set.alice_account, &set.room).await;
    assert!(reader.trusts(&set.user.user_id).await);
    assert_eq!(watching.user_id().as_str(), janitor_of(store.path()));
}

fn janitor_of(store: &Path) -> String {
    let file = std::fs::read_to_string(store.join("session-watch.json")).unwrap();
    let file: Value = serde_json::from_str(&file).unwrap();
    RoomId::from(file["user_id"].as_str().unwrap()).to_string()
}
