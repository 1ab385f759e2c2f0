//! The one write: clearing a membership, by one of three routes.

use async_trait::async_trait;

use super::{
    How, KeyWrite, NeighbourError, StateWriter, Written, appservice::Appservice, homeserver::Homeserver,
};

/// All routes that are set up.
#[derive(Clone, Debug)]
pub struct Writer {
    homeserver: Homeserver,
    appservice: Option<Appservice>,
}

impl Writer {
    /// With the power of the account of this connection and, where there is one, the appservice's.
    pub fn new(homeserver: Homeserver, appservice: Option<Appservice>) -> Self {
        Self { homeserver, appservice }
    }
}

#[async_trait]
impl StateWriter for Writer {
    async fn clear(&self, KeyWrite { room, key, how }: KeyWrite<'_>) -> Result<Written, NeighbourError> {
        let written = match how {
            How::OwnPower => self.homeserver.empty_membership(room, key).await,
            How::Redaction(event) => self.homeserver.redact_membership(room, event).await,
            How::AsOwner { owner, rest, sent } => match &self.appservice {
                Some(appservice) => appservice.write(room, key, owner, rest, sent).await,
                None => Err(NeighbourError::Invalid("no appservice is set up".to_owned())),
            },
        };
        written.map(Written::Event)
    }
}
