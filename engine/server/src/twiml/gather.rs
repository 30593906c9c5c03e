//! `<Say>` and `<Gather>`: what Twilio itself says and asks.

use super::xml::Element;

/// Words in one of Twilio's voices: for where no stream can speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Say {
    text: String,
    language: Option<String>,
    voice: Option<String>,
}

impl Say {
    /// These words.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            language: None,
            voice: None,
        }
    }

    /// The words' language and place, such as `en-US`. Default: that of the voice.
    #[must_use]
    pub fn language(mut self, locale: impl Into<String>) -> Self {
        self.language = Some(locale.into());
        self
    }

    /// One of Twilio's voices, such as `Polly.Joanna`. Default: the account's.
    #[must_use]
    pub fn voice(mut self, voice: impl Into<String>) -> Self {
        self.voice = Some(voice.into());
        self
    }

    pub(super) fn xml(&self) -> String {
        Element::new("Say")
            .optional("language", self.language.as_deref())
            .optional("voice", self.voice.as_deref())
            .text(&self.text)
    }
}

/// A question that is answered with one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gather {
    action: String,
    wait_seconds: Option<u16>,
    prompts: Vec<Say>,
}

impl Gather {
    /// Waits for one key, which goes to `action` as a
    /// [`GatherResult`](crate::twilio::GatherResult); the answer is the TwiML to go on with.
    #[must_use]
    pub fn one_key(action: impl Into<String>) -> Self {
        Self {
            action: action.into(),
            wait_seconds: None,
            prompts: Vec::new(),
        }
    }

    /// How long to wait after the last word, in seconds, at least 1. Twilio's default: 5.
    #[must_use]
    pub fn wait_seconds(mut self, seconds: u16) -> Self {
        self.wait_seconds = Some(seconds.max(1));
        self
    }

    /// Says this while it waits. Several are said one after the other.
    #[must_use]
    pub fn say(mut self, prompt: Say) -> Self {
        self.prompts.push(prompt);
        self
    }

    pub(super) fn xml(&self) -> String {
        let wait = self.wait_seconds.map(|seconds| seconds.to_string());
        let prompts: String = self.prompts.iter().map(Say::xml).collect();
        Element::new("Gather")
            .attribute("input", "dtmf")
            .attribute("numDigits", "1")
            .attribute("action", &self.action)
            .optional("timeout", wait.as_deref())
            .containing(&prompts)
    }
}
