//! Characters that stand in no id: whoever finds one has two entries in one, or one that was pasted with more than
//! can be seen.

/// What is wrong with an id, as the second half of a sentence that begins with it; `None` where nothing is.
pub(super) fn stray(id: &str) -> Option<String> {
    let found = id.chars().find(|c| *c == ',' || c.is_whitespace() || c.is_control() || is_invisible(*c))?;
    Some(match found {
        ',' => "has a comma in it; write one entry for each".to_owned(),
        ' ' => "has a space in it; write one entry for each".to_owned(),
        '\n' | '\r' => "has a line break in it; write one entry for each".to_owned(),
        other => {
            format!("has a character in it that cannot be seen (U+{:04X}); take it out", u32::from(other))
        }
    })
}

/// Marks of direction and joining, the zero-width space and the byte order mark.
pub(super) const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_told_by_its_number() {
        assert_eq!(stray("@bridge_bot:example.org:8448"), None);
        assert!(stray("@a:b, @c:d").unwrap().contains("a comma"));
        assert!(stray("@a:b\u{a0}@c:d").unwrap().contains("U+00A0"));
        assert!(stray("@a:b\u{200b}").unwrap().contains("U+200B"));
        assert!(stray("\u{feff}@a:b").unwrap().contains("U+FEFF"));
    }
}
