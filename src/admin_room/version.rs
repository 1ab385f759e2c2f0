//! `version`

use rtc_janitor_core::render::answer;

use super::request::Reply;

pub(super) fn answer() -> Reply {
    answer::version(env!("CARGO_PKG_VERSION")).into()
}
