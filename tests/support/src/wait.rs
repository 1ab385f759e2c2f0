//! Waiting for a condition with a limit. Nothing in the tests sleeps for a fixed time and hopes.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::clock;

/// Long enough to spare the server, short enough not to be felt.
const PAUSE: Duration = Duration::from_millis(60);

/// What a condition may answer: `Option`, `bool`, or a `Result` of either.
///
/// An error counts as "not yet", and the last one is told when the limit is reached.
pub trait Answer {
    /// What the wait ends with.
    type Value;

    /// The value, if the condition holds.
    fn answer(self) -> Result<Option<Self::Value>>;
}

impl<T> Answer for Option<T> {
    type Value = T;

    fn answer(self) -> Result<Option<T>> {
        Ok(self)
    }
}

impl Answer for bool {
    type Value = ();

    fn answer(self) -> Result<Option<()>> {
        Ok(self.then_some(()))
    }
}

impl<A: Answer> Answer for Result<A> {
    type Value = A::Value;

    fn answer(self) -> Result<Option<A::Value>> {
        self?.answer()
    }
}

/// Asks again and again until the condition holds.
///
/// `what` completes the sentence "waited 5s in vain for ...", so name the thing: "alice's membership to be emptied".
pub async fn wait_until<A: Answer>(
    what: &str,
    limit: Duration,
    mut condition: impl AsyncFnMut() -> A,
) -> Result<A::Value> {
    let started = clock::moment();
    loop {
        let trouble = match condition().await.answer() {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if started.elapsed() >= limit {
            match trouble {
                Some(error) => bail!("waited {limit:?} in vain for {what}; at last: {error:#}"),
                None => bail!("waited {limit:?} in vain for {what}"),
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
