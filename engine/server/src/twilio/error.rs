//! What can go wrong between this program and Twilio.

use std::{fmt, time::Duration};

use serde::Deserialize;
use thiserror::Error;

/// A request that did not do what it should. Its messages hold no phone number, no name of a call
/// or an account, and no secret.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TwilioError {
    /// The configuration does not say how to reach the account. Nothing was sent.
    #[error("Twilio cannot be asked to place or change calls: `{key}` {expected}")]
    NotConfigured {
        /// The key, `section.key`.
        key: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A part of the request cannot be meant. Nothing was sent.
    #[error("{field}: must be {expected}")]
    Invalid {
        /// Which part.
        field: &'static str,
        /// What is allowed.
        expected: &'static str,
    },
    /// The HTTP client cannot be made. Nothing was sent.
    #[error("no HTTP client for Twilio")]
    Client(#[source] reqwest::Error),
    /// No connection: unknown host, refused, no TLS. Nothing was sent.
    #[error("cannot {action}: Twilio cannot be reached")]
    Unreachable {
        /// What was asked.
        action: Action,
        /// Why.
        source: reqwest::Error,
    },
    /// The connection broke before the whole answer was here.
    #[error("cannot tell whether Twilio did {action}: the connection broke")]
    Interrupted {
        /// What was asked.
        action: Action,
        /// How.
        source: reqwest::Error,
    },
    /// No answer in time.
    #[error("cannot tell whether Twilio did {action}: no answer within {} ms", after.as_millis())]
    TimedOut {
        /// What was asked.
        action: Action,
        /// How long the answer was waited for, tries taken together.
        after: Duration,
    },
    /// Twilio answered that it will not, or cannot.
    #[error("cannot {action}: Twilio {refusal}")]
    Refused {
        /// What was asked.
        action: Action,
        /// Its answer.
        refusal: Refusal,
    },
    /// The answer is not what Twilio documents.
    #[error("cannot tell whether Twilio did {action}: its answer makes no sense: {problem}")]
    Malformed {
        /// What was asked.
        action: Action,
        /// What is wrong with it.
        problem: String,
    },
}

/// Twilio's own code for an update of a call that is not in progress.
const NOT_IN_PROGRESS: u32 = 21220;

/// Twilio's own code for what there is not.
const NOT_FOUND: u32 = 20404;

impl TwilioError {
    /// The HTTP status of Twilio's answer, where there was one that refused.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.refusal().map(|refusal| refusal.status)
    }

    /// Twilio's own number for the reason, listed at <https://www.twilio.com/docs/api/errors>.
    #[must_use]
    pub fn code(&self) -> Option<u32> {
        self.refusal().and_then(|refusal| refusal.code)
    }

    /// When Twilio wants to be asked again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.refusal().and_then(|refusal| refusal.retry_after)
    }

    /// The call is over, or Twilio knows none of that name.
    #[must_use]
    pub fn is_call_over(&self) -> bool {
        matches!(self.code(), Some(NOT_IN_PROGRESS | NOT_FOUND)) || self.status() == Some(404)
    }

    /// The call is known and not in progress.
    pub(super) fn is_not_in_progress(&self) -> bool {
        self.code() == Some(NOT_IN_PROGRESS)
    }

    /// Whether Twilio may have done it all the same. Asking again might do it twice; to find out,
    /// look at the call, or wait for its status reports.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::NotConfigured { .. }
            | Self::Invalid { .. }
            | Self::Client(_)
            | Self::Unreachable { .. } => false,
            Self::Interrupted { .. } | Self::TimedOut { .. } | Self::Malformed { .. } => true,
            Self::Refused { refusal, .. } => refusal.status >= 500,
        }
    }

    fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal),
            _ => None,
        }
    }
}

/// What was asked of Twilio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// A call was to be placed.
    PlaceCall,
    /// A live call was to follow other instructions.
    RedirectCall,
    /// A call was to be ended.
    EndCall,
    /// A call was to be looked at.
    FetchCall,
    /// A recording was to begin.
    StartRecording,
    /// A recording was to end.
    StopRecording,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PlaceCall => "place the call",
            Self::RedirectCall => "redirect the call",
            Self::EndCall => "end the call",
            Self::FetchCall => "look at the call",
            Self::StartRecording => "start the recording",
            Self::StopRecording => "stop the recording",
        })
    }
}

/// An answer of Twilio's that is no success.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Twilio's own number for the reason.
    pub code: Option<u32>,
    /// Twilio's words, without the numbers, names and keys that they repeat.
    pub message: Option<String>,
    /// When it wants to be asked again.
    pub retry_after: Option<Duration>,
}

/// `answered 400 with code 21211: The 'To' number … is not a valid phone number.`
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "answered {}", self.status)?;
        if let Some(code) = self.code {
            write!(f, " with code {code}")?;
        }
        if let Some(message) = &self.message {
            write!(f, ": {message}")?;
        }
        Ok(())
    }
}

impl Refusal {
    /// Reads an answer; `secret` is what its words must not repeat.
    pub(super) fn read(
        status: u16,
        retry_after: Option<Duration>,
        body: &[u8],
        secret: &str,
    ) -> Self {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Body {
            code: Option<u32>,
            message: Option<String>,
        }
        // What comes from a proxy is no JSON, or some other.
        let body: Body = serde_json::from_slice(body).unwrap_or_default();
        Self {
            status,
            code: body.code,
            message: body
                .message
                .map(|text| without_names(&text, secret))
                .filter(|text| !text.is_empty()),
            retry_after,
        }
    }
}

/// The longest message that is kept, in characters. Twilio's are sentences.
const MAX_MESSAGE_CHARS: usize = 300;

/// A word with this many digits is a phone number or a name.
const DIGITS_OF_A_NAME: usize = 5;

/// One line of `text`, with `…` for each word that names somebody or something. A number may be
/// written in groups: words of digits that follow each other are one.
fn without_names(text: &str, secret: &str) -> String {
    let digits = |word: &str| word.bytes().filter(u8::is_ascii_digit).count();
    let is_group = |word: &str| {
        word.chars()
            .all(|c| c.is_ascii_digit() || "+-.(),".contains(c))
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut line = String::new();
    for run in words.chunk_by(|a, b| is_group(a) && is_group(b)) {
        let names = run.iter().copied().map(digits).sum::<usize>() >= DIGITS_OF_A_NAME
            || run
                .iter()
                .any(|word| word.contains('@') || (!secret.is_empty() && word.contains(secret)));
        if names {
            push_word(&mut line, "…");
        } else {
            for word in run {
                let shown: String = word.chars().filter(|c| !c.is_control()).collect();
                push_word(&mut line, &shown);
            }
        }
    }
    if line.chars().count() > MAX_MESSAGE_CHARS {
        line = line.chars().take(MAX_MESSAGE_CHARS).collect();
        line.push('…');
    }
    line
}

fn push_word(line: &mut String, word: &str) {
    if !line.is_empty() {
        line.push(' ');
    }
    line.push_str(word);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refusal(body: &str) -> Refusal {
        Refusal::read(400, None, body.as_bytes(), "hushhush")
    }

    #[test]
    fn twilios_words_are_kept_and_whom_they_name_is_not() {
        let refusal = refusal(
            r#"{"code": 21211, "message": "The 'To' number +12025550143 is not a valid phone number.",
                "more_info": "https://www.twilio.com/docs/errors/21211", "status": 400}"#,
        );
        assert_eq!(
            refusal.to_string(),
            "answered 400 with code 21211: The 'To' number … is not a valid phone number."
        );
        let error = TwilioError::Refused {
            action: Action::PlaceCall,
            refusal,
        };
        assert_eq!(
            error.to_string(),
            "cannot place the call: Twilio answered 400 with code 21211: The 'To' number … is not \
             a valid phone number."
        );
        assert!(!format!("{error:?}").contains("0143"));
    }

    #[test]
    fn names_secrets_and_control_characters_are_taken_out() {
        for (message, kept) in [
            (
                "The requested resource /2010-04-01/Accounts/AC00000000000000000000000000000001/Calls.json was not found",
                "The requested resource … was not found",
            ),
            ("token hushhush is wrong", "token … is wrong"),
            ("call +1 202 555 0143 failed", "call … failed"),
            ("3 of 10 tries", "3 of 10 tries"),
            ("ask sip:ann@example.com", "ask …"),
            ("a\nb\u{1b}[31mc", "a b[31mc"),
            ("   ", ""),
        ] {
            assert_eq!(without_names(message, "hushhush"), kept);
        }
        let long = without_names(&"word ".repeat(200), "");
        assert!(long.chars().count() <= MAX_MESSAGE_CHARS + 1);
    }

    proptest! {
        /// However a number is written, nobody can dial what is left of it.
        #[test]
        fn no_number_is_left_in_any_words(
            digits in prop::collection::vec((0..10_u8, "| |-|[.]| - |[)] |[(]"), 7..=15),
        ) {
            let number: String = digits
                .iter()
                .map(|(digit, separator)| format!("{digit}{separator}"))
                .collect();
            let shown = without_names(&format!("The number +{number} is not valid."), "");
            let left = shown.bytes().filter(u8::is_ascii_digit).count();
            prop_assert_eq!(left, 0, "{} became {}", number, shown);
        }

        #[test]
        fn any_bytes_are_an_answer(body in any::<Vec<u8>>()) {
            let refusal = Refusal::read(500, None, &body, "hush");
            prop_assert!(!refusal.to_string().contains('\n'));
        }
    }

    #[test]
    fn an_answer_that_is_not_twilios_has_no_code() {
        for body in ["", "<html>502</html>", "[]", "{\"code\": \"x\"}", "null"] {
            let refusal = Refusal::read(502, None, body.as_bytes(), "");
            assert_eq!((refusal.code, refusal.message), (None, None), "{body}");
        }
    }

    #[test]
    fn what_may_have_happened_is_told() {
        let refused = |status, code| TwilioError::Refused {
            action: Action::EndCall,
            refusal: Refusal {
                status,
                code,
                message: None,
                retry_after: None,
            },
        };
        assert!(!refused(429, Some(20429)).may_have_happened());
        assert!(refused(500, None).may_have_happened());
        assert!(refused(400, Some(21220)).is_call_over());
        assert!(refused(404, Some(20404)).is_call_over());
        assert!(!refused(401, Some(20003)).is_call_over());
    }
}
