//! Why a neighbour gave no answer, as a value: what follows from it is for the janitor to say.

use std::time::Duration;

/// Why a neighbour gave no answer that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NeighbourError {
    /// No connection, a time-out, a 5xx, or an answer that is not Matrix: it may heal by itself.
    #[error("no usable answer: {0}")]
    Unreachable(String),
    /// 429. Nothing more is to be asked of it before `retry_after` has passed.
    #[error("asked to slow down (429), again in {}", humantime::format_duration(*retry_after))]
    RateLimited {
        /// What the server asks for; a default where it names nothing.
        retry_after: Duration,
    },
    /// The access token is not, or no longer, valid (`M_UNKNOWN_TOKEN`).
    #[error("the sign-in is no longer valid: {0}")]
    SignedOut(String),
    /// The token of the appservice is not, or no longer, an appservice's.
    #[error("the homeserver does not take appservice.as_token ({0})")]
    AppserviceRefused(String),
    /// The server understood and said no.
    #[error("refused with {status} {errcode}: {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Matrix error code, such as `M_FORBIDDEN`.
        errcode: String,
        /// The server's own words.
        message: String,
    },
    /// The bot is not in the room that this is about; nothing was asked of the server.
    #[error("not in the room: {0}")]
    NotInRoom(String),
    /// The room does not let the bot do it, by what its state says; nothing was asked of the server.
    #[error("{0}")]
    NotAllowed(String),
    /// The request cannot even be made, so nothing was asked of the server.
    #[error("this cannot be asked for: {0}")]
    Invalid(String),
    /// The address sends requests elsewhere. Nothing follows it there.
    #[error("the homeserver's address redirects to {0}")]
    Redirected(String),
    /// The answer is larger than what is read of it.
    #[error("the answer is larger than {} MiB", limit.div_ceil(1 << 20))]
    TooLarge {
        /// How many bytes would have been read.
        limit: usize,
    },
}

impl NeighbourError {
    /// What came of a request, in a word.
    pub fn outcome_of<T>(answer: &Result<T, Self>) -> &'static str {
        match answer {
            Ok(_) => "ok",
            Err(Self::RateLimited { .. }) => "rate_limited",
            Err(Self::Unreachable(_)) => "unreachable",
            Err(_) => "refused",
        }
    }

    /// The Matrix error code, or what stands for it where the server gave none.
    pub fn errcode(&self) -> &str {
        match self {
            Self::RateLimited { .. } => "M_LIMIT_EXCEEDED",
            Self::SignedOut(_) | Self::AppserviceRefused(_) => "M_UNKNOWN_TOKEN",
            Self::Unreachable(_) => "unreachable",
            Self::Refused { errcode, .. } => errcode,
            Self::NotInRoom(_)
            | Self::NotAllowed(_)
            | Self::Invalid(_)
            | Self::Redirected(_)
            | Self::TooLarge { .. } => "other",
        }
    }
}
