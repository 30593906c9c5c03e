//! From the configuration to the engine: who hears, who answers, who speaks.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use sidetone::{BuildError, Engine, EventLog, EventLogError};
use sidetone_codecs::SampleRate;
use sidetone_core::config::TurnModel;
use sidetone_models::{Manifest, ModelError, demo};
use sidetone_speech::{
    Llm, ProviderError, Stt, Tts, TurnDetector,
    llm::{OpenAiLlm, OpenAiLlmConfig, Script, ScriptError, ScriptLlm},
    onnx::{self, OnnxError},
    phrases,
    stt::{
        OpenAiStt, OpenAiSttConfig,
        whisper::{Whisper, WhisperConfig, WhisperError},
    },
    tts::{AudioFormat, CommandTts, CommandTtsConfig, OpenAiTts, OpenAiTtsConfig, TextOn},
    turn_detector::{SmartTurn, SmartTurnConfig},
    vad::{VadError, VadMaker, VadProvider},
};
use thiserror::Error;

use crate::config::{Config, LlmChoice, LlmConfig, SttChoice, SttConfig, TtsChoice, TtsConfig};
use crate::{recording::RecordingError, store::StoreError};

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
    /// The model cannot be used.
    #[error(transparent)]
    Whisper(#[from] WhisperError),
    /// The model does not know the call's language.
    #[error(
        "`agent.language` = {language:?}: the model {model:?} does not understand it; set \
         `stt.model` to a multilingual one, such as \"base\""
    )]
    Language {
        /// The language.
        language: String,
        /// The model.
        model: String,
    },
    /// The script cannot be used.
    #[error("`llm.script`")]
    Script(#[from] ScriptError),
    /// The voice activity detector cannot be had.
    #[error(transparent)]
    Vad(#[from] VadError),
    /// The turn model cannot be had.
    #[error("`endpointing.model` = \"smart-turn\"")]
    TurnModel(#[source] OnnxError),
    /// The events cannot be written.
    #[error("`events.ndjson`")]
    Events(#[from] EventLogError),
    /// The file for the events is a folder.
    #[error("`events.ndjson` = {}: this is a folder, and must be a file", path.display())]
    EventsIsFolder {
        /// The folder.
        path: PathBuf,
    },
    /// The folder for the events is not there.
    #[error("`events.ndjson` = {}: there is no such folder", path.display())]
    EventsFolder {
        /// The file.
        path: PathBuf,
    },
    /// The database cannot be opened.
    #[error("`store.url`")]
    Store(#[from] StoreError),
    /// The recordings cannot be kept.
    #[error(transparent)]
    Recording(#[from] RecordingError),
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
    let config = &config.spelt_out();
    config.vad.provider.check()?;
    if asks_smart_turn(config) {
        SmartTurnConfig::fetched()
            .and_then(|_| onnx::open())
            .map_err(SetupError::TurnModel)?;
    }
    match config.stt.provider {
        SttChoice::Whisper => {
            whisper_config(&config.stt)?;
            if !may_understand(&config.stt.model, &config.agent.language) {
                return Err(not_understood(&config.stt, &config.agent.language));
            }
        }
        SttChoice::OpenAi => drop(openai_stt(&config.stt)?),
    }
    llm(&config.llm)?;
    tts(&config.tts)?;
    match events_file(config) {
        Some(path) if path.is_dir() => Err(SetupError::EventsIsFolder {
            path: path.to_owned(),
        }),
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
    let config = &config.spelt_out();
    let mut engine = Engine::builder()
        .stt(stt(&config.stt, &config.agent.language).await?)
        .llm(llm(&config.llm)?)
        .tts(tts(&config.tts)?)
        .vad(vad(config.vad.provider).await?)
        .config(config.call(phrases(&config.agent.language)));
    if let Some(maker) = config.vad.noise_suppression.maker() {
        engine = engine.noise_suppressor(maker);
    }
    if asks_smart_turn(config) {
        engine = engine.turn_detector(smart_turn().await?);
    }
    if let Some(path) = events_file(config) {
        engine = engine.event_log(EventLog::ndjson(path)?);
    }
    Ok(engine.build()?)
}

async fn vad(provider: VadProvider) -> Result<VadMaker, SetupError> {
    Ok(off_the_loop(move || provider.load()).await?)
}

fn asks_smart_turn(config: &Config) -> bool {
    config.endpointing.model == TurnModel::SmartTurn
}

async fn smart_turn() -> Result<Arc<dyn TurnDetector>, SetupError> {
    let loaded = off_the_loop(|| SmartTurnConfig::fetched().and_then(SmartTurn::load)).await;
    Ok(Arc::new(loaded.map_err(SetupError::TurnModel)?))
}

/// Runs what blocks while it reads a model.
async fn off_the_loop<T: Send + 'static>(load: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(load)
        .await
        .expect("loading does not panic and is not aborted")
}

async fn stt(config: &SttConfig, language: &str) -> Result<Arc<dyn Stt>, SetupError> {
    match config.provider {
        SttChoice::Whisper => {
            let settings = whisper_config(config)?;
            let whisper = off_the_loop(|| Whisper::load(settings)).await?;
            if whisper.understands(language) {
                Ok(Arc::new(whisper))
            } else {
                Err(not_understood(config, language))
            }
        }
        SttChoice::OpenAi => Ok(Arc::new(openai_stt(config)?)),
    }
}

fn whisper_config(config: &SttConfig) -> Result<WhisperConfig, SetupError> {
    let mut whisper = WhisperConfig::new(sidetone_models::resolve(&config.model)?);
    if config.model == demo::NAME {
        whisper.window_ms = demo::WINDOW_MS;
        whisper.languages = demo::LANGUAGES.map(str::to_owned).to_vec();
    }
    if config.threads > 0 {
        whisper.threads = config.threads;
    }
    whisper.validate()?;
    Ok(whisper)
}

/// What can be said without loading the model; of a file of one's own, nothing.
fn may_understand(model: &str, language: &str) -> bool {
    if model == demo::NAME {
        return demo::LANGUAGES.contains(&language);
    }
    let entry = Manifest::embedded().get(model);
    entry.is_none_or(|entry| entry.languages.include(language))
}

fn not_understood(config: &SttConfig, language: &str) -> SetupError {
    SetupError::Language {
        language: language.to_owned(),
        model: config.model.clone(),
    }
}

fn openai_stt(config: &SttConfig) -> Result<OpenAiStt, SetupError> {
    Ok(OpenAiStt::new(OpenAiSttConfig {
        base_url: config.base_url.clone(),
        api_key: config.api_key.clone(),
        model: config.model.clone(),
        ..OpenAiSttConfig::default()
    })?)
}

fn llm(config: &LlmConfig) -> Result<Arc<dyn Llm>, SetupError> {
    match config.provider {
        LlmChoice::Script => Ok(Arc::new(ScriptLlm::new(script(config)?))),
        LlmChoice::OpenAi => Ok(Arc::new(OpenAiLlm::new(OpenAiLlmConfig {
            base_url: config.base_url.clone(),
            api_key: config.api_key.clone(),
            model: config.model.clone(),
            notice_tool: config.notice_tool,
            ..OpenAiLlmConfig::default()
        })?)),
    }
}

fn script(config: &LlmConfig) -> Result<Script, ScriptError> {
    match non_empty(&config.script) {
        Some(path) => Script::load(path),
        None => Ok(Script::embedded()),
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
        TtsChoice::OpenAi => Arc::new(OpenAiTts::new(OpenAiTtsConfig {
            base_url: config.base_url.clone(),
            api_key: config.api_key.clone(),
            model: config.model.clone(),
            voice: config.voice.clone(),
            ..OpenAiTtsConfig::default()
        })?),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(change: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::default();
        // So that a machine without espeak-ng can tell, too.
        config.tts.provider = TtsChoice::OpenAi;
        change(&mut config);
        check(&config).unwrap_err().to_string()
    }

    #[test]
    fn the_check_knows_models_that_do_not_understand_the_language() {
        let error = mistake(|config| config.agent.language = "de".into());
        assert!(
            error.starts_with("`agent.language` = \"de\": the model \"demo\" does not"),
            "{error}"
        );
        for (model, language, expected) in [
            ("demo", "en", true),
            ("demo", "pt", true),
            ("demo", "fr", false),
            ("small.en-q5_1", "en", true),
            ("small.en-q5_1", "es", false),
            ("small", "es", true),
            ("/models/my-own.bin", "es", true),
        ] {
            assert_eq!(
                may_understand(model, language),
                expected,
                "{model}: {language}"
            );
        }
    }

    #[test]
    fn the_check_knows_where_events_cannot_go() {
        let folder = std::env::temp_dir();
        let error = mistake(|config| config.events.ndjson = folder.display().to_string());
        assert!(
            error.ends_with("this is a folder, and must be a file"),
            "{error}"
        );
        let file = folder.join("no-such-folder").join("events.ndjson");
        let error = mistake(|config| config.events.ndjson = file.display().to_string());
        assert!(error.ends_with("there is no such folder"), "{error}");
    }

    #[test]
    fn the_demo_model_is_given_short_parts_in_its_languages() {
        let config = Config::default().spelt_out();
        let whisper = whisper_config(&config.stt).unwrap();
        assert_eq!(whisper.window_ms, demo::WINDOW_MS);
        assert_eq!(whisper.languages, demo::LANGUAGES);
    }
}
