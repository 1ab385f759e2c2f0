//! `version`

use rtc_janitor_core::render::answer;

use super::front_desk::Reply;

pub(super) fn answer() -> Reply {
    answer::version(env!("CARGO_PKG_VERSION")).into()
}
