//! Finding the homeserver, and the client settings that both connections share.

use matrix_sdk::{
    Client, ClientBuildError, ClientBuilder,
    config::RequestConfig,
    ruma::{ServerName, api::error::FromHttpResponseError},
};

use super::{
    credentials::{Address, SignInError},
    failure,
    request::PATIENCE,
};

/// A client that keeps nothing on disk.
pub(crate) async fn client(address: &Address) -> Result<Client, SignInError> {
    build(Client::builder(), address).await
}

/// Any client: its stores as the builder says, everything else the same.
pub(crate) async fn build(builder: ClientBuilder, address: &Address) -> Result<Client, SignInError> {
    let builder = match address {
        Address::Url(url) => builder.homeserver_url(url),
        Address::ServerName(name) => {
            let name = ServerName::parse(name)
                .map_err(|error| SignInError::Mistake(format!("{name:?} is not a server name: {error}")))?;
            builder.server_name(&name)
        }
    };
    builder
        // Also the policy for renewing tokens, where no other can be given.
        .request_config(RequestConfig::new().disable_retry().timeout(PATIENCE))
        .handle_refresh_tokens()
        .user_agent(concat!("rtc-janitor/", env!("CARGO_PKG_VERSION")))
        .build()
        .await
        .map_err(|error| of_build(&error, address))
}

fn of_build(error: &ClientBuildError, address: &Address) -> SignInError {
    let address = match address {
        Address::Url(address) | Address::ServerName(address) => address,
    };
    match error {
        ClientBuildError::AutoDiscovery(FromHttpResponseError::Server(_)) => SignInError::Mistake(format!(
            "{address} has no /.well-known/matrix/client: set homeserver.url instead of server_name"
        )),
        ClientBuildError::AutoDiscovery(_) => SignInError::Mistake(format!(
            "/.well-known/matrix/client of {address} cannot be read: set homeserver.url instead"
        )),
        ClientBuildError::Http(error) => failure::of_http(error).into(),
        ClientBuildError::SqliteStore(error) => SignInError::Mistake(format!(
            "the chat store cannot be opened ({error}): is store.passphrase_file the one it was made with?"
        )),
        other => SignInError::Mistake(format!("{address:?} is not the address of a homeserver: {other}")),
    }
}
