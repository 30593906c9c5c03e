//! One worker's use of the model: from a job's audio to its transcript.

use std::{
    collections::{HashMap, hash_map::Entry},
    ops::Range,
    sync::Arc,
};

use sidetone_codecs::{Resampler, SampleRate};
use sidetone_core::job::{SttEvent, SttJob, Transcript};
use whisper_rs::{FullParams, SamplingStrategy, WhisperContext, WhisperState, WhisperTokenData};

use super::{
    config::{AudioContext, WhisperConfig, is_language_code},
    ffi,
    gate::{self, Evidence},
};
use crate::pool::{Stop, WorkError, Worker};

const RATE: SampleRate = SampleRate::HZ_16000;

/// Samples of one encoder position, 20 ms.
const POSITION: usize = 320;

/// whisper.cpp takes nothing of 100 ms or less.
const SHORTEST: usize = 3_200;

/// A cut between windows falls into the quietest pause of this much audio.
const CUT_RANGE: usize = 5 * 16_000;

/// Long enough not to be taken for the stop within a word, 200 ms.
const PAUSE: usize = 3_200;

/// Enough speech to tell its language.
const DETECTION: usize = 10 * 16_000;

/// A model that gives digital silence a lower no-speech probability than this never learned to
/// give one (the bundled model, at some 1e-5).
const KNOWS_SILENCE: f32 = 0.01;

/// A multilingual vocabulary without any language; each language adds a token.
const NO_LANGUAGE_VOCABULARY: i32 = 51_766;

/// The loaded model and what all workers know about it.
#[derive(Debug)]
pub(super) struct Model {
    context: WhisperContext,
    /// What errors call it.
    name: String,
    language: Option<String>,
    prompt: Option<String>,
    no_speech_threshold: f32,
    audio_context: AudioContext,
    /// The most samples that are decoded at once.
    longest: usize,
}

impl Model {
    /// Lets go of the configured model's bytes: whisper.cpp has copied them.
    pub(super) fn new(context: WhisperContext, name: String, config: WhisperConfig) -> Self {
        let encoder = usize::try_from(context.n_audio_ctx()).unwrap_or_default() * POSITION;
        Self {
            context,
            name,
            language: config.language,
            prompt: config.prompt,
            no_speech_threshold: config.no_speech_threshold,
            audio_context: config.audio_context,
            longest: encoder.min(config.window_ms as usize * 16),
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

    /// Whisper's code and number for a language, if the model understands it.
    pub(super) fn language(&self, code: &str) -> Option<(&'static str, i32)> {
        if !is_language_code(code) {
            return None;
        }
        let id = whisper_rs::get_lang_id(code)?;
        (id < self.languages()).then_some((whisper_rs::get_lang_str(id)?, id))
    }

    /// How many languages it understands; English is the first.
    fn languages(&self) -> i32 {
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
}

/// A worker's state of whisper.cpp and its buffers.
pub(super) struct Decoder {
    model: Arc<Model>,
    state: WhisperState,
    /// By language: setting one leaks a string in whisper-rs, so each is made once.
    params: HashMap<i32, FullParams<'static, 'static>>,
    resamplers: HashMap<SampleRate, Resampler>,
    pcm: Vec<i16>,
    samples: Vec<f32>,
    knows_silence: bool,
}

impl Decoder {
    pub(super) fn new(model: Arc<Model>) -> Result<Self, String> {
        let state = model
            .context
            .create_state()
            .map_err(|error| format!("cannot make room for a decoder: {error}"))?;
        Ok(Self {
            model,
            state,
            params: HashMap::new(),
            resamplers: HashMap::new(),
            pcm: Vec::new(),
            samples: Vec::new(),
            knows_silence: false,
        })
    }

    /// Brings the job's audio to what Whisper hears, in `self.samples`.
    fn listen(&mut self, job: &SttJob) -> Result<(), WorkError> {
        self.pcm.clear();
        let pcm = if job.rate == RATE {
            &job.audio[..]
        } else {
            let resampler = match self.resamplers.entry(job.rate) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => entry.insert(
                    Resampler::new(job.rate, RATE)
                        .map_err(|error| WorkError::Refused(error.to_string()))?,
                ),
            };
            resampler.process(&job.audio, &mut self.pcm);
            resampler.finish(&mut self.pcm);
            &self.pcm[..]
        };
        self.samples.clear();
        self.samples
            .extend(pcm.iter().map(|sample| f32::from(*sample) / 32_768.0));
        Ok(())
    }

    /// How much of the encoder runs for `len` samples.
    fn audio_context(&self, len: usize) -> i32 {
        let all = self.model.context.n_audio_ctx();
        match self.model.audio_context {
            AudioContext::Full => all,
            AudioContext::Cut { padding } => {
                let needed = len.div_ceil(POSITION) + padding as usize;
                i32::try_from(needed).map_or(all, |needed| needed.min(all))
            }
        }
    }

    fn params(&mut self, language: (&'static str, i32)) -> FullParams<'static, 'static> {
        let (code, id) = language;
        let prompt = self.model.prompt.as_deref();
        self.params
            .entry(id)
            .or_insert_with(|| params(code, prompt))
            .clone()
    }

    fn decode_all(
        &mut self,
        samples: &[f32],
        language: Option<(&'static str, i32)>,
        stop: &Stop<'_>,
    ) -> Result<Transcript, WorkError> {
        let language = match language {
            Some(language) => language,
            None => self.detect(samples)?,
        };
        let mut text = String::new();
        let mut no_speech_probability: Option<f32> = None;
        for window in windows(samples, self.model.longest) {
            if stop() {
                return Err(WorkError::Stopped);
            }
            let window = &samples[window];
            let loudest_dbfs = gate::loudest_dbfs(window);
            let (words, no_speech) = if gate::is_silent(loudest_dbfs) {
                (String::new(), Some(1.0))
            } else {
                self.decode_window(window, loudest_dbfs, language, stop)?
            };
            if !text.is_empty() && !words.is_empty() {
                text.push(' ');
            }
            text.push_str(&words);
            no_speech_probability = match (no_speech_probability, no_speech) {
                (Some(before), Some(now)) => Some(before.min(now)),
                (before, now) => before.or(now),
            };
        }
        Ok(Transcript {
            text,
            language: Some(language.0.to_owned()),
            no_speech_probability,
        })
    }

    /// The language of the first seconds.
    fn detect(&mut self, samples: &[f32]) -> Result<(&'static str, i32), WorkError> {
        let samples = &samples[..samples.len().min(DETECTION)];
        // whisper.cpp's detection uses the spectrogram and the encoder length that the last
        // decode left behind. A decode of 100 ms sets both and then finds nothing to do.
        let mut params = self.params(("en", 0));
        params.set_audio_ctx(self.audio_context(samples.len()));
        params.set_duration_ms(100);
        self.state.full(params, samples).map_err(broken)?;
        let (_, probabilities) = self.state.lang_detect(0, 1).map_err(broken)?;
        (0..self.model.languages())
            .zip(probabilities)
            .max_by(|(_, a), (_, b)| a.total_cmp(b))
            .and_then(|(id, _)| Some((whisper_rs::get_lang_str(id)?, id)))
            .ok_or_else(|| WorkError::Broken("whisper detected no language".into()))
    }

    /// Decodes what fits into the encoder at once: the words, and the probability that there are
    /// none.
    fn decode_window(
        &mut self,
        samples: &[f32],
        loudest_dbfs: f32,
        language: (&'static str, i32),
        stop: &Stop<'_>,
    ) -> Result<(String, Option<f32>), WorkError> {
        let mut params = self.params(language);
        params.set_audio_ctx(self.audio_context(samples.len()));
        params.set_max_tokens(most_tokens(samples.len()));
        let result = ffi::full(&mut self.state, params, samples, &|| stop());
        if stop() {
            return Err(WorkError::Stopped);
        }
        result.map_err(broken)?;

        let mut text = String::new();
        let (mut sum, mut count) = (0.0, 0);
        for segment in self.state.as_iter() {
            text.push_str(&segment.to_str_lossy().map_err(broken)?);
            let tokens = (0..segment.n_tokens()).filter_map(|token| segment.get_token(token));
            for WhisperTokenData { plog, .. } in tokens.map(|token| token.token_data()) {
                sum += plog;
                count += 1;
            }
        }
        let no_speech = if self.knows_silence {
            Some(self.no_speech_probability()?)
        } else {
            None
        };
        let evidence = Evidence {
            no_speech,
            log_probability: if count == 0 { 0.0 } else { sum / count as f32 },
            loudest_dbfs,
        };
        let threshold = self.model.no_speech_threshold;
        Ok((gate::believed(&text, evidence, threshold), no_speech))
    }

    /// The probability of the no-speech token right after the start token, on what the encoder
    /// heard last. (whisper.cpp's own figure is taken after the whole prompt, where models were
    /// never taught to give it.)
    fn no_speech_probability(&mut self) -> Result<f32, WorkError> {
        let start = self.model.context.token_sot();
        let no_speech = self.model.context.token_nosp();
        self.state.decode(&[start], 0, 1).map_err(broken)?;
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
}

impl Worker for Decoder {
    type Job = SttJob;
    type Event = SttEvent;

    fn warm_up(&mut self) -> Result<(), WorkError> {
        let silence = vec![0.0; 16_000];
        self.decode_window(&silence, gate::loudest_dbfs(&silence), ("en", 0), &|| false)?;
        self.knows_silence = self.no_speech_probability()? > KNOWS_SILENCE;
        Ok(())
    }

    fn work(&mut self, job: &SttJob, stop: &Stop<'_>) -> Result<SttEvent, WorkError> {
        let wanted = job.language.as_ref().or(self.model.language.as_ref());
        let language = match wanted {
            Some(code) => Some(self.model.language(code).ok_or_else(|| {
                WorkError::Refused(format!(
                    "language {code:?}: {} understands {}",
                    self.model.name,
                    self.model.understood()
                ))
            })?),
            None if !self.model.is_multilingual() => Some(("en", 0)),
            None => None,
        };
        self.listen(job)?;
        if gate::is_silent(gate::loudest_dbfs(&self.samples)) {
            return Ok(SttEvent::Transcript(Transcript {
                text: String::new(),
                language: language.map(|(code, _)| code.to_owned()),
                no_speech_probability: Some(1.0),
            }));
        }
        if self.samples.len() < SHORTEST {
            self.samples.resize(SHORTEST, 0.0);
        }

        // Taken out while it is read, because decoding needs all of `self`.
        let samples = std::mem::take(&mut self.samples);
        let result = self.decode_all(&samples, language, stop);
        self.samples = samples;
        result.map(SttEvent::Transcript)
    }
}

/// What is right for utterances of a call, with the bundled model as well as OpenAI's:
///
/// - Greedy, at temperature 0, without fall-back to higher ones: those decode again and again
///   when the text looks doubtful, just where a caller waits.
/// - One segment without timestamps and without memory of the last decode: a worker's jobs come
///   from different calls.
/// - `suppress_blank` off: it forbids the text to end before it began, which forces words upon
///   silence.
/// - `suppress_nst` off: told not to write `[noise]`, a model writes words instead. The tags are
///   taken out afterwards.
/// - whisper.cpp's own no-speech rule off (no probability is above 2): the [`gate`] has a better
///   figure.
pub(super) fn params(language: &'static str, prompt: Option<&str>) -> FullParams<'static, 'static> {
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
    if let Some(prompt) = prompt {
        params.set_initial_prompt(prompt);
    }
    params
}

/// More tokens than anybody speaks in this time, in any script: what goes on longer is a loop.
fn most_tokens(samples: usize) -> i32 {
    i32::try_from(24 + samples / 800).unwrap_or(i32::MAX)
}

/// Cuts `samples` into parts of at most `longest`, in the middle of the quietest [`PAUSE`].
fn windows(samples: &[f32], longest: usize) -> Vec<Range<usize>> {
    let mut windows = Vec::new();
    let mut start = 0;
    while samples.len() - start > longest {
        let end = start + longest;
        let earliest = end - CUT_RANGE.min(longest / 2);
        let energy = |pause: usize| -> f32 {
            samples[pause..pause + PAUSE]
                .iter()
                .map(|sample| sample * sample)
                .sum()
        };
        // Of equally quiet pauses the last: fewer windows.
        // Twice a pause from the end, so that no part is too short for whisper.cpp.
        let latest = end - 2 * PAUSE;
        let pause = (earliest..latest)
            .step_by(POSITION)
            .rev()
            .min_by(|a, b| energy(*a).total_cmp(&energy(*b)))
            .unwrap_or(latest);
        let cut = pause + PAUSE / 2;
        windows.push(start..cut);
        start = cut;
    }
    windows.push(start..samples.len());
    windows
}

fn broken(error: whisper_rs::WhisperError) -> WorkError {
    WorkError::Broken(format!("whisper.cpp failed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: usize = 29 * 16_000;

    /// A loud hum with a pause of 200 ms at each of `pauses`.
    fn hum(len: usize, pauses: &[usize]) -> Vec<f32> {
        (0..len)
            .map(|i| {
                let paused = pauses.iter().any(|at| (*at..at + 3_200).contains(&i));
                if paused { 0.0 } else { (i as f32 * 0.1).sin() }
            })
            .collect()
    }

    #[test]
    fn short_audio_is_one_window() {
        for len in [1, 3_200, LONGEST] {
            let parts = windows(&vec![0.0; len], LONGEST);
            assert_eq!(parts.len(), 1);
            assert_eq!(parts[0], 0..len);
        }
    }

    #[test]
    fn long_audio_is_cut_in_its_pauses() {
        let pauses = [27 * 16_000, 40 * 16_000, 54 * 16_000];
        let audio = hum(80 * 16_000, &pauses);
        let parts = windows(&audio, LONGEST);
        assert_eq!(parts.len(), 3);
        assert_eq!((parts[0].start, parts[2].end), (0, audio.len()));
        for (part, next) in parts.iter().zip(&parts[1..]) {
            assert_eq!(part.end, next.start);
            assert!(part.len() <= LONGEST);
            assert!(
                pauses
                    .iter()
                    .any(|at| (*at..at + 3_200).contains(&part.end)),
                "cut at {}",
                part.end
            );
        }
    }

    #[test]
    fn audio_without_a_pause_is_cut_all_the_same() {
        for longest in [POSITION * 64, LONGEST] {
            let audio = hum(longest * 5 / 2, &[]);
            let parts = windows(&audio, longest);
            assert!(
                parts
                    .iter()
                    .all(|part| (SHORTEST..=longest).contains(&part.len()))
            );
            assert_eq!(parts.last().unwrap().end, audio.len());
        }
    }

    #[test]
    fn nobody_speaks_more_tokens_than_the_limit() {
        assert_eq!(most_tokens(SHORTEST), 28);
        assert_eq!(most_tokens(3 * 16_000), 84);
    }
}
