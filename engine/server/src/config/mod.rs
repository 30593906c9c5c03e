//! The configuration: defaults, then a TOML file, then the environment.
//!
//! Every key of the file can be set in the environment as `SIDETONE_SECTION__KEY`; besides,
//! `TWILIO_ACCOUNT_SID`, `TWILIO_AUTH_TOKEN` and `OPENAI_API_KEY` are understood. A text that is
//! empty means that the setting is not made.

mod access;
mod error;
mod layers;
mod sections;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, path::Path};

use axum::http::Uri;

pub use access::{ApiConfig, WebhookConfig};
pub use error::{ConfigError, Origin};
pub use sections::{
    Config, EventsConfig, LlmChoice, LlmConfig, RecordingConfig, ServerConfig, StoreConfig,
    SttChoice, SttConfig, TtsChoice, TtsConfig, TwilioConfig, VadSection,
};
use sidetone_core::config::Phrases;
use sidetone_speech::Secret;

use crate::twilio::{self, BaseUrlError, is_sid};
use layers::Layers;

use crate::{recording::is_recipient, store::Store};

/// The key of OpenAI's services, for every `openai` provider without its own.
const OPENAI_KEY_VARIABLE: &str = "OPENAI_API_KEY";

impl Config {
    /// Reads the file at `path`, if there is one, and the environment, and checks every value.
    ///
    /// # Errors
    ///
    /// Names the file and line, or the variable, the key, and what is allowed.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        Self::from_layers(path, &environment())
    }

    /// Reads where calls and tokens are kept, of a configuration that may lack what a server needs
    /// besides.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load), for what concerns `[store]` and `[recording]`, and for keys that do
    /// not exist.
    pub fn load_store(path: Option<&Path>) -> Result<StoreConfig, ConfigError> {
        let layers = Layers::read(path, &environment())?;
        let config = layers.extract()?;
        config.check_keeping(&required(|key| layers.origin(key)))?;
        Ok(config.store)
    }

    fn from_layers(
        path: Option<&Path>,
        variables: &BTreeMap<String, String>,
    ) -> Result<Self, ConfigError> {
        let layers = Layers::read(path, variables)?;
        let mut config = layers.extract()?;
        if let Some(key) = variables.get(OPENAI_KEY_VARIABLE) {
            config.default_openai_key(key);
        }
        config.check(|key| layers.origin(key))?;
        Ok(config)
    }

    /// Checks every value of a configuration that was filled in by a program.
    ///
    /// # Errors
    ///
    /// Names the first key whose value is not allowed, and what is.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.check(|_| Origin::Default)
    }

    /// The configuration in effect as TOML, defaults spelt out, secrets masked.
    #[must_use]
    pub fn effective_toml(&self) -> String {
        toml::to_string(&self.spelt_out()).expect("sections of texts, numbers and lists are TOML")
    }

    fn default_openai_key(&mut self, key: &str) {
        let openai = [
            (
                self.stt.provider == SttChoice::OpenAi,
                &mut self.stt.api_key,
            ),
            (
                self.llm.provider == LlmChoice::OpenAi,
                &mut self.llm.api_key,
            ),
            (
                self.tts.provider == TtsChoice::OpenAi,
                &mut self.tts.api_key,
            ),
        ];
        for (used, api_key) in openai {
            if used && !key.is_empty() {
                api_key.get_or_insert_with(|| Secret::new(key));
            }
        }
    }

    fn check(&self, origin: impl Fn(&str) -> Origin) -> Result<(), ConfigError> {
        let require = required(&origin);

        let server = &self.server;
        let signed = self.twilio.auth_token.is_some();
        require(
            signed || server.insecure,
            "twilio.auth_token",
            String::new(),
            "is not set, so nobody could tell Twilio from a stranger: set it in the configuration \
             file or as TWILIO_AUTH_TOKEN, or set `server.insecure` to true to take calls from \
             anybody",
        )?;
        require(
            !signed || !server.public_url.is_empty(),
            "server.public_url",
            String::from("\"\""),
            "must be set with `twilio.auth_token`, as the https:// address under which Twilio \
             reaches this server: signatures are checked against it",
        )?;
        require(
            server.public_url.is_empty() || is_base_url(&server.public_url, server.insecure),
            "server.public_url",
            format!("{:?}", server.public_url),
            "must be https://, a host, and no query, such as \"https://voice.example.com\" \
             (http:// only with `server.insecure`)",
        )?;
        require(
            (1..=100_000).contains(&server.max_calls),
            "server.max_calls",
            server.max_calls.to_string(),
            "must be 1 to 100000",
        )?;
        require(
            server.drain_seconds <= 3_600,
            "server.drain_seconds",
            server.drain_seconds.to_string(),
            "must be 0 to 3600",
        )?;
        let twilio = &self.twilio;
        require(
            twilio.account_sid.is_empty() || is_sid("AC", &twilio.account_sid),
            "twilio.account_sid",
            format!("{:?}", twilio.account_sid),
            "must be the account's SID: AC and 32 hexadecimal digits",
        )?;
        require(
            twilio.api_key_sid.is_empty() || is_sid("SK", &twilio.api_key_sid),
            "twilio.api_key_sid",
            format!("{:?}", twilio.api_key_sid),
            "must be an API key's SID: SK and 32 hexadecimal digits",
        )?;
        require(
            twilio.api_key_sid.is_empty() == twilio.api_key_secret.is_none(),
            "twilio.api_key_secret",
            String::new(),
            "must be set with `twilio.api_key_sid`, and only with it",
        )?;
        if let Err(error) = twilio::base_url(twilio) {
            let (key, expected) = error.expectation();
            let value = match error {
                BaseUrlError::BaseUrl => &twilio.base_url,
                BaseUrlError::Region => &twilio.region,
                BaseUrlError::Edge => &twilio.edge,
            };
            // It may carry a password.
            let value = if value.contains('@') { "…" } else { value };
            require(false, key, format!("{value:?}"), expected)?;
        }
        require(
            (1_000..=60_000).contains(&twilio.request_timeout_ms),
            "twilio.request_timeout_ms",
            twilio.request_timeout_ms.to_string(),
            "must be 1000 to 60000",
        )?;
        require(
            self.stt.threads <= 64,
            "stt.threads",
            self.stt.threads.to_string(),
            "must be 0 (by the number of cores) to 64",
        )?;
        self.check_access(&require)?;
        let services = [
            (
                self.stt.provider == SttChoice::OpenAi,
                "stt.base_url",
                &self.stt.base_url,
            ),
            (
                self.llm.provider == LlmChoice::OpenAi,
                "llm.base_url",
                &self.llm.base_url,
            ),
            (
                self.tts.provider == TtsChoice::OpenAi,
                "tts.base_url",
                &self.tts.base_url,
            ),
        ];
        for (used, key, url) in services {
            require(
                !used || is_base_url(url, true),
                key,
                format!("{url:?}"),
                "must be http:// or https://, a host, and no query, such as \
                 \"http://127.0.0.1:11434/v1\"",
            )?;
        }
        require(
            self.tts.provider != TtsChoice::Command
                || self
                    .tts
                    .command
                    .first()
                    .is_some_and(|program| !program.is_empty()),
            "tts.command",
            format!("{:?}", self.tts.command),
            "must be the program and its arguments with `tts.provider = \"command\"`, such as \
             [\"espeak-ng\", \"--stdout\"]",
        )?;
        let rate = self.tts.pcm_rate_hz;
        require(
            rate == 0 || (4_000..=192_000).contains(&rate),
            "tts.pcm_rate_hz",
            rate.to_string(),
            "must be 0 (the program writes a WAV file) or 4000 to 192000",
        )?;
        self.check_keeping(&require)?;
        self.call(Phrases::default()).validate().map_err(|error| {
            ConfigError::value(origin(error.key), error.key, &error.value, error.expected)
        })
    }
}

/// The variables of this process; one that is not Unicode is none of ours.
fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// An error for a key whose value is not allowed.
fn required(
    origin: impl Fn(&str) -> Origin,
) -> impl Fn(bool, &str, String, &str) -> Result<(), ConfigError> {
    move |ok, key, value, expected| {
        if ok {
            Ok(())
        } else {
            Err(ConfigError::value(origin(key), key, &value, expected))
        }
    }
}

/// The longest that calls and recordings can be kept, in days: a century.
const MAX_KEEP_DAYS: u32 = 36_500;

impl Config {
    /// Checks `[store]` and `[recording]`.
    fn check_keeping(
        &self,
        require: &impl Fn(bool, &str, String, &str) -> Result<(), ConfigError>,
    ) -> Result<(), ConfigError> {
        let (store, recording) = (&self.store, &self.recording);
        require(
            store.url == StoreConfig::NONE || Store::check_url(&store.url).is_ok(),
            "store.url",
            String::new(),
            "must be \"sqlite:\" and a file, such as \"sqlite:/var/lib/sidetone/calls.db\", the address \
             of a PostgreSQL server, such as \"postgres://user:password@host/database\", or \"none\"",
        )?;
        for (key, days) in [
            ("store.keep_days", store.keep_days),
            ("recording.keep_days", recording.keep_days),
        ] {
            require(
                days <= MAX_KEEP_DAYS,
                key,
                days.to_string(),
                "must be 0 to 36500",
            )?;
        }
        require(
            !recording.enabled || store.url != StoreConfig::NONE,
            "recording.enabled",
            recording.enabled.to_string(),
            "needs a store, which knows the recordings: `store.url` must not be \"none\"",
        )?;
        for recipient in &recording.recipients {
            require(
                is_recipient(recipient),
                "recording.recipients",
                format!("{recipient:?}"),
                "must be public keys of age identities, which begin with age1: \
                 `age-keygen -o key.txt` makes one and prints it",
            )?;
        }
        Ok(())
    }
}

fn is_base_url(url: &str, http: bool) -> bool {
    url.parse::<Uri>().is_ok_and(|uri| {
        let scheme = uri.scheme_str();
        (scheme == Some("https") || (http && scheme == Some("http")))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.query().is_none()
            && !url.contains(['@', '#'])
    })
}
