//! Jobs' audio in the rate that a model hears.

use std::collections::{HashMap, hash_map::Entry};

use sidetone_codecs::{Resampler, SampleRate};

use crate::pool::WorkError;

/// Brings whole recordings to one rate. Keeps a resampler for every rate that came.
#[derive(Debug)]
pub(crate) struct Resampling {
    to: SampleRate,
    resamplers: HashMap<SampleRate, Resampler>,
    pcm: Vec<i16>,
}

impl Resampling {
    pub(crate) fn new(to: SampleRate) -> Self {
        Self {
            to,
            resamplers: HashMap::new(),
            pcm: Vec::new(),
        }
    }

    /// All of `audio`, mono at `rate`, in the rate that the model hears.
    pub(crate) fn resample<'a>(
        &'a mut self,
        audio: &'a [i16],
        rate: SampleRate,
    ) -> Result<&'a [i16], WorkError> {
        if rate == self.to {
            return Ok(audio);
        }
        let resampler = match self.resamplers.entry(rate) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(
                Resampler::new(rate, self.to)
                    .map_err(|error| WorkError::Refused(error.to_string()))?,
            ),
        };
        self.pcm.clear();
        resampler.process(audio, &mut self.pcm);
        resampler.finish(&mut self.pcm);
        Ok(&self.pcm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recording_becomes_the_models_rate_on_its_own() {
        let mut resampling = Resampling::new(SampleRate::HZ_16000);
        let second = vec![500; 8_000];
        let first: Vec<i16> = resampling
            .resample(&second, SampleRate::HZ_8000)
            .unwrap()
            .to_vec();
        assert_eq!(first.len(), 16_000);
        let other = resampling.resample(&second[..6_000], SampleRate::HZ_24000);
        assert_eq!(other.unwrap().len(), 4_000);
        let again = resampling.resample(&second, SampleRate::HZ_8000).unwrap();
        assert!(again == first, "nothing is left of the one before");
        let same = resampling.resample(&second, SampleRate::HZ_16000).unwrap();
        assert!(same == second);
    }
}
