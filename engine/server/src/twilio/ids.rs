//! Phone numbers, and Twilio's names for things.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What is neither a phone number nor a name of Twilio's. The text itself is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be {expected}")]
pub struct IdError {
    /// What was expected.
    pub expected: &'static str,
}

/// A phone number in E.164 form: `+`, the country code, and 7 to 15 digits in all. `Debug` masks
/// it.
///
/// Source: ITU-T E.164. Seven digits are the shortest that a country and its network use.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PhoneNumber(String);

impl PhoneNumber {
    /// As it is dialled.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PhoneNumber {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        let well_formed = text.strip_prefix('+').is_some_and(|digits| {
            (7..=15).contains(&digits.len())
                && !digits.starts_with('0')
                && digits.bytes().all(|byte| byte.is_ascii_digit())
        });
        if well_formed {
            Ok(Self(text))
        } else {
            Err(IdError {
                expected: "a phone number with its country code, such as +12025550143: + and 7 to \
                           15 digits, without blanks",
            })
        }
    }
}

impl FromStr for PhoneNumber {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        text.to_owned().try_into()
    }
}

impl From<PhoneNumber> for String {
    fn from(number: PhoneNumber) -> Self {
        number.0
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhoneNumber(***)")
    }
}

/// Whether `text` is `prefix` and 32 hexadecimal digits.
pub(crate) fn is_sid(prefix: &str, text: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|digits| {
        digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

macro_rules! sid {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// As Twilio writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                if is_sid($prefix, &text) {
                    Ok(Self(text))
                } else {
                    Err(IdError { expected: $expected })
                }
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.to_owned().try_into()
            }
        }

        impl From<$name> for String {
            fn from(sid: $name) -> Self {
                sid.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

sid!(
    /// Twilio's name for a call: `CA` and 32 hexadecimal digits.
    CallSid,
    "CA",
    "a call's SID: CA and 32 hexadecimal digits"
);
sid!(
    /// Twilio's name for a recording: `RE` and 32 hexadecimal digits.
    RecordingSid,
    "RE",
    "a recording's SID: RE and 32 hexadecimal digits"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_a_country_and_nothing_but_digits() {
        for good in ["+12025550143", "+6834000", "+491701234567890"] {
            assert_eq!(good.parse::<PhoneNumber>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "+",
            "12025550143",
            "+1202",
            "+02025550143",
            "+1 202 555 0143",
            "+1-202-555-0143",
            "+1234567890123456",
            "+12025550143;ext=1",
            "+１２０２５５５０１４３",
            "sip:a@b",
        ] {
            assert!(bad.parse::<PhoneNumber>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bad_number_is_not_repeated_and_a_good_one_masked() {
        let error = "4155550178".parse::<PhoneNumber>().unwrap_err();
        assert!(!error.to_string().contains("4155550178"), "{error}");
        let number: PhoneNumber = "+12025550143".parse().unwrap();
        assert_eq!(format!("{number:?}"), "PhoneNumber(***)");
    }

    #[test]
    fn names_are_read_from_json_with_the_same_rules() {
        let json = "\"CA0123456789abcdef0123456789ABCDEF\"";
        let sid: CallSid = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&sid).unwrap(), json);
        for bad in [
            "\"CA0123\"",
            "\"RE0123456789abcdef0123456789abcdef\"",
            "\"CA0123456789abcdef0123456789abcdeg\"",
            "\"CA0123456789abcdef0123456789abc/..\"",
            "7",
        ] {
            assert!(serde_json::from_str::<CallSid>(bad).is_err(), "{bad}");
        }
    }
}
