//! Who may give commands: members of the admin room with enough power, or those whom the settings name.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rtc_janitor_core::{
    ids::UserId,
    render::{Message, answer},
};
use tokio::time::timeout;

use crate::world::{Chat, NeighbourError, Standing};

/// Who may give commands.
#[derive(Debug)]
pub(super) struct Authority {
    /// From which power level on; not asked for where `admins` names anybody.
    power_level: i64,
    /// Only these; empty: whoever has the power.
    admins: BTreeSet<UserId>,
    /// How those who gave a command stood when that was last read.
    known: Mutex<HashMap<UserId, Standing>>,
}

/// Why somebody may not give a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Not in the room.
    Outside,
    /// Not one of those whom the settings name.
    NotNamed,
    /// Too little power.
    TooLittle {
        /// What they have.
        has: i64,
        /// What it takes.
        needs: i64,
    },
    /// Verified once, and another identity now. A reaction is never encrypted, and the first message of
    /// a new device can come before what is known of that device: so the identity itself is asked for.
    IdentityChanged(UserId),
    /// It could not be read.
    Unknown(NeighbourError),
}

impl Refusal {
    /// The answer.
    pub(super) fn message(&self) -> Message {
        match self {
            Self::Outside => answer::not_here(),
            Self::NotNamed => answer::no_say(None, 0),
            Self::TooLittle { has, needs } => answer::no_say(Some(*has), *needs),
            Self::IdentityChanged(user) => answer::identity_violated(user),
            Self::Unknown(error) => answer::failed(&error.to_string()),
        }
    }
}

/// What a command can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It can only make the janitor do less.
    Less,
    /// Anything.
    Any,
}

/// How long it may take to read how somebody stands in the room, or who they are.
const READ: Duration = Duration::from_secs(10);

/// How long a command that can only make the janitor do less waits for its sender's identity: `pause` has to
/// work though the homeserver hangs.
const READ_FOR_LESS: Duration = Duration::from_millis(300);

impl Authority {
    pub(super) fn new(power_level: i64, admins: impl IntoIterator<Item = UserId>) -> Self {
        Self { power_level, admins: admins.into_iter().collect(), known: Mutex::default() }
    }

    /// Whether somebody may give commands, by the room's state and their keys as they are now. What can only make
    /// the janitor do less is allowed by how they stood before, where that cannot be read at once.
    ///
    /// # Errors
    ///
    /// Why not, or that it could not be read.
    pub(super) async fn check(&self, chat: &dyn Chat, user: &UserId, effect: Effect) -> Result<(), Refusal> {
        let late = || NeighbourError::Unreachable("the homeserver does not answer".to_owned());
        self.allows(self.standing(chat, user, effect).await.map_err(Refusal::Unknown)?, user)?;
        let patience = if effect == Effect::Less { READ_FOR_LESS } else { READ };
        match timeout(patience, chat.identity_changed(user)).await.unwrap_or_else(|_| Err(late())) {
            Ok(true) => Err(Refusal::IdentityChanged(user.clone())),
            Ok(false) => Ok(()),
            Err(error) if effect == Effect::Less => {
                tracing::warn!(%user, "taken without a fresh look at who it is: {error}");
                Ok(())
            }
            Err(error) => Err(Refusal::Unknown(error)),
        }
    }

    /// How somebody stands in the room now. For what can only make the janitor do less, how they stood before is
    /// enough where that cannot be read at once.
    async fn standing(
        &self,
        chat: &dyn Chat,
        user: &UserId,
        effect: Effect,
    ) -> Result<Standing, NeighbourError> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known().get(user).copied().filter(|_| effect == Effect::Less);
        let patience = if before.is_some() { READ_FOR_LESS } else { READ };
        let late = || NeighbourError::Unreachable("the homeserver does not answer".to_owned());
        match (timeout(patience, chat.standing(user)).await.unwrap_or_else(|_| Err(late())), before) {
            (Ok(standing), _) => {
                // Strangers need not be remembered.
                if self.allows(standing, user).is_ok() {
                    known().insert(user.clone(), standing);
                } else {
                    known().remove(user);
                }
                Ok(standing)
            }
            (Err(error), Some(before)) => {
                tracing::warn!(%user, "taken without a fresh look at who may give commands: {error}");
                Ok(before)
            }
            (Err(error), None) => Err(error),
        }
    }

    fn allows(&self, standing: Standing, user: &UserId) -> Result<(), Refusal> {
        match standing {
            Standing::Outside => Err(Refusal::Outside),
            Standing::Inside(_) if self.admins.contains(user) => Ok(()),
            Standing::Inside(_) if !self.admins.is_empty() => Err(Refusal::NotNamed),
            Standing::Inside(has) if has < self.power_level => {
                Err(Refusal::TooLittle { has, needs: self.power_level })
            }
            Standing::Inside(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_say_has_who_is_inside_and_has_the_power_or_is_named() {
        let by_power = Authority::new(50, []);
        let alice = UserId::from("@alice:hs");
        assert_eq!(by_power.allows(Standing::Inside(50), &alice), Ok(()));
        assert_eq!(by_power.allows(Standing::Inside(i64::MAX), &alice), Ok(()));
        assert!(by_power.allows(Standing::Inside(49), &alice).is_err());
        assert!(by_power.allows(Standing::Outside, &alice).is_err());

        let by_name = Authority::new(50, [alice.clone()]);
        assert_eq!(by_name.allows(Standing::Inside(0), &alice), Ok(()));
        assert!(by_name.allows(Standing::Inside(100), &"@bob:hs".into()).is_err());
        assert!(by_name.allows(Standing::Outside, &alice).is_err());
    }
}
