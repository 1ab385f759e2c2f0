//! Names that do not collide, so that tests can share a server, and random bytes for the server's key.

use std::hash::{BuildHasher, Hasher, RandomState};

/// `stem` with a random ending, such as `alice-5c81d0e7`: fit for a localpart, a device id or an alias.
pub fn unique(stem: &str) -> String {
    format!("{stem}-{:08x}", random() & 0xffff_ffff)
}

/// A random number. The standard library seeds its hash maps well enough for tests.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// 32 random bytes, the size of an Ed25519 or Curve25519 key.
pub(crate) fn random_key() -> [u8; 32] {
    let mut key = [0; 32];
    for part in key.chunks_mut(8) {
        part.copy_from_slice(&random().to_ne_bytes());
    }
    key
}
