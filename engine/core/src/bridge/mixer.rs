//! Adds voices up.

/// Sums above this level are bent towards the highest there is instead of being clipped.
const KNEE: i32 = 24_000;
const HIGHEST: i32 = 32_767;

/// A sum of voices, sample by sample.
#[derive(Debug, Default)]
pub(crate) struct Mix {
    sums: Vec<i32>,
    /// How many of the voices are more than silence.
    voices: usize,
}

impl Mix {
    /// Silence of `len` samples.
    pub(crate) fn begin(&mut self, len: usize) {
        self.sums.clear();
        self.sums.resize(len, 0);
        self.voices = 0;
    }

    /// Adds a voice of the same length.
    pub(crate) fn add(&mut self, pcm: &[i16]) {
        if pcm.iter().all(|sample| *sample == 0) {
            return;
        }
        for (sum, sample) in self.sums.iter_mut().zip(pcm) {
            *sum += i32::from(*sample);
        }
        self.voices += 1;
    }

    /// What all of them sound like together. A voice alone is not changed.
    pub(crate) fn write(&self, out: &mut Vec<i16>) {
        out.clear();
        let alone = self.voices < 2;
        out.extend(self.sums.iter().map(|sum| match alone {
            true => (*sum).clamp(-HIGHEST - 1, HIGHEST) as i16,
            false => soft(*sum),
        }));
    }
}

/// What two voices of the same length sound like together.
pub(crate) fn mix_two(one: &[i16], other: &[i16], out: &mut Vec<i16>) {
    out.clear();
    out.extend(one.iter().zip(other).map(|(one, other)| mix(*one, *other)));
}

/// What two samples sound like together.
pub(crate) fn mix(one: i16, other: i16) -> i16 {
    match (one, other) {
        (0, alone) | (alone, 0) => alone,
        (one, other) => soft(i32::from(one) + i32::from(other)),
    }
}

/// Bends what is too loud: monotonous, and without a step at the knee.
fn soft(sum: i32) -> i16 {
    let (level, knee) = (i64::from(sum.abs()), i64::from(KNEE));
    let excess = level - knee;
    let limited = if excess <= 0 {
        level
    } else {
        let room = i64::from(HIGHEST) - knee;
        knee + excess * room / (excess + room)
    };
    i16::try_from(limited * i64::from(sum.signum())).unwrap_or(i16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixed(voices: &[i16]) -> i16 {
        let mut mix = Mix::default();
        mix.begin(1);
        for voice in voices {
            mix.add(&[*voice]);
        }
        let mut out = Vec::new();
        mix.write(&mut out);
        out[0]
    }

    #[test]
    fn voices_are_added() {
        assert_eq!(mixed(&[]), 0);
        assert_eq!(mixed(&[30_000]), 30_000, "alone it stays as it is");
        assert_eq!(mixed(&[1_000, -300, 20]), 720);
    }

    #[test]
    fn what_is_too_loud_is_bent_and_never_wraps() {
        let both = mixed(&[20_000, 20_000]);
        assert!(both > 24_000 && both < 32_767, "{both}");
        assert_eq!(mixed(&[-20_000, -20_000]), -both);
        let all = mixed(&[i16::MIN; 32]);
        assert!((-32_767..=-32_000).contains(&all), "{all}");
        let rising = (0..65_000).step_by(100).map(soft);
        assert!(rising.clone().zip(rising.skip(1)).all(|(a, b)| a <= b));
    }
}
