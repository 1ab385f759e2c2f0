//! `help`

use rtc_janitor_core::render::answer;

use super::asked::{Asked, Reply};

pub(super) fn answer(asked: &Asked<'_>, command: Option<&str>) -> Reply {
    let prefix = &asked.house.prefix;
    command.map_or_else(|| answer::commands(prefix), |name| answer::one_command(name, prefix)).into()
}
