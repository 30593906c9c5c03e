//! One thread's working memory for a model, and what it is asked to do: tell the language, decode a
//! window, say whether anybody spoke.

use std::{collections::HashMap, sync::Arc};

use whisper_rs::{FullParams, SamplingStrategy, WhisperState};

use super::{
    cut::SHORTEST,
    ffi,
    model::{ENGLISH, Language, Model},
};
use crate::pool::{Stop, WorkError};

/// Enough speech to tell its language.
const DETECTION: usize = 10 * 16_000;

/// A model that gives digital silence a lower no-speech probability than this never learned to
/// give one (the bundled model, at some 1e-5).
const KNOWS_SILENCE: f32 = 0.01;

/// Samples in whisper.cpp's unit of time, 10 ms.
const CENTISECOND: i64 = 160;

/// A state of whisper.cpp and the parameters for it.
pub(super) struct Session {
    pub(super) model: Arc<Model>,
    state: WhisperState,
    /// By language: setting one leaks a string in whisper-rs, so each is made once.
    params: HashMap<i32, FullParams<'static, 'static>>,
    /// How many threads work on a decode. What comes out does not depend on it.
    threads: usize,
    knows_silence: bool,
}

/// How a window is decoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner<'a> {
    pub(super) language: Language,
    pub(super) translate: bool,
    /// Tokens of what came before.
    pub(super) prompt: &'a [i32],
    /// 0 takes the likeliest token each time.
    pub(super) temperature: f32,
}

/// What a window was decoded to.
#[derive(Clone, Debug, Default)]
pub(super) struct Decoded {
    /// Those of the text.
    pub(super) tokens: Vec<Token>,
    /// The mean over the tokens, that of the end included; 0 without any.
    pub(super) log_probability: f32,
    /// Whether it was still writing when it ran out of room.
    pub(super) cut_short: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) id: i32,
    /// Not always whole characters.
    pub(super) bytes: Vec<u8>,
    pub(super) probability: f32,
    /// Where it ends, in samples from the window's beginning; `None` from a model without
    /// alignment.
    pub(super) end: Option<usize>,
}

impl Decoded {
    pub(super) fn text(&self) -> String {
        let bytes: Vec<u8> = self.tokens.iter().flat_map(|t| t.bytes.clone()).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Session {
    pub(super) fn new(model: Arc<Model>, threads: usize) -> Result<Self, String> {
        let state = model
            .context
            .create_state()
            .map_err(|error| format!("cannot make room for a decoder: {error}"))?;
        Ok(Self {
            model,
            state,
            params: HashMap::new(),
            threads,
            knows_silence: false,
        })
    }

    /// The same with working memory that no decode has touched: whisper.cpp's random numbers
    /// start afresh with it.
    pub(super) fn afresh(&self) -> Result<Self, String> {
        let mut fresh = Self::new(self.model.clone(), self.threads)?;
        fresh.params.clone_from(&self.params);
        fresh.knows_silence = self.knows_silence;
        Ok(fresh)
    }

    /// Runs once through everything, and learns whether the model can tell silence.
    pub(super) fn warm_up(&mut self) -> Result<(), WorkError> {
        let manner = Manner {
            language: ENGLISH,
            translate: false,
            prompt: &[],
            temperature: 0.0,
        };
        self.decode(&[0.0; 16_000], manner, &|| false)?;
        self.knows_silence = self.no_speech_token()? > KNOWS_SILENCE;
        Ok(())
    }

    /// Learns whether the model can tell silence, at less cost than warming up: no text is written.
    pub(super) fn learn_silence(&mut self) -> Result<bool, WorkError> {
        self.hear(&[0.0; 16_000])?;
        self.state.encode(0, self.threads).map_err(broken)?;
        self.knows_silence = self.no_speech_token()? > KNOWS_SILENCE;
        Ok(self.knows_silence)
    }

    /// What another session learnt, in place of warming up.
    pub(super) fn learn(&mut self, knows_silence: bool) {
        self.knows_silence = knows_silence;
    }

    /// The language of the first seconds.
    pub(super) fn detect(&mut self, samples: &[f32]) -> Result<Language, WorkError> {
        let samples = &samples[..samples.len().min(DETECTION)];
        self.hear(samples)?;
        let (_, probabilities) = self.state.lang_detect(0, self.threads).map_err(broken)?;
        let probability = |&(_, id): &Language| {
            let id = usize::try_from(id).ok()?;
            probabilities.get(id).copied()
        };
        self.model
            .languages()
            .iter()
            .filter_map(|language| Some((*language, probability(language)?)))
            .max_by(|(_, a), (_, b)| a.total_cmp(b))
            .map(|(language, _)| language)
            .ok_or_else(|| WorkError::Broken("whisper detected no language".into()))
    }

    /// Makes the spectrogram of `samples`, and sets how much of the encoder is to run for them: whisper.cpp's encoder and
    /// its detection use what the last decode left behind. A decode of 100 ms sets both and then finds nothing to do.
    fn hear(&mut self, samples: &[f32]) -> Result<(), WorkError> {
        let mut params = self.params(ENGLISH);
        params.set_audio_ctx(self.model.audio_context(samples.len()));
        params.set_duration_ms(100);
        self.state.full(params, samples).map_err(broken)
    }

    /// Decodes what fits into the encoder at once. At least [`SHORTEST`] samples.
    pub(super) fn decode(
        &mut self,
        samples: &[f32],
        manner: Manner<'_>,
        stop: &Stop<'_>,
    ) -> Result<Decoded, WorkError> {
        debug_assert!(
            samples.len() >= SHORTEST,
            "whisper.cpp takes nothing shorter"
        );
        let mut params: FullParams<'_, '_> = self.params(manner.language);
        params.set_audio_ctx(self.model.audio_context(samples.len()));
        let most_tokens = most_tokens(samples.len()).min(self.model.context.n_text_ctx() / 2 - 5);
        params.set_max_tokens(most_tokens);
        params.set_translate(manner.translate);
        params.set_temperature(manner.temperature);
        if !manner.prompt.is_empty() {
            params.set_tokens(manner.prompt);
        }
        let result = ffi::full(&mut self.state, params, samples, &|| stop());
        if stop() {
            return Err(WorkError::Stopped);
        }
        result.map_err(broken)?;

        let end_of_text = self.model.context.token_eot();
        let mut decoded = Decoded::default();
        let (mut sum, mut count) = (0.0, 0);
        for segment in self.state.as_iter() {
            let tokens = (0..segment.n_tokens()).filter_map(|token| segment.get_token(token));
            for token in tokens {
                let data = token.token_data();
                sum += data.plog;
                count += 1;
                if data.id < end_of_text {
                    decoded.tokens.push(Token {
                        id: data.id,
                        bytes: token.to_bytes().map_err(broken)?.to_vec(),
                        probability: data.p,
                        end: usize::try_from(data.t_dtw * CENTISECOND).ok(),
                    });
                }
            }
        }
        if count > 0 {
            decoded.log_probability = sum / count as f32;
        }
        decoded.cut_short = i32::try_from(decoded.tokens.len()).is_ok_and(|n| n >= most_tokens);
        Ok(decoded)
    }

    /// The probability that nobody spoke in what was decoded last; `None` where the model cannot
    /// tell.
    pub(super) fn no_speech(&mut self) -> Result<Option<f32>, WorkError> {
        if self.knows_silence {
            self.no_speech_token().map(Some)
        } else {
            Ok(None)
        }
    }

    /// The probability of the no-speech token right after the start token, on what the encoder
    /// heard last. (whisper.cpp's own figure is taken after the whole prompt, where models were
    /// never taught to give it.)
    fn no_speech_token(&mut self) -> Result<f32, WorkError> {
        let start = self.model.context.token_sot();
        let no_speech = self.model.context.token_nosp();
        self.state
            .decode(&[start], 0, self.threads)
            .map_err(broken)?;
        let logits = self.state.get_logits().map_err(broken)?;
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = logits.iter().map(|logit| (logit - highest).exp()).sum();
        let logit = usize::try_from(no_speech)
            .ok()
            .and_then(|token| logits.get(token))
            .copied()
            .unwrap_or(f32::NEG_INFINITY);
        Ok((logit - highest).exp() / sum)
    }

    fn params(&mut self, language: Language) -> FullParams<'static, 'static> {
        let (code, id) = language;
        self.params
            .entry(id)
            .or_insert_with(|| {
                let mut params = params(code);
                params.set_n_threads(i32::try_from(self.threads).unwrap_or(1));
                params
            })
            .clone()
    }
}

/// What is right for utterances of a call, with the bundled model as well as OpenAI's:
///
/// - Greedy, without whisper.cpp's fall-back to higher temperatures: it decodes again and again
///   when the text looks doubtful, just where a caller waits. Recordings have a
///   [fall-back](super::batch) of their own.
/// - One segment without timestamps and without memory of the last decode: a worker's windows come
///   from different calls.
/// - `suppress_blank` off: it forbids the text to end before it began, which forces words upon
///   silence.
/// - `suppress_nst` off: told not to write `[noise]`, a model writes words instead. The tags are
///   taken out afterwards.
/// - whisper.cpp's own no-speech rule off (no probability is above 2): the [`gate`](super::gate)
///   has a better figure.
pub(super) fn params(language: &'static str) -> FullParams<'static, 'static> {
    let mut params = FullParams::new(SamplingStrategy::Greedy { best_of: 1 });
    params.set_n_threads(1);
    params.set_language(Some(language));
    params.set_translate(false);
    params.set_no_context(true);
    params.set_no_timestamps(true);
    params.set_single_segment(true);
    params.set_temperature(0.0);
    params.set_temperature_inc(0.0);
    params.set_suppress_blank(false);
    params.set_suppress_nst(false);
    params.set_no_speech_thold(2.0);
    params.set_print_special(false);
    params.set_print_progress(false);
    params.set_print_realtime(false);
    params.set_print_timestamps(false);
    params
}

/// More tokens than anybody speaks in this time, in any script: what goes on longer is a loop.
fn most_tokens(samples: usize) -> i32 {
    i32::try_from(24 + samples / 800).unwrap_or(i32::MAX)
}

fn broken(error: whisper_rs::WhisperError) -> WorkError {
    WorkError::Broken(format!("whisper.cpp failed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_speaks_more_tokens_than_the_limit() {
        assert_eq!(most_tokens(SHORTEST), 28);
        assert_eq!(most_tokens(3 * 16_000), 84);
    }
}
