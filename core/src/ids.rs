//! Matrix identifiers as distinct types, so that a room never stands where a user belongs.
//!
//! Nothing is validated here: what other servers put into a room may be any text, and the janitor
//! has to be able to name it. The types are cheap to clone.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The identifier as it stands on the wire.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl<T: Into<Arc<str>>> From<T> for $name {
            fn from(text: T) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

identifier!(
    /// A room id, `!opaque:server` or, from room version 12 on, `!hash`.
    RoomId
);
identifier!(
    /// A user id, `@localpart:server`.
    UserId
);
identifier!(
    /// A device id: opaque, may hold any character.
    DeviceId
);
identifier!(
    /// An event id.
    EventId
);
identifier!(
    /// The state key of a membership event, see [`crate::rtc::state_key`].
    StateKey
);

impl RoomId {
    /// The server that the id names; `None` from room version 12 on.
    pub fn server(&self) -> Option<&str> {
        self.as_str().split_once(':').map(|(_, server)| server)
    }
}

impl UserId {
    /// The name on its server: what stands between `@` and the first colon.
    pub fn localpart(&self) -> &str {
        let name = self.as_str().split_once(':').map_or(self.as_str(), |(name, _)| name);
        name.strip_prefix('@').unwrap_or(name)
    }

    /// The server name: everything after the first colon, `None` where there is no colon.
    pub fn server_name(&self) -> Option<&str> {
        self.as_str().split_once(':').map(|(_, server)| server)
    }
}
