//! Situations in which the bot has much to do or to wait for, and in which it must hear what it is told.

use super::*;

/// What the bot is busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Situation {
    /// The first look at many memberships on a server that takes 30 ms for each answer.
    FirstSweep,
    /// 2,000 ghosts to clear, on the same server.
    MassClear,
    /// Ten invitations to rooms whose servers are gone: each join hangs.
    HangingJoins,
    /// A query of device lists hangs.
    HangingDeviceLists,
    /// Another command was given, and reading who may give commands hangs.
    HangingAuthority,
}

/// A bot in such a situation.
pub(crate) struct Busy {
    pub(crate) stage: Stage,
    pub(crate) bot: Bot,
    /// A number of the population whose membership lives.
    pub(crate) living: usize,
    /// What hangs, until this goes.
    pub(crate) hanging: Option<rtc_janitor_test_support::Rule>,
}

impl Situation {
    pub(crate) async fn come_about(self) -> Result<Busy> {
        match self {
            Self::FirstSweep => first_sweep().await,
            Self::MassClear => mass_clear().await,
            Self::HangingJoins => hanging_joins().await,
            Self::HangingDeviceLists => hanging_device_lists().await,
            Self::HangingAuthority => hanging_authority().await,
        }
    }
}

async fn first_sweep() -> Result<Busy> {
    let population = Population::new().rooms(1000).call_rooms(400).open(2000).ghosts(200);
    let stage = Stage::new(PROGRAM, &population)?.without_limits();
    stage.program.set("grace.expired", "1s");
    stage.be_slow(Duration::from_millis(30));
    let bot = stage.connect().await?;
    Ok(Busy { stage, bot, living: 0, hanging: None })
}

async fn mass_clear() -> Result<Busy> {
    let population = Population::new().rooms(300).open(50).ghosts(2000);
    let stage = Stage::new(PROGRAM, &population)?.without_limits();
    stage.program.set("grace.expired", "1s");
    stage.be_slow(Duration::from_millis(30));
    let bot = stage.connect().await?;
    stage.wait_for_clears(50, LIMIT).await?;
    Ok(Busy { stage, bot, living: 0, hanging: None })
}

async fn hanging_joins() -> Result<Busy> {
    let stage = Stage::new(PROGRAM, &Population::new().rooms(10).open(20))?.without_limits();
    let bot = stage.start().await?;
    let hanging = stage.hang(matching("POST", "/join"));
    for number in 0..10 {
        stage.invite(&format!("gone{number}"));
    }
    hanging.first(LIMIT).await?;
    Ok(Busy { stage, bot, living: 0, hanging: Some(hanging) })
}

async fn hanging_device_lists() -> Result<Busy> {
    let stage = Stage::new(PROGRAM, &Population::new().rooms(10).open(20))?.without_limits();
    let bot = stage.start().await?;
    let hanging = stage.hang(|request| {
        request.path.ends_with("/keys/query") && request.body["device_keys"].to_string().contains("@user")
    });
    hanging.first(LIMIT).await?;
    Ok(Busy { stage, bot, living: 0, hanging: Some(hanging) })
}

async fn hanging_authority() -> Result<Busy> {
    let stage = Stage::new(PROGRAM, &Population::new().rooms(10).open(20))?.without_limits();
    stage.program.set("grace.expired", "1s");
    let bot = stage.start().await?;
    let known = stage.say("!janitor version");
    stage.reply_to(&known, LIMIT).await?;
    let hanging = stage.hang(matching("GET", "/state/m.room.member/@admin:"));
    stage.say("!janitor resume");
    hanging.first(LIMIT).await?;
    Ok(Busy { stage, bot, living: 0, hanging: Some(hanging) })
}
