//! Text from outside, as it may be shown.

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

/// Sentences of ours may be longer than a name; [`harmless`] would cut them.
pub fn harmless_sentence(text: &str) -> String {
    text.chars().map(|character| if is_harmless(character) { character } else { '\u{fffd}' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_is_shown_harmless() {
        assert_eq!(harmless("a\nb\u{202e}c\u{0}d"), "a\u{fffd}b\u{fffd}c\u{fffd}d");
        assert!(!harmless("hello @room @ROOM").to_lowercase().contains("@room"));
        assert_eq!(harmless(&"x".repeat(60_000)).chars().count(), LONGEST_NAME + 1);
    }
}
