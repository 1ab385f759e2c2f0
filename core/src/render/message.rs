//! A message in its two forms, and the escaping that keeps rooms from speaking through it.

use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

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
    pub html: String,
}

/// The longest name from outside that is shown; what is longer is cut with an ellipsis.
const LONGEST_NAME: usize = 80;

/// Text from outside as it may be shown: on one line, no control or direction characters, not longer
/// than a line, and never the word that pings a whole room.
pub fn harmless(text: &str) -> String {
    let mut shown = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == LONGEST_NAME {
            shown.push('…');
            break;
        }
        shown.push(if is_harmless(character) { character } else { '\u{fffd}' });
    }
    // Push rules look for the word in `body`, in any case; a word joiner keeps it readable and inert.
    let mut inert = String::with_capacity(shown.len());
    for (at, character) in shown.char_indices() {
        inert.push(character);
        if character == '@' && shown[at + 1..].get(..4).is_some_and(|word| word.eq_ignore_ascii_case("room"))
        {
            inert.push('\u{2060}');
        }
    }
    inert
}

fn is_harmless(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{61c}')
}

/// [`harmless`] text with the five characters that mean something to HTML escaped.
pub fn escaped(text: &str) -> String {
    escape_html(&harmless(text))
}

fn escape_html(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}

/// Everything but the unreserved characters is percent-encoded in a matrix.to link.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Sentences of ours may be longer than a name; [`harmless`] would cut them.
pub fn harmless_sentence(text: &str) -> String {
    text.chars().map(|character| if is_harmless(character) { character } else { '\u{fffd}' }).collect()
}

/// A sentence of ours in HTML, with `code` between backquotes; what is from outside was made harmless
/// before.
pub fn sentence_html(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut html = String::with_capacity(escaped.len());
    let mut rest = escaped.as_str();
    while let Some((before, code, after)) = code_in(rest) {
        let _ = write!(html, "{before}<code>{code}</code>");
        rest = after;
    }
    html + rest
}

/// The first text between backquotes, with what is before and after.
fn code_in(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('`')?;
    let (code, after) = rest.split_once('`')?;
    Some((before, code, after))
}

/// One paragraph after the other, all of it our own words or made harmless before.
pub fn sentences(texts: &[&str]) -> Message {
    Message {
        plain: texts.join("\n"),
        html: texts.iter().fold(String::new(), |html, text| html + "<p>" + &sentence_html(text) + "</p>"),
    }
}

/// A room: its name with a link, and its id.
pub fn room(id: &RoomId, name: Option<&str>) -> Message {
    let link = utf8_percent_encode(id.as_str(), RESERVED);
    let shown_id = harmless(id.as_str());
    let (plain, label) = match name {
        Some(name) => (format!("{} ({shown_id})", harmless(name)), escaped(name)),
        None => (shown_id.clone(), escape_html(&shown_id)),
    };
    let mut html = format!(r#"<a href="https://matrix.to/#/{link}">{label}</a>"#);
    if name.is_some() {
        let _ = write!(html, " <code>{}</code>", escape_html(&shown_id));
    }
    Message { plain, html }
}

/// A user as text, not as a pill: nobody is pinged.
pub fn user(id: &UserId) -> Message {
    let plain = harmless(id.as_str());
    let html = format!("<code>{}</code>", escape_html(&plain));
    Message { plain, html }
}

/// Several messages in one, and how many of them there was room for.
pub fn together(messages: &[&Message]) -> (Message, usize) {
    let mut text = Message::default();
    for (index, message) in messages.iter().enumerate() {
        if index > 0 {
            let size = text.plain.len() + text.html.len() + message.plain.len() + message.html.len();
            if size > MOST_BYTES {
                return (text, index);
            }
            text.plain.push_str("\n\n");
        }
        text.plain.push_str(&message.plain);
        text.html.push_str(&message.html);
    }
    (text, messages.len())
}

/// A message with the count of those for which there was no room.
pub fn and_more(text: Message, left_out: usize) -> Message {
    let rest = sentences(&[&format!("… and {left_out} more such messages.")]);
    Message { plain: format!("{}\n\n{}", text.plain, rest.plain), html: text.html + &rest.html }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_is_shown_harmless() {
        assert_eq!(escaped("<b>&\"'</b>"), "&lt;b&gt;&amp;&quot;&#39;&lt;/b&gt;");
        assert_eq!(harmless("a\nb\u{202e}c\u{0}d"), "a\u{fffd}b\u{fffd}c\u{fffd}d");
        assert!(!harmless("hello @room @ROOM").to_lowercase().contains("@room"));
        assert_eq!(harmless(&"x".repeat(60_000)).chars().count(), LONGEST_NAME + 1);
    }

    #[test]
    fn a_link_cannot_be_broken_out_of() {
        let room = room(&r#"!a"><img src=x>:b"#.into(), Some("<i>"));
        assert_eq!(
            room.html,
            r#"<a href="https://matrix.to/#/%21a%22%3E%3Cimg%20src%3Dx%3E%3Ab">&lt;i&gt;</a> <code>!a&quot;&gt;&lt;img src=x&gt;:b</code>"#
        );
    }
}
