//! From the configuration to the engine: who hears, who answers, who speaks.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use sidetone::{BuildError, Engine, EventLog, EventLogError};
use sidetone_codecs::SampleRate;
use sidetone_models::ModelError;
use sidetone_speech::{
    Llm, ProviderError, Stt, Tts,
    llm::{OpenAiLlm, OpenAiLlmConfig},
    stt::{OpenAiStt, OpenAiSttConfig},
    tts::{AudioFormat, CommandTts, CommandTtsConfig, OpenAiTts, OpenAiTtsConfig, TextOn},
};
use thiserror::Error;

use crate::config::{Config, LlmChoice, LlmConfig, SttChoice, SttConfig, TtsChoice, TtsConfig};

/// A part that the configuration names cannot be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SetupError {
    /// A speech service or language model cannot be set up.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// There is no such model, or it is not here.
    #[error("`stt.model`")]
    Model(#[from] ModelError),
    /// A file that the configuration names cannot be read.
    #[error("`{key}` = {}: cannot be read", path.display())]
    File {
        /// The key, `section.key`.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The events cannot be written.
    #[error("`events.ndjson`")]
    Events(#[from] EventLogError),
    /// The folder for the events is not there.
    #[error("`events.ndjson` = {}: there is no such folder", path.display())]
    EventsFolder {
        /// The file.
        path: PathBuf,
    },
    /// The parts do not make an engine.
    #[error(transparent)]
    Engine(#[from] BuildError),
}

/// Checks whether an engine could be put together as `config` says: files, models and programs
/// are there. Loads no model and connects to nothing.
///
/// # Errors
///
/// Names the key and what is missing.
pub fn check(config: &Config) -> Result<(), SetupError> {
    match config.stt.provider {
        SttChoice::Whisper => drop(whisper_config(&config.stt)?),
        SttChoice::OpenAi => drop(openai_stt(&config.stt)?),
    }
    llm(&config.llm)?;
    tts(&config.tts)?;
    match events_file(config) {
        Some(path) if !folder_of(path).is_dir() => Err(SetupError::EventsFolder {
            path: path.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// The engine that `config` describes. Loads the model, which takes a while for a large one.
///
/// # Errors
///
/// Those of [`check`], and whatever goes wrong in loading.
pub async fn engine(config: &Config) -> Result<Engine, SetupError> {
    let vad = config.vad.provider;
    let mut engine = Engine::builder()
        .stt(stt(&config.stt).await?)
        .llm(llm(&config.llm)?)
        .tts(tts(&config.tts)?)
        .vad(move || vad.build())
        .config(config.call(phrases(&config.agent.language)));
    if let Some(path) = events_file(config) {
        engine = engine.event_log(EventLog::ndjson(path)?);
    }
    Ok(engine.build()?)
}

async fn stt(config: &SttConfig) -> Result<Arc<dyn Stt>, SetupError> {
    match config.provider {
        SttChoice::Whisper => {
            let config = whisper_config(config)?;
            // Reading the model blocks.
            let whisper = tokio::task::spawn_blocking(|| Whisper::load(config))
                .await
                .expect("loading does not panic and is not aborted")?;
            Ok(Arc::new(whisper))
        }
        SttChoice::OpenAi => Ok(Arc::new(openai_stt(config)?)),
    }
}

fn whisper_config(config: &SttConfig) -> Result<WhisperConfig, SetupError> {
    let name = non_empty(&config.model).unwrap_or_else(|| sidetone_models::demo::NAME.into());
    let mut whisper = WhisperConfig::new(sidetone_models::resolve(&name)?);
    if config.threads > 0 {
        whisper.threads = config.threads;
    }
    whisper.validate()?;
    Ok(whisper)
}

fn openai_stt(config: &SttConfig) -> Result<OpenAiStt, SetupError> {
    let defaults = OpenAiSttConfig::default();
    Ok(OpenAiStt::new(OpenAiSttConfig {
        base_url: config.base_url.clone(),
        api_key: config.api_key.clone(),
        model: non_empty(&config.model).unwrap_or(defaults.model),
        ..OpenAiSttConfig::default()
    })?)
}

fn llm(config: &LlmConfig) -> Result<Arc<dyn Llm>, SetupError> {
    match config.provider {
        LlmChoice::Script => Ok(Arc::new(ScriptLlm::new(script(config)?))),
        LlmChoice::OpenAi => {
            let defaults = OpenAiLlmConfig::default();
            Ok(Arc::new(OpenAiLlm::new(OpenAiLlmConfig {
                base_url: config.base_url.clone(),
                api_key: config.api_key.clone(),
                model: non_empty(&config.model).unwrap_or(defaults.model),
                ..OpenAiLlmConfig::default()
            })?))
        }
    }
}

fn tts(config: &TtsConfig) -> Result<Arc<dyn Tts>, SetupError> {
    Ok(match config.provider {
        TtsChoice::Espeak => Arc::new(CommandTts::new(CommandTtsConfig::espeak(non_empty(
            &config.voice,
        )))?),
        TtsChoice::Command => {
            let by_argument = config.command.iter().any(|part| part.contains("{text}"));
            Arc::new(CommandTts::new(CommandTtsConfig {
                text_on: if by_argument {
                    TextOn::Argument
                } else {
                    TextOn::Stdin
                },
                format: SampleRate::new(config.pcm_rate_hz)
                    .map_or(AudioFormat::Wav, AudioFormat::Pcm),
                voice: non_empty(&config.voice),
                ..CommandTtsConfig::new(config.command.clone())
            })?)
        }
        TtsChoice::OpenAi => {
            let defaults = OpenAiTtsConfig::default();
            Arc::new(OpenAiTts::new(OpenAiTtsConfig {
                base_url: config.base_url.clone(),
                api_key: config.api_key.clone(),
                model: non_empty(&config.model).unwrap_or(defaults.model),
                voice: non_empty(&config.voice).unwrap_or(defaults.voice),
                ..OpenAiTtsConfig::default()
            })?)
        }
    })
}

fn events_file(config: &Config) -> Option<&Path> {
    let path = &config.events.ndjson;
    (!path.is_empty()).then(|| Path::new(path))
}

fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// A text that is set.
fn non_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
