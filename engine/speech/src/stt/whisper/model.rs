//! A loaded model and what all that decode with it know.

use std::{
    fs::File,
    io::{BufReader, Cursor},
};

use sidetone_models::ModelSource;
use whisper_rs::{WhisperContext, WhisperContextParameters};

use super::{alignment, config::AudioContext, cut::POSITION, error::WhisperError, model_file};

/// A multilingual vocabulary without any language; each language adds a token.
const NO_LANGUAGE_VOCABULARY: i32 = 51_766;

/// A cut encoder runs in multiples of this many positions. Attention sums over positions, and ggml's fast product of
/// matrices (tinyBLAS) takes 16-bit floats 16 at a time, or 8: any other number is left to a slow one. Whisper's own
/// 1500 is such a number.
const POSITIONS: usize = 16;

/// So many languages are listed in an error.
const FEW_LANGUAGES: usize = 12;

/// Whisper's code and number for a language.
pub(super) type Language = (&'static str, i32);

/// Every model's first language.
pub(super) const ENGLISH: Language = ("en", 0);

#[derive(Debug)]
pub(super) struct Model {
    pub(super) context: WhisperContext,
    /// What errors call it.
    name: String,
    /// What it understands, at least one.
    languages: Vec<Language>,
    audio_context: AudioContext,
}

impl Model {
    /// Reads and checks it. `languages` restricts what it understands, if there are any. `aligned`:
    /// its decodes tell each token's time, which costs a pass of the decoder.
    pub(super) fn load(
        source: &ModelSource,
        languages: &[String],
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
        let Ok(context) = context else {
            return Err(WhisperError::Load { model: name });
        };
        let model = Self {
            languages: vocabulary_languages(&context),
            context,
            name,
            audio_context,
        };
        model.restricted_to(languages)
    }

    fn restricted_to(mut self, codes: &[String]) -> Result<Self, WhisperError> {
        if !codes.is_empty() {
            self.languages = codes
                .iter()
                .map(|code| self.understanding("languages", code))
                .collect::<Result<_, _>>()?;
        }
        Ok(self)
    }

    /// The language of a setting.
    pub(super) fn understanding(
        &self,
        key: &'static str,
        code: &str,
    ) -> Result<Language, WhisperError> {
        self.language(code).ok_or_else(|| WhisperError::Language {
            key,
            language: code.to_owned(),
            model: self.name.clone(),
            understood: self.understood(),
        })
    }

    /// What errors call it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether its vocabulary has languages, and tasks.
    pub(super) fn is_multilingual(&self) -> bool {
        self.context.is_multilingual()
    }

    /// What it understands, at least one.
    pub(super) fn languages(&self) -> &[Language] {
        &self.languages
    }

    /// A language, if the model understands it.
    pub(super) fn language(&self, code: &str) -> Option<Language> {
        let mut languages = self.languages.iter();
        languages.find(|(known, _)| *known == code).copied()
    }

    /// The language, if there is but one.
    pub(super) fn only_language(&self) -> Option<Language> {
        match self.languages[..] {
            [only] => Some(only),
            _ => None,
        }
    }

    /// For errors: what it understands.
    pub(super) fn understood(&self) -> String {
        if !self.is_multilingual() {
            "English only (\"en\"); multilingual models have no \".en\" in their names".into()
        } else if self.languages.len() > FEW_LANGUAGES {
            "Whisper's languages, by their ISO 639-1 codes such as \"en\", \"es\" or \"pt\"".into()
        } else {
            let codes: Vec<_> = self.languages.iter().map(|(code, _)| *code).collect();
            format!("{} only", codes.join(", "))
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
            AudioContext::Cut { padding } => cut_context(len, padding, all),
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

/// How many of `all` positions of the encoder run for `len` samples and `padding` positions of silence after them.
fn cut_context(len: usize, padding: u32, all: i32) -> i32 {
    let needed = len.div_ceil(POSITION) + padding as usize;
    let needed = needed.next_multiple_of(POSITIONS);
    i32::try_from(needed).map_or(all, |needed| needed.min(all))
}

/// The languages of the model's vocabulary; English is the first.
fn vocabulary_languages(context: &WhisperContext) -> Vec<Language> {
    let count = if context.is_multilingual() {
        context.n_vocab() - NO_LANGUAGE_VOCABULARY
    } else {
        1
    };
    (0..count)
        .filter_map(|id| Some((whisper_rs::get_lang_str(id)?, id)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_encoder_holds_the_audio_and_its_padding_in_whole_steps() {
        for (samples, padding, positions) in [
            (1, 0, 16),
            (16 * POSITION, 0, 16),
            (16 * POSITION + 1, 0, 32),
            (16_000, 8, 64),
            (20 * 16_000, 100, 1_104),
            // There are no more.
            (30 * 16_000, 100, 1_500),
            (29 * 16_000, 45, 1_500),
        ] {
            let context = cut_context(samples, padding, 1_500);
            assert_eq!(context, positions, "{samples} samples");
        }
    }
}
