//! From a message to the words of a command.
//!
//! Whether a message is a command at all, what its pills and links name, and where its words end.

use std::borrow::Cow;

use html5gum::{Token, Tokenizer};
use percent_encoding::percent_decode_str;

use crate::ids::UserId;

/// Who is listening, and what commands begin with.
#[derive(Clone, Debug)]
pub struct Heard<'a> {
    /// `admin_room.command_prefix`.
    pub prefix: &'a str,
    /// The bot.
    pub me: &'a UserId,
    /// What the bot is called in the room.
    pub display_name: Option<&'a str>,
}

/// The text behind the prefix or behind a mention of the bot; `None` when the message is no command.
///
/// `html` is the message's `formatted_body`, where pills and links are.
pub fn heard(listener: &Heard<'_>, body: &str, html: Option<&str>) -> Option<String> {
    let text = match html {
        Some(html) => text_of(html),
        None => body.to_owned(),
    };
    let text = text.trim_start();
    let rest = after(text, listener.prefix, false)
        .or_else(|| after(text, listener.me.as_str(), true))
        .or_else(|| after(text, listener.display_name?, true))?;
    Some(rest.trim().to_owned())
}

/// Whether a message that is no command begins with a prefix that was mistyped: without the sigil before its word,
/// or with a space after that.
pub fn is_slip(prefix: &str, body: &str, html: Option<&str>) -> bool {
    let word = prefix.trim_start_matches(|c: char| !c.is_alphanumeric());
    let sigil = &prefix[..prefix.len() - word.len()];
    if sigil.is_empty() || word.is_empty() {
        return false;
    }
    let text = html.map_or_else(|| body.to_owned(), text_of);
    let text = text.trim_start();
    let behind_sigil = text.strip_prefix(sigil).filter(|rest| rest.starts_with(char::is_whitespace));
    after(behind_sigil.map_or(text, str::trim_start), word, false).is_some()
}

/// What follows `name` at the beginning of a text, where `name` is a whole word.
fn after<'t>(text: &'t str, name: &str, is_mention: bool) -> Option<&'t str> {
    let head = text.get(..name.len()).filter(|head| !head.is_empty())?;
    if !head.eq_ignore_ascii_case(name) {
        return None;
    }
    let rest = &text[name.len()..];
    let rest = if is_mention { rest.strip_prefix([':', ',']).unwrap_or(rest) } else { rest };
    (rest.is_empty() || rest.starts_with(char::is_whitespace)).then_some(rest)
}

/// The text of a formatted message; what a link to Matrix names stands in place of its label.
fn text_of(html: &str) -> String {
    let mut text = String::new();
    let mut link: Option<String> = None;
    // Depth inside `<mx-reply>`: what somebody else said before.
    let mut quoted = 0_usize;
    for token in Tokenizer::new(html).flatten() {
        match token {
            Token::StartTag(tag) => match &**tag.name {
                b"mx-reply" if !tag.self_closing => quoted += 1,
                b"a" => {
                    let target = tag.attributes.get(&b"href"[..]).map(|href| String::from_utf8_lossy(href));
                    link = target.and_then(|target| matrix_link(&target));
                    if let Some(named) = link.as_ref().filter(|_| quoted == 0) {
                        // As one word, whatever is in it.
                        text.push_str(&shell_words::quote(named));
                    }
                }
                b"br" | b"p" | b"div" | b"li" => text.push(' '),
                _ => {}
            },
            Token::EndTag(tag) => match &**tag.name {
                b"mx-reply" => quoted = quoted.saturating_sub(1),
                b"a" => link = None,
                _ => {}
            },
            Token::String(string) if quoted == 0 && link.is_none() => {
                text.push_str(&String::from_utf8_lossy(&string));
            }
            _ => {}
        }
    }
    text
}

/// What a `https://matrix.to/#/…` or `matrix:` link names: a room or a user.
pub(super) fn matrix_link(url: &str) -> Option<String> {
    let identifier = if let Some(rest) = url.split_once("//matrix.to/#/").map(|(_, rest)| rest) {
        decoded(first_part(rest))?
    } else {
        let rest = url.strip_prefix("matrix:")?;
        let (kind, name) = rest.split_once('/')?;
        let sigil = match kind {
            "u" | "user" => "@",
            "r" | "room" => "#",
            "roomid" => "!",
            _ => return None,
        };
        format!("{sigil}{}", decoded(first_part(name))?)
    };
    identifier.starts_with(['@', '#', '!']).then_some(identifier)
}

fn first_part(rest: &str) -> &str {
    rest.split(['?', '/']).next().unwrap_or(rest)
}

fn decoded(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(Cow::into_owned)
}

/// The words, with quotes as in a shell; links that were typed stand for what they name.
pub(super) fn split(text: &str) -> Vec<String> {
    // Phones make quotes curly, and put blanks of a fixed width inside of some.
    let straight: String = with_plain_blanks(text)
        .chars()
        .map(|c| if matches!(c, '“' | '”' | '„' | '«' | '»') { '"' } else { c })
        .collect();
    // In a shell what follows # is a comment; here it is an alias. And in "Bob's room" there is no quote.
    let mut inert = String::with_capacity(straight.len());
    let mut last = ' ';
    for character in straight.chars() {
        match character {
            '#' => inert.push_str(HASH),
            '\'' if last.is_alphanumeric() => inert.push_str(APOSTROPHE),
            other => inert.push(other),
        }
        last = character;
    }
    // A quote that is never closed is none.
    let words =
        shell_words::split(&inert).unwrap_or_else(|_| inert.split_whitespace().map(str::to_owned).collect());
    let words = words.into_iter().map(|word| word.replace(HASH, "#").replace(APOSTROPHE, "'"));
    words.map(|word| matrix_link(&word).unwrap_or_else(|| word.trim().to_owned())).collect()
}

/// A text with a space for each blank that Unicode knows, such as the U+00A0 that phones and editors
/// write: nobody sees which of them stands in a name.
pub fn with_plain_blanks(text: &str) -> String {
    text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).collect()
}

/// Stands for # where that would begin a comment: a character for private use.
const HASH: &str = "\u{e000}";

/// Stands for an apostrophe within a word.
const APOSTROPHE: &str = "\u{e001}";
