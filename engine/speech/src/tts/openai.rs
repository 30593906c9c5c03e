//! Any service with OpenAI's speech endpoint: `POST {base_url}/audio/speech`, played as it
//! streams.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::json;
use sidetone_codecs::SampleRate;
use sidetone_core::job::{FailureKind, JobFailure, Service, TtsEvent, TtsJob};

use super::{
    Tts,
    decode::Decoder,
    telling::{Halt, Telling},
};
use crate::{
    error::ProviderError,
    http::{Api, Timeouts},
    job::{JobHandle, Sink, Stop},
    secret::Secret,
};

/// Where and how to get speech.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenAiTtsConfig {
    /// Everything before `/audio/speech`. Default: `https://api.openai.com/v1`.
    pub base_url: String,
    /// Sent as a bearer token. Default: none.
    pub api_key: Option<Secret>,
    /// Default: `gpt-4o-mini-tts`.
    pub model: String,
    /// Default: `alloy`.
    pub voice: String,
    /// The rate of the raw PCM the service sends. Default: 24 kHz.
    pub rate: SampleRate,
    /// Default: 2 s to connect, 3.5 s to the first byte, 4 s between bytes.
    pub timeouts: Timeouts,
}

impl Default for OpenAiTtsConfig {
    fn default() -> Self {
        Self {
            base_url: "https://api.openai.com/v1".into(),
            api_key: None,
            model: "gpt-4o-mini-tts".into(),
            voice: "alloy".into(),
            rate: SampleRate::HZ_24000,
            timeouts: Timeouts::default(),
        }
    }
}

/// Speech synthesis over HTTP.
#[derive(Clone, Debug)]
pub struct OpenAiTts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    api: Api,
    model: String,
    voice: String,
    rate: SampleRate,
}

const PATH: &str = "audio/speech";
/// Two minutes at 192 kHz: whatever the rate, the limit on speech is met first.
const MAX_BYTES: usize = 48 << 20;

impl OpenAiTts {
    /// Sets up the client; connects to nothing yet.
    ///
    /// # Errors
    ///
    /// [`ProviderError`], which names the key that cannot be used.
    pub fn new(config: OpenAiTtsConfig) -> Result<Self, ProviderError> {
        let OpenAiTtsConfig {
            base_url,
            api_key,
            model,
            voice,
            rate,
            timeouts,
        } = config;
        let api = Api::new(Service::Tts, &base_url, api_key.as_ref(), timeouts)?;
        Ok(Self(Arc::new(Inner {
            api,
            model,
            voice,
            rate,
        })))
    }
}

impl Tts for OpenAiTts {
    fn start(&self, job: TtsJob, sink: Sink<TtsEvent>) -> JobHandle {
        let inner = Arc::clone(&self.0);
        JobHandle::spawn(async move {
            let spoken = inner.speak(&job, &sink).await;
            sink.end(spoken.map(|()| TtsEvent::Done)).await;
        })
    }

    fn warm_up(&self) -> BoxFuture<'_, Result<(), JobFailure>> {
        Box::pin(self.0.api.warm_up())
    }
}

impl Inner {
    async fn speak(&self, job: &TtsJob, sink: &Sink<TtsEvent>) -> Result<(), Stop> {
        let body = json!({
            "model": self.model,
            "voice": self.voice,
            "input": job.text,
            "response_format": "pcm",
        });
        let answer = self
            .api
            .open(PATH, MAX_BYTES, |request| request.json(&body))
            .await;
        let mut answer = answer.map_err(|fault| fault.failure)?;
        let media_type = answer.media_type();
        let (kind, subtype) = media_type.split_once('/').unwrap_or_default();
        // Played as PCM, these would be noise in the caller's ear.
        let noise = matches!(kind, "text" | "image" | "video")
            || subtype == "json"
            || kind == "audio"
                && ["mp", "ogg", "aac", "flac", "opus", "webm"]
                    .iter()
                    .any(|other| subtype.starts_with(other));
        if noise {
            let problem = format!("answered {media_type:.40} instead of raw PCM");
            return Err(answer.failure(FailureKind::Malformed, &problem).into());
        }
        let mut telling = Telling::new(Decoder::wav_or_pcm(self.rate), sink);
        while let Some(chunk) = answer.chunk().await? {
            telling.push(&chunk).await.map_err(|halt| match halt {
                Halt::Closed => Stop::Closed,
                Halt::Problem(problem) => {
                    let problem = format!("answered {problem}");
                    Stop::Failed(answer.failure(FailureKind::Malformed, &problem))
                }
            })?;
        }
        telling.finish(&job.text).map_err(|problem| {
            let problem = format!("answered {problem}");
            Stop::Failed(answer.failure(FailureKind::Malformed, &problem))
        })
    }
}
