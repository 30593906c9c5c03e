//! A SHA-256 digest as a value: written as 64 hexadecimal digits, compared as bytes.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use serde::Deserialize;
use sha2::{Digest, Sha256};

/// A SHA-256 digest (FIPS 180-4). Reads and prints as 64 hexadecimal digits, lower case when printed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Sha256Digest([u8; 32]);

/// A text that is not a SHA-256 digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a SHA-256 digest: 64 hexadecimal digits are wanted")]
pub struct ParseDigestError {
    text: String,
}

impl Sha256Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of everything `reader` yields, read in pieces so that a model of gigabytes never
    /// lies in memory at once.
    ///
    /// # Errors
    ///
    /// The reader's own.
    pub fn of_reader(reader: impl Read) -> io::Result<Self> {
        let mut running = RunningDigest::default();
        running.read(reader)?;
        Ok(running.so_far())
    }
}

/// The digest of what has come so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunningDigest(Sha256);

impl RunningDigest {
    #[cfg(feature = "fetch")]
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Takes in everything that `reader` yields, and returns how many bytes that were.
    pub(crate) fn read(&mut self, mut reader: impl Read) -> io::Result<u64> {
        const PIECE_BYTES: usize = 1 << 20;
        let mut piece = vec![0; PIECE_BYTES];
        let mut bytes = 0;
        loop {
            match reader.read(&mut piece) {
                Ok(0) => return Ok(bytes),
                Ok(n) => {
                    self.0.update(&piece[..n]);
                    bytes += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    pub(crate) fn so_far(&self) -> Sha256Digest {
        Sha256Digest(self.0.clone().finalize().into())
    }
}

impl FromStr for Sha256Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseDigestError {
            text: text.to_owned(),
        };
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Sha256Digest {
    type Error = ParseDigestError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256Digest({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // FIPS 180-4's first example.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn digests_and_prints_as_the_standard_does() {
        assert_eq!(Sha256Digest::of(b"abc").to_string(), ABC);
        assert_eq!(
            Sha256Digest::of_reader(&b"abc"[..]).unwrap(),
            ABC.parse().unwrap()
        );
        assert_eq!(
            ABC.to_uppercase().parse::<Sha256Digest>().unwrap(),
            Sha256Digest::of(b"abc")
        );
    }

    #[test]
    fn refuses_what_is_not_a_digest() {
        let non_ascii = "é".repeat(32);
        for text in [
            "",
            "ba78",
            &ABC[1..],
            &format!("{ABC}0"),
            &ABC.replace('b', "g"),
            &non_ascii,
        ] {
            assert!(text.parse::<Sha256Digest>().is_err(), "{text}");
        }
    }
}
