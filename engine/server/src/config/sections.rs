//! The sections of the configuration file, with their defaults.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use sidetone_core::config::{
    AgentConfig, BargeInConfig, CallConfig, EagerConfig, EndpointingConfig, HandoffConfig,
    IdleConfig, PartialsConfig, Phrases, PlayoutConfig, VadConfig,
};
use sidetone_models::demo;
use sidetone_speech::{
    Secret, llm::OpenAiLlmConfig, noise_suppression::NoiseSuppression, stt::OpenAiSttConfig,
    tts::OpenAiTtsConfig, vad::VadProvider,
};

use super::access::{ApiConfig, WebhookConfig};
use crate::store::RecordingFormat;

/// Everything that can be set. Build it with [`Config::load`](super::Config::load), or fill it in
/// and [`validate`](super::Config::validate) it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The HTTP server.
    pub server: ServerConfig,
    /// The Twilio account whose calls come in.
    pub twilio: TwilioConfig,
    /// Who the agent is.
    pub agent: AgentConfig,
    /// When somebody speaks.
    pub vad: VadSection,
    /// When the caller interrupts the agent.
    pub barge_in: BargeInConfig,
    /// When a turn has ended.
    pub endpointing: EndpointingConfig,
    /// What is done ahead of the end of a turn.
    pub eager: EagerConfig,
    /// When nobody speaks.
    pub idle: IdleConfig,
    /// People on the call.
    pub handoff: HandoffConfig,
    /// How audio reaches the caller.
    pub playout: PlayoutConfig,
    /// Speech recognition.
    pub stt: SttConfig,
    /// The language model.
    pub llm: LlmConfig,
    /// Speech synthesis.
    pub tts: TtsConfig,
    /// What is written down about calls.
    pub events: EventsConfig,
    /// The call-control API and the console.
    pub api: ApiConfig,
    /// Who is told what happens in calls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<WebhookConfig>,
    /// Where calls are kept.
    pub store: StoreConfig,
    /// Whether calls are recorded.
    pub recording: RecordingConfig,
}

/// `[server]`: the HTTP server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// The address and port to listen on; port 0 takes a free one. Default: `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// How Twilio reaches this server: `https://` and a host, with a port and a path where a
    /// proxy adds them. Signatures are checked against it, and the stream's `wss://` address is
    /// made from it. Default: empty; required with `twilio.auth_token`.
    pub public_url: String,
    /// How many calls may run at the same time, 1 to 100000. Default: 100.
    pub max_calls: usize,
    /// How long running calls may go on after SIGTERM, in seconds, 0 to 3600. Default: 25, which
    /// fits the 30 s that service managers usually allow.
    pub drain_seconds: u64,
    /// Take calls from anybody: start without `twilio.auth_token` and check no signatures. For
    /// development. Default: false.
    pub insecure: bool,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: String::new(),
            max_calls: 100,
            drain_seconds: 25,
            insecure: false,
        }
    }
}

/// `[twilio]`: the account whose calls come in, and go out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TwilioConfig {
    /// The account, `AC…`. Default: empty, streams of any account that is signed with the token
    /// are taken; otherwise the stream's account must be this one.
    pub account_sid: String,
    /// The secret that Twilio signs its requests with. Without an API key, requests to Twilio are
    /// made with it too. Default: empty.
    #[serde(with = "secret_text")]
    pub auth_token: Option<Secret>,
    /// An API key, `SK…`, to make requests to Twilio with in place of the auth token; it can be
    /// revoked alone. Default: empty.
    pub api_key_sid: String,
    /// The API key's secret. Default: empty.
    #[serde(with = "secret_text")]
    pub api_key_secret: Option<Secret>,
    /// Where Twilio processes calls: `us1`, `ie1` or `au1`. Default: empty, `us1`.
    pub region: String,
    /// The edge location that requests to Twilio enter at. Default: empty, the region's own.
    pub edge: String,
    /// Where Twilio's REST API is, in place of `region` and `edge`: for a proxy or a stand-in.
    /// Default: empty.
    pub base_url: String,
    /// How long a request to Twilio may take, tries taken together, in ms, 1000 to 60000. Default:
    /// 10000.
    pub request_timeout_ms: u64,
}

impl Default for TwilioConfig {
    fn default() -> Self {
        Self {
            account_sid: String::new(),
            auth_token: None,
            api_key_sid: String::new(),
            api_key_secret: None,
            region: String::new(),
            edge: String::new(),
            base_url: String::new(),
            request_timeout_ms: 10_000,
        }
    }
}

/// `[vad]`: who finds speech, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VadSection {
    /// The detector. Default: `earshot`.
    pub provider: VadProvider,
    /// What takes the noise out of the audio that the detector hears. Default: `off`.
    pub noise_suppression: NoiseSuppression,
    /// See [`VadConfig::speech_threshold`].
    pub speech_threshold: f32,
    /// See [`VadConfig::silence_threshold`].
    pub silence_threshold: f32,
    /// See [`VadConfig::min_speech_ms`].
    pub min_speech_ms: u32,
    /// See [`VadConfig::barge_in_ms`].
    pub barge_in_ms: u32,
    /// See [`VadConfig::pre_roll_ms`].
    pub pre_roll_ms: u32,
}

impl Default for VadSection {
    fn default() -> Self {
        let VadConfig {
            speech_threshold,
            silence_threshold,
            min_speech_ms,
            barge_in_ms,
            pre_roll_ms,
        } = VadConfig::default();
        Self {
            provider: VadProvider::default(),
            noise_suppression: NoiseSuppression::default(),
            speech_threshold,
            silence_threshold,
            min_speech_ms,
            barge_in_ms,
            pre_roll_ms,
        }
    }
}

/// `[stt]`: speech recognition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SttConfig {
    /// Who recognises speech. Default: `whisper`.
    pub provider: SttChoice,
    /// For `whisper`: a model's name or file. For `openai`: a model of the service. Default:
    /// empty, which is `demo` and `whisper-1`.
    pub model: String,
    /// For `openai`: where the service is, up to and including `/v1`. Default: OpenAI.
    pub base_url: String,
    /// For `openai`: the key. Default: the environment's `OPENAI_API_KEY`, if set.
    #[serde(with = "secret_text")]
    pub api_key: Option<Secret>,
    /// For `whisper`: how many transcriptions may run at the same time, each on one CPU core,
    /// 0 to 64. Default: 0, which is one for each core, at most 4.
    pub threads: usize,
    /// See [`PartialsConfig::interval_ms`].
    pub partial_interval_ms: u32,
}

impl Default for SttConfig {
    fn default() -> Self {
        Self {
            provider: SttChoice::default(),
            model: String::new(),
            base_url: OPENAI_URL.into(),
            api_key: None,
            threads: 0,
            partial_interval_ms: PartialsConfig::default().interval_ms,
        }
    }
}

/// Who recognises speech.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SttChoice {
    /// A Whisper model in this process.
    #[default]
    Whisper,
    /// Any service with OpenAI's `/audio/transcriptions`.
    OpenAi,
}

/// `[llm]`: the language model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LlmConfig {
    /// Who answers. Default: `script`.
    pub provider: LlmChoice,
    /// For `openai`: a model of the service. Default: empty, which is `gpt-4o-mini`.
    pub model: String,
    /// For `openai`: where the service is, up to and including `/v1`. Default: OpenAI.
    pub base_url: String,
    /// For `openai`: the key. Default: the environment's `OPENAI_API_KEY`, if set.
    #[serde(with = "secret_text")]
    pub api_key: Option<Secret>,
    /// For `openai`: the model gets a tool to say what the caller cannot interrupt. Default: false.
    pub notice_tool: bool,
    /// For `script`: the file with the dialogue. Default: empty, the one in the program.
    pub script: String,
}

impl Default for LlmConfig {
    fn default() -> Self {
        Self {
            provider: LlmChoice::default(),
            model: String::new(),
            base_url: OPENAI_URL.into(),
            api_key: None,
            notice_tool: false,
            script: String::new(),
        }
    }
}

/// Who answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LlmChoice {
    /// A dialogue written down in a file: no key, no network.
    #[default]
    Script,
    /// Any service with OpenAI's `/chat/completions`.
    OpenAi,
}

/// `[tts]`: speech synthesis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TtsConfig {
    /// Who speaks. Default: `espeak`.
    pub provider: TtsChoice,
    /// For `openai`: a model of the service. Default: empty, which is `gpt-4o-mini-tts`.
    pub model: String,
    /// The voice: for `espeak` a voice of espeak-ng, for `openai` one of the service. Default:
    /// empty, which is the voice of the call's language and `alloy`.
    pub voice: String,
    /// For `openai`: where the service is, up to and including `/v1`. Default: OpenAI.
    pub base_url: String,
    /// For `openai`: the key. Default: the environment's `OPENAI_API_KEY`, if set.
    #[serde(with = "secret_text")]
    pub api_key: Option<Secret>,
    /// For `command`: the program and its arguments; it writes speech to its standard output.
    /// `{text}`, `{language}` and `{voice}` in an argument are replaced; without `{text}` the text
    /// goes to its standard input. Never run through a shell. Default: empty.
    pub command: Vec<String>,
    /// For `command`: the sample rate of the raw 16-bit mono PCM that the program writes, in Hz,
    /// 4000 to 192000; 0: it writes a WAV file. Default: 0.
    pub pcm_rate_hz: u32,
}

impl Default for TtsConfig {
    fn default() -> Self {
        Self {
            provider: TtsChoice::default(),
            model: String::new(),
            voice: String::new(),
            base_url: OPENAI_URL.into(),
            api_key: None,
            command: Vec::new(),
            pcm_rate_hz: 0,
        }
    }
}

/// Who speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum TtsChoice {
    /// The program espeak-ng.
    #[default]
    Espeak,
    /// Any program.
    Command,
    /// Any service with OpenAI's `/audio/speech`.
    OpenAi,
}

/// `[events]`: what is written down about calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventsConfig {
    /// A file to which every event of every call is appended, one JSON object a line. It holds
    /// what was said. Default: empty, none.
    pub ndjson: String,
}

/// `[store]`: where calls, what was said in them, tokens and the audit log are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// `sqlite:` and a file, which is created if there is none; `postgres://` and a server and its
    /// database; `none`: nothing is kept. Default: empty, which is the file `sidetone/calls.db` in the
    /// platform's data directory.
    #[serde(serialize_with = "without_password")]
    pub url: String,
    /// How long calls are kept after their end, in days, 0 to 36500; 0: until somebody deletes them.
    /// Default: 90.
    pub keep_days: u32,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            keep_days: 90,
        }
    }
}

impl StoreConfig {
    /// What `url` is where nothing is kept.
    pub const NONE: &str = "none";
}

/// `[recording]`: whether calls are recorded, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordingConfig {
    /// Record every call, the caller left and everyone else right. Needs a store. Default: false;
    /// in many countries callers must be told.
    pub enabled: bool,
    /// `wav` (exact) or `opus` (Ogg Opus, a fifth of it). Default: `wav`.
    pub format: RecordingFormat,
    /// The folder for recordings, which is created if there is none. Default: empty, which is
    /// `sidetone/recordings` in the platform's data directory.
    pub folder: String,
    /// The public keys (`age1…`) of those who can read recordings: with any, recordings are encrypted
    /// as they are written. Default: none.
    pub recipients: Vec<String>,
    /// A file with an age identity, to hand encrypted recordings out in clear. Default: empty, none.
    pub identity: String,
    /// How long recordings are kept after the end of their call, in days, 0 to 36500; 0: as long as
    /// the call. Default: 30.
    pub keep_days: u32,
}

impl Default for RecordingConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            format: RecordingFormat::default(),
            folder: String::new(),
            recipients: Vec::new(),
            identity: String::new(),
            keep_days: 30,
        }
    }
}

/// Where OpenAI's own services are.
const OPENAI_URL: &str = "https://api.openai.com/v1";

impl Config {
    /// The same with every text that is empty and means a default spelt out.
    pub(crate) fn spelt_out(&self) -> Self {
        let mut config = self.clone();
        let or = |text: &mut String, default: &dyn Fn() -> String| {
            if text.is_empty() {
                *text = default();
            }
        };
        match config.stt.provider {
            SttChoice::Whisper => or(&mut config.stt.model, &|| demo::NAME.into()),
            SttChoice::OpenAi => or(&mut config.stt.model, &|| OpenAiSttConfig::default().model),
        }
        if config.llm.provider == LlmChoice::OpenAi {
            or(&mut config.llm.model, &|| OpenAiLlmConfig::default().model);
        }
        if config.tts.provider == TtsChoice::OpenAi {
            or(&mut config.tts.model, &|| OpenAiTtsConfig::default().model);
            or(&mut config.tts.voice, &|| OpenAiTtsConfig::default().voice);
        }
        config
    }

    /// The part of the configuration that each call needs; `phrases` is the audio for when speech
    /// synthesis cannot be relied on.
    #[must_use]
    pub fn call(&self, phrases: Phrases) -> CallConfig {
        let vad = &self.vad;
        CallConfig {
            agent: self.agent.clone(),
            vad: VadConfig {
                speech_threshold: vad.speech_threshold,
                silence_threshold: vad.silence_threshold,
                min_speech_ms: vad.min_speech_ms,
                barge_in_ms: vad.barge_in_ms,
                pre_roll_ms: vad.pre_roll_ms,
            },
            barge_in: self.barge_in.clone(),
            endpointing: self.endpointing.clone(),
            eager: self.eager.clone(),
            idle: self.idle.clone(),
            handoff: self.handoff.clone(),
            partials: PartialsConfig {
                interval_ms: self.stt.partial_interval_ms,
            },
            playout: self.playout.clone(),
            phrases,
            ..CallConfig::default()
        }
    }
}

/// The address of a database, its password masked.
fn without_password<S: serde::Serializer>(url: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let masked = url.split_once("://").and_then(|(scheme, rest)| {
        let (user, host) = rest.rsplit_once('@')?;
        let (user, _) = user.split_once(':')?;
        Some(format!("{scheme}://{user}:********@{host}"))
    });
    serializer.serialize_str(masked.as_deref().unwrap_or(url))
}

/// A secret as text: an empty one is none; written as a mask.
pub(super) mod secret_text {
    use serde::{Deserialize as _, Deserializer, Serializer};
    use sidetone_speech::Secret;

    pub(in crate::config) fn serialize<S: Serializer>(
        secret: &Option<Secret>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if secret.is_some() { "********" } else { "" })
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Secret>, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok((!text.is_empty()).then(|| Secret::new(text)))
    }
}
