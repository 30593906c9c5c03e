//! One channel's way from the recording's samples to pieces of speech.

use std::ops::Range;

use sidetone_codecs::{ResampleError, Resampler, SampleRate};
use sidetone_core::vad::Vad;
use sidetone_speech::stt::whisper::batch::cut;

/// What Whisper and the VAD hear.
pub(super) const RATE: SampleRate = SampleRate::HZ_16000;

/// Kept before and after speech, 200 ms: the VAD notices a soft beginning late and misses a soft
/// end.
const PADDING: usize = 3_200;

/// Speech parted by less than this is one piece, 500 ms.
const PAUSE: usize = 8_000;

/// From this probability a frame is speech, as on calls.
const SPEECH: f32 = 0.5;

/// Below this probability it is no longer, as on calls.
const SILENCE: f32 = 0.35;

/// How late the VAD notices that speech is over, up to a frame: 32 ms.
const LATE: usize = 512;

/// Frames of speech that a piece has at least, some 50 ms: less is a click.
const SHORTEST_FRAMES: usize = 3;

/// A piece of speech with the padding around it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Speech {
    /// Where its audio begins, in samples of [`RATE`] from the recording's beginning.
    pub(super) start: u64,
    pub(super) samples: Vec<f32>,
    /// The audio without the padding.
    pub(super) speech: Range<usize>,
}

pub(super) struct Lane {
    resampler: Resampler,
    vad: Box<dyn Vad>,
    /// The longest piece.
    longest: usize,
    /// Digital silence can be left out in multiples of this many samples of the recording.
    unit: usize,
    /// How many samples of the recording in a row were 0 so far.
    zeros: u64,
    resampled: Vec<i16>,
    /// Less than a frame.
    waiting: Vec<i16>,
    /// Where `waiting` begins.
    position: u64,
    /// What came before `waiting` and belongs to no piece, as far as it may be needed.
    history: Vec<f32>,
    open: Option<Open>,
}

/// A piece that may still go on.
struct Open {
    piece: Speech,
    /// Where in it something was heard last that might still be speech.
    heard: usize,
    frames: usize,
}

impl Lane {
    pub(super) fn new(
        rate: SampleRate,
        vad: Box<dyn Vad>,
        longest: usize,
    ) -> Result<Self, ResampleError> {
        Ok(Self {
            resampler: Resampler::new(rate, RATE)?,
            vad,
            longest,
            unit: (rate.hz() / gcd(rate.hz(), RATE.hz())) as usize,
            zeros: 0,
            resampled: Vec::new(),
            waiting: Vec::new(),
            position: 0,
            history: Vec::new(),
            open: None,
        })
    }

    /// Takes the channel's next samples and gives the pieces that they complete.
    pub(super) fn push(&mut self, mut input: &[i16], out: &mut Vec<Speech>) {
        if input.iter().all(|sample| *sample == 0) {
            let settled = self.zeros >= u64::from(self.resampler.from().hz());
            self.zeros += input.len() as u64;
            if settled && self.open.is_none() {
                // All that is in the resampler, waits or is remembered is 0 too.
                let skipped = input.len() / self.unit;
                let skipped_out =
                    self.unit as u64 * u64::from(RATE.hz()) / u64::from(self.resampler.from().hz());
                self.position += skipped as u64 * skipped_out;
                input = &input[skipped * self.unit..];
            }
        } else {
            let zeros = input.iter().rev().take_while(|sample| **sample == 0);
            self.zeros = zeros.count() as u64;
        }
        let mut resampled = std::mem::take(&mut self.resampled);
        resampled.clear();
        self.resampler.process(input, &mut resampled);
        self.hear(&resampled, out);
        self.resampled = resampled;
    }

    /// Ends the channel.
    pub(super) fn finish(&mut self, out: &mut Vec<Speech>) {
        let mut rest = Vec::new();
        self.resampler.finish(&mut rest);
        self.hear(&rest, out);
        if !self.waiting.is_empty() {
            let missing = self.vad.frame_len() - self.waiting.len();
            self.hear(&vec![0; missing], out);
        }
        self.close(out);
    }

    /// No piece that is still to come begins before this.
    pub(super) fn settled(&self) -> u64 {
        match &self.open {
            Some(open) => open.piece.start,
            None => self.position - self.history.len() as u64,
        }
    }

    fn hear(&mut self, mut samples: &[i16], out: &mut Vec<Speech>) {
        let frame_len = self.vad.frame_len();
        while !samples.is_empty() {
            let (now, rest) = samples.split_at(samples.len().min(frame_len - self.waiting.len()));
            self.waiting.extend_from_slice(now);
            samples = rest;
            if self.waiting.len() == frame_len {
                let probability = self.vad.push(&self.waiting);
                self.frame(probability, out);
            }
        }
    }

    /// Takes the frame in `waiting`.
    fn frame(&mut self, probability: f32, out: &mut Vec<Speech>) {
        let len = self.waiting.len();
        let frame = self
            .waiting
            .drain(..)
            .map(|sample| f32::from(sample) / 32_768.0);
        self.position += len as u64;
        let Some(open) = &mut self.open else {
            self.history.extend(frame);
            if probability >= SPEECH {
                let samples = std::mem::take(&mut self.history);
                let heard = samples.len();
                self.open = Some(Open {
                    piece: Speech {
                        start: self.position - samples.len() as u64,
                        speech: samples.len() - len..samples.len(),
                        samples,
                    },
                    heard,
                    frames: 1,
                });
            } else {
                let old = self.history.len().saturating_sub(PADDING);
                self.history.drain(..old);
            }
            return;
        };
        let piece = &mut open.piece;
        piece.samples.extend(frame);
        if probability >= SPEECH {
            let end = piece.samples.len() - LATE;
            piece.speech.end = piece.speech.end.max(end);
            open.frames += 1;
        }
        if probability >= SILENCE {
            open.heard = piece.samples.len();
        }
        if piece.samples.len() - open.heard >= PAUSE {
            self.close(out);
        } else if let Some(at) = cut(&piece.samples, self.longest) {
            let rest = piece.samples.split_off(at);
            let after = Speech {
                start: piece.start + at as u64,
                speech: piece.speech.start.saturating_sub(at)..piece.speech.end.saturating_sub(at),
                samples: rest,
            };
            let mut before = std::mem::replace(piece, after);
            before.speech.end = before.speech.end.min(at);
            open.heard = open.heard.saturating_sub(at);
            out.push(before);
        }
    }

    /// Ends the piece that is open.
    fn close(&mut self, out: &mut Vec<Speech>) {
        let Some(Open {
            mut piece,
            heard,
            frames,
        }) = self.open.take()
        else {
            return;
        };
        let end = (heard + PADDING).min(piece.samples.len());
        let newest = piece.samples.len() - (piece.samples.len() - end).min(PADDING);
        self.history = piece.samples.split_off(newest);
        piece.samples.truncate(end);
        if frames >= SHORTEST_FRAMES && !piece.speech.is_empty() {
            out.push(piece);
        }
    }
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
