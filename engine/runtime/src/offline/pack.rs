//! Pieces of speech side by side in the encoder's window.

use sidetone_speech::stt::whisper::batch::Piece;

use super::lane::{RATE, Speech};

/// Silence between two pieces, 100 ms: with their padding, a pause as between sentences.
const GAP: usize = 1_600;

/// A window is not kept open for more pieces beyond this much of the recording, 2 minutes: the
/// other channels' segments wait for those of its first piece.
const PATIENCE: u64 = 120 * RATE.hz() as u64;

/// What one run of the encoder is to hear.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Window {
    pub(super) channel: u16,
    pub(super) samples: Vec<f32>,
    pub(super) pieces: Vec<Piece>,
    /// Where each piece's audio begins in the recording, in samples of [`RATE`].
    pub(super) starts: Vec<u64>,
}

impl Window {
    fn new(channel: u16, speech: Speech) -> Self {
        Self {
            channel,
            pieces: vec![Piece {
                audio: 0..speech.samples.len(),
                speech: speech.speech,
            }],
            samples: speech.samples,
            starts: vec![speech.start],
        }
    }

    fn add(&mut self, speech: Speech) {
        self.samples.resize(self.samples.len() + GAP, 0.0);
        let at = self.samples.len();
        self.pieces.push(Piece {
            audio: at..at + speech.samples.len(),
            speech: speech.speech.start + at..speech.speech.end + at,
        });
        self.samples.extend(speech.samples);
        self.starts.push(speech.start);
    }

    /// Where the first piece begins.
    pub(super) fn start(&self) -> u64 {
        self.starts[0]
    }

    /// How much speech is in it.
    pub(super) fn speech(&self) -> u64 {
        let speech = self.pieces.iter().map(|piece| piece.speech.len() as u64);
        speech.sum()
    }
}

/// Fills windows with the pieces of one channel.
pub(super) struct Packer {
    channel: u16,
    longest: usize,
    /// Whether a window holds more than one piece.
    several: bool,
    open: Option<Window>,
}

impl Packer {
    pub(super) fn new(channel: u16, longest: usize, several: bool) -> Self {
        Self {
            channel,
            longest,
            several,
            open: None,
        }
    }

    /// Takes the next piece and gives the windows that are full.
    pub(super) fn add(&mut self, speech: Speech, out: &mut Vec<Window>) {
        let fits = |open: &Window| {
            self.several && open.samples.len() + GAP + speech.samples.len() <= self.longest
        };
        match &mut self.open {
            Some(open) if fits(open) => open.add(speech),
            _ => out.extend(self.open.replace(Window::new(self.channel, speech))),
        }
        if !self.several {
            out.extend(self.open.take());
        }
    }

    /// Gives the open window if it has waited for long enough when the recording is at `now`.
    pub(super) fn wait(&mut self, now: u64, out: &mut Vec<Window>) {
        let patience_over = |open: &mut Window| now.saturating_sub(open.start()) > PATIENCE;
        out.extend(self.open.take_if(patience_over));
    }

    /// Gives the open window.
    pub(super) fn finish(&mut self, out: &mut Vec<Window>) {
        out.extend(self.open.take());
    }

    /// Where the first piece begins that was taken and not given.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.open.as_ref().map(Window::start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: usize = 30 * 16_000;

    /// A piece of so many seconds at a second of the recording.
    fn speech(start: u64, seconds: usize) -> Speech {
        let len = seconds * 16_000;
        Speech {
            start: start * 16_000,
            samples: vec![0.5; len],
            speech: 4_000..len - 4_000,
        }
    }

    #[test]
    fn pieces_fill_a_window_and_know_where_they_came_from() {
        let mut packer = Packer::new(1, LONGEST, true);
        let mut windows = Vec::new();
        for (start, seconds) in [(0, 10), (15, 8), (40, 11), (60, 29)] {
            packer.add(speech(start, seconds), &mut windows);
        }
        assert_eq!(packer.oldest(), Some(60 * 16_000));
        packer.finish(&mut windows);
        let starts: Vec<_> = windows.iter().map(|w| w.starts.clone()).collect();
        assert_eq!(
            starts,
            [vec![0, 15 * 16_000, 40 * 16_000], vec![60 * 16_000]]
        );
        let first = &windows[0];
        assert_eq!(first.samples.len(), 29 * 16_000 + 2 * GAP);
        assert!(first.samples.len() <= LONGEST);
        for piece in &first.pieces {
            assert!(first.samples[piece.audio.clone()].iter().all(|s| *s == 0.5));
            assert_eq!(piece.speech.start, piece.audio.start + 4_000);
            assert_eq!(piece.speech.end, piece.audio.end - 4_000);
        }
        assert!(
            first.samples[first.pieces[0].audio.end..][..GAP]
                .iter()
                .all(|s| *s == 0.0)
        );
        assert_eq!(first.speech(), 29 * 16_000 - 3 * 8_000);
    }

    #[test]
    fn a_model_of_short_utterances_gets_them_one_by_one() {
        let mut packer = Packer::new(0, LONGEST, false);
        let mut windows = Vec::new();
        for start in 0..3 {
            packer.add(speech(start * 10, 1), &mut windows);
            assert_eq!(packer.oldest(), None);
        }
        assert!(windows.iter().all(|window| window.pieces.len() == 1));
        assert_eq!(windows.len(), 3);
    }

    #[test]
    fn a_window_does_not_wait_for_ever() {
        let mut packer = Packer::new(0, LONGEST, true);
        let mut windows = Vec::new();
        packer.add(speech(10, 1), &mut windows);
        packer.wait(130 * 16_000, &mut windows);
        assert!(windows.is_empty());
        packer.wait(130 * 16_000 + 1, &mut windows);
        assert_eq!(windows.len(), 1);
    }
}
