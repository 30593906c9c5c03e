//! Transcription of recordings, on this machine.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use futures_util::StreamExt;
//! use sidetone::offline::{TranscribeOptions, Transcriber, TranscriberConfig};
//! use sidetone_codecs::recording::Recording;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let transcriber = Transcriber::load(TranscriberConfig::named("base.en")?)?;
//! let path = Path::new("call.wav");
//! let mut transcription =
//!     transcriber.start(Recording::open(path)?, path.into(), TranscribeOptions::default())?;
//! while let Some(segment) = transcription.next().await {
//!     println!("{:>8} ms {}", segment.start_ms, segment.text);
//! }
//! let transcript = transcription.finish().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # How it works
//!
//! One thread for each recording decodes it, block by block, and finds speech: each channel is
//! resampled to 16 kHz and heard by the [VAD](crate::speech::vad::EarshotVad). Digital silence is
//! skipped without being looked at. A piece of speech is kept with 200 ms around it, pauses of less
//! than 500 ms (200 ms for models of short windows) are part of it, and one that is longer than the
//! window is cut at its quietest point.
//!
//! The pieces of a channel are packed into windows of up to 12 s with short silence between them,
//! so that the encoder, which is most of the cost, hears speech only; how much of it runs follows
//! the window's length. Whisper's alignment of words with the audio tells which piece each word
//! belongs to and when it was spoken. A model that was trained on single short utterances, such as
//! the demo model, gets each piece by itself: see [`TranscriberConfig::window_ms`]. A window is not
//! kept open for more than two minutes of the recording.
//!
//! A fixed number of threads decode the windows of all recordings under way, two windows or more at a time.
//! What is decoded from a window depends on nothing else, so the transcript does not depend on the
//! number of threads.
//! Reading waits when two windows for each that is being decoded are ahead: memory is bounded whatever
//! the recording's length, some megabytes beside the model and its decoders' working memory.
//!
//! # Channels
//!
//! [`Channels::Auto`] tells speakers from copies: the first sound, up to 10 s of it, is compared
//! between the channels. If all correlate with the first by 0.9 or more, they are mixed, else each
//! is a speaker; a channel that is silent while another sounds differs from it.
//!
//! # What guards the text
//!
//! What is no speech is not decoded. A text that the model is unsure of (a mean log-probability
//! below −1) or that repeats itself is decoded again at temperatures up to 1.0, and loops that are
//! left are cut to one round. No text is carried from one window to the next, so an error stays
//! where it is. What Whisper is known to write over silence is dropped where the audio is faint or
//! the model itself doubts that anybody spoke. Long speech without words in a window that has some
//! is decoded once more by itself.
//!
//! # What comes out
//!
//! A [`Transcript`], which a [`Format`] writes; [`NdjsonWriter`] writes segments as they come. A
//! [`Redactor`] takes numbers, addresses and swearing out, of a whole transcript or of segments as
//! they come. [`RecordedCalls`] tells which of the engine's own calls a recording is of.
//!
//! # Async
//!
//! All work is done in threads of its own. [`Transcription`] needs no particular runtime: any
//! executor can poll it.

use std::{num::NonZeroUsize, path::PathBuf, sync::Arc, thread, time::Duration};

use sidetone_codecs::recording::Recording;
use sidetone_models::{ModelError, ModelSource, demo};
use sidetone_speech::stt::whisper::{WhisperError, batch::WhisperModel};

mod call;
mod channels;
mod error;
mod format;
mod lane;
mod options;
mod pack;
mod pool;
mod progress;
mod reading;
mod redact;
mod segments;
mod source;
mod task;
mod transcript;
mod transcription;

#[cfg(test)]
mod tests;

pub use call::{RecordedCall, RecordedCallError, RecordedCalls};
pub use error::TranscribeError;
pub use format::{Format, NdjsonWriter, UnknownFormat};
pub use options::{Channels, LanguageChoice, TranscribeOptions};
pub use redact::{Redaction, Redactor, UnknownRedaction};
pub use transcript::{Damage, Segment, Source, Timings, Transcript, Word};
pub use transcription::{Progress, Transcription};

use self::{
    channels::Decision,
    pool::{Build, Pool},
    reading::Plan,
    transcription::About,
};

/// How a [`Transcriber`] is set up.
#[derive(Clone, Debug, PartialEq)]
pub struct TranscriberConfig {
    /// A model in whisper.cpp's ggml format.
    pub model: ModelSource,
    /// What transcripts call the model.
    pub name: String,
    /// What may be spoken, ISO 639-1 codes: one of them is detected, others are refused. Default:
    /// empty, all languages of the model's vocabulary.
    pub languages: Vec<String>,
    /// How many threads decode. 1 to 64. Default: one per core. Two windows are decoded at the same time, by up to
    /// four threads each, and more windows beyond eight threads; with a model of short windows, each thread has one of
    /// its own.
    pub threads: usize,
    /// The longest window that is decoded at once, in ms. 2000 to 30000. Default: 12000, and 5000
    /// for the bundled demo model. Below 10000 the model is taken for one that was trained on
    /// single utterances: each piece of speech is then a window of its own, else windows are filled
    /// with several.
    pub window_ms: u32,
    /// How many times a window is decoded again, at rising temperatures, when the text loops or the
    /// model is unsure of it. 0 to 5. Default: 5.
    pub retries: usize,
}

/// What the attention of Whisper's encoder takes grows with the square of the window: one of 12 s takes less time for
/// a second of speech than one of 30 s, and a fifth of the memory.
const WINDOW_MS: u32 = 12_000;

/// Windows of at least this are filled with several pieces.
const SEVERAL_MS: u32 = 10_000;

/// How much silence the encoder sees after a window, in positions of 20 ms: models of long windows
/// expect some, a second, the demo model was trained with this little.
const PADDING: u32 = 50;
const PADDING_SHORT: u32 = 8;

/// No more threads than these work on a window together: they share its working memory, some 80 MB for tiny.
const TOGETHER: usize = 4;

/// So many windows are decoded at the same time where there are as many threads. Threads that work on a window
/// together wait for each other at every step, idle while one of them samples or aligns, and stand still when one of
/// them has to make room for another program.
const AT_A_TIME: usize = 2;

/// Speech parted by less than this is one piece. Models of short windows were trained on what is
/// said without a pause.
const PAUSE_MS: u32 = 500;
const PAUSE_SHORT_MS: u32 = 200;

impl TranscriberConfig {
    /// The defaults for a model by its name: `demo`, one that was fetched, or a path.
    ///
    /// # Errors
    ///
    /// [`ModelError`] where there is no such model.
    pub fn named(name: &str) -> Result<Self, ModelError> {
        let mut config = Self::new(sidetone_models::resolve(name)?, name);
        if name == demo::NAME {
            config.window_ms = demo::WINDOW_MS;
            config.languages = demo::LANGUAGES.map(str::to_owned).to_vec();
        }
        Ok(config)
    }

    /// The defaults for a model of one's own.
    #[must_use]
    pub fn new(model: ModelSource, name: &str) -> Self {
        Self {
            model,
            name: name.to_owned(),
            languages: Vec::new(),
            threads: thread::available_parallelism().map_or(1, NonZeroUsize::get),
            window_ms: WINDOW_MS,
            retries: WhisperModel::MAX_RETRIES,
        }
    }

    /// Checks what can be checked without the model.
    ///
    /// # Errors
    ///
    /// [`TranscribeError::Option`] names the first setting that is out of range.
    pub fn validate(&self) -> Result<(), TranscribeError> {
        let retries = WhisperModel::MAX_RETRIES;
        let checks = [
            ("threads", self.threads, 1..=64, "must be 1 to 64"),
            (
                "window_ms",
                self.window_ms as usize,
                2_000..=30_000,
                "must be 2000 to 30000",
            ),
            ("retries", self.retries, 0..=retries, "must be 0 to 5"),
        ];
        match checks
            .into_iter()
            .find(|(_, value, range, _)| !range.contains(value))
        {
            None => Ok(()),
            Some((key, value, _, expected)) => Err(TranscribeError::Option {
                key,
                value: value.to_string(),
                expected: expected.into(),
            }),
        }
    }
}

/// Transcribes recordings with a local Whisper model. Cheap to clone; recordings that are under way
/// at the same time share the threads.
#[derive(Clone)]
pub struct Transcriber {
    engine: Arc<Engine>,
}

/// What all recordings share.
struct Engine {
    pool: Arc<Pool>,
    model: WhisperModel,
    name: String,
    several: bool,
}

impl std::fmt::Debug for Transcriber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transcriber")
            .field("model", &self.engine.name)
            .field("threads", &self.engine.pool.threads())
            .finish_non_exhaustive()
    }
}

impl Transcriber {
    /// Loads the model. Blocks while it reads the file.
    ///
    /// # Errors
    ///
    /// [`TranscribeError`] says which setting or what about the model is wrong.
    pub fn load(config: TranscriberConfig) -> Result<Self, TranscribeError> {
        config.validate()?;
        let several = config.window_ms >= SEVERAL_MS;
        let padding = if several { PADDING } else { PADDING_SHORT };
        let languages = &config.languages;
        let model = WhisperModel::load(&config.model, languages, config.window_ms, padding)
            .map_err(|error| match error {
                WhisperError::Language {
                    key,
                    language,
                    understood,
                    ..
                } => TranscribeError::Option {
                    key,
                    value: format!("{language:?}"),
                    expected: format!("{} understands {understood}", config.name),
                },
                error => error.into(),
            })?;
        // What is small is not worth sharing out.
        let windows = if several {
            config
                .threads
                .div_ceil(TOGETHER)
                .max(config.threads.min(AT_A_TIME))
        } else {
            config.threads
        };
        let (shared, retries, together) = (model.clone(), config.retries, config.threads / windows);
        let build: Arc<Build> = Arc::new(move || Ok(Box::new(shared.decoder(retries, together)?)));
        let pool = Pool::start(windows, build).map_err(TranscribeError::Thread)?;
        Ok(Self {
            engine: Arc::new(Engine {
                pool: Arc::new(pool),
                model,
                name: config.name,
                several,
            }),
        })
    }

    /// Starts on a recording. `name` stands in the transcript and in errors.
    ///
    /// # Errors
    ///
    /// [`TranscribeError`] where the options do not fit the model or the recording.
    pub fn start(
        &self,
        recording: Recording,
        name: PathBuf,
        options: TranscribeOptions,
    ) -> Result<Transcription, TranscribeError> {
        let channels = recording.channels().get();
        let rate = recording.rate();
        let plan = self.plan(rate, channels, options)?;
        let total = recording
            .announced_len()
            .map(|len| Duration::from_secs_f64(len.0 as f64 / f64::from(rate.hz())));
        let about = About {
            name,
            format: recording.format().to_owned(),
            rate_hz: rate.hz(),
            channels,
            model: self.engine.name.clone(),
        };
        Transcription::start(&self.engine.pool, recording, plan, about, total)
    }

    /// Checks the options against the model and the recording.
    fn plan(
        &self,
        rate: sidetone_codecs::SampleRate,
        channels: u16,
        options: TranscribeOptions,
    ) -> Result<Plan, TranscribeError> {
        let model = &self.engine.model;
        let wrong = |key, value: String, expected: String| TranscribeError::Option {
            key,
            value,
            expected,
        };
        let understood = || format!("{} understands {}", self.engine.name, model.understood());
        let language = match options.language {
            LanguageChoice::Is(code) if !model.understands(&code) => {
                return Err(wrong("language", format!("{code:?}"), understood()));
            }
            LanguageChoice::DetectOnce | LanguageChoice::DetectEach if !model.is_multilingual() => {
                LanguageChoice::Is("en".into())
            }
            language => language,
        };
        if options.translate && !model.is_multilingual() {
            return Err(wrong("translate", "true".into(), understood()));
        }
        if options.translate && self.engine.name == demo::NAME {
            let expected = "the demo model has not learnt to translate".into();
            return Err(wrong("translate", "true".into(), expected));
        }
        let speakers = speakers(options.speakers, options.channels, usize::from(channels))?;
        let prompt = prompt(options.prompt.as_deref(), &options.vocabulary)?;
        let tokens = model.prompt(&prompt);
        if tokens.len() > model.prompt_room() {
            let (key, value) = match options.prompt {
                Some(_) => ("prompt", "with the vocabulary"),
                None => ("vocabulary", "the terms"),
            };
            let expected = format!("the model takes {} tokens", model.prompt_room());
            return Err(wrong(
                key,
                format!("{value} {} tokens", tokens.len()),
                expected,
            ));
        }
        let several = self.engine.several && language != LanguageChoice::DetectEach;
        Ok(Plan {
            rate,
            channels: usize::from(channels),
            decision: Decision::new(options.channels, usize::from(channels), rate.hz()),
            speakers,
            language,
            translate: options.translate,
            prompt: tokens.into(),
            words: options.words,
            longest: model.longest(),
            several,
            pause_ms: if self.engine.several {
                PAUSE_MS
            } else {
                PAUSE_SHORT_MS
            },
        })
    }
}

/// A name for each channel, or none.
fn speakers(
    names: Vec<String>,
    wanted: Channels,
    channels: usize,
) -> Result<Vec<String>, TranscribeError> {
    if names.is_empty() {
        return Ok(match channels {
            1 => Vec::new(),
            2 => vec!["caller".into(), "agent".into()],
            _ => (1..=channels).map(|n| format!("speaker {n}")).collect(),
        });
    }
    if names.len() == channels || (wanted == Channels::Mix && names.len() < channels) {
        return Ok(names);
    }
    Err(TranscribeError::Option {
        key: "speakers",
        value: format!("{} names", names.len()),
        expected: format!("the recording has {channels} channels: name each, or none"),
    })
}

/// Whisper reads it as what stood before.
fn prompt(prompt: Option<&str>, vocabulary: &[String]) -> Result<String, TranscribeError> {
    let mut composed = String::new();
    if !vocabulary.is_empty() {
        composed = format!(" Glossary: {}.", vocabulary.join(", "));
    }
    if let Some(prompt) = prompt.map(str::trim).filter(|prompt| !prompt.is_empty()) {
        composed.push(' ');
        composed.push_str(prompt);
    }
    if composed.contains('\0') {
        return Err(TranscribeError::Option {
            key: "prompt",
            value: format!("{composed:?}"),
            expected: "must not contain a NUL character".into(),
        });
    }
    Ok(composed)
}
