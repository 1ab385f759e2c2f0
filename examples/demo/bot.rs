//! The janitor, run in this process as `rtc-janitor run` would run it.

use std::{cell::Cell, time::Duration};

use anyhow::{Result, anyhow, bail};
use rtc_janitor::{cli, config::Config, shutdown::Shutdown};
use rtc_janitor_test_support::{Message, wait_until};
use serde_json::json;
use tempfile::TempDir;

use crate::{page, screen::Screen, stage::Stage};

/// How long anything may take that takes a few seconds.
const PATIENCE: Duration = Duration::from_mins(1);

/// The janitor's settings and store, and the admin's eyes and mouth in the admin room.
pub(crate) struct Bot<'a> {
    stage: &'a Stage,
    screen: &'a Screen,
    folder: TempDir,
    /// How many messages in the admin room have been shown.
    shown: Cell<usize>,
}

impl<'a> Bot<'a> {
    pub(crate) fn new(stage: &'a Stage, screen: &'a Screen) -> Result<Self> {
        Ok(Self { stage, screen, folder: tempfile::tempdir()?, shown: Cell::new(0) })
    }

    /// Runs the janitor until `work` is done.
    pub(crate) async fn run(&self, mode: &str, work: impl Future<Output = Result<()>>) -> Result<()> {
        let shutdown = Shutdown::new();
        let mut running = Box::pin(cli::run::run(self.config(mode)?, shutdown.clone()));
        tokio::select! {
            ended = &mut running => match ended {
                Ok(_) => bail!("the janitor has ended by itself"),
                Err(error) => bail!("the janitor has ended: {error}"),
            },
            done = Box::pin(work) => done?,
        }
        shutdown.request();
        running.await.map(drop).map_err(|error| anyhow!("the janitor did not end well: {error}"))
    }

    /// Shows what is said, until it has said all of these words in one message. Words from before count too.
    pub(crate) async fn hear(&self, words: &[&str]) -> Result<()> {
        let what = format!("the janitor to say {words:?}");
        self.hear_what(&what, |said| words.iter().all(|word| said.body.contains(word))).await
    }

    /// Has the admin say this, and shows the answer.
    pub(crate) async fn ask(&self, command: &str) -> Result<()> {
        let Stage { synapse, admin, admin_room, .. } = self.stage;
        let asked = synapse.send_text(&admin.device, admin_room, command).await?;
        let answers = |said: &Message| said.relates_to["m.in_reply_to"]["event_id"] == *asked;
        self.hear_what(&format!("the janitor to answer {command}"), answers).await
    }

    /// What was said in the admin room, as a page, from the first report on: what comes before is about the janitor, and
    /// its edit would tell the end before the beginning.
    pub(crate) async fn page(&self) -> Result<String> {
        let all = self.messages().await?;
        let before = all.iter().take_while(|said| !said.body.contains(&self.stage.carol.device.device_id));
        page::of(self.stage, &all[before.count()..])
    }

    async fn hear_what(&self, what: &str, is_it: impl Fn(&Message) -> bool) -> Result<()> {
        wait_until(what, PATIENCE, async || {
            let all = self.show_news().await?;
            anyhow::Ok(all.iter().any(|said| said.sender == self.stage.janitor.user_id && is_it(said)))
        })
        .await
    }

    /// Shows what is said until Ctrl-C.
    pub(crate) async fn listen_until_interrupted(&self) -> Result<()> {
        let mut interrupted = Box::pin(tokio::signal::ctrl_c());
        loop {
            tokio::select! {
                interrupted = &mut interrupted => return Ok(interrupted?),
                () = tokio::time::sleep(Duration::from_secs(1)) => {
                    self.show_news().await?;
                }
            }
        }
    }

    /// Everything that was said; what is new is shown.
    async fn show_news(&self) -> Result<Vec<Message>> {
        let all = self.messages().await?;
        for said in all.iter().skip(self.shown.replace(all.len())) {
            self.screen.message(&self.stage.name_of(&said.sender).to_lowercase(), &said.body);
        }
        Ok(all)
    }

    async fn messages(&self) -> Result<Vec<Message>> {
        self.stage.synapse.messages(&self.stage.admin_room).await
    }

    fn config(&self, mode: &str) -> Result<Config> {
        let Stage { synapse, janitor, admin_room, .. } = self.stage;
        // JSON's quotes are TOML's.
        let quoted = |text: &str| json!(text).to_string();
        let text = format!(
            r#"
            [homeserver]
            url = {url}
            user_id = {user_id}
            [login]
            password = {password}
            [janitor]
            mode = "{mode}"
            sweep_interval = "1s"
            device_check_interval = "2s"
            minimum_age = "1s"
            [grace]
            default = "4s"
            [rooms]
            accept_invites_from = ["*:{server}"]
            [admin_room]
            room = {room}
            "#,
            url = quoted(synapse.url()),
            user_id = quoted(&janitor.user_id),
            password = quoted(&janitor.password),
            server = synapse.server_name(),
            room = quoted(admin_room),
        );
        Ok(Config::from_toml(&self.folder.path().join("config.toml"), &text)?)
    }
}
