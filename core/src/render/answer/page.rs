//! A message as it grows: paragraphs and lists, in both forms at once.

use std::fmt::Write;

use crate::render::{
    Message,
    message::{sentence_html, sentences},
};

/// The most bytes that both forms have together: an event holds 64 KiB, of which JSON and encryption
/// take a good third.
pub(super) const MOST_BYTES: usize = 32_000;

/// The most entries that one list shows.
pub(super) const MOST_ENTRIES: usize = 50;

/// A message under construction.
#[derive(Default)]
pub(super) struct Page(Message);

impl Page {
    /// A paragraph: our own words, or what was made harmless before.
    pub(super) fn say(&mut self, text: &str) -> &mut Self {
        self.add(&sentences(&[text]))
    }

    /// A paragraph in both forms.
    pub(super) fn paragraph(&mut self, text: &Message) -> &mut Self {
        let html = format!("<p>{}</p>", text.html);
        self.add(&Message { plain: text.plain.clone(), html })
    }

    /// A list under a heading; what does not fit is counted, and `rest` says how to see it.
    pub(super) fn list(&mut self, heading: &Message, entries: &[Message], rest: &str) -> &mut Self {
        if entries.is_empty() {
            return self;
        }
        if !heading.plain.is_empty() {
            self.add(&Message {
                plain: heading.plain.clone(),
                html: format!("<p><strong>{}</strong></p>", heading.html),
            });
        }
        self.0.html.push_str("<ul>");
        let mut shown = 0;
        for entry in entries.iter().take(MOST_ENTRIES) {
            let size = self.0.plain.len() + self.0.html.len() + entry.plain.len() + entry.html.len();
            if size > MOST_BYTES {
                break;
            }
            self.break_line();
            let _ = write!(self.0.plain, "- {}", entry.plain);
            let _ = write!(self.0.html, "<li>{}</li>", entry.html);
            shown += 1;
        }
        self.0.html.push_str("</ul>");
        if entries.len() > shown {
            self.say(&format!("… and {} more. {rest}", entries.len() - shown));
        }
        self
    }

    fn add(&mut self, text: &Message) -> &mut Self {
        self.break_line();
        self.0.plain.push_str(&text.plain);
        self.0.html.push_str(&text.html);
        self
    }

    fn break_line(&mut self) {
        if !self.0.plain.is_empty() {
            self.0.plain.push('\n');
        }
    }

    pub(super) fn done(&mut self) -> Message {
        std::mem::take(&mut self.0)
    }
}

/// Our own words in both forms.
pub(super) fn words(text: &str) -> Message {
    Message { plain: text.to_owned(), html: sentence_html(text) }
}

/// Texts one after the other.
pub(super) fn join(parts: &[&Message]) -> Message {
    Message {
        plain: parts.iter().map(|part| part.plain.as_str()).collect(),
        html: parts.iter().map(|part| part.html.as_str()).collect(),
    }
}

/// `1 room`, `3 rooms`.
pub(super) fn count(number: usize, one: &str, several: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {several}") }
}
