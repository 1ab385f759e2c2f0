//! Cross-signing and recovery of the chat account, so that people see a device they can trust, and
//! so that the next device can become one too.

use std::{io, path::PathBuf};

use futures_util::future::BoxFuture;
use matrix_sdk::{
    encryption::{
        identities::ManualVerifyError, recovery::RecoveryError, secret_storage::SecretStorageError,
    },
    ruma::api::client::uiaa,
};
use secrecy::{ExposeSecret as _, SecretString};

use super::ChatConnection;
use crate::world::{
    NeighbourError,
    homeserver::{failure, private_file},
};

/// How the chat device stands with the keys of its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySetUp {
    /// Everything is in place.
    Ready,
    /// Everything is in place since just now, and the recovery key was written to this file. It is
    /// said once.
    FirstStart {
        /// The file, readable by its owner alone.
        recovery_key_path: PathBuf,
    },
    /// The device works, but people see it as unverified, or its keys could not be backed up. One
    /// sentence on why, and what to do.
    Incomplete(String),
}

/// Why the set-up stopped.
enum Stop {
    Neighbour(NeighbourError),
    Incomplete(String),
}

impl ChatConnection {
    /// Has the device signed by its account, and sees to recovery: makes both on first start,
    /// recovers with the known key on a new device, and changes nothing on any other.
    ///
    /// # Errors
    ///
    /// When the homeserver does not answer; to be called again then.
    // Boxed, or whoever spawns it has the compiler walk through all of the SDK once more.
    pub fn set_up_keys(&self) -> BoxFuture<'_, Result<KeySetUp, NeighbourError>> {
        Box::pin(async move {
            match self.set_up().await {
                Ok(done) => Ok(done),
                Err(Stop::Incomplete(sentence)) => Ok(KeySetUp::Incomplete(sentence)),
                Err(Stop::Neighbour(error)) => Err(error),
            }
        })
    }

    async fn set_up(&self) -> Result<KeySetUp, Stop> {
        let encryption = self.client.encryption();
        encryption.wait_for_e2ee_initialization_tasks().await;
        self.publish_identity().await?;

        let complete = encryption.cross_signing_status().await.is_some_and(|keys| keys.is_complete());
        if !complete {
            self.recover_identity().await?;
        }
        // Also where a crash came between publishing the identity and signing the device.
        let device = encryption.get_own_device().await.map_err(|error| failure::of_crypto(&error))?;
        if let Some(device) = device.filter(|device| !device.is_cross_signed_by_owner()) {
            device.verify().await?;
        }
        self.see_to_recovery().await
    }

    /// Publishes a cross-signing identity where the account has none.
    async fn publish_identity(&self) -> Result<(), Stop> {
        let encryption = self.client.encryption();
        let Err(error) = encryption.bootstrap_cross_signing_if_needed(None).await else { return Ok(()) };
        let Some(challenge) = error.as_uiaa_response() else { return Err(error.into()) };
        let Some(password) = &self.password else {
            return Err(Stop::Incomplete(
                "the homeserver asks for the password to publish cross-signing keys, and the janitor has none: \
                 set up secure backup for the account in a client, and give its key as \
                 admin_room.recovery_key_file"
                    .to_owned(),
            ));
        };
        let user = uiaa::MatrixUserIdentifier::new(self.user_id.to_string());
        let mut answer =
            uiaa::Password::new(uiaa::UserIdentifier::Matrix(user), password.expose_secret().to_owned());
        answer.session.clone_from(&challenge.session);
        encryption.bootstrap_cross_signing_if_needed(Some(uiaa::AuthData::Password(answer))).await?;
        Ok(())
    }

    /// On a new device of an account that has an identity: fetches its keys from the server.
    async fn recover_identity(&self) -> Result<(), Stop> {
        let kept = private_file::read(&self.recovery_key_path()).map_err(|error| self.unusable(&error))?;
        let Some(key) = self.settings.recovery_key.clone().or(kept.map(SecretString::from)) else {
            return Err(Stop::Incomplete(format!(
                "{} has cross-signing keys that this device does not have, so people see it as unverified: give the \
                 account's recovery key as admin_room.recovery_key_file",
                self.user_id
            )));
        };
        self.client.encryption().recovery().recover_and_fix_backup(key.expose_secret().trim()).await?;
        Ok(())
    }

    async fn see_to_recovery(&self) -> Result<KeySetUp, Stop> {
        let encryption = self.client.encryption();
        let recovery = encryption.recovery();
        let enabled = encryption.secret_storage().is_enabled().await?;
        if let Some(key) = self.settings.recovery_key.as_ref().map(|key| key.expose_secret().trim()) {
            if !enabled {
                recovery.enable().with_passphrase(key).await?;
            }
            return Ok(KeySetUp::Ready);
        }
        // Recovery is switched on at the server before its key is ours to keep. The note says that
        // the key of an earlier start may be lost; an identity of somebody else has no such note.
        let note = self.recovery_key_path().with_extension("pending");
        let key = if !enabled {
            private_file::write(&note, b"").map_err(|error| self.unusable(&error))?;
            recovery.enable().await?
        } else if note.exists() {
            recovery.reset_key().await?
        } else {
            return Ok(KeySetUp::Ready);
        };
        let path = self.recovery_key_path();
        private_file::write(&path, format!("{key}\n").as_bytes()).map_err(|error| self.unusable(&error))?;
        private_file::remove(&note).map_err(|error| self.unusable(&error))?;
        Ok(KeySetUp::FirstStart { recovery_key_path: path })
    }

    fn recovery_key_path(&self) -> PathBuf {
        self.settings.store.join("recovery-key")
    }

    fn unusable(&self, error: &io::Error) -> Stop {
        Stop::Incomplete(format!(
            "the recovery key cannot be kept in {}: {error}",
            self.recovery_key_path().display()
        ))
    }
}

impl From<NeighbourError> for Stop {
    fn from(error: NeighbourError) -> Self {
        Self::Neighbour(error)
    }
}

impl From<matrix_sdk::Error> for Stop {
    fn from(error: matrix_sdk::Error) -> Self {
        Self::Neighbour(failure::of_sdk(&error))
    }
}

impl From<ManualVerifyError> for Stop {
    fn from(error: ManualVerifyError) -> Self {
        match error {
            ManualVerifyError::Http(error) => Self::Neighbour(failure::of_http(&error)),
            ManualVerifyError::Signature(error) => {
                Self::Incomplete(format!("the chat device cannot be signed by its account: {error}"))
            }
        }
    }
}

impl From<RecoveryError> for Stop {
    fn from(error: RecoveryError) -> Self {
        match error {
            RecoveryError::Sdk(error) | RecoveryError::SecretStorage(SecretStorageError::Sdk(error)) => {
                error.into()
            }
            RecoveryError::SecretStorage(error) => {
                Self::Incomplete(format!("the recovery key does not open the account's secrets: {error}"))
            }
            RecoveryError::BackupExistsOnServer => Self::Incomplete(
                "the account has a key backup that the janitor has no key for: give its recovery key as \
                 admin_room.recovery_key_file"
                    .to_owned(),
            ),
        }
    }
}
