//! HTML in which all that is from outside is escaped: nothing else can be put together here.

use std::fmt;

use super::harmless::harmless;

/// A piece of HTML. Text gets into it by escaping alone, and markup only as a literal of this program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Html(String);

impl Html {
    /// Text from outside, [`harmless`], with the five characters that mean something to HTML escaped.
    pub fn escaped(text: &str) -> Self {
        Self::of_text(&harmless(text))
    }

    /// A text of ours, or one that was made harmless before, as it is.
    pub(super) fn of_text(text: &str) -> Self {
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
        Self(html)
    }

    /// A sentence of ours, with `code` between backquotes; what is from outside was made harmless before.
    pub fn sentence(text: &str) -> Self {
        let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let mut html = String::with_capacity(escaped.len());
        let mut rest = escaped.as_str();
        while let Some((before, code, after)) = code_in(rest) {
            html.extend([before, "<code>", code, "</code>"]);
            rest = after;
        }
        Self(html + rest)
    }

    /// Markup with a part in place of each `{}`.
    pub fn markup(markup: &'static str, parts: &[&Self]) -> Self {
        let mut html = String::new();
        let mut parts = parts.iter();
        for (index, literal) in markup.split("{}").enumerate() {
            if index > 0 {
                html.push_str(parts.next().map_or("", |part| part.as_str()));
            }
            html.push_str(literal);
        }
        debug_assert!(parts.next().is_none(), "a part without a place in {markup}");
        Self(html)
    }

    /// What this program wrote down earlier.
    pub fn stored(html: String) -> Self {
        Self(html)
    }

    /// Adds more at the end.
    pub fn push(&mut self, more: &Self) {
        self.0.push_str(&more.0);
    }

    /// Adds markup at the end.
    pub fn push_markup(&mut self, markup: &'static str) {
        self.0.push_str(markup);
    }

    /// The text of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first text between backquotes, with what is before and after.
fn code_in(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('`')?;
    let (code, after) = rest.split_once('`')?;
    Some((before, code, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_is_escaped_and_stays_what_it_is() {
        assert_eq!(Html::escaped("<b>&\"'</b>").as_str(), "&lt;b&gt;&amp;&quot;&#39;&lt;/b&gt;");
        let inside = Html::markup("<td>{} on {}</td>", &[&Html::escaped("{}<i>"), &Html::escaped("D")]);
        assert_eq!(inside.as_str(), "<td>{}&lt;i&gt; on D</td>");
        assert_eq!(Html::sentence("say `<x>` & go").as_str(), "say <code>&lt;x&gt;</code> &amp; go");
    }
}
