//! What a browser's leg and the server say to each other in text messages.
//!
//! Everything that a browser sends may be hostile: what is no message of the protocol is said to be
//! none, in words that quote nothing of it.

use serde::{Deserialize, Serialize};
use sidetone_core::person::{Mode, PersonId};
use thiserror::Error;

/// How a leg's audio is sent, in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AudioFormat {
    /// A packet of Opus a message.
    Opus,
    /// 16-bit little-endian PCM.
    Pcm,
}

/// What a browser asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Asked {
    /// To come on the call. The first message, and only the first.
    Join {
        /// What the person does first.
        mode: Mode,
        /// How audio is sent.
        audio: AudioFormat,
        /// At which rate, in Hz.
        rate: u32,
    },
    /// To do something else.
    Mode {
        /// What.
        mode: Mode,
    },
    /// To go.
    Leave,
}

/// What a browser is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Told {
    /// The person is on the call.
    Joined {
        /// Their leg.
        person: PersonId,
        /// What they do.
        mode: Mode,
        /// How audio is sent.
        audio: AudioFormat,
        /// At which rate, in Hz.
        rate: u32,
    },
    /// What they do from now on: as they asked, or as somebody else had it.
    Mode {
        /// What.
        mode: Mode,
    },
    /// What they asked for is not to be, and all is as it was.
    Refused {
        /// Why.
        detail: String,
    },
    /// They are off the call, and the socket closes.
    Closed {
        /// Why.
        detail: String,
    },
}

/// A text message that is none of the protocol's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum WireError {
    /// It is no JSON.
    #[error("the message is not JSON: it breaks at line {line}, column {column}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
    },
    /// It is JSON of another kind.
    #[error(
        "the message is none of `join` (with `mode`: monitor, whisper, barge or takeover; `audio`: \
         opus or pcm; `rate`: a number), `mode` (with `mode`) and `leave`"
    )]
    Message,
}

impl Asked {
    /// Reads a text message.
    ///
    /// # Errors
    ///
    /// [`WireError`].
    pub(crate) fn read(text: &str) -> Result<Self, WireError> {
        serde_json::from_str(text).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => WireError::Message,
            _ => WireError::Syntax {
                line: error.line(),
                column: error.column(),
            },
        })
    }
}

impl Told {
    /// The text message.
    pub(crate) fn write(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers are JSON")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_browser_asks_for_is_read() {
        for (text, asked) in [
            (
                r#"{"type":"join","mode":"takeover","audio":"opus","rate":48000}"#,
                Asked::Join {
                    mode: Mode::Takeover,
                    audio: AudioFormat::Opus,
                    rate: 48_000,
                },
            ),
            (
                r#"{"mode":"whisper","type":"mode","from":"a later page"}"#,
                Asked::Mode {
                    mode: Mode::Whisper,
                },
            ),
            (r#"{"type":"leave"}"#, Asked::Leave),
        ] {
            assert_eq!(Asked::read(text), Ok(asked), "{text}");
        }
    }

    #[test]
    fn what_is_none_of_the_protocol_is_said_to_be_none() {
        for text in [
            "null",
            "[]",
            r#"{"type":"dance"}"#,
            r#"{"type":"join","mode":"takeover","audio":"opus"}"#,
            r#"{"type":"join","mode":"takeover","audio":"mp3","rate":48000}"#,
            r#"{"type":"join","mode":"takeover","audio":"pcm","rate":-1}"#,
            r#"{"type":"mode","mode":"shout"}"#,
        ] {
            assert_eq!(Asked::read(text), Err(WireError::Message), "{text}");
        }
        Asked::read(&"[".repeat(100_000)).unwrap_err();
        for text in ["", "{", "join"] {
            let error = Asked::read(text).unwrap_err();
            assert!(matches!(error, WireError::Syntax { .. }), "{error}");
        }
    }

    #[test]
    fn what_a_browser_is_told_is_as_it_expects() {
        let joined = Told::Joined {
            person: PersonId(3),
            mode: Mode::Monitor,
            audio: AudioFormat::Pcm,
            rate: 48_000,
        };
        assert_eq!(
            joined.write(),
            r#"{"type":"joined","person":3,"mode":"monitor","audio":"pcm","rate":48000}"#
        );
        let refused = Told::Refused {
            detail: "no \"more\"".into(),
        };
        assert_eq!(
            refused.write(),
            r#"{"type":"refused","detail":"no \"more\""}"#
        );
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(text in any::<String>()) {
            let _ = Asked::read(&text);
        }

        #[test]
        fn texts_that_are_nearly_messages_never_panic(
            kind in "(join|mode|leave|)",
            mode in "(\"[a-z]{0,9}\"|null|-?[0-9]{0,25}|\\[)",
            rate in "-?[0-9]{0,30}(\\.[0-9]{0,4})?(e[0-9]{1,4})?",
        ) {
            let _ = Asked::read(&format!(
                r#"{{"type":"{kind}","mode":{mode},"audio":"opus","rate":{rate}}}"#
            ));
        }
    }
}
