//! Signatures of webhooks, as [Standard Webhooks](https://www.standardwebhooks.com) has them:
//! `v1,` and base64 of HMAC-SHA256 over id, timestamp and body, joined by dots.
//!
//! The id stays the same however often a delivery is tried: whoever receives it can drop what came
//! twice. The timestamp is that of the attempt: an old request that is sent again by somebody else is
//! recognised by it.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use thiserror::Error;

/// The delivery's id.
pub const ID_HEADER: &str = "webhook-id";
/// When this attempt was made, in seconds since 1970.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// The signature.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

/// Before the base64 of a secret.
const PREFIX: &str = "whsec_";

/// A key that webhooks are signed with: `whsec_` and base64 of 24 to 64 random bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(Vec<u8>);

/// A text that is no signing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "must be whsec_ and base64 of 24 to 64 random bytes, such as `printf whsec_; openssl rand -base64 32` \
     prints"
)]
pub struct NotASigningKey;

impl FromStr for SigningKey {
    type Err = NotASigningKey;

    fn from_str(text: &str) -> Result<Self, NotASigningKey> {
        let key = text
            .strip_prefix(PREFIX)
            .and_then(|key| STANDARD.decode(key).ok())
            .ok_or(NotASigningKey)?;
        if (24..=64).contains(&key.len()) {
            Ok(Self(key))
        } else {
            Err(NotASigningKey)
        }
    }
}

impl SigningKey {
    /// The signature of a delivery's attempt, as its header carries it.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp_s: i64, body: &str) -> String {
        let mac = self.mac(id, timestamp_s, body).finalize();
        format!("v1,{}", STANDARD.encode(mac.into_bytes()))
    }

    /// Whether one of the signatures in a header is this key's. For those who receive webhooks; the
    /// age of `timestamp_s` is theirs to check.
    #[must_use]
    pub fn verify(&self, id: &str, timestamp_s: i64, body: &str, header: &str) -> bool {
        header.split(' ').any(|signature| {
            signature
                .strip_prefix("v1,")
                .and_then(|signature| STANDARD.decode(signature).ok())
                .is_some_and(|signature| {
                    self.mac(id, timestamp_s, body)
                        .verify_slice(&signature)
                        .is_ok()
                })
        })
    }

    fn mac(&self, id: &str, timestamp_s: i64, body: &str) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(format!("{id}.{timestamp_s}.").as_bytes());
        mac.update(body.as_bytes());
        mac
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(****)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published example of Standard Webhooks.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIMESTAMP: i64 = 1_614_265_330;
    const BODY: &str = r#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    #[test]
    fn the_published_example_is_signed_as_published() {
        let key: SigningKey = SECRET.parse().unwrap();
        assert_eq!(key.sign(ID, TIMESTAMP, BODY), SIGNATURE);
        assert!(key.verify(ID, TIMESTAMP, BODY, SIGNATURE));
        let several = format!("v2,x v1,AAAA {SIGNATURE}");
        assert!(key.verify(ID, TIMESTAMP, BODY, &several));
    }

    #[test]
    fn what_differs_in_anything_is_not_signed() {
        let key: SigningKey = SECRET.parse().unwrap();
        for (id, timestamp, body, header) in [
            ("msg_x", TIMESTAMP, BODY, SIGNATURE),
            (ID, TIMESTAMP + 1, BODY, SIGNATURE),
            (ID, TIMESTAMP, "{}", SIGNATURE),
            (ID, TIMESTAMP, BODY, ""),
            (ID, TIMESTAMP, BODY, &SIGNATURE[3..]),
        ] {
            assert!(!key.verify(id, timestamp, body, header), "{id} {header}");
        }
    }

    #[test]
    fn a_key_is_long_enough_and_not_shown() {
        for text in [
            "",
            "whsec_",
            "whsec_c2hvcnQ=",
            "whsec_!",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ] {
            assert_eq!(text.parse::<SigningKey>(), Err(NotASigningKey), "{text}");
        }
        let key: SigningKey = SECRET.parse().unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey(****)");
    }
}
