//! What a plan is called and what it is for.

use std::{fmt, str::FromStr};

/// The short name of a plan, easily read out and typed on a phone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlanId(String);

impl PlanId {
    /// Letters and digits that are not taken for each other, in any hand.
    const ALPHABET: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";

    /// How many of them.
    const LENGTH: u32 = 4;

    /// The name of the `number`-th plan; neighbours look nothing alike.
    pub fn numbered(number: u64) -> Self {
        let base = Self::ALPHABET.len() as u64;
        let space = base.pow(Self::LENGTH);
        // Prime, and no divisor of the space: every number below it gets a name of its own.
        let mut rest = (number % space).wrapping_mul(611_953) % space;
        let mut name = String::new();
        for _ in 0..Self::LENGTH {
            name.push(char::from(Self::ALPHABET[usize::try_from(rest % base).unwrap_or(0)]));
            rest /= base;
        }
        Self(name)
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PlanId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.trim_matches('`').to_lowercase();
        let fits = name.len() == Self::LENGTH as usize && name.bytes().all(|b| Self::ALPHABET.contains(&b));
        if fits {
            Ok(Self(name))
        } else {
            Err("is no plan; each is named by the four letters in its message".into())
        }
    }
}

/// What a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanKind {
    /// What is dead and due.
    Sweep,
    /// Everything in a room, dead or alive.
    Clear,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_have_names_of_their_own() {
        let names: std::collections::BTreeSet<_> = (0..10_000).map(PlanId::numbered).collect();
        assert_eq!(names.len(), 10_000);
        for plan in names.iter().take(100) {
            assert_eq!(plan.as_str().parse(), Ok(plan.clone()));
        }
    }
}
