//! The caller's audio on its way to a decision: resampled for the detector, cut into its frames,
//! and kept for the recogniser.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use sidetone_codecs::{Resampler, SampleCount, SampleRate};

use crate::{
    loudness::{Loudness, level_dbfs},
    noise::Noise,
    suppression::{NoiseSuppressor, Suppression},
    vad::Vad,
};

/// Runs the detector over the leg's audio, and records what belongs to a turn.
pub(crate) struct Hearing {
    vad: Box<dyn Vad>,
    frame: Duration,
    loudness: Loudness,
    noise: Noise,
    suppression: Option<Suppression>,
    /// From the leg, or what takes the noise out of it, to the detector.
    resampler: Resampler,
    /// At the detector's rate, less than one frame between pushes.
    unframed: Vec<i16>,
    rate: SampleRate,
    recording: Recording,
    /// What came before the turn, at the leg's rate.
    pre_roll: VecDeque<i16>,
    pre_roll_len: usize,
    /// The turn so far, at the leg's rate. Room for the longest is reserved when a turn begins and
    /// given back when it ends: no frame waits for it, and a call that listens does not hold it.
    utterance: Vec<i16>,
    utterance_len: usize,
}

/// What a frame of the caller's audio sounds like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    /// The detector's probability of speech.
    pub(crate) speech: f32,
    /// It is as quiet as the line without speech, or nothing but its noise.
    pub(crate) is_quiet: bool,
    /// It is nothing but the line's noise, however loud that is.
    pub(crate) is_noise: bool,
    /// How long it is.
    pub(crate) duration: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recording {
    PreRoll,
    Utterance,
}

impl Hearing {
    /// Listens to a leg of `rate`; `pre_roll` is how much audio before the detector's decision
    /// belongs to a turn, `max_turn` how much may follow. `None` if the leg's rate cannot be
    /// resampled to the detector's.
    pub(crate) fn new(
        vad: Box<dyn Vad>,
        suppressor: Option<Box<dyn NoiseSuppressor>>,
        rate: SampleRate,
        pre_roll: Duration,
        max_turn: Duration,
    ) -> Option<Self> {
        let suppression = match suppressor {
            Some(suppressor) => Some(Suppression::new(suppressor, rate)?),
            None => None,
        };
        let from = suppression.as_ref().map_or(rate, Suppression::rate);
        let resampler = Resampler::new(from, vad.rate()).ok()?;
        let lag = suppression.as_ref().map(Suppression::delay);
        let pre_roll = pre_roll + lag.unwrap_or_default();
        let frame_len = vad.frame_len();
        let frame = SampleCount(frame_len as u64).duration(vad.rate());
        let pre_roll_len = len(rate.samples_in(pre_roll));
        Some(Self {
            frame,
            loudness: Loudness::new(),
            noise: Noise::new(frame),
            suppression,
            resampler,
            // A frame of the leg is 20 ms, a few at most; the reserve covers 200 ms.
            unframed: Vec::with_capacity(
                frame_len + len(vad.rate().samples_in(Duration::from_millis(200))),
            ),
            vad,
            rate,
            recording: Recording::PreRoll,
            pre_roll: VecDeque::with_capacity(pre_roll_len),
            pre_roll_len,
            utterance: Vec::new(),
            utterance_len: pre_roll_len + len(rate.samples_in(max_turn + Duration::from_secs(2))),
        })
    }

    /// Takes the leg's next audio and calls `on_frame` for each of the detector's frames that
    /// became complete.
    pub(crate) fn push(&mut self, pcm: &[i16], mut on_frame: impl FnMut(Frame)) {
        match self.recording {
            Recording::Utterance => self.utterance.extend_from_slice(pcm),
            Recording::PreRoll => {
                let fresh = &pcm[pcm.len().saturating_sub(self.pre_roll_len)..];
                let excess = (self.pre_roll.len() + fresh.len()).saturating_sub(self.pre_roll_len);
                self.pre_roll.drain(..excess);
                self.pre_roll.extend(fresh);
            }
        }
        match &mut self.suppression {
            None => self.resampler.process(pcm, &mut self.unframed),
            Some(suppression) => suppression.push(pcm, |clean| {
                self.resampler.process(clean, &mut self.unframed);
            }),
        }
        let frame_len = self.vad.frame_len();
        let mut frames = self.unframed.chunks_exact(frame_len);
        for frame in &mut frames {
            let level = level_dbfs(frame);
            let is_noise = self.noise.is_all(level, self.frame);
            on_frame(Frame {
                speech: self.vad.push(frame),
                is_quiet: self.loudness.is_quiet(level, self.frame) || is_noise,
                is_noise,
                duration: self.frame,
            });
        }
        let rest = frames.remainder().len();
        self.unframed.drain(..self.unframed.len() - rest);
    }

    /// How much later than they were heard sounds are judged.
    pub(crate) fn lag(&self) -> Duration {
        let suppression = self.suppression.as_ref();
        suppression.map(Suppression::delay).unwrap_or_default()
    }

    /// Whether what was heard in the last second or so is of too even a level for speech alone.
    pub(crate) fn may_be_noise(&self) -> bool {
        self.noise.is_likely()
    }

    /// What was heard in the last second or so was no speech, whatever it sounded like.
    pub(crate) fn learn_noise(&mut self) {
        self.noise.learn_all();
    }

    /// A turn began: what was heard just before belongs to it.
    pub(crate) fn begin_utterance(&mut self) {
        let (older, newer) = self.pre_roll.as_slices();
        self.utterance = Vec::with_capacity(self.utterance_len);
        self.utterance.extend_from_slice(older);
        self.utterance.extend_from_slice(newer);
        self.pre_roll.clear();
        self.recording = Recording::Utterance;
    }

    /// The turn so far.
    pub(crate) fn utterance(&self) -> Arc<[i16]> {
        Arc::from(self.utterance.as_slice())
    }

    /// The newest part of the turn so far, `longest` at most.
    pub(crate) fn latest(&self, longest: Duration) -> Arc<[i16]> {
        let from = self
            .utterance
            .len()
            .saturating_sub(len(self.rate.samples_in(longest)));
        Arc::from(&self.utterance[from..])
    }

    /// The turn ended after so much silence: all of it, pre-roll and that silence included. The silence
    /// may hold the first sounds of the next turn, which begins with them.
    pub(crate) fn end_utterance(&mut self, silent: Duration) -> Arc<[i16]> {
        self.recording = Recording::PreRoll;
        let utterance = std::mem::take(&mut self.utterance);
        let tail = len(self.rate.samples_in(silent)).min(self.pre_roll_len);
        let tail = &utterance[utterance.len().saturating_sub(tail)..];
        self.pre_roll.extend(tail);
        Arc::from(utterance)
    }

    /// The rate of the utterances.
    pub(crate) fn rate(&self) -> SampleRate {
        self.rate
    }
}

fn len(count: SampleCount) -> usize {
    usize::try_from(count.0).expect("a few seconds of samples fit the address space")
}
