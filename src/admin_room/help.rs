//! `help`

use rtc_janitor_core::render::answer;

use super::request::{Reply, Request};

pub(super) fn answer(request: &Request<'_>, command: Option<&str>) -> Reply {
    let prefix = &request.context.prefix;
    command.map_or_else(|| answer::commands(prefix), |name| answer::one_command(name, prefix)).into()
}
