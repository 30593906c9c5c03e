//! What the stages are fed with.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use sidetone_codecs::SampleRate;

/// What a leg sends at a time.
pub(crate) const FRAME: Duration = Duration::from_millis(20);

/// Where the recorded callers are.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

/// A voice-like buzz of 120 Hz under noise: cheap to make at any rate and long enough for any
/// stage whose cost does not depend on what is said. The same in every run.
pub(crate) fn buzz(rate: SampleRate, duration: Duration) -> Vec<i16> {
    let mut random = fastrand::Rng::with_seed(7);
    let period = u64::from(rate.hz() / 120);
    (0..rate.samples_in(duration).0)
        .map(|n| {
            let saw = (n % period) as f64 / period as f64 - 0.5;
            (saw * 16_000.0) as i16 + random.i16(-500..500)
        })
        .collect()
}
