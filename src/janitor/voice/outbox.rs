//! The way from the janitor to the admin room: what is in the journal, handed to whoever posts it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::mpsc;

use crate::world::journal::StoredMessage;

/// Where messages are put.
#[derive(Debug)]
pub struct Outbox {
    messages: mpsc::UnboundedSender<StoredMessage>,
    answers: Arc<AtomicUsize>,
    /// They go once the journal has them.
    waiting: Vec<StoredMessage>,
}

/// The other end.
#[derive(Debug)]
pub struct Mail {
    /// The messages, in the order in which they were put in.
    pub messages: mpsc::UnboundedReceiver<StoredMessage>,
    answers: Arc<AtomicUsize>,
}

impl Outbox {
    /// A pair.
    pub fn new() -> (Self, Mail) {
        let (sender, messages) = mpsc::unbounded_channel();
        let answers = Arc::new(AtomicUsize::new(0));
        let outbox = Self { messages: sender, answers: Arc::clone(&answers), waiting: Vec::new() };
        (outbox, Mail { messages, answers })
    }

    /// Puts a message in; it goes with the next [`Self::release`].
    pub(crate) fn put(&mut self, message: StoredMessage) {
        if message.is_answer() {
            self.answers.fetch_add(1, Ordering::Relaxed);
        }
        self.waiting.push(message);
    }

    /// Lets go what was put in.
    pub(crate) fn release(&mut self) {
        for message in self.waiting.drain(..) {
            // The receiver lives as long as the program; and what is not posted is in the journal.
            let _ = self.messages.send(message);
        }
    }

    /// Whether somebody waits for an answer that is on its way.
    pub(crate) fn is_awaited(&self) -> bool {
        self.answers.load(Ordering::Relaxed) > 0
    }
}

impl Mail {
    /// Notes that a message is through.
    pub(crate) fn posted(&self, message: &StoredMessage) {
        if message.is_answer() {
            self.answers.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
