//! Whisper on this machine, by whisper.cpp.
//!
//! One loaded model serves all calls. A fixed pool of threads decodes, one utterance each, from a
//! bounded queue in which finals go before eager transcripts, and those before partials. A full
//! queue turns a job away at once: a caller is better served by an apology than by an answer from
//! half a minute ago.
//!
//! whisper.cpp's own log output is switched off for the process: it goes to standard error, and
//! reports every cancelled job as an error.

pub mod batch;

mod alignment;
mod config;
mod cut;
mod decoder;
mod error;
mod ffi;
mod gate;
mod model;
mod model_file;
mod session;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use sidetone_core::job::{JobFailure, SttEvent, SttJob, SttPurpose};

pub use self::{
    config::{AudioContext, WhisperConfig},
    error::{ModelFileError, WhisperError},
};
use self::{
    decoder::{Decoder, Settings},
    model::Model,
};
use super::{Stt, SttCapabilities};
use crate::{
    job::{JobHandle, Sink},
    pool::{Pool, Urgency},
};

/// Speech recognition with a local Whisper model.
///
/// Dropping it stops the decodes under way, answers the jobs that wait with a failure and joins
/// the threads, which takes up to one encoder pass.
#[derive(Debug)]
pub struct Whisper {
    pool: Pool<SttJob, SttEvent>,
    model: Arc<Model>,
}

impl Whisper {
    /// Loads the model and starts the workers, which warm up by themselves;
    /// [`warm_up`](Stt::warm_up) waits for that. Blocks while it reads the file.
    ///
    /// # Errors
    ///
    /// [`WhisperError`] says which setting or what about the model is wrong.
    pub fn load(config: WhisperConfig) -> Result<Self, WhisperError> {
        config.validate()?;
        let languages = &config.languages;
        let model = Model::load(&config.model, languages, config.audio_context, false)?;
        if let Some(code) = &config.language {
            model.understanding("language", code)?;
        }
        let model = Arc::new(model);
        let (threads, queue) = (config.threads, config.queue);
        let settings = Arc::new(Settings::new(&model, config));
        let shared = model.clone();
        let build = move || Decoder::new(shared.clone(), settings.clone());
        let pool = Pool::start("whisper", threads, queue, build).map_err(WhisperError::Thread)?;
        tracing::info!(
            model = model.name(),
            detects_language = model.only_language().is_none(),
            threads,
            "Whisper loaded"
        );
        Ok(Self { pool, model })
    }

    /// Whether the model understands a language, given as an ISO 639-1 code. Jobs in others are
    /// refused.
    #[must_use]
    pub fn understands(&self, language: &str) -> bool {
        self.model.language(language).is_some()
    }
}

impl Stt for Whisper {
    fn capabilities(&self) -> SttCapabilities {
        SttCapabilities {
            detects_language: self.model.only_language().is_none(),
            partials: true,
        }
    }

    fn start(&self, job: SttJob, sink: Sink<SttEvent>) -> JobHandle {
        let urgency = match job.purpose {
            SttPurpose::Final => Urgency::Urgent,
            SttPurpose::Eager => Urgency::Ahead,
            SttPurpose::Partial => Urgency::Deferrable,
        };
        self.pool.submit(job, urgency, sink)
    }

    fn warm_up(&self) -> BoxFuture<'_, Result<(), JobFailure>> {
        Box::pin(self.pool.ready())
    }
}
