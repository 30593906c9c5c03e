//! A loaded model and what all that decode with it know.

use std::{
    fs::File,
    io::{BufReader, Cursor},
};

use sidetone_models::ModelSource;
use whisper_rs::{WhisperContext, WhisperContextParameters};

use super::{
    alignment,
    config::{AudioContext, is_language_code},
    cut::POSITION,
    error::WhisperError,
    model_file,
};

/// A multilingual vocabulary without any language; each language adds a token.
const NO_LANGUAGE_VOCABULARY: i32 = 51_766;

/// A language as Whisper's code and number.
pub(super) type Language = (&'static str, i32);

/// English, the only language of a model that is not multilingual.
pub(super) const ENGLISH: Language = ("en", 0);

#[derive(Debug)]
pub(super) struct Model {
    pub(super) context: WhisperContext,
    /// What errors call it.
    name: String,
    audio_context: AudioContext,
}

impl Model {
    /// Reads and checks it. `aligned`: its decodes tell each token's time, which costs a pass
    /// of the decoder.
    pub(super) fn load(
        source: &ModelSource,
        audio_context: AudioContext,
        aligned: bool,
    ) -> Result<Self, WhisperError> {
        whisper_rs::install_logging_hooks();
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
        let header = checked.map_err(|source| WhisperError::Model {
            model: name.clone(),
            source,
        })?;
        let mut parameters = WhisperContextParameters::new();
        // Off, because whisper.cpp's reads past the end of a cut encoder context.
        parameters.flash_attn(false);
        if aligned {
            parameters.dtw_parameters(alignment::parameters(&header));
        }
        let context = match source {
            ModelSource::File(path) => WhisperContext::new_with_params(path, parameters),
            ModelSource::Memory(bytes) => {
                WhisperContext::new_from_buffer_with_params(bytes, parameters)
            }
        };
        match context {
            Ok(context) => Ok(Self {
                context,
                name,
                audio_context,
            }),
            Err(_) => Err(WhisperError::Load { model: name }),
        }
    }

    /// What errors call it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it can tell the language.
    pub(super) fn is_multilingual(&self) -> bool {
        self.context.is_multilingual()
    }

    /// A language, if the model understands it.
    pub(super) fn language(&self, code: &str) -> Option<Language> {
        if !is_language_code(code) {
            return None;
        }
        let id = whisper_rs::get_lang_id(code)?;
        (id < self.languages()).then_some((whisper_rs::get_lang_str(id)?, id))
    }

    /// How many languages it understands; English is the first.
    pub(super) fn languages(&self) -> i32 {
        if self.is_multilingual() {
            self.context.n_vocab() - NO_LANGUAGE_VOCABULARY
        } else {
            1
        }
    }

    /// For errors: what it understands.
    pub(super) fn understood(&self) -> &'static str {
        if self.is_multilingual() {
            "Whisper's languages, by their ISO 639-1 codes such as \"en\", \"es\" or \"pt\""
        } else {
            "English only (\"en\"); multilingual models have no \".en\" in their names"
        }
    }

    /// The most samples that are decoded at once, of `window_ms` at most.
    pub(super) fn longest(&self, window_ms: u32) -> usize {
        let encoder = usize::try_from(self.context.n_audio_ctx()).unwrap_or_default() * POSITION;
        encoder.min(window_ms as usize * 16)
    }

    /// How much of the encoder runs for `len` samples.
    pub(super) fn audio_context(&self, len: usize) -> i32 {
        let all = self.context.n_audio_ctx();
        match self.audio_context {
            AudioContext::Full => all,
            AudioContext::Cut { padding } => {
                let needed = len.div_ceil(POSITION) + padding as usize;
                i32::try_from(needed).map_or(all, |needed| needed.min(all))
            }
        }
    }

    /// `text` as tokens to put before a decode. whisper.cpp uses the last
    /// [`prompt_room`](Self::prompt_room) of them.
    pub(super) fn prompt(&self, text: &str) -> Vec<i32> {
        // A token has at least a byte. Without a NUL, which settings refuse, nothing else can fail.
        self.context
            .tokenize(text, text.len() + 1)
            .unwrap_or_default()
    }

    /// How many tokens a prompt may have.
    pub(super) fn prompt_room(&self) -> usize {
        usize::try_from(self.context.n_text_ctx() / 2 - 1).unwrap_or_default()
    }
}
