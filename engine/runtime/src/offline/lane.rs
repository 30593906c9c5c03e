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
    /// Speech parted by less than this is one piece.
    pause: usize,
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
    /// Speech parted by less than `pause_ms` is one piece, of at most `longest` samples of [`RATE`].
    pub(super) fn new(
        rate: SampleRate,
        vad: Box<dyn Vad>,
        longest: usize,
        pause_ms: u32,
    ) -> Result<Self, ResampleError> {
        Ok(Self {
            resampler: Resampler::new(rate, RATE)?,
            vad,
            longest,
            pause: pause_ms as usize * 16,
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
        if piece.samples.len() - open.heard >= self.pause {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes what is loud for speech, at once.
    struct Loudness;

    const FRAME: usize = 256;

    impl Vad for Loudness {
        fn rate(&self) -> SampleRate {
            RATE
        }

        fn frame_len(&self) -> usize {
            FRAME
        }

        fn push(&mut self, frame: &[i16]) -> f32 {
            assert_eq!(frame.len(), FRAME);
            if frame.iter().any(|sample| sample.unsigned_abs() > 5_000) {
                1.0
            } else {
                0.0
            }
        }

        fn reset(&mut self) {}
    }

    const S: usize = 16_000;

    fn lane(hz: u32, longest: usize) -> Lane {
        let rate = SampleRate::new(hz).unwrap();
        Lane::new(rate, Box::new(Loudness), longest, 500).unwrap()
    }

    /// A hum for each range of seconds, over a quiet room.
    fn recording(hz: usize, seconds: f64, hums: &[Range<f64>]) -> Vec<i16> {
        (0..(seconds * hz as f64) as usize)
            .map(|n| {
                let time = n as f64 / hz as f64;
                let loud = hums.iter().any(|hum| hum.contains(&time));
                let swing = (time * 400.0 * std::f64::consts::TAU).sin();
                (swing * if loud { 20_000.0 } else { 50.0 }) as i16
            })
            .collect()
    }

    /// The pieces, and how much later than it seems the lane is at its end.
    fn pieces(lane: &mut Lane, samples: &[i16]) -> Vec<Speech> {
        let mut pieces = Vec::new();
        for block in samples.chunks(999) {
            lane.push(block, &mut pieces);
            if let Some(last) = pieces.last() {
                assert!(
                    lane.settled() >= last.start,
                    "no piece comes before one that came"
                );
            }
        }
        lane.finish(&mut pieces);
        pieces
    }

    /// Beginnings and ends of the speech in the recording, in hundredths of a second.
    fn times(pieces: &[Speech]) -> Vec<(usize, usize)> {
        let at = |piece: &Speech, n: usize| (piece.start as usize + n + S / 200) / (S / 100);
        let times = pieces
            .iter()
            .map(|piece| (at(piece, piece.speech.start), at(piece, piece.speech.end)));
        times.collect()
    }

    fn near(found: &[(usize, usize)], expected: &[(usize, usize)]) {
        let near = |a: usize, b: usize| a.abs_diff(b) <= 4;
        let same = found.iter().zip(expected);
        let all = same.fold(true, |all, (a, b)| all && near(a.0, b.0) && near(a.1, b.1));
        assert!(
            found.len() == expected.len() && all,
            "{found:?}, not {expected:?}"
        );
    }

    #[test]
    fn speech_is_cut_at_pauses_and_keeps_what_is_around_it() {
        // A pause of 400 ms belongs to the piece, one of 700 ms does not; of 50 ms is a click.
        let hums = [1.0..2.0, 2.4..3.0, 3.7..4.5, 6.0..6.03];
        for hz in [8_000, 16_000, 44_100] {
            let samples = recording(hz, 8.0, &hums);
            let found = pieces(&mut lane(hz as u32, 30 * S), &samples);
            near(&times(&found), &[(100, 300), (370, 450)]);
            for piece in &found {
                let after = piece.samples.len() - piece.speech.end;
                assert!(
                    piece.speech.start.abs_diff(PADDING) <= FRAME,
                    "{}",
                    piece.speech.start
                );
                assert!(after.abs_diff(PADDING) <= 2 * LATE, "{after}");
            }
        }
    }

    #[test]
    fn what_begins_or_ends_with_the_recording_is_whole() {
        let samples = recording(8_000, 3.0, &[0.0..0.5, 2.5..3.0]);
        let found = pieces(&mut lane(8_000, 30 * S), &samples);
        near(&times(&found), &[(0, 50), (250, 300)]);
        assert_eq!(found[0].start, 0);
    }

    #[test]
    fn what_is_longer_than_the_window_is_cut_without_a_gap() {
        let samples = recording(16_000, 40.0, &[1.0..38.0]);
        let longest = 10 * S;
        let found = pieces(&mut lane(16_000, longest), &samples);
        assert!(found.len() >= 4);
        assert!(found.iter().all(|piece| piece.samples.len() <= longest));
        for (piece, next) in found.iter().zip(&found[1..]) {
            assert_eq!(piece.start + piece.samples.len() as u64, next.start);
            assert_eq!(piece.speech.end, piece.samples.len());
            assert_eq!(next.speech.start, 0);
        }
        let (first, last) = (times(&found)[0].0, times(&found)[found.len() - 1].1);
        near(&[(first, last)], &[(100, 3_800)]);
    }

    #[test]
    fn digital_silence_is_skipped_and_time_goes_on() {
        let hum = recording(44_100, 1.0, &[0.2..0.8]);
        let mut samples = Vec::new();
        for _ in 0..3 {
            samples.extend(&hum);
            samples.extend(vec![0; 44_100 * 60 + 7]);
        }
        let mut lane = lane(44_100, 30 * S);
        let found = pieces(&mut lane, &samples);
        near(
            &times(&found),
            &[(20, 80), (6_120, 6_180), (12_220, 12_280)],
        );
        let end = (samples.len() as u64 * u64::from(RATE.hz())) / 44_100;
        assert!(
            lane.position.abs_diff(end) <= 2 * FRAME as u64,
            "{}",
            lane.position
        );
    }

    #[test]
    fn the_pause_that_parts_pieces_can_be_shorter() {
        let samples = recording(16_000, 4.0, &[1.0..2.0, 2.3..3.0]);
        let vad = Box::new(Loudness);
        let mut lane = Lane::new(RATE, vad, 30 * S, 200).unwrap();
        near(
            &times(&pieces(&mut lane, &samples)),
            &[(100, 200), (230, 300)],
        );
    }
}
