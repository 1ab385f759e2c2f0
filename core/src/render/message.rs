//! A message in its two forms, and the escaping that keeps rooms from speaking through it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

pub use super::harmless::{harmless, harmless_sentence};
use super::html::Html;
use crate::ids::{RoomId, UserId};

/// The most bytes that both forms of a message have together: an event holds 64 KiB, of which JSON and
/// encryption take a good third, and an edit says everything twice. What the server refuses is never read.
pub(crate) const MOST_BYTES: usize = 20_000;

/// A message in the two forms of `m.room.message`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// `body`: as complete as the HTML.
    pub plain: String,
    /// `formatted_body`, in the subset that clients show.
    pub html: Html,
}

/// Everything but the unreserved characters is percent-encoded in a matrix.to link.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Our own words in both forms, with `code` between backquotes; what is from outside was made harmless before.
pub fn words(text: &str) -> Message {
    Message { plain: text.to_owned(), html: Html::sentence(text) }
}

/// Our own words with a part in place of each `{}`.
pub fn fill(template: &'static str, parts: &[&Message]) -> Message {
    let mut filled = Message::default();
    let mut parts = parts.iter();
    for (index, literal) in template.split("{}").enumerate() {
        if index > 0 {
            let part = parts.next().copied().cloned().unwrap_or_default();
            filled.push(&part);
        }
        filled.push(&words(literal));
    }
    debug_assert!(parts.next().is_none(), "a part without a place in {template}");
    filled
}

impl Message {
    /// Adds more at the end, on the same line.
    pub fn push(&mut self, more: &Self) {
        self.plain.push_str(&more.plain);
        self.html.push(&more.html);
    }

    /// The same, where links to rooms whose id names no server (room version 12 on) lead by way of this one.
    #[must_use]
    pub fn by_way_of(&self, server: &str) -> Self {
        const LINK: &str = r#"<a href="https://matrix.to/#/%21"#;
        let via = format!("?via={}", utf8_percent_encode(server, RESERVED));
        let mut parts = self.html.as_str().split(LINK);
        let mut html = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            html.push_str(LINK);
            match part.split_once('"') {
                Some((target, rest)) if !target.contains('?') => {
                    html.extend([target, &via, "\"", rest]);
                }
                _ => html.push_str(part),
            }
        }
        Self { plain: self.plain.clone(), html: Html::stored(html) }
    }

    /// How many bytes both forms have together.
    pub fn size(&self) -> usize {
        self.plain.len() + self.html.len()
    }
}

/// One paragraph after the other, all of it our own words or made harmless before.
pub fn sentences(texts: &[&str]) -> Message {
    let mut html = Html::default();
    for text in texts {
        html.push(&Html::markup("<p>{}</p>", &[&Html::sentence(text)]));
    }
    Message { plain: texts.join("\n"), html }
}

/// A room: its name with a link, or its id where it has none.
pub fn room(id: &RoomId, name: Option<&str>) -> Message {
    const LINK: &str = r#"<a href="https://matrix.to/#/{}">{}</a>"#;
    // Somebody who is not in the room needs a server to join it by; for ids that name none, see `by_way_of`.
    let via = id
        .server()
        .map_or_else(String::new, |server| format!("?via={}", utf8_percent_encode(server, RESERVED)));
    let target = Html::of_text(&format!("{}{via}", utf8_percent_encode(id.as_str(), RESERVED)));
    let shown = harmless(name.unwrap_or(id.as_str()));
    Message { html: Html::markup(LINK, &[&target, &Html::of_text(&shown)]), plain: shown }
}

/// The same with the id beside the name, for whoever has to tell two rooms of one name apart.
pub fn room_and_id(id: &RoomId, name: Option<&str>) -> Message {
    let shown = room(id, name);
    if name.is_none() {
        return shown;
    }
    fill("{} ({})", &[&shown, &code(id.as_str())])
}

/// Text from outside, such as an id, as code.
pub fn code(text: &str) -> Message {
    Message { plain: harmless(text), html: Html::markup("<code>{}</code>", &[&Html::escaped(text)]) }
}

/// A user as text, not as a pill: nobody is pinged.
pub fn user(id: &UserId) -> Message {
    code(id.as_str())
}

/// Several messages in one, and how many of them there was room for.
pub fn together(messages: &[&Message]) -> (Message, usize) {
    let mut text = Message::default();
    for (index, message) in messages.iter().enumerate() {
        if index > 0 {
            if text.size() + message.size() > MOST_BYTES {
                return (text, index);
            }
            text.plain.push_str("\n\n");
        }
        text.push(message);
    }
    (text, messages.len())
}

/// A message with the count of those for which there was no room.
pub fn and_more(text: Message, left_out: usize) -> Message {
    let mut all = text;
    all.plain.push_str("\n\n");
    all.push(&sentences(&[&format!("… and {left_out} more such messages.")]));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_a_room_whose_id_names_no_server_leads_by_way_of_ours() {
        let (old, new) = (room(&"!old:other".into(), None), room(&"!31hneApx".into(), Some("New")));
        let trap = words("no link: <a href=\"https://matrix.to/#/%21x\">");
        let both = fill("{} and {}; {}", &[&old, &new, &trap]).by_way_of("hs:8448");
        assert_eq!(both.plain, "!old:other and New; no link: <a href=\"https://matrix.to/#/%21x\">");
        assert_eq!(
            both.html.as_str(),
            "<a href=\"https://matrix.to/#/%21old%3Aother?via=other\">!old:other</a> and \
             <a href=\"https://matrix.to/#/%2131hneApx?via=hs%3A8448\">New</a>; \
             no link: &lt;a href=\"https://matrix.to/#/%21x\"&gt;"
        );
    }

    #[test]
    fn a_link_cannot_be_broken_out_of() {
        let room = room(&r#"!a"><img src=x>:b"#.into(), Some("<i>"));
        assert_eq!(
            room.html.as_str(),
            r#"<a href="https://matrix.to/#/%21a%22%3E%3Cimg%20src%3Dx%3E%3Ab?via=b">&lt;i&gt;</a>"#
        );
    }
}
