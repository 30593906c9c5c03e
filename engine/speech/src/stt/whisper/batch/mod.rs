//! Whisper for recordings: windows of speech in, words with their times out.
//!
//! A [`WhisperModel`] is shared by any number of [`WindowDecoder`]s, each with working memory of its own.
//! What is decoded depends on the window alone: not on the windows before it, nor on which decoder
//! it falls to.
//!
//! Nobody waits here, so a doubtful text is decoded again, as OpenAI's own code does: one that the
//! model is unsure of, or that loops. The temperature goes up from 0 in steps of 0.2, and the first
//! text that is not doubtful is taken. If none is, the least doubtful, with its loops cut to one
//! round.
//!
//! Times come from whisper.cpp's alignment of the tokens with the audio: dynamic time warping over
//! the attention of the heads that are known to follow the audio.

mod loops;
mod pieces;
mod words;

use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use sidetone_models::ModelSource;

pub use self::{pieces::Piece, words::DecodedWord};
use super::{
    config::AudioContext,
    cut::SHORTEST,
    error::WhisperError,
    gate::{self, Evidence},
    model::{ENGLISH, Language, Model},
    session::{Decoded, Manner, Session},
};
use crate::pool::WorkError;

pub use super::cut::cut;

/// Below this mean log-probability a text is doubtful: OpenAI's `logprob_threshold`.
const DOUBTFUL: f32 = -1.0;

/// Above this probability of silence a doubtful text needs no second try: OpenAI's
/// `no_speech_threshold`.
const NO_SPEECH: f32 = 0.6;

/// The temperatures after 0.
const TEMPERATURES: [f32; 5] = [0.2, 0.4, 0.6, 0.8, 1.0];

/// Speech of this length has words, 1 s.
const HAS_WORDS: usize = 16_000;

/// No window is halved to less than this, 4 s.
const HALVED: usize = 4 * 16_000;

/// A Whisper model that decodes windows of recordings. Cheap to clone.
#[derive(Clone, Debug)]
pub struct WhisperModel {
    model: Arc<Model>,
    longest: usize,
    /// Whether it can tell silence. Learnt by the first decoder, with a decode of its own.
    knows_silence: Arc<Mutex<Option<bool>>>,
}

impl WhisperModel {
    /// How many higher temperatures there are to try.
    pub const MAX_RETRIES: usize = TEMPERATURES.len();

    /// Loads a model in whisper.cpp's ggml format. Blocks while it reads the file.
    ///
    /// `languages`, if any, are those that it is to understand, as ISO 639-1 codes.
    /// `window_ms` is the longest window it is given, of at most 30 s; a model with a shorter
    /// encoder limits it further. `padding` is how much silence the encoder sees after a window at least, in
    /// positions of 20 ms.
    ///
    /// # Errors
    ///
    /// [`WhisperError`] says what about the model is wrong.
    pub fn load(
        source: &ModelSource,
        languages: &[String],
        window_ms: u32,
        padding: u32,
    ) -> Result<Self, WhisperError> {
        let model = Model::load(source, languages, AudioContext::Cut { padding }, true)?;
        Ok(Self {
            longest: model.longest(window_ms),
            model: Arc::new(model),
            knows_silence: Arc::default(),
        })
    }

    /// Whether its vocabulary has other languages than English, and with them translation.
    #[must_use]
    pub fn is_multilingual(&self) -> bool {
        self.model.is_multilingual()
    }

    /// Whether it understands a language, given as an ISO 639-1 code.
    #[must_use]
    pub fn understands(&self, language: &str) -> bool {
        self.model.language(language).is_some()
    }

    /// The language, if there is but one to understand.
    #[must_use]
    pub fn only_language(&self) -> Option<&'static str> {
        self.model.only_language().map(|(code, _)| code)
    }

    /// What it understands, for errors.
    #[must_use]
    pub fn understood(&self) -> String {
        self.model.understood()
    }

    /// The longest window, in samples at 16 kHz.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Turns text into tokens for [`WindowTask::prompt`].
    #[must_use]
    pub fn prompt(&self, text: &str) -> Vec<i32> {
        self.model.prompt(text)
    }

    /// How many tokens a prompt may have. Of a longer one the beginning is lost.
    #[must_use]
    pub fn prompt_room(&self) -> usize {
        self.model.prompt_room()
    }

    /// A decoder. `retries` is how many higher temperatures it tries; `threads`, at least 1, how many work
    /// on a window at the same time: they share the working memory, which is most of what a decoder takes.
    ///
    /// # Errors
    ///
    /// [`WindowError::Broken`] if there is no memory for it.
    pub fn decoder(&self, retries: usize, threads: usize) -> Result<WindowDecoder, WindowError> {
        let session = Session::new(self.model.clone(), threads.max(1));
        let mut session = session.map_err(WindowError::Broken)?;
        // Of decoders made at the same time one finds out, and the others wait.
        let mut known = self
            .knows_silence
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match *known {
            Some(knows_silence) => session.learn(knows_silence),
            None => {
                *known = Some(session.learn_silence()?);
            }
        }
        drop(known);
        Ok(WindowDecoder { session, retries })
    }
}

/// What is asked of a [`WindowDecoder`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowTask {
    /// The language spoken, an ISO 639-1 code.
    pub language: String,
    /// Write English whatever is spoken. Only for multilingual models.
    pub translate: bool,
    /// What came before, see [`WhisperModel::prompt`].
    pub prompt: Arc<[i32]>,
}

/// What was said in a [`Piece`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DecodedPiece {
    /// The words; none where nobody spoke.
    pub words: Vec<DecodedWord>,
}

/// A window's content.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DecodedWindow {
    /// What was said in each piece.
    pub pieces: Vec<DecodedPiece>,
    /// How many times the encoder ran.
    pub encodes: u32,
}

/// Why a window was not decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WindowError {
    /// It was told to stop.
    #[error("stopped")]
    Stopped,
    /// The model does not understand the language.
    #[error("{0}")]
    Refused(String),
    /// whisper.cpp failed. The decoder is not to be used again.
    #[error("{0}")]
    Broken(String),
}

impl From<WorkError> for WindowError {
    fn from(error: WorkError) -> Self {
        match error {
            WorkError::Stopped => Self::Stopped,
            WorkError::Refused(reason) => Self::Refused(reason),
            WorkError::Broken(reason) => Self::Broken(reason),
        }
    }
}

/// Decodes windows, one at a time, with working memory of its own.
pub struct WindowDecoder {
    session: Session,
    retries: usize,
}

impl std::fmt::Debug for WindowDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WindowDecoder").finish_non_exhaustive()
    }
}

/// Tells whether the decode at hand is to be given up.
type Stop<'a> = dyn Fn() -> bool + Sync + 'a;

impl WindowDecoder {
    /// The language spoken in the first 10 s of `samples`, an ISO 639-1 code. Costs a run of the
    /// encoder.
    ///
    /// # Errors
    ///
    /// [`WindowError::Broken`].
    pub fn detect(&mut self, samples: &[f32]) -> Result<&'static str, WindowError> {
        let (code, _) = self.session.detect(&at_least_shortest(samples))?;
        Ok(code)
    }

    /// Decodes a window: `samples` at 16 kHz, at most [`WhisperModel::longest`], which holds
    /// `pieces` in order.
    ///
    /// # Errors
    ///
    /// [`WindowError`]; [`Stopped`](WindowError::Stopped) soon after `stop` says so.
    pub fn decode(
        &mut self,
        samples: &[f32],
        pieces: &[Piece],
        task: &WindowTask,
        stop: &Stop<'_>,
    ) -> Result<DecodedWindow, WindowError> {
        let language = self.session.model.language(&task.language);
        let language = language.ok_or_else(|| {
            WindowError::Refused(format!(
                "language {:?}: the model understands {}",
                task.language,
                self.session.model.understood()
            ))
        })?;
        let mut encodes = 0;
        let mut run = Run {
            decoder: self,
            task,
            language,
            stop,
            encodes: &mut encodes,
        };
        let mut dealt = run.window(samples, pieces)?;
        for missed in missed(&dealt, pieces) {
            let again = run.part(samples, &pieces[missed.clone()])?;
            dealt.splice(missed, again);
        }
        let pieces = dealt.into_iter().map(|words| DecodedPiece { words });
        Ok(DecodedWindow {
            pieces: pieces.collect(),
            encodes,
        })
    }
}

/// One window being decoded.
struct Run<'a> {
    decoder: &'a mut WindowDecoder,
    task: &'a WindowTask,
    language: Language,
    stop: &'a Stop<'a>,
    encodes: &'a mut u32,
}

impl Run<'_> {
    /// The words of each piece.
    fn window(
        &mut self,
        samples: &[f32],
        pieces: &[Piece],
    ) -> Result<Vec<Vec<DecodedWord>>, WindowError> {
        let decoded = self.settled(samples)?;
        let sure = decoded.log_probability >= DOUBTFUL;
        if decoded.cut_short && sure && samples.len() >= 2 * HALVED {
            return self.halves(samples, pieces);
        }
        let words = words::words(&decoded.tokens, self.written(), samples.len());
        let mut dealt = pieces::deal(words, pieces);
        // It costs as much as writing a token, and mostly decides nothing.
        let matters = !sure
            || dealt
                .iter()
                .any(|words| gate::may_be_invention(&text(words)));
        let no_speech = if matters {
            self.decoder.session.no_speech()?
        } else {
            None
        };
        for (words, piece) in dealt.iter_mut().zip(pieces) {
            let evidence = Evidence {
                no_speech,
                log_probability: decoded.log_probability,
                loudest_dbfs: gate::loudest_dbfs(&samples[piece.audio.clone()]),
            };
            *words = believed(std::mem::take(words), evidence);
        }
        Ok(dealt)
    }

    /// The language of the text.
    fn written(&self) -> &'static str {
        if self.task.translate {
            ENGLISH.0
        } else {
            self.language.0
        }
    }

    /// Some pieces of a window as one of their own.
    fn part(
        &mut self,
        samples: &[f32],
        pieces: &[Piece],
    ) -> Result<Vec<Vec<DecodedWord>>, WindowError> {
        let at = pieces[0].audio.start..pieces[pieces.len() - 1].audio.end;
        let moved: Vec<Piece> = pieces.iter().map(|piece| moved(piece, at.start)).collect();
        let dealt = self.window(&samples[at.clone()], &moved)?;
        Ok(dealt
            .into_iter()
            .map(|words| later(words, at.start))
            .collect())
    }

    /// For more words than fit into what Whisper writes at once: the window in two parts.
    fn halves(
        &mut self,
        samples: &[f32],
        pieces: &[Piece],
    ) -> Result<Vec<Vec<DecodedWord>>, WindowError> {
        let half = samples.len() / 2;
        if pieces.len() > 1 {
            let distance = |n: &usize| pieces[*n].audio.start.abs_diff(half);
            let n = (1..pieces.len()).min_by_key(distance).unwrap_or(1);
            let mut dealt = self.part(samples, &pieces[..n])?;
            dealt.extend(self.part(samples, &pieces[n..])?);
            return Ok(dealt);
        }
        let at = cut(samples, half + half / 2).unwrap_or(half);
        let mut words = Vec::new();
        for part in [0..at, at..samples.len()] {
            let piece = Piece {
                audio: 0..part.len(),
                speech: overlap(&pieces[0].speech, &part),
            };
            let mut dealt = self.window(&samples[part.clone()], &[piece])?;
            words.extend(later(dealt.pop().unwrap_or_default(), part.start));
        }
        Ok(vec![words])
    }

    /// Decodes until the text is not doubtful, or there is no more to try.
    fn settled(&mut self, samples: &[f32]) -> Result<Decoded, WindowError> {
        let samples = &*at_least_shortest(samples);
        let mut manner = Manner {
            language: self.language,
            translate: self.task.translate,
            prompt: &self.task.prompt,
            temperature: 0.0,
        };
        let session = &mut self.decoder.session;
        *self.encodes += 1;
        let mut best = session.decode(samples, manner, self.stop)?;
        let again = match doubt(&best) {
            Doubt::None => false,
            Doubt::Unsure => session
                .no_speech()?
                .is_none_or(|silent| silent <= NO_SPEECH),
            Doubt::Loops => true,
        };
        if again {
            let mut fresh = None;
            for temperature in &TEMPERATURES[..self.decoder.retries.min(TEMPERATURES.len())] {
                // With random numbers of its own, so that nothing depends on what this thread did
                // before.
                let session = match &mut fresh {
                    Some(session) => session,
                    None => {
                        fresh.insert(self.decoder.session.afresh().map_err(WindowError::Broken)?)
                    }
                };
                manner.temperature = *temperature;
                *self.encodes += 1;
                let again = session.decode(samples, manner, self.stop)?;
                if rank(&again) > rank(&best) {
                    best = again;
                }
                if doubt(&best) == Doubt::None {
                    break;
                }
            }
        }
        loops::cut(&mut best.tokens, |token| token.id);
        Ok(best)
    }
}

/// Runs of pieces without words, though they are long enough to have some and others have theirs: a
/// model may take a pause for the end.
fn missed(dealt: &[Vec<DecodedWord>], pieces: &[Piece]) -> Vec<Range<usize>> {
    let mut missed: Vec<Range<usize>> = Vec::new();
    if dealt.iter().all(Vec::is_empty) {
        return missed;
    }
    for (n, (words, piece)) in dealt.iter().zip(pieces).enumerate() {
        if !words.is_empty() || piece.speech.len() < HAS_WORDS {
            continue;
        }
        match missed.last_mut() {
            Some(last) if last.end == n => last.end = n + 1,
            _ => missed.push(n..n + 1),
        }
    }
    missed
}

/// What speaks against a text, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Doubt {
    None,
    Unsure,
    Loops,
}

fn doubt(decoded: &Decoded) -> Doubt {
    let ids: Vec<i32> = decoded.tokens.iter().map(|token| token.id).collect();
    if loops::find(&ids).is_some() {
        Doubt::Loops
    } else if decoded.log_probability < DOUBTFUL {
        Doubt::Unsure
    } else {
        Doubt::None
    }
}

/// The less doubtful first, then the likelier.
fn rank(decoded: &Decoded) -> (std::cmp::Reverse<Doubt>, i64) {
    let likelihood = (f64::from(decoded.log_probability) * 1e6) as i64;
    (std::cmp::Reverse(doubt(decoded)), likelihood)
}

fn text(words: &[DecodedWord]) -> String {
    words.iter().map(|word| &*word.text).collect()
}

/// The words without tags for noises; none if the evidence is against them.
fn believed(words: Vec<DecodedWord>, evidence: Evidence) -> Vec<DecodedWord> {
    if gate::believed(&text(&words), evidence, NO_SPEECH).is_empty() {
        return Vec::new();
    }
    let mut tags = gate::Tags::default();
    words
        .into_iter()
        .filter_map(|mut word| {
            word.text = tags.taken_out_of(&word.text);
            (!word.text.trim().is_empty()).then_some(word)
        })
        .collect()
}

/// whisper.cpp takes nothing shorter: silence makes up for it.
fn at_least_shortest(samples: &[f32]) -> std::borrow::Cow<'_, [f32]> {
    if samples.len() >= SHORTEST {
        return samples.into();
    }
    let mut longer = samples.to_vec();
    longer.resize(SHORTEST, 0.0);
    longer.into()
}

/// `piece` in a window that begins at `start`.
fn moved(piece: &Piece, start: usize) -> Piece {
    Piece {
        audio: piece.audio.start - start..piece.audio.end - start,
        speech: piece.speech.start - start..piece.speech.end - start,
    }
}

/// `words` in a window that began `by` earlier.
fn later(mut words: Vec<DecodedWord>, by: usize) -> Vec<DecodedWord> {
    for word in &mut words {
        word.at = word.at.start + by..word.at.end + by;
    }
    words
}

/// The part of `range` within `part`, counted from `part`'s beginning.
fn overlap(range: &Range<usize>, part: &Range<usize>) -> Range<usize> {
    let start = range.start.clamp(part.start, part.end);
    let end = range.end.clamp(start, part.end);
    start - part.start..end - part.start
}
