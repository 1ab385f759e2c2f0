//! A message as it grows: paragraphs and lists, in both forms at once.

pub(super) use crate::render::message::words;
use crate::render::{
    Html, Message,
    message::{MOST_BYTES, sentences},
};

/// The most entries that one list shows.
pub(super) const MOST_ENTRIES: usize = 50;

/// How much a last paragraph may have beyond the room for lists, in bytes.
const SPARE: usize = 800;

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
        let html = Html::markup("<p>{}</p>", &[&text.html]);
        self.add(&Message { plain: text.plain.clone(), html })
    }

    /// A list under a heading, and how many entries there was room for; what does not fit is counted, and
    /// `rest` says how to see it.
    pub(super) fn list(&mut self, heading: &Message, entries: &[Message], rest: &str) -> usize {
        if entries.is_empty() {
            return 0;
        }
        if self.text.size() + heading.size() > MOST_BYTES {
            self.left_out = (self.left_out.0 + entries.len(), rest.to_owned());
            return 0;
        }
        if !heading.plain.is_empty() {
            self.add(&Message {
                plain: heading.plain.clone(),
                html: Html::markup("<p><strong>{}</strong></p>", &[&heading.html]),
            });
        }
        self.text.html.push_markup("<ul>");
        let mut shown = 0;
        for entry in entries.iter().take(MOST_ENTRIES) {
            if self.text.size() + entry.size() > MOST_BYTES {
                break;
            }
            self.break_line();
            self.text.plain.push_str("- ");
            self.text.plain.push_str(&entry.plain);
            self.text.html.push(&Html::markup("<li>{}</li>", &[&entry.html]));
            shown += 1;
        }
        self.text.html.push_markup("</ul>");
        if entries.len() > shown {
            self.say(format!("… and {} more. {rest}", entries.len() - shown).trim_end());
        }
        shown
    }

    /// Names in one paragraph, as many as there is room for.
    pub(super) fn names(&mut self, before: &str, names: &[Message]) -> &mut Self {
        let mut text = words(before);
        for (index, name) in names.iter().enumerate() {
            if self.text.size() + text.size() + name.size() > MOST_BYTES + SPARE {
                text.push(&words(&format!(" and {} more", names.len() - index)));
                break;
            }
            if index > 0 {
                text.push(&words(", "));
            }
            text.push(name);
        }
        text.push(&words("."));
        self.paragraph(&text)
    }

    fn add(&mut self, text: &Message) -> &mut Self {
        self.break_line();
        self.text.push(text);
        self
    }

    fn break_line(&mut self) {
        if !self.text.plain.is_empty() {
            self.text.plain.push('\n');
        }
    }

    pub(super) fn done(&mut self) -> Message {
        if let (left_out @ 1.., rest) = std::mem::take(&mut self.left_out) {
            self.say(&format!("… and {left_out} more. {rest}"));
        }
        std::mem::take(&mut self.text)
    }
}

/// Texts one after the other.
pub(super) fn join(parts: &[&Message]) -> Message {
    let mut joined = Message::default();
    for part in parts {
        joined.push(part);
    }
    joined
}

/// A new line within an entry of a list; a plain body has one line for an entry, and this in its place.
pub(super) fn line_break(plain: &str) -> Message {
    Message { plain: plain.to_owned(), html: Html::markup("<br>", &[]) }
}

/// `1 room`, `3 rooms`.
pub(super) fn count(number: usize, one: &str, several: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {several}") }
}
