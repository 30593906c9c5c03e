//! Random secrets, and what is kept of them.
//!
//! A token, a session and a join token are 256 random bits each. Nobody can guess one, and nobody can try
//! them all against a stolen database: SHA-256 is enough of a hash for them. A slow, salted one
//! protects what people make up, and would only cost time here, on every request.
//!
//! A secret is looked up by its hash. How long that takes may tell something of the hashes that are
//! kept, which nobody can turn into a secret; the secrets themselves are compared nowhere.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

/// Random bytes in a secret.
const BYTES: usize = 32;

/// A secret on its way to whoever will use it. Shown once, never kept.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RandomSecret {
    text: String,
}

/// What is kept of a secret.
#[derive(Clone, Copy)]
pub(crate) struct SecretHash([u8; 32]);

impl RandomSecret {
    /// A new one, its text beginning with `prefix`, by which it is recognised where it leaks.
    pub(crate) fn new(prefix: &str) -> Self {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes).expect("the operating system has random numbers");
        Self {
            text: format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes)),
        }
    }

    /// The text, to be handed out.
    pub(crate) fn expose(&self) -> &str {
        &self.text
    }

    /// What to keep of it.
    pub(crate) fn hash(&self) -> SecretHash {
        SecretHash::of(&self.text)
    }
}

impl fmt::Debug for RandomSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RandomSecret(****)")
    }
}

impl SecretHash {
    /// What would be kept of `text`, which may be anything that somebody sent.
    pub(crate) fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// The bytes to keep.
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(****)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_different_and_not_shown() {
        let (one, two) = (RandomSecret::new("sdt_"), RandomSecret::new("sdt_"));
        assert_eq!(one.expose().len(), "sdt_".len() + 43, "256 bits in base64");
        assert_ne!(one, two);
        let hash = one.hash();
        assert_eq!(hash.as_bytes(), SecretHash::of(one.expose()).as_bytes());
        assert_ne!(hash.as_bytes(), two.hash().as_bytes());
        let shown = format!("{one:?} {:?}", one.hash());
        assert!(!shown.contains(&one.expose()[4..]), "{shown}");
    }

    #[test]
    fn the_hash_is_sha_256() {
        let hash = SecretHash::of("abc");
        assert_eq!(hash.as_bytes()[..4], [0xba, 0x78, 0x16, 0xbf]);
    }
}
