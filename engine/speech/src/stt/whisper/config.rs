//! What can be set about Whisper.

use std::{num::NonZeroUsize, thread};

use sidetone_models::ModelSource;

use super::error::WhisperError;

/// How [`Whisper`](super::Whisper) is set up.
#[derive(Clone, Debug, PartialEq)]
pub struct WhisperConfig {
    /// A model in whisper.cpp's ggml format.
    pub model: ModelSource,
    /// `stt.threads`: how many utterances are decoded at the same time, each by one thread with
    /// its own working memory (15 MiB for the demo model, 25 for tiny, 40 for base, 95 for small).
    /// 1 to 64. Default: one per core, at most 4.
    pub threads: usize,
    /// `stt.queue`: how many jobs may wait for a thread; beyond it jobs fail as overloaded. 1 to
    /// 4096. Default: 64.
    pub queue: usize,
    /// `stt.language`: the language of jobs that name none, an ISO 639-1 code. Default: `None`, a
    /// multilingual model then detects it, at the cost of a second encoder pass.
    pub language: Option<String>,
    /// `stt.languages`: what callers may speak, ISO 639-1 codes: one of them is detected, and jobs
    /// in others are refused. Default: empty, all languages of the model's vocabulary. The bundled
    /// demo model understands fewer, `sidetone_models::demo::LANGUAGES`.
    pub languages: Vec<String>,
    /// `stt.prompt`: text in the style and with the names that callers use; it biases the model
    /// towards them and costs some decoding time. Default: `None`.
    pub prompt: Option<String>,
    /// `stt.no_speech_threshold`: above this probability that nobody spoke, a text that the model
    /// is unsure of is dropped, and above a third of it one that Whisper is known to make up.
    /// Above 0.0 to 1.0. Default: 0.6.
    pub no_speech_threshold: f32,
    /// How much of the encoder runs. Default: [`AudioContext::Cut`] with a padding of 8.
    pub audio_context: AudioContext,
    /// `stt.window_ms`: longer audio is decoded in parts of at most this length, cut where it is
    /// quietest, in ms. 2000 to 29000; a model with a shorter encoder than Whisper's 30 s limits it
    /// further. Default: 29000. A model trained on short utterances only does better with less: the
    /// bundled demo model with 5000.
    pub window_ms: u32,
}

/// How much of the encoder runs for an utterance. It is by far the largest cost of a decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AudioContext {
    /// As much as the audio needs: the cost follows the utterance's length.
    Cut {
        /// How much silence the encoder sees after the audio at least, in positions of 20 ms, 0 to 1500; up to
        /// 15 more make the encoder fast.
        /// The bundled model was trained with 8; other models may read the ends of very short
        /// utterances better with 50 to 250.
        padding: u32,
    },
    /// All 30 s of it, as in training, whatever the audio's length.
    Full,
}

impl Default for AudioContext {
    fn default() -> Self {
        Self::Cut { padding: 8 }
    }
}

impl WhisperConfig {
    /// The defaults, with `model`.
    #[must_use]
    pub fn new(model: ModelSource) -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            model,
            threads: cores.min(4),
            queue: 64,
            language: None,
            languages: Vec::new(),
            prompt: None,
            no_speech_threshold: 0.6,
            audio_context: AudioContext::default(),
            window_ms: 29_000,
        }
    }

    /// Checks every setting that can be checked without the model.
    ///
    /// # Errors
    ///
    /// [`WhisperError::Config`] names the first setting that is out of range.
    pub fn validate(&self) -> Result<(), WhisperError> {
        let padding = match self.audio_context {
            AudioContext::Cut { padding } => padding,
            AudioContext::Full => 0,
        };
        let prompt = self.prompt.as_deref().unwrap_or_default();
        let threshold = self.no_speech_threshold;
        let checks = [
            (
                (1..=64).contains(&self.threads),
                "threads",
                self.threads.to_string(),
                "must be 1 to 64",
            ),
            (
                (1..=4_096).contains(&self.queue),
                "queue",
                self.queue.to_string(),
                "must be 1 to 4096",
            ),
            (
                self.language.as_deref().is_none_or(is_language_code),
                "language",
                format!("{:?}", self.language.as_deref().unwrap_or_default()),
                "must be an ISO 639-1 code such as \"en\", \"es\" or \"pt\"",
            ),
            (
                self.languages.iter().all(|code| is_language_code(code)),
                "languages",
                format!("{:?}", self.languages),
                "must be ISO 639-1 codes such as \"en\", \"es\" or \"pt\"",
            ),
            (
                !prompt.contains('\0'),
                "prompt",
                format!("{prompt:?}"),
                "must not contain a NUL character",
            ),
            (
                threshold > 0.0 && threshold <= 1.0,
                "no_speech_threshold",
                threshold.to_string(),
                "must be above 0.0 and at most 1.0",
            ),
            (
                padding <= 1_500,
                "audio_context",
                padding.to_string(),
                "the padding must be 0 to 1500",
            ),
            (
                (2_000..=29_000).contains(&self.window_ms),
                "window_ms",
                self.window_ms.to_string(),
                "must be 2000 to 29000",
            ),
        ];
        match checks.into_iter().find(|(fine, ..)| !fine) {
            None => Ok(()),
            Some((_, key, value, expected)) => Err(WhisperError::Config {
                key,
                value,
                expected,
            }),
        }
    }
}

/// Whisper's languages have codes of two or three letters.
fn is_language_code(code: &str) -> bool {
    (2..=3).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    type Change = fn(&mut WhisperConfig);

    #[test]
    fn defaults_are_valid() {
        let config = WhisperConfig::new(ModelSource::File(PathBuf::new()));
        config.validate().unwrap();
        assert!((1..=4).contains(&config.threads));
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let wrong: [(&str, Change); 13] = [
            ("threads", |c| c.threads = 0),
            ("threads", |c| c.threads = 65),
            ("queue", |c| c.queue = 0),
            ("queue", |c| c.queue = 5_000),
            ("language", |c| c.language = Some("English".into())),
            ("language", |c| c.language = Some("e\0".into())),
            ("languages", |c| {
                c.languages = vec!["en".into(), "Spanish".into()];
            }),
            ("prompt", |c| c.prompt = Some("a\0b".into())),
            ("no_speech_threshold", |c| c.no_speech_threshold = 0.0),
            ("no_speech_threshold", |c| c.no_speech_threshold = f32::NAN),
            ("audio_context", |c| {
                c.audio_context = AudioContext::Cut { padding: 1_501 };
            }),
            ("window_ms", |c| c.window_ms = 1_999),
            ("window_ms", |c| c.window_ms = 30_000),
        ];
        for (key, change) in wrong {
            let mut config = WhisperConfig::new(ModelSource::File(PathBuf::new()));
            change(&mut config);
            let error = config.validate().unwrap_err().to_string();
            assert!(error.starts_with(&format!("stt.{key} = ")), "{error}");
        }
    }
}
