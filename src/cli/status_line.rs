//! One line on the terminal that says how far a long piece of work is.

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::{Mutex, PoisonError},
};

/// A line on stderr that is written over and over. Where that is no terminal, nothing is written.
pub(super) struct StatusLine {
    /// What stands there; `None` where nothing ever does.
    shown: Option<Mutex<String>>,
}

impl StatusLine {
    pub(super) fn new(is_quiet: bool) -> Self {
        let shown = (!is_quiet && io::stderr().is_terminal()).then(Mutex::default);
        Self { shown }
    }

    /// Writes the line anew.
    pub(super) fn show(&self, text: &str) {
        let Some(shown) = &self.shown else { return };
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        if *shown != text {
            write(text);
            text.clone_into(&mut shown);
        }
    }

    /// Leaves the line empty, for what comes next.
    pub(super) fn clear(&self) {
        let Some(shown) = &self.shown else { return };
        if !shown.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            write("");
        }
    }
}

/// To the beginning of the line, the text, and nothing after it. A terminal that is gone is no matter.
fn write(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "\r{text}\x1b[K").and_then(|()| stderr.flush());
}
