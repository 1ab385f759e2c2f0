//! Getting into rooms from a terminal: what would be done is shown, somebody says yes, and each room is told of as soon
//! as it is done.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _, Write as _},
    thread,
    time::Duration,
};

use rtc_janitor_core::{
    ids::RoomId,
    plan::FRESH,
    render::{answer::proposed_joins, message::room_and_id, survey as say},
    survey::{JoinOutcome, JoinProposal, Survey},
};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};

use crate::{
    cli::{CliError, print, status_line::StatusLine},
    shutdown::Shutdown,
    survey::Surveyor,
};

/// How long the room that is under way is waited for when the program is told to end: it is to be left in no state
/// between.
const GRACE: Duration = Duration::from_secs(10);

/// What comes of a plan.
pub(super) enum Approval {
    /// This was shown and is to be done.
    Given(Vec<JoinProposal>),
    /// It is not to be done, or there is nothing to do.
    Refused,
    /// It was shown, and there is nobody to say yes.
    NobodyToAsk,
}

/// Nobody could say yes.
pub(super) fn nobody_to_ask() -> CliError {
    CliError::mistake(
        "--join asks before it changes anything, and nobody is at this terminal: add --yes to do what is shown",
    )
}

/// Shows what would be done and asks for a yes. Nothing but what is shown is approved.
pub(super) async fn approve(
    survey: &Survey,
    is_sure: bool,
    shutdown: &Shutdown,
) -> Result<Approval, CliError> {
    let (lines, plan) = proposed_joins(survey);
    let mut stderr = io::stderr().lock();
    // Nobody is left to ask when stderr is closed.
    let _ = writeln!(stderr, "\n{}", lines.join("\n"));
    drop(stderr);
    if plan.is_empty() {
        return Ok(Approval::Refused);
    }
    if is_sure {
        return Ok(Approval::Given(plan));
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(Approval::NobodyToAsk);
    }
    eprint!("\nType \"yes\" to do this: ");
    let shown = Instant::now();
    let Some(said) = shutdown.or(line_of_stdin()).await else {
        eprintln!("\nNothing was changed.");
        return Ok(Approval::Refused);
    };
    let said = said.map_err(|error| CliError::unexpected("cannot ask", &error))?;
    if !said.trim().eq_ignore_ascii_case("yes") {
        eprintln!("Nothing was changed.");
        return Ok(Approval::Refused);
    }
    if shown.elapsed() >= FRESH {
        eprintln!("Nothing was changed: {}", say::shown_too_long_ago(FRESH));
        return Ok(Approval::Refused);
    }
    Ok(Approval::Given(plan))
}

/// What somebody types. Read by a thread of its own, which the end of the program does not wait for.
async fn line_of_stdin() -> io::Result<String> {
    let (said, heard) = oneshot::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line).map(|_| line);
        // Whoever asked may have ended.
        let _ = said.send(read);
    });
    heard.await.unwrap_or_else(|_| Err(io::Error::other("nothing was read")))
}

/// What came of the rooms of a plan.
#[derive(Default)]
pub(super) struct Joins {
    pub(super) outcomes: BTreeMap<RoomId, JoinOutcome>,
    /// Why nothing was done.
    pub(super) refusal: Option<CliError>,
}

impl Joins {
    /// Gets into one room after the other, and tells of each when it is done, for a second Ctrl-C ends it at once. After
    /// the first, the room under way is finished and no other is begun.
    pub(super) async fn get_into(
        &mut self,
        plan: &[JoinProposal],
        surveyor: Surveyor<'_>,
        line: &StatusLine,
        shutdown: &Shutdown,
        is_json: bool,
    ) -> Result<(), CliError> {
        let joining = surveyor.joining();
        for (done, proposal) in plan.iter().enumerate() {
            if shutdown.is_requested() {
                line.clear();
                eprintln!("warning: {}", say::stopped_joining(plan.len() - done, plan.len()));
                break;
            }
            line.show(&say::joining(done, plan.len()));
            let waited_enough = async {
                shutdown.requested().await;
                sleep(GRACE).await;
            };
            let outcome = tokio::select! {
                biased;
                outcome = joining.get_into(proposal) => outcome,
                () = waited_enough => JoinOutcome::Failed(say::STOPPED.to_owned()),
            };
            line.clear();
            let name = room_and_id(&proposal.room, proposal.name.as_deref()).plain;
            let told = format!("{name}: {}", say::outcome(&outcome));
            if is_json {
                eprintln!("{told}");
            } else {
                print(&format!("{told}\n"))?;
            }
            self.outcomes.insert(proposal.room.clone(), outcome);
        }
        Ok(())
    }
}
