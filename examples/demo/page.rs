//! The admin room as a page that needs nothing else, with its messages as Matrix clients show them.

use anyhow::{Context as _, Result, ensure};
use rtc_janitor_core::render::html::Html;
use rtc_janitor_test_support::Message;

use crate::stage::Stage;

/// Without its messages.
const ROOM: &str = include_str!("page.html");

/// What was said, the oldest first.
pub(crate) fn of(stage: &Stage, messages: &[Message]) -> Result<String> {
    let mut shown = Html::default();
    let mut last_sender = None;
    for message in messages.iter().filter(|message| edited(message).is_none()) {
        let edit = messages.iter().rfind(|edit| edited(edit) == Some(&message.event_id));
        let quote = match message.relates_to["m.in_reply_to"]["event_id"].as_str() {
            Some(id) => quote(stage, find(messages, id)?),
            None => Html::default(),
        };
        let text = text(edit.map_or(&message.content, |edit| &edit.content["m.new_content"]));
        let time = Html::escaped(&message.sent.format("%H:%M").to_string());
        let text = Html::markup(if is_notice(message) { NOTICE } else { TEXT }, &[&quote, &text]);
        let edited = Html::markup(if edit.is_some() { "<small>(edited)</small>" } else { "" }, &[]);
        let sender = Html::escaped(stage.name_of(&message.sender));
        let initial = Html::escaped(sender.as_str().get(..1).unwrap_or_default());
        // Whoever goes on speaking is named once.
        shown.push(&if last_sender == Some(&message.sender) {
            Html::markup(MORE, &[&time, &text, &edited])
        } else {
            Html::markup(FIRST, &[&initial, &initial, &sender, &time, &text, &edited])
        });
        last_sender = Some(&message.sender);
    }
    ensure!(!shown.is_empty(), "nothing was said in the admin room");
    Ok(Html::markup(ROOM, &[&shown]).as_str().to_owned())
}

const FIRST: &str = r#"
<article>
<div class="avatar {}">{}</div>
<header><b>{}</b> <time>{}</time></header>
{}{}
</article>
"#;
const MORE: &str = r"
<article>
<time>{}</time>
{}{}
</article>
";
const NOTICE: &str = r#"<div class="notice">{}{}</div>"#;
const TEXT: &str = r#"<div class="text">{}{}</div>"#;

/// The message that this one takes the place of.
fn edited(message: &Message) -> Option<&str> {
    let relation = &message.relates_to;
    relation["event_id"].as_str().filter(|_| relation["rel_type"] == "m.replace")
}

fn is_notice(message: &Message) -> bool {
    message.content["msgtype"] == "m.notice"
}

/// What a content says; the HTML is the janitor's own.
fn text(content: &serde_json::Value) -> Html {
    match content["formatted_body"].as_str() {
        Some(html) => Html::stored(html.to_owned()),
        None => Html::escaped(content["body"].as_str().unwrap_or_default()),
    }
}

fn find<'a>(messages: &'a [Message], id: &str) -> Result<&'a Message> {
    messages.iter().find(|message| message.event_id == id).context("it answers what nobody said")
}

/// What is answered, above the answer.
fn quote(stage: &Stage, message: &Message) -> Html {
    let name = Html::escaped(stage.name_of(&message.sender));
    Html::markup("<blockquote><b>{}</b> {}</blockquote>", &[&name, &Html::escaped(&message.body)])
}
