//! Whether any client shows a membership in the session form.
//!
//! Two families read it by rules of their own, and either may show what the other does not: Element
//! Web and Call by matrix-js-sdk, Element X by ruma.

use serde_json::{Map, Value};

use super::{M_CALL, Malformed, text};

/// The fields that a session cannot do without.
pub(super) struct Session<'a> {
    pub(super) device: &'a str,
    pub(super) application: &'a str,
    pub(super) call_id: &'a str,
    pub(super) focus_active: &'a Value,
    pub(super) foci: &'a [Value],
}

pub(super) fn session(content: &Map<String, Value>) -> Result<Session<'_>, Malformed> {
    let field = |name, why| text(content, name).ok_or(Malformed::because(why));
    let session = Session {
        device: field("device_id", "device_id is not text")?,
        call_id: field("call_id", "call_id is not text")?,
        application: field("application", "application is not text")?,
        focus_active: content.get("focus_active").ok_or(Malformed::because("focus_active is missing"))?,
        foci: content.get("foci_preferred").and_then(Value::as_array).map_or(&[][..], Vec::as_slice),
    };
    match refused_by_js_sdk(content, &session) {
        Some(why) if !is_shown_by_ruma(content, &session) => Err(Malformed::because(why)),
        _ => Ok(session),
    }
}

/// `checkSessionsMembershipData` of matrix-js-sdk.
fn refused_by_js_sdk(content: &Map<String, Value>, session: &Session<'_>) -> Option<&'static str> {
    let is_wrong = |name, is_right: fn(&Value) -> bool| content.get(name).is_some_and(|v| !is_right(v));
    let has_type = |focus: &Value| focus.get("type").is_some_and(Value::is_string);
    if !has_type(session.focus_active) {
        return Some("focus_active has no type");
    }
    if is_wrong("foci_preferred", Value::is_array) || !session.foci.iter().all(has_type) {
        return Some("foci_preferred is not a list of foci");
    }
    if is_wrong("created_ts", Value::is_number) {
        return Some("created_ts is not a number");
    }
    if is_wrong("scope", Value::is_string) || is_wrong("m.call.intent", Value::is_string) {
        return Some("scope or m.call.intent is not text");
    }
    None
}

/// `SessionMembershipData` of ruma, which takes `null` for absent where a field may be, and asks for
/// more fields than matrix-js-sdk does.
fn is_shown_by_ruma(content: &Map<String, Value>, session: &Session<'_>) -> bool {
    let has = |name, is_right: fn(&Value) -> bool| content.get(name).is_some_and(is_right);
    let may_have = |name, is_right: fn(&Value) -> bool| {
        content.get(name).is_none_or(|value| value.is_null() || is_right(value))
    };
    let is_text = |focus: &Value, name| focus.get(name).is_some_and(Value::is_string);
    let is_livekit = |focus: &Value| focus.get("type").is_some_and(|kind| kind == "livekit");
    session.application == M_CALL
        && has("scope", Value::is_string)
        && has("expires", Value::is_u64)
        && may_have("created_ts", Value::is_u64)
        && may_have("m.call.intent", Value::is_string)
        && is_livekit(session.focus_active)
        && is_text(session.focus_active, "focus_selection")
        && has("foci_preferred", Value::is_array)
        && session.foci.iter().all(|focus| {
            is_livekit(focus) && is_text(focus, "livekit_alias") && is_text(focus, "livekit_service_url")
        })
}
