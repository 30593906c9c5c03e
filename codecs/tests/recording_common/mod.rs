//! What the tests of recordings share.
#![allow(dead_code, reason = "each test file uses some of it")]

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

/// How alike two signals are; 1 is the same but for loudness.
pub(crate) fn alike(a: &[i16], b: &[i16]) -> f64 {
    let dot = |a: &[i16], b: &[i16]| -> f64 {
        let products = a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b));
        products.sum()
    };
    let len = a.len().min(b.len());
    let (a, b) = (&a[..len], &b[..len]);
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
