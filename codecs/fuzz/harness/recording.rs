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
    check(Recording::from_seekable(Cursor::new(bytes.to_vec()), "-"));
    check(Recording::from_reader(Pipe(Cursor::new(bytes.to_vec())), "-"));
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
                assert!(error.at().is_some_and(|at| at <= end), "{error:?} after {end:?}");
                assert!(matches!(recording.read(&mut samples), Ok(0)));
                break;
            }
        }
    }
}

fn check_error(error: &RecordingError) {
    assert!(error.to_string().len() < 400, "{error}");
}
