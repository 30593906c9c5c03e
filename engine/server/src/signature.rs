//! `X-Twilio-Signature`: proof that a request comes from Twilio and was made for this server.
//!
//! The signature is `base64(HMAC-SHA1(auth token, data))`. For a webhook, a POST with a form, the
//! data is the exact public URL followed by every parameter, sorted by name, name and value
//! joined without separators. For the WebSocket handshake, a GET, it is the exact `wss://` URL
//! alone. Source: Twilio, "Webhooks Security".

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "x-twilio-signature";

/// Whether `signature` is `auth_token`'s signature of `url` and the form's `parameters`, which
/// may come in any order. Takes the same time wherever they differ.
#[must_use]
pub fn verify(
    auth_token: &str,
    url: &str,
    parameters: &[(String, String)],
    signature: &[u8],
) -> bool {
    let Ok(signature) = STANDARD.decode(signature) else {
        return false;
    };
    mac(auth_token, url, parameters)
        .verify_slice(&signature)
        .is_ok()
}

/// The signature that Twilio would send: for tests and for simulated phones.
#[must_use]
pub fn sign(auth_token: &str, url: &str, parameters: &[(String, String)]) -> String {
    STANDARD.encode(mac(auth_token, url, parameters).finalize().into_bytes())
}

fn mac(auth_token: &str, url: &str, parameters: &[(String, String)]) -> Hmac<Sha1> {
    let mut mac =
        Hmac::<Sha1>::new_from_slice(auth_token.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(url.as_bytes());
    let mut sorted: Vec<_> = parameters.iter().collect();
    sorted.sort_unstable();
    // Twilio signs a parameter that is repeated with the same value once.
    sorted.dedup();
    for (name, value) in sorted {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "12345";
    const URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";
    /// Twilio's published example.
    const SIGNATURE: &str = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";

    fn parameters() -> Vec<(String, String)> {
        [
            ("To", "+18005551212"),
            ("CallSid", "CA1234567890ABCDE"),
            ("Caller", "+14158675309"),
            ("Digits", "1234"),
            ("From", "+14158675309"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    #[test]
    fn twilios_published_example_is_accepted() {
        assert_eq!(sign(TOKEN, URL, &parameters()), SIGNATURE);
        assert!(verify(TOKEN, URL, &parameters(), SIGNATURE.as_bytes()));
    }

    #[test]
    fn any_change_is_refused() {
        let signature = SIGNATURE.as_bytes();
        assert!(!verify("12346", URL, &parameters(), signature));
        assert!(!verify(
            TOKEN,
            "https://mycompany.com/myapp.php",
            &parameters(),
            signature
        ));
        assert!(!verify(TOKEN, URL, &parameters()[1..], signature));
        let mut changed = parameters();
        changed[3].1.push('5');
        assert!(!verify(TOKEN, URL, &changed, signature));
    }

    #[test]
    fn what_is_no_signature_is_refused() {
        for signature in [
            "",
            "=",
            "not base64!",
            "RSOYDt4T1cUTdK1PDd93",
            "\u{0}\u{ff}",
        ] {
            assert!(!verify(TOKEN, URL, &parameters(), signature.as_bytes()));
        }
        assert!(!verify(TOKEN, URL, &parameters(), &[0xff, 0xfe]));
    }

    #[test]
    fn a_handshake_is_signed_over_its_url_alone() {
        let url = "wss://mycompany.com/twilio/media";
        let signature = sign(TOKEN, url, &[]);
        assert!(verify(TOKEN, url, &[], signature.as_bytes()));
        assert!(!verify(
            TOKEN,
            "https://mycompany.com/twilio/media",
            &[],
            signature.as_bytes()
        ));
    }

    #[test]
    fn a_repeated_parameter_counts_once_per_value() {
        let once = [("a".into(), "1".into()), ("a".into(), "2".into())];
        let twice = [
            ("a".into(), "2".into()),
            ("a".into(), "1".into()),
            ("a".into(), "1".into()),
        ];
        assert_eq!(sign(TOKEN, URL, &once), sign(TOKEN, URL, &twice));
    }
}
