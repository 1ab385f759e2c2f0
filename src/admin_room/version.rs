//! `version`

use rtc_janitor_core::render::answer;

use super::request::{Reply, Request};

/// Where it was built from; builds that know it set this variable.
const COMMIT: Option<&str> = option_env!("RTC_JANITOR_COMMIT");

pub(super) fn answer(request: &Request<'_>) -> Reply {
    let paths = &request.context.paths;
    answer::version(env!("CARGO_PKG_VERSION"), COMMIT, paths.config_file.as_deref(), &paths.store).into()
}
