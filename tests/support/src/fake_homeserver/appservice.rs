//! The one appservice that may speak as any user the fake has.

use super::{
    FakeHomeserver,
    reply::Reply,
    request::Call,
    world::{APPSERVICE, APPSERVICE_TOKEN, BOT, SERVER, World},
};

impl FakeHomeserver {
    /// The appservice's token; `?user_id=` says who it speaks as, and nothing that it speaks as itself.
    pub fn appservice_token(&self) -> &'static str {
        APPSERVICE_TOKEN
    }
}

impl World {
    /// Why the appservice may not speak as the user it names.
    pub(super) fn refuse_masquerade(&self, call: &Call) -> Option<Reply> {
        let user = call.user();
        let error = if !user.ends_with(&format!(":{SERVER}")) {
            format!("Application service cannot masquerade as this user ({user}).")
        } else if user != APPSERVICE && user != BOT && !self.residents.contains_key(user) {
            format!("Application service has not registered this user ({user})")
        } else {
            return None;
        };
        Some(Reply::error(403, "M_FORBIDDEN", &error))
    }
}
