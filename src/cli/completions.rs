//! `rtc-janitor completions`: what a shell needs to complete the command line.

use std::process::ExitCode;

use clap_complete::Shell;

use super::{CliError, print};

/// Print the completions for a shell
///
/// For bash: rtc-janitor completions bash > /usr/share/bash-completion/completions/rtc-janitor
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Args {
    /// The shell they are for: bash, elvish, fish, powershell or zsh
    #[arg(hide_possible_values = true)]
    shell: Shell,
}

/// Prints the completions of `command`.
///
/// # Errors
/// When stdout cannot be written to.
pub fn main(args: Args, mut command: clap::Command) -> Result<ExitCode, CliError> {
    let name = command.get_name().to_owned();
    // Into memory first: the generator panics where a write fails, and `| head` closes the pipe early.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
