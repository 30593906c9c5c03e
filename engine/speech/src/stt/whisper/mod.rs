//! Whisper on this machine, by whisper.cpp.
//!
//! One loaded model serves all calls. A fixed pool of threads decodes, one utterance each, from a
//! bounded queue in which finals go before eager transcripts, and those before partials. A full
//! queue turns a job away at once: a caller is better served by an apology than by an answer from
//! half a minute ago.
//!
//! whisper.cpp's own log output is switched off for the process: it goes to standard error, and
//! reports every cancelled job as an error.

mod config;
mod decoder;
mod error;
mod ffi;
mod gate;
mod model_file;

use std::{
    fs::File,
    io::{BufReader, Cursor},
    sync::Arc,
};

use futures_util::future::BoxFuture;
use sidetone_core::job::{JobFailure, SttEvent, SttJob, SttPurpose};
use sidetone_models::ModelSource;
use whisper_rs::{WhisperContext, WhisperContextParameters};

use self::decoder::{Decoder, Model};
pub use self::{
    config::{AudioContext, WhisperConfig},
    error::{ModelFileError, WhisperError},
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
        whisper_rs::install_logging_hooks();
        let (context, name) = load(&config.model)?;
        let (threads, queue) = (config.threads, config.queue);
        let language = config.language.clone();
        let model = Arc::new(Model::new(context, name, config));
        if let Some(language) = language
            && model.language(&language).is_none()
        {
            return Err(WhisperError::Language {
                language,
                model: model.name().to_owned(),
                understood: model.understood(),
            });
        }
        let shared = model.clone();
        let pool = Pool::start("whisper", threads, queue, move || {
            Decoder::new(shared.clone())
        })
        .map_err(WhisperError::Thread)?;
        tracing::info!(
            model = model.name(),
            multilingual = model.is_multilingual(),
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
            detects_language: self.model.is_multilingual(),
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

/// Flash attention stays off: whisper.cpp's reads past the end of a cut encoder context.
fn load(source: &ModelSource) -> Result<(WhisperContext, String), WhisperError> {
    let mut parameters = WhisperContextParameters::new();
    parameters.flash_attn(false);
    let (name, checked) = match source {
        ModelSource::File(path) => {
            let unreadable = |source| WhisperError::Unreadable {
                path: path.clone(),
                source,
            };
            let file = File::open(path).map_err(unreadable)?;
            if file.metadata().map_err(unreadable)?.is_dir() {
                return Err(unreadable(std::io::ErrorKind::IsADirectory.into()));
            }
            let checked = model_file::check(&mut BufReader::new(file));
            (path.display().to_string(), checked)
        }
        ModelSource::Memory(bytes) => (
            "the model in memory".into(),
            model_file::check(&mut Cursor::new(bytes)),
        ),
    };
    checked.map_err(|source| WhisperError::Model {
        model: name.clone(),
        source,
    })?;
    let context = match source {
        ModelSource::File(path) => WhisperContext::new_with_params(path, parameters),
        ModelSource::Memory(bytes) => {
            WhisperContext::new_from_buffer_with_params(bytes, parameters)
        }
    };
    match context {
        Ok(context) => Ok((context, name)),
        Err(_) => Err(WhisperError::Load { model: name }),
    }
}
