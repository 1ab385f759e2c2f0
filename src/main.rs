//! The `rtc-janitor` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    rtc_janitor::cli::main()
}
