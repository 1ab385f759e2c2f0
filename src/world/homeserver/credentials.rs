//! What it takes to sign in, and why it can fail.

use rtc_janitor_core::ids::UserId;
use secrecy::SecretString;

use crate::world::NeighbourError;

/// Where the homeserver is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// The base URL of its client API.
    Url(String),
    /// A server name, whose `.well-known` tells the URL.
    ServerName(String),
}

/// How to prove who one is.
#[derive(Clone, Debug)]
pub enum Method {
    /// With the account's password. The session that comes of it is kept in the store.
    Password(SecretString),
    /// With an access token that somebody made.
    Token {
        /// The token.
        access_token: SecretString,
        /// The device it belongs to.
        device_id: String,
    },
    /// With the token of the appservice in whose namespace the account is. The session that comes of it is
    /// kept in the store.
    Appservice(SecretString),
}

impl Method {
    /// Whether it makes a device of its own, at each sign-in another one.
    pub(crate) const fn makes_devices(&self) -> bool {
        match self {
            Self::Password(_) | Self::Appservice(_) => true,
            Self::Token { .. } => false,
        }
    }
}

/// Everything that is needed to sign in one connection.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// Where.
    pub homeserver: Address,
    /// As whom.
    pub user_id: UserId,
    /// By what.
    pub method: Method,
}

/// Why there is no session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// Config and world do not fit; trying again will not help. One sentence for a person.
    #[error("{0}")]
    Mistake(String),
    /// The homeserver did not answer as it should; trying again may help.
    #[error("cannot sign in: {0}")]
    Unreachable(NeighbourError),
}

/// A redirect is a mistake in the address: nothing that is sent may follow it.
impl From<NeighbourError> for SignInError {
    fn from(error: NeighbourError) -> Self {
        match error {
            NeighbourError::Redirected(target) => Self::Mistake(format!(
                "the homeserver's address redirects to {target}: set homeserver.url to where it leads"
            )),
            other => Self::Unreachable(other),
        }
    }
}

impl SignInError {
    pub(crate) fn mistake(sentence: impl Into<String>) -> Self {
        Self::Mistake(sentence.into())
    }
}
