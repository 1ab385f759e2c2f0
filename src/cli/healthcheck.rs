//! `rtc-janitor healthcheck`: whether the bot beside it serves.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use super::{CliError, print};
use crate::{config::Config, http, world::homeserver::transport};

/// Ask the running bot whether it answers
///
/// For containers and service managers: asks /live at http.listen, exit 0 when it answers, 1 when it does not.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Args {
    /// Ask /ready instead: all rooms seen, homeserver and admin room within reach
    #[arg(long)]
    ready: bool,
}

/// An answer takes milliseconds; container engines give up after 30 s.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks it.
///
/// # Errors
/// When the settings switch the port off; when it does not answer, or says that it is not ready.
pub async fn main(args: Args, config: Config) -> Result<ExitCode, CliError> {
    let Some(listen) = config.http.listen.filter(|address| address.port() != 0) else {
        return Err(CliError::mistake("http.listen names no port, so there is nothing to ask"));
    };
    let (path, expected) = if args.ready { ("/ready", http::READY) } else { ("/live", http::LIVE) };
    let url = format!("http://{}{path}", reachable(listen));
    // It is on this machine: no proxy of the environment has a say.
    let client = transport::http_client_builder().no_proxy().build();
    let client = client.map_err(|error| CliError::unexpected("cannot ask", &error))?;
    let answer = client.get(&url).timeout(PATIENCE).send().await;
    let answer = answer
        .map_err(|error| CliError::unexpected(&format!("no answer from {url}"), &error.without_url()))?;
    let status = answer.status();
    let said = answer.text().await.unwrap_or_default();
    if status.is_success() && said != expected {
        return Err(CliError::Unexpected(format!("what answers at {url} is no rtc-janitor")));
    }
    if !status.is_success() {
        return Err(CliError::Unexpected(format!("{url} answers {}: {}", status.as_u16(), said.trim())));
    }
    print(&said)?;
    Ok(ExitCode::SUCCESS)
}

/// Where somebody on the same machine reaches what listens everywhere.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_listens_everywhere_is_asked_on_this_machine() {
        for (listen, asked) in [
            ("0.0.0.0:9170", "127.0.0.1:9170"),
            ("[::]:9170", "[::1]:9170"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("192.0.2.1:9170", "192.0.2.1:9170"),
        ] {
            assert_eq!(reachable(listen.parse().expect("an address")).to_string(), asked);
        }
    }
}
