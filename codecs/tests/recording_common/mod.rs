//! What the tests of recordings share.

use std::path::{Path, PathBuf};

use sidetone_codecs::recording::{Recording, RecordingError};

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

pub(crate) fn path(name: &str) -> PathBuf {
    fixtures().join("recordings").join(name)
}

/// All samples, and what was said at the end.
pub(crate) fn decode(mut recording: Recording) -> (Vec<i16>, Result<(), RecordingError>) {
    let mut samples = Vec::new();
    let width = usize::from(recording.channels().get());
    loop {
        let start = samples.len();
        match recording.read(&mut samples) {
            Ok(0) => return (samples, Ok(())),
            Ok(instants) => assert_eq!(samples.len() - start, instants * width),
            Err(error) => {
                assert_eq!(samples.len(), start, "an error brings no samples");
                assert!(
                    matches!(recording.read(&mut samples), Ok(0)),
                    "then it is over"
                );
                return (samples, Err(error));
            }
        }
    }
}

pub(crate) fn channel(samples: &[i16], channels: usize, n: usize) -> Vec<i16> {
    samples.iter().skip(n).step_by(channels).copied().collect()
}
