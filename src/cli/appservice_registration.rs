//! `rtc-janitor appservice-registration`: the file that tells the homeserver of the janitor's appservice.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::ExposeSecret as _;

use super::{CliError, print};
use crate::{
    config::{self, Config},
    world::homeserver::private_file,
};

/// Write the registration file of the bot's appservice
///
/// It lets the bot write as users of its own server, and sign in. Synapse reads it when it is named in `app_service_config_files` and restarted. The token is that of
/// `appservice.as_token_file`, which is made where it does not exist.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file to write
    #[arg(long, short, value_name = "FILE", default_value = "rtc-janitor-appservice.yaml")]
    output: PathBuf,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

/// The appservice's own user, which does nothing: a homeserver lets it do everything but sync.
const SENDER: &str = "_rtc-janitor-sender";

/// Writes the file, and the token where it is new; says what that power means.
///
/// # Errors
/// Whatever is wrong with the settings; a file that is there, or cannot be written.
pub fn main(args: &Args, file: Option<&Path>) -> Result<ExitCode, CliError> {
    let random = |error: io::Error| CliError::unexpected("the system gives no random numbers", &error);
    let config::ForRegistration { config, token_file } =
        Config::for_registration(file, &token().map_err(random)?)?;
    let Some(appservice) = &config.appservice else {
        return Err(CliError::mistake("there is no appservice in these settings"));
    };
    let account = &config.homeserver.user_id;
    let as_token = appservice.as_token.expose_secret();
    let text = registration(
        as_token,
        &token().map_err(random)?,
        sender(account.as_str()),
        appservice.namespace.expression(),
    );
    let output = args.output.display();
    let unwritten = |path: &Path, error: &io::Error| {
        CliError::Mistake(format!("{} cannot be written: {error}", path.display()))
    };
    if args.force {
        // Its folder must have a name.
        let file = std::path::absolute(&args.output).map_err(|error| unwritten(&args.output, &error))?;
        private_file::write(&file, text.as_bytes()).map_err(|error| unwritten(&args.output, &error))?;
    } else {
        create(&args.output, &text).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => CliError::Mistake(format!(
                "{output} exists: name another file with --output, or replace it with --force"
            )),
            _ => unwritten(&args.output, &error),
        })?;
    }
    // Afterwards: a token that is in no registration would be taken for an old one.
    let where_the_token_is = match &token_file {
        config::TokenFile::IsThere => String::new(),
        config::TokenFile::Missing(path) => {
            create(path, &format!("{as_token}\n")).map_err(|error| unwritten(path, &error))?;
            format!(" Its token is in {}, too.", path.display())
        }
        config::TokenFile::Unset => format!(
            " Put its as_token into a file that only the bot can read, and name that as \
             appservice.as_token_file in the bot's config file: so far it is in {output} alone."
        ),
    };
    print(&format!(
        "Wrote {output}.{where_the_token_is}\n\n{}\n\nName {output} in app_service_config_files of Synapse's \
         homeserver.yaml, where Synapse can read it, and restart Synapse.\n",
        meaning(appservice.namespace.expression())
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// What whoever has the token can do, in one paragraph.
fn meaning(regex: &str) -> String {
    format!(
        "This is a great power: whoever has the as_token can do on this homeserver what every user can do whose id \
         {regex} fits, from reading their rooms to writing as them, and the homeserver does not tell it from \
         themselves. The bot uses it to clear stale call memberships as their owner, to see which devices the \
         owners have and to sign in, and for nothing else. It asks the homeserver to send it nothing. Keep both \
         files readable by the homeserver and the bot alone, narrow appservice.namespace where only some users' \
         calls hang, and take the registration out of homeserver.yaml to end it."
    )
}

fn registration(as_token: &str, hs_token: &str, sender: &str, regex: &str) -> String {
    // A JSON string is a YAML string.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    format!(
        "# Lets rtc-janitor write as users of this homeserver. Whoever has as_token can do what they can: keep it secret.\n\
         id: rtc-janitor\n\
         # It is sent nothing.\n\
         url: null\n\
         as_token: {}\n\
         hs_token: {}\n\
         # A user who does nothing. The bot signs in as another one, for this one may not sync.\n\
         sender_localpart: {}\n\
         rate_limited: false\n\
         namespaces:\n  \
           users:\n    \
             - exclusive: false\n      \
               regex: {}\n  \
           aliases: []\n  \
           rooms: []\n",
        quoted(as_token),
        quoted(hs_token),
        quoted(sender),
        quoted(regex),
    )
}

/// Never the account that the bot signs in as.
fn sender(account: &str) -> &'static str {
    if account.starts_with(&format!("@{SENDER}:")) { "_rtc-janitor-sender-2" } else { SENDER }
}

/// 256 bits that nobody can guess, as text.
fn token() -> io::Result<String> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Writes a file that is its owner's alone and was not there.
fn create(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bot_never_signs_in_as_the_sender() {
        assert_eq!(sender("@rtc-janitor:example.org"), SENDER);
        assert_ne!(sender(&format!("@{SENDER}:example.org")), SENDER);
    }

    #[test]
    fn two_tokens_are_never_the_same() {
        let (one, other) = (token().expect("random"), token().expect("random"));
        assert!(one != other && one.len() == 43, "{one} {other}");
    }
}
