//! The tasks of a running bot. None of them may end by itself: a bot that went on without one of them could
//! write and not obey `pause`, or answer and see no calls.

use std::{future::Future, time::Duration};

use tokio::{
    task::{AbortHandle, Id, JoinError, JoinSet},
    time::timeout,
};

use crate::shutdown::Shutdown;

/// How long all tasks together may take to end after shutdown was requested. Containers and service managers
/// kill after 10 s.
const TASK_GRACE: Duration = Duration::from_secs(4);

/// How a task came to its end.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// It returned before shutdown was requested.
    #[error("the task “{0}” ended by itself; this is a bug")]
    EndedUnasked(&'static str),
    /// It panicked.
    #[error("the task “{task}” failed: {panic}; this is a bug")]
    Panicked {
        /// Which task.
        task: &'static str,
        /// What the panic said.
        panic: JoinError,
    },
    /// It cannot go on, for a reason that it names.
    #[error("{0}")]
    Failed(String),
}

/// What a supervised task returns: nothing after shutdown was requested, or why it cannot go on.
pub type TaskResult = Result<(), String>;

/// Owns the tasks; dropping it aborts them.
#[derive(Debug, Default)]
pub struct Supervisor {
    tasks: JoinSet<TaskResult>,
    handles: Vec<(&'static str, AbortHandle)>,
    shutdown: Shutdown,
}

impl Supervisor {
    /// A supervisor that ends its tasks by `shutdown`, and asks for it when one ends unasked.
    pub fn new(shutdown: Shutdown) -> Self {
        Self { shutdown, ..Self::default() }
    }

    /// Starts a task.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = TaskResult> + Send + 'static) {
        let handle = self.tasks.spawn(task);
        self.handles.push((name, handle));
    }

    /// The tasks by name, each with what ends it at once.
    pub fn handles(&self) -> &[(&'static str, AbortHandle)] {
        &self.handles
    }

    /// Waits until shutdown is asked for or a task ends unasked, then for the others to end.
    ///
    /// # Errors
    ///
    /// The first task that ended unasked, and how.
    pub async fn run(mut self) -> Result<(), TaskError> {
        let outcome = tokio::select! {
            biased;
            () = self.shutdown.requested() => Ok(()),
            ended = self.tasks.join_next_with_id() => ended.map_or(Ok(()), |ended| self.judge(ended)),
        };
        if let Err(error) = &outcome {
            tracing::error!("{error}; ending");
        }
        self.shutdown.request();
        let rest = timeout(TASK_GRACE, async {
            let mut first = Ok(());
            while let Some(ended) = self.tasks.join_next_with_id().await {
                // One that was told to end may still fail in doing so.
                let ended = self.end_of(ended);
                first = match (first, ended) {
                    (Ok(()), ended) => ended,
                    (first, _) => first,
                };
            }
            first
        })
        .await;
        if rest.is_err() {
            let left: Vec<_> = self.handles.iter().map(|(name, _)| *name).collect();
            tracing::warn!(left = left.join(", "), "tasks did not end in time; left behind");
        }
        self.tasks.abort_all();
        match (outcome, rest.unwrap_or(Ok(()))) {
            // One that ends because another failed first says less than that one.
            (
                Err(TaskError::EndedUnasked(_)),
                Err(why @ (TaskError::Failed(_) | TaskError::Panicked { .. })),
            ) => Err(why),
            (outcome, rest) => outcome.and(rest),
        }
    }

    /// How a task ended before shutdown was requested.
    fn judge(&mut self, ended: Result<(Id, TaskResult), JoinError>) -> Result<(), TaskError> {
        let name = self.name_of(match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        });
        match ended {
            // The token may have been used in the same instant.
            Ok((_, Ok(()))) if self.shutdown.is_requested() => Ok(()),
            Ok((_, Ok(()))) => Err(TaskError::EndedUnasked(name)),
            Ok((_, Err(why))) => Err(TaskError::Failed(why)),
            Err(panic) => Err(TaskError::Panicked { task: name, panic }),
        }
    }

    /// How a task ended after shutdown was requested.
    fn end_of(&mut self, ended: Result<(Id, TaskResult), JoinError>) -> Result<(), TaskError> {
        self.judge(ended)
    }

    fn name_of(&mut self, id: Id) -> &'static str {
        let place = self.handles.iter().position(|(_, handle)| handle.id() == id);
        place.map_or("unknown", |place| self.handles.swap_remove(place).0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASKS: [&str; 4] = ["janitor", "watch", "chat", "posting"];

    /// All tasks run until shutdown, but `victim`, which does as it is told.
    fn with_one_that(
        victim: &'static str,
        dies: impl FnOnce() -> TaskResult + Send + 'static,
    ) -> (Supervisor, Shutdown) {
        let shutdown = Shutdown::new();
        let mut supervisor = Supervisor::new(shutdown.clone());
        let mut dies = Some(dies);
        for name in TASKS {
            let stop = shutdown.clone();
            if name == victim {
                let dies = dies.take().expect("one victim");
                supervisor.spawn(name, async move { dies() });
            } else {
                supervisor.spawn(name, async move {
                    stop.requested().await;
                    Ok(())
                });
            }
        }
        (supervisor, shutdown)
    }

    #[tokio::test]
    async fn whichever_task_panics_ends_all_others_and_is_named() {
        for victim in TASKS {
            let (supervisor, shutdown) = with_one_that(victim, || panic!("on purpose"));
            let error = supervisor.run().await.expect_err("a task is gone");
            assert!(matches!(&error, TaskError::Panicked { task, .. } if *task == victim), "{error}");
            assert!(shutdown.is_requested(), "the others were told");
        }
    }

    #[tokio::test]
    async fn whichever_task_returns_unasked_ends_all_others_and_is_named() {
        for victim in TASKS {
            let (supervisor, shutdown) = with_one_that(victim, || Ok(()));
            let error = supervisor.run().await.expect_err("a task is gone");
            assert!(matches!(&error, TaskError::EndedUnasked(task) if *task == victim), "{error}");
            assert!(shutdown.is_requested());
        }
    }

    #[tokio::test]
    async fn all_end_without_an_error_when_told_to() {
        let (supervisor, shutdown) = with_one_that("nobody", || Ok(()));
        shutdown.request();
        supervisor.run().await.expect("they were told");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_does_not_hear_is_left_behind() {
        let shutdown = Shutdown::new();
        let mut supervisor = Supervisor::new(shutdown.clone());
        supervisor.spawn("deaf", async {
            std::future::pending::<()>().await;
            Ok(())
        });
        shutdown.request();
        supervisor.run().await.expect("the end is not held up");
    }
}
