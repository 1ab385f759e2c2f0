//! A message as it grows: paragraphs and lists, in both forms at once.

use std::fmt::Write;

use crate::render::{
    Message,
    message::{MOST_BYTES, sentence_html, sentences},
};

/// The most entries that one list shows.
pub(super) const MOST_ENTRIES: usize = 50;

/// A message under construction.
#[derive(Default)]
pub(super) struct Page {
    text: Message,
    /// Entries of lists for which there was no room at all, and how to see them.
    left_out: (usize, String),
}

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

    /// A list under a heading, and how many entries there was room for; what does not fit is counted, and
    /// `rest` says how to see it.
    pub(super) fn list(&mut self, heading: &Message, entries: &[Message], rest: &str) -> usize {
        if entries.is_empty() {
            return 0;
        }
        if self.size() + heading.plain.len() + heading.html.len() > MOST_BYTES {
            self.left_out = (self.left_out.0 + entries.len(), rest.to_owned());
            return 0;
        }
        if !heading.plain.is_empty() {
            self.add(&Message {
                plain: heading.plain.clone(),
                html: format!("<p><strong>{}</strong></p>", heading.html),
            });
        }
        self.text.html.push_str("<ul>");
        let mut shown = 0;
        for entry in entries.iter().take(MOST_ENTRIES) {
            if self.size() + entry.plain.len() + entry.html.len() > MOST_BYTES {
                break;
            }
            self.break_line();
            let _ = write!(self.text.plain, "- {}", entry.plain);
            let _ = write!(self.text.html, "<li>{}</li>", entry.html);
            shown += 1;
        }
        self.text.html.push_str("</ul>");
        if entries.len() > shown {
            self.say(format!("… and {} more. {rest}", entries.len() - shown).trim_end());
        }
        shown
    }

    fn add(&mut self, text: &Message) -> &mut Self {
        self.break_line();
        self.text.plain.push_str(&text.plain);
        self.text.html.push_str(&text.html);
        self
    }

    fn break_line(&mut self) {
        if !self.text.plain.is_empty() {
            self.text.plain.push('\n');
        }
    }

    fn size(&self) -> usize {
        self.text.plain.len() + self.text.html.len()
    }

    pub(super) fn done(&mut self) -> Message {
        if let (left_out @ 1.., rest) = std::mem::take(&mut self.left_out) {
            self.say(&format!("… and {left_out} more. {rest}"));
        }
        std::mem::take(&mut self.text)
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
