//! `rtc-janitor man`: the manual page. All subcommands are on one page, so that one `man rtc-janitor` has them all.
//!
//! Its text is that of `--help`; only what stands outside the program (files, other pages) is written here.

use std::{io, process::ExitCode};

use clap::Command;
use clap_mangen::{
    Man,
    roff::{Roff, bold, italic, roman},
};

use super::{CliError, EXIT_CODES, print};

/// Print the manual page
///
/// To read it: rtc-janitor man | man -l -
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Args {}

/// Prints the manual page of `command`.
///
/// # Errors
/// When stdout cannot be written to.
pub fn main(_args: Args, command: Command) -> Result<ExitCode, CliError> {
    let page = page(command).map_err(|error| CliError::unexpected("cannot make the manual page", &error))?;
    print(&page)?;
    Ok(ExitCode::SUCCESS)
}

fn page(command: Command) -> io::Result<String> {
    let mut command = command.disable_help_subcommand(true);
    // Gives the subcommands their full names and the options they inherit.
    command.build();
    let root = Man::new(command.clone().subcommand_value_name("command"));

    // From it come the definitions that the text below uses. The title itself is written here: `roff` leaves out an
    // empty date, and a real one would make every build another.
    let title = written(|out| root.render_title(out))?;
    let definitions = title.split(".TH ").next().unwrap_or_default();
    let version = command.get_version().unwrap_or_default();
    let mut page =
        format!("{definitions}.TH RTC\\-JANITOR 1 \"\" \"rtc\\-janitor {version}\" \"User Commands\"\n");
    page.push_str(from_heading(&written(|out| root.render_name_section(out))?));
    page.push_str(from_heading(&written(|out| root.render_synopsis_section(out))?));
    page.push_str(".SH DESCRIPTION\n");
    let description = written(|out| root.render_description_section(out))?;
    // Its first paragraph is the line that stands at NAME.
    page.push_str(description.split_once(".PP\n").map_or("", |(_, rest)| rest));
    page.push_str(from_heading(&written(|out| root.render_options_section(out))?));
    page.push_str(".SH COMMANDS\n");
    for subcommand in command.get_subcommands() {
        page.push_str(&of_subcommand(subcommand, subcommand.get_name())?);
    }
    page.push_str(&around_it().to_roff());
    Ok(page.lines().flat_map(|line| [line.trim_end(), "\n"]).collect())
}

/// A section for each that does something: for `config check` and `config show`, not for `config`.
fn of_subcommand(command: &Command, name: &str) -> io::Result<String> {
    if command.has_subcommands() {
        let parts = command.get_subcommands();
        return parts.map(|part| of_subcommand(part, &format!("{name} {}", part.get_name()))).collect();
    }
    // These stand once, at the top of the page.
    let command = command.clone().mut_args(|argument| match argument.get_id().as_str() {
        "config" | "help" => argument.hide(true),
        _ => argument,
    });
    let has_options = command.get_arguments().any(|argument| !argument.is_hide_set());
    let man = Man::new(command);
    let mut text = format!(".SS {name}\n");
    text.push_str(below_heading(&written(|out| man.render_synopsis_section(out))?));
    text.push_str(".PP\n");
    text.push_str(below_heading(&written(|out| man.render_description_section(out))?));
    if has_options {
        text.push_str(below_heading(&written(|out| man.render_options_section(out))?));
    }
    Ok(text)
}

/// The sections that are about no option or subcommand.
fn around_it() -> Roff {
    let mut roff = Roff::new();
    let (codes, environment) = EXIT_CODES.split_once("\n\n").unwrap_or((EXIT_CODES, ""));
    roff.control("SH", ["EXIT STATUS"]);
    // The first line is the heading that `--help` has.
    for line in codes.lines().skip(1) {
        match line.trim_start().split_once("  ") {
            Some((code, meaning)) if code.chars().all(|character| character.is_ascii_digit()) => {
                roff.control("TP", []).text([bold(code)]).text([roman(meaning)]);
            }
            _ => {
                roff.text([roman(line.trim_start())]);
            }
        }
    }

    roff.control("SH", ["ENVIRONMENT"]);
    roff.control("TP", [])
        .text([bold("RTC_JANITOR_CONFIG")])
        .text([roman("The config file, unless --config names one.")]);
    roff.control("TP", []).text([bold("RTC_JANITOR__"), italic("SECTION"), bold("__"), italic("KEY")]);
    roff.text([roman(environment)]);

    roff.control("SH", ["FILES"]);
    for (file, what) in [
        ("config.toml", "The config file, in the working directory, where nothing else is named."),
        ("/etc/rtc-janitor/config.toml", "The config file of the service that the package brings."),
        ("/etc/rtc-janitor/password", "The password of its account; readable by root alone."),
        ("/var/lib/rtc-janitor", "Its store: the journal and the sessions."),
        (
            "/usr/share/doc/rtc-janitor/config.example.toml",
            "Every setting, with its default and what it is for.",
        ),
    ] {
        roff.control("TP", []).text([italic(file)]).text([roman(what)]);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([bold("systemctl"), roman("(1), "), bold("journalctl"), roman("(1)")]);
    roff
}

fn written(render: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> io::Result<String> {
    let mut text = Vec::new();
    render(&mut text)?;
    String::from_utf8(text).map_err(io::Error::other)
}

/// A section without the definitions that each one begins with; the page has them from its title.
fn from_heading(section: &str) -> &str {
    section.find(".SH ").map_or("", |start| &section[start..])
}

fn below_heading(section: &str) -> &str {
    from_heading(section).split_once('\n').map_or("", |(_, text)| text)
}
