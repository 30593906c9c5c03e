//! Any service with OpenAI's transcription endpoint: `POST {base_url}/audio/transcriptions`.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use reqwest::{
    RequestBuilder,
    multipart::{Form, Part},
};
use serde::Deserialize;
use sidetone_codecs::wav;
use sidetone_core::job::{FailureKind, JobFailure, Service, SttEvent, SttJob, Transcript};

use super::{Stt, SttCapabilities};
use crate::{
    error::ProviderError,
    http::{Api, Fault, Timeouts},
    job::{JobHandle, Sink, Stop},
    secret::Secret,
};

/// Where and how to transcribe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenAiSttConfig {
    /// Everything before `/audio/transcriptions`. Default: `https://api.openai.com/v1`.
    pub base_url: String,
    /// Sent as a bearer token. Default: none.
    pub api_key: Option<Secret>,
    /// Default: `whisper-1`.
    pub model: String,
    /// Words the recogniser should expect, such as names. Default: none.
    pub prompt: Option<String>,
    /// Default: 2 s to connect, 3.5 s to the first byte, 4 s between bytes.
    pub timeouts: Timeouts,
}

impl Default for OpenAiSttConfig {
    fn default() -> Self {
        Self {
            base_url: "https://api.openai.com/v1".into(),
            api_key: None,
            model: "whisper-1".into(),
            prompt: None,
            timeouts: Timeouts::default(),
        }
    }
}

/// Speech recognition over HTTP.
#[derive(Clone, Debug)]
pub struct OpenAiStt(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    api: Api,
    model: String,
    prompt: Option<String>,
}

const PATH: &str = "audio/transcriptions";

impl OpenAiStt {
    /// Sets up the client; connects to nothing yet.
    ///
    /// # Errors
    ///
    /// [`ProviderError`], which names the key that cannot be used.
    pub fn new(config: OpenAiSttConfig) -> Result<Self, ProviderError> {
        let OpenAiSttConfig {
            base_url,
            api_key,
            model,
            prompt,
            timeouts,
        } = config;
        let api = Api::new(Service::Stt, &base_url, api_key.as_ref(), timeouts)?;
        Ok(Self(Arc::new(Inner { api, model, prompt })))
    }
}

impl Stt for OpenAiStt {
    fn capabilities(&self) -> SttCapabilities {
        SttCapabilities {
            detects_language: true,
            // Every one of them is billed, and takes a round trip.
            partials: false,
        }
    }

    fn start(&self, job: SttJob, sink: Sink<SttEvent>) -> JobHandle {
        let inner = Arc::clone(&self.0);
        JobHandle::spawn(async move {
            let heard = inner.transcribe(job).await.map_err(Stop::from);
            sink.end(heard.map(SttEvent::Transcript)).await;
        })
    }

    fn warm_up(&self) -> BoxFuture<'_, Result<(), JobFailure>> {
        Box::pin(self.0.api.warm_up())
    }
}

#[derive(Deserialize)]
struct Answer {
    text: String,
    #[serde(default)]
    language: Option<String>,
}

impl Inner {
    async fn transcribe(&self, job: SttJob) -> Result<Transcript, JobFailure> {
        let file = Bytes::from(wav::mono_bytes(job.rate, &job.audio).map_err(|problem| {
            JobFailure::new(
                FailureKind::Refused,
                format!("stt: audio of the job: {problem}"),
            )
        })?);
        let fill = |request: RequestBuilder| {
            request.multipart(self.form(file.clone(), job.language.clone()))
        };
        let body = self
            .api
            .fetch(PATH, fill)
            .await
            .map_err(|fault: Fault| fault.failure)?;
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| {
            self.api
                .malformed(PATH, "the answer is not JSON with a `text`")
        })?;
        Ok(Transcript {
            text: answer.text.trim().to_owned(),
            // Some services name the language in words; only a code is of use here.
            language: answer.language.filter(|code| code.len() == 2),
            no_speech_probability: None,
        })
    }

    fn form(&self, file: Bytes, language: Option<String>) -> Form {
        let length = file.len() as u64;
        let file = Part::stream_with_length(file, length)
            .file_name("speech.wav")
            .mime_str("audio/wav")
            .expect("a valid media type");
        let mut form = Form::new()
            .part("file", file)
            .text("model", self.model.clone())
            .text("response_format", "json")
            .text("temperature", "0");
        if let Some(language) = language {
            form = form.text("language", language);
        }
        if let Some(prompt) = &self.prompt {
            form = form.text("prompt", prompt.clone());
        }
        form
    }
}
