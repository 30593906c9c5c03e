//! Any service with OpenAI's chat endpoint: `POST {base_url}/chat/completions`, streaming.
//! OpenAI, Ollama, vLLM, llama.cpp and others differ in details; what they differ in is learnt
//! from their first refusal and remembered.

mod reading;
mod request;

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use eventsource_stream::{EventStream, EventStreamError};
use futures_util::{StreamExt as _, future::BoxFuture, stream};
use reqwest::StatusCode;
use sidetone_core::job::{JobFailure, LlmEvent, LlmJob, Service};

use self::{
    reading::{Progress, Reading, Unusable},
    request::{Shape, body},
};
use super::Llm;
use crate::{
    error::ProviderError,
    http::{Answer, Api, Fault, Timeouts},
    job::{JobHandle, Sink, SinkClosed, Stop},
    secret::Secret,
};

/// Where and how to get answers.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenAiLlmConfig {
    /// Everything before `/chat/completions`. Default: `https://api.openai.com/v1`.
    pub base_url: String,
    /// Sent as a bearer token. Default: none.
    pub api_key: Option<Secret>,
    /// Default: `gpt-4o-mini`.
    pub model: String,
    /// 0.0 to 2.0. Default: left to the service.
    pub temperature: Option<f32>,
    /// The longest answer, in tokens, at least 1. Default: left to the service; whatever it is,
    /// an answer ends after 8 KiB of text.
    pub max_tokens: Option<u32>,
    /// Offers the model a tool with which it ends the call. A service that refuses tools is asked
    /// without. Default: true.
    pub hang_up_tool: bool,
    /// Offers the model a tool with which it asks for yes or no, a number, a date or a spelling,
    /// so that callers may pause in their answer. Default: true.
    pub expect_tool: bool,
    /// Offers the model a tool with which it says what the caller cannot interrupt, such as a legal
    /// notice. Default: false.
    pub notice_tool: bool,
    /// Default: 2 s to connect, 3.5 s to the first byte, 4 s between bytes.
    pub timeouts: Timeouts,
}

impl Default for OpenAiLlmConfig {
    fn default() -> Self {
        Self {
            base_url: "https://api.openai.com/v1".into(),
            api_key: None,
            model: "gpt-4o-mini".into(),
            temperature: None,
            max_tokens: None,
            hang_up_tool: true,
            expect_tool: true,
            notice_tool: false,
            timeouts: Timeouts::default(),
        }
    }
}

/// A language model over HTTP.
#[derive(Clone, Debug)]
pub struct OpenAiLlm(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    api: Api,
    config: OpenAiLlmConfig,
    /// The service refused a request because of its tools, and took it without.
    without_tools: AtomicBool,
    /// The service wants the limit under its newer name.
    newer_limit: AtomicBool,
}

const PATH: &str = "chat/completions";
/// An answer with all its envelopes; its text is bounded apart from that.
const MAX_STREAM: usize = 4 << 20;

impl OpenAiLlm {
    /// Sets up the client; connects to nothing yet.
    ///
    /// # Errors
    ///
    /// [`ProviderError`], which names the key that cannot be used.
    pub fn new(config: OpenAiLlmConfig) -> Result<Self, ProviderError> {
        let bad = |key, value: String, expected: &str| ProviderError::Config {
            service: Service::Llm,
            key,
            value: Some(value),
            expected: expected.into(),
        };
        if let Some(value) = config.temperature
            && !(0.0..=2.0).contains(&value)
        {
            return Err(bad("temperature", value.to_string(), "must be 0.0 to 2.0"));
        }
        if config.max_tokens == Some(0) {
            return Err(bad("max_tokens", "0".into(), "must be at least 1"));
        }
        let key = config.api_key.as_ref();
        let api = Api::new(Service::Llm, &config.base_url, key, config.timeouts)?;
        Ok(Self(Arc::new(Inner {
            api,
            without_tools: AtomicBool::new(
                !config.hang_up_tool && !config.expect_tool && !config.notice_tool,
            ),
            newer_limit: AtomicBool::new(false),
            config,
        })))
    }
}

impl Llm for OpenAiLlm {
    fn start(&self, job: LlmJob, sink: Sink<LlmEvent>) -> JobHandle {
        let inner = Arc::clone(&self.0);
        JobHandle::spawn(async move {
            let said = inner.answer(&job, &sink).await;
            sink.end(said.map(|hang_up| LlmEvent::Done { hang_up }))
                .await;
        })
    }

    fn warm_up(&self) -> BoxFuture<'_, Result<(), JobFailure>> {
        Box::pin(self.0.api.warm_up())
    }
}

impl Inner {
    /// Reports the answer's text; returns whether the call is to end after it.
    async fn answer(&self, job: &LlmJob, sink: &Sink<LlmEvent>) -> Result<bool, Stop> {
        let mut answer = self.ask(job).await?;
        let mut reading = Reading::default();
        let complete = if answer.media_type() == "application/json" {
            // It ignored `stream` and answered in one piece.
            self.read_whole(&mut answer, &mut reading, sink).await?
        } else {
            self.read_events(&mut answer, &mut reading, sink).await?
        };
        if complete {
            answer.release();
        }
        let end = reading
            .finish()
            .map_err(|problem| self.api.malformed(PATH, &problem))?;
        if let Some(text) = end.text {
            sink.send(LlmEvent::Delta { text }).await?;
        }
        if let Some(text) = end.notice {
            sink.send(LlmEvent::Uninterruptible).await?;
            say(text, sink).await?;
        }
        if let Some(expect) = end.expect {
            sink.send(LlmEvent::Expects { expect }).await?;
        }
        Ok(end.hang_up)
    }

    /// Asks, at most once for each shape of request the service may insist on.
    async fn ask(&self, job: &LlmJob) -> Result<Answer, JobFailure> {
        let mut shape = Shape {
            tools: !self.without_tools.load(Ordering::Relaxed),
            newer_limit: self.newer_limit.load(Ordering::Relaxed),
        };
        loop {
            let body = body(&self.config, job, shape);
            let fault = match self
                .api
                .open(PATH, MAX_STREAM, |request| request.json(&body))
                .await
            {
                Ok(answer) => {
                    self.without_tools.store(!shape.tools, Ordering::Relaxed);
                    self.newer_limit.store(shape.newer_limit, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(fault) => fault,
            };
            shape = shape
                .after(&fault, self.config.max_tokens.is_some())
                .ok_or(fault.failure)?;
        }
    }

    /// Whether the service has no more to say than what was read.
    async fn read_events(
        &self,
        answer: &mut Answer,
        reading: &mut Reading,
        sink: &Sink<LlmEvent>,
    ) -> Result<bool, Stop> {
        // An event that ends with the connection instead of an empty line counts too.
        let end = stream::once(async { Ok(Bytes::from_static(b"\n\n")) });
        let mut events = pin!(EventStream::new(answer.chunks().chain(end)));
        while let Some(event) = events.next().await {
            let event = match event {
                Ok(event) => event,
                Err(EventStreamError::Transport(failure)) => return Err(failure.into()),
                Err(_) => return Err(self.malformed("the answer is no stream of events")),
            };
            match reading.push(&event.data) {
                Ok(Progress::More(text)) => say(text, sink).await?,
                Ok(Progress::Complete(text)) => {
                    say(text, sink).await?;
                    return Ok(true);
                }
                Ok(Progress::TooLong(text)) => {
                    say(text, sink).await?;
                    return Ok(false);
                }
                Err(Unusable::Json) => {
                    return Err(self.malformed("an event of the answer is not JSON"));
                }
                Err(Unusable::Error(body)) => {
                    return Err(self.api.reported(PATH, &body).into());
                }
            }
        }
        Ok(false)
    }

    async fn read_whole(
        &self,
        answer: &mut Answer,
        reading: &mut Reading,
        sink: &Sink<LlmEvent>,
    ) -> Result<bool, Stop> {
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            body.extend_from_slice(&chunk);
        }
        match reading.push(&String::from_utf8_lossy(&body)) {
            Ok(Progress::More(text) | Progress::Complete(text) | Progress::TooLong(text)) => {
                say(text, sink).await?;
                Ok(false)
            }
            Err(Unusable::Json) => Err(self.malformed("the answer is not JSON")),
            Err(Unusable::Error(body)) => Err(self.api.reported(PATH, &body).into()),
        }
    }

    fn malformed(&self, problem: &str) -> Stop {
        Stop::Failed(self.api.malformed(PATH, problem))
    }
}

async fn say(text: String, sink: &Sink<LlmEvent>) -> Result<(), SinkClosed> {
    if text.is_empty() {
        return Ok(());
    }
    sink.send(LlmEvent::Delta { text }).await
}

impl Shape {
    /// What to ask instead, where the service refused this shape of request.
    fn after(self, fault: &Fault, limited: bool) -> Option<Self> {
        let (status, body) = fault.refusal.as_ref()?;
        let unfit = [
            StatusCode::BAD_REQUEST,
            StatusCode::UNPROCESSABLE_ENTITY,
            StatusCode::NOT_IMPLEMENTED,
        ];
        if limited && !self.newer_limit && body.contains("max_completion_tokens") {
            let newer_limit = true;
            return Some(Self {
                newer_limit,
                ..self
            });
        }
        // llama.cpp without its `--jinja` answers 500 and speaks of tools.
        let about_tools = unfit.contains(status)
            || *status == StatusCode::NOT_FOUND && body.contains("tool")
            || status.is_server_error() && body.contains("tool");
        (self.tools && about_tools).then_some(Self {
            tools: false,
            ..self
        })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn hostile_streams_never_panic(
            pieces in proptest::collection::vec(
                prop_oneof![
                    proptest::collection::vec(any::<u8>(), 0..40),
                    Just(b"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n".to_vec()),
                    Just(b"data:".to_vec()),
                    Just(b"\r\n".to_vec()),
                ],
                0..12,
            ),
        ) {
            let pieces = stream::iter(pieces.into_iter().map(Ok::<_, Infallible>));
            let mut events = EventStream::new(pieces);
            let mut reading = Reading::default();
            let read = async {
                while let Some(Ok(event)) = events.next().await {
                    let _ = reading.push(&event.data);
                }
            };
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            runtime.expect("a runtime starts").block_on(read);
            let _ = reading.finish();
        }
    }
}
