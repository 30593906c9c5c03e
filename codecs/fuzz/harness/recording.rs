//! A recording from a file, and the same from a pipe.

use std::io::{Cursor, Read};

use sidetone_codecs::{
    Resampler, SampleCount,
    recording::{MAX_CHANNELS, Recording, RecordingError},
};

/// Compressed silence is short: no need to see all of it.
const MOST_SAMPLES: usize = 4_000_000;
/// No block is longer than this.
const MOST_SECONDS: usize = 10;

/// # Panics
///
/// Something that must hold for all input does not.
pub(crate) fn run(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    settle_ogg(&mut bytes);
    check(Recording::from_seekable(Cursor::new(bytes.to_vec()), "-"));
    check(Recording::from_reader(
        Pipe(Cursor::new(bytes.to_vec())),
        "-",
    ));
}

/// Corrects the checksums of Ogg pages (RFC 3533): else nothing behind them is ever reached.
fn settle_ogg(bytes: &mut [u8]) {
    let mut at = 0;
    while bytes[at..].starts_with(b"OggS") {
        let Some(&segments) = bytes.get(at + 26) else {
            return;
        };
        let table = at + 27..at + 27 + usize::from(segments);
        let Some(lengths) = bytes.get(table.clone()) else {
            return;
        };
        let end = table.end + lengths.iter().map(|&len| usize::from(len)).sum::<usize>();
        let Some(page) = bytes.get_mut(at..end) else {
            return;
        };
        page[22..26].fill(0);
        let sum = page.iter().fold(0_u32, |sum, &byte| {
            (0..8).fold(sum ^ u32::from(byte) << 24, |sum, _| {
                sum << 1 ^ if sum >> 31 == 1 { 0x04C1_1DB7 } else { 0 }
            })
        });
        page[22..26].copy_from_slice(&sum.to_le_bytes());
        at = end;
    }
}

/// Gives an odd number of bytes at a time.
struct Pipe(Cursor<Vec<u8>>);

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = buffer.len().min(1_021);
        self.0.read(&mut buffer[..len])
    }
}

fn check(opened: Result<Recording, RecordingError>) {
    let mut recording = match opened {
        Ok(recording) => recording,
        Err(error) => return check_error(&error),
    };
    let (rate, width) = (recording.rate(), usize::from(recording.channels().get()));
    assert!((Resampler::MIN_RATE..=Resampler::MAX_RATE).contains(&rate));
    assert!(width <= MAX_CHANNELS);
    assert!(recording.format().len() < 100);
    let mut samples = Vec::new();
    let mut done = 0;
    while done * width < MOST_SAMPLES {
        samples.clear();
        match recording.read(&mut samples) {
            Ok(0) => break,
            Ok(instants) => {
                assert_eq!(samples.len(), instants * width);
                assert!(instants <= MOST_SECONDS * rate.hz() as usize, "{instants}");
                done += instants;
            }
            Err(error) => {
                assert!(samples.is_empty());
                check_error(&error);
                let end = SampleCount(done as u64).duration(rate);
                assert!(
                    error.at().is_some_and(|at| at <= end),
                    "{error:?} after {end:?}"
                );
                assert!(matches!(recording.read(&mut samples), Ok(0)));
                break;
            }
        }
    }
}

fn check_error(error: &RecordingError) {
    assert!(error.to_string().len() < 400, "{error}");
}
