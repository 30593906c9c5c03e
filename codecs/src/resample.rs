//! Streaming conversion between sample rates.
//!
//! One windowed sinc filter does every pair of rates, at the lower of the two rates `f`: flat to
//! 0.425 `f` (3.4 kHz for 8 kHz) and stopped from 0.5 `f`, so that nothing folds back or mirrors
//! above −60 dB. Its look-ahead is 28 samples of `f`, which is 3.5 ms at 8 kHz.

use std::fmt;

use rubato::{
    Async, FixedAsync, Resampler as _, Resizable as _, SincInterpolationParameters,
    SincInterpolationType, WindowFunction, audioadapter_buffers::direct::SequentialSlice,
};

use crate::{SampleCount, SampleRate};

/// The filter's length in samples of the lower rate, before rounding up.
const FILTER_LEN: u32 = 56;
/// Where the filter is at −6 dB, as a share of half the lower rate: with Blackman's window and
/// [`FILTER_LEN`] the pass band then ends at 0.425 (−0.43 dB) and the stop band begins at 0.5.
const CUTOFF: f32 = 0.904;
/// Blocks of 5 ms: every usual frame length holds a whole number of them.
const BLOCKS_PER_SECOND: u32 = 200;
/// Up to here each phase between two input samples gets a filter of its own, which is exact. When
/// the rate goes up, always: interpolating between filters would need many of them there.
const MAX_PHASES_DOWN: u32 = 16;
/// 22.05 to 32 kHz has as many, in a table of 140 KiB.
const MAX_PHASES_UP: u32 = 640;

/// A pair of rates that [`Resampler`] does not convert.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResampleError {
    /// A rate outside the range.
    #[error(
        "cannot resample {from} to {to}: rates from {} to {} are supported",
        Resampler::MIN_RATE,
        Resampler::MAX_RATE
    )]
    Rate {
        /// The input's rate.
        from: SampleRate,
        /// The output's rate.
        to: SampleRate,
    },
    /// A rate goes up by a ratio that needs too large a filter table.
    #[error(
        "cannot resample {from} to {to}: the ratio reduces to {numerator}:{denominator}, and going \
         up the first number is at most {MAX_PHASES_UP}; go through a common rate such as 48000 Hz"
    )]
    Ratio {
        /// The input's rate.
        from: SampleRate,
        /// The output's rate.
        to: SampleRate,
        /// The output's side of the ratio in lowest terms.
        numerator: u32,
        /// The input's side of the ratio in lowest terms.
        denominator: u32,
    },
}

/// Converts one mono stream of 16-bit PCM from one rate to another.
///
/// Output sample `k` is the input's signal at time `k / to`: the filter's delay is taken out, so
/// it shows only as output that comes [`delay`](Self::delay) later. How the input is cut into
/// calls makes no difference to the output, not in a single bit.
///
/// Keep one per direction and call: it has state, and building one costs far more than a frame.
/// Equal rates are a copy.
#[derive(Debug)]
pub struct Resampler {
    from: SampleRate,
    to: SampleRate,
    /// `None` where the rates are equal.
    filter: Option<Filter>,
}

impl Resampler {
    /// The lowest rate on either side.
    pub const MIN_RATE: SampleRate = SampleRate::HZ_4000;
    /// The highest rate on either side.
    pub const MAX_RATE: SampleRate = SampleRate::HZ_192000;

    /// A converter at the start of a stream.
    ///
    /// # Errors
    ///
    /// [`ResampleError`] for rates outside 4 to 192 kHz and for odd ratios upwards. Between 8, 16,
    /// 22.05, 24, 32, 44.1 and 48 kHz every pair works, and downwards every ratio does.
    pub fn new(from: SampleRate, to: SampleRate) -> Result<Self, ResampleError> {
        let filter = if from == to {
            None
        } else {
            Some(Filter::new(from, to)?)
        };
        Ok(Self { from, to, filter })
    }

    /// The input's rate.
    #[must_use]
    pub const fn from(&self) -> SampleRate {
        self.from
    }

    /// The output's rate.
    #[must_use]
    pub const fn to(&self) -> SampleRate {
        self.to
    }

    /// How far the output lags behind the input, in output samples: the filter's look-ahead, to
    /// within two samples and never more.
    ///
    /// Input is taken in blocks of 5 ms (in whole samples). Until its block is full a sample waits,
    /// and the output lags by as much more; frames of a whole number of blocks never wait.
    #[must_use]
    pub fn delay(&self) -> SampleCount {
        SampleCount(self.filter.as_ref().map_or(0, |filter| filter.lag as u64))
    }

    /// The most samples that [`process`](Self::process) appends for `input_len` samples of input:
    /// reserve these and it does not allocate.
    #[must_use]
    pub fn max_output(&self, input_len: usize) -> usize {
        self.filter.as_ref().map_or(input_len, |filter| {
            filter
                .ratio
                .output_len(input_len as u64 + filter.block.len() as u64) as usize
                + 1
        })
    }

    /// The most samples that [`finish`](Self::finish) appends.
    #[must_use]
    pub fn max_finish(&self) -> usize {
        self.delay().0 as usize + self.max_output(0)
    }

    /// Takes any number of samples and appends to `out` what is ready.
    pub fn process(&mut self, input: &[i16], out: &mut Vec<i16>) {
        match &mut self.filter {
            None => out.extend_from_slice(input),
            Some(filter) => filter.process(input, out),
        }
    }

    /// Ends the stream: appends its tail and starts afresh.
    ///
    /// Altogether `n` samples of input gave `n * to / from` samples of output, rounded up.
    pub fn finish(&mut self, out: &mut Vec<i16>) {
        if let Some(filter) = &mut self.filter {
            filter.finish(out);
        }
    }

    /// Drops the stream so far, its tail too, and starts afresh.
    pub fn reset(&mut self) {
        if let Some(filter) = &mut self.filter {
            filter.reset();
        }
    }
}

/// `output : input` in lowest terms.
#[derive(Clone, Copy, Debug)]
struct Ratio {
    output: u32,
    input: u32,
}

impl Ratio {
    const fn of(from: SampleRate, to: SampleRate) -> Self {
        let divisor = gcd(from.hz(), to.hz());
        Self {
            output: to.hz() / divisor,
            input: from.hz() / divisor,
        }
    }

    fn as_f64(self) -> f64 {
        f64::from(self.output) / f64::from(self.input)
    }

    /// How many output samples begin within `input_len` samples of input.
    fn output_len(self, input_len: u64) -> u64 {
        let len = u128::from(input_len) * u128::from(self.output);
        len.div_ceil(u128::from(self.input)) as u64
    }
}

struct Filter {
    sinc: Async<f32>,
    ratio: Ratio,
    /// Input that waits until the block is full.
    block: Box<[f32]>,
    filled: usize,
    /// What one block becomes.
    produced: Box<[f32]>,
    /// See [`Resampler::delay`].
    lag: usize,
    start: Start,
    /// Samples of the start still to be dropped.
    skip: usize,
    taken: u64,
    given: u64,
}

/// What puts the output's samples on the grid `k / to` counted from the first input sample.
#[derive(Clone, Copy, Debug)]
struct Start {
    /// Zeros that go in before the stream.
    zeros: usize,
    /// Output samples that lie before the stream.
    skip: usize,
}

impl Filter {
    fn new(from: SampleRate, to: SampleRate) -> Result<Self, ResampleError> {
        let range = Resampler::MIN_RATE..=Resampler::MAX_RATE;
        if !range.contains(&from) || !range.contains(&to) {
            return Err(ResampleError::Rate { from, to });
        }
        let ratio = Ratio::of(from, to);
        let going_up = ratio.output > ratio.input;
        if going_up && ratio.output > MAX_PHASES_UP {
            let (numerator, denominator) = (ratio.output, ratio.input);
            return Err(ResampleError::Ratio {
                from,
                to,
                numerator,
                denominator,
            });
        }

        let lower = from.min(to).hz();
        let len = (FILTER_LEN * from.hz()).div_ceil(lower).next_multiple_of(8) as usize;
        let (phases, interpolation) = if going_up || ratio.output <= MAX_PHASES_DOWN {
            (ratio.output, SincInterpolationType::Nearest)
        } else {
            // Going down, the filter changes slowly from one phase to the next: a straight line
            // between these few stays below −75 dB. A power of two keeps rubato's two ways of
            // finding the phase (scaled whole, scaled fraction) equal to the last bit.
            let phases = (75 * lower).div_ceil(2 * from.hz()).next_power_of_two();
            (phases, SincInterpolationType::Linear)
        };
        let parameters = SincInterpolationParameters::new(len, WindowFunction::Blackman)
            .f_cutoff(CUTOFF)
            .oversampling_factor(phases as usize)
            .interpolation(interpolation);
        let block_len = (from.hz() / BLOCKS_PER_SECOND) as usize;
        let sinc = Async::new_sinc(
            ratio.as_f64(),
            1.0,
            &parameters,
            block_len,
            1,
            FixedAsync::Input,
        )
        .expect("the ratio is finite and positive and the block is not empty");

        let phase = 1.0 / f64::from(phases);
        // rubato computes a sample once the input reaches this far past it.
        let lookahead = len as f64 / 2.0 + 2.0 - phase;
        let lag = (lookahead * ratio.as_f64()).ceil() as usize;
        let produced = vec![0.0; sinc.output_frames_max()].into_boxed_slice();
        let mut filter = Self {
            sinc,
            ratio,
            block: vec![0.0; block_len].into_boxed_slice(),
            filled: 0,
            produced,
            lag,
            start: Start::of(ratio, len, phase),
            skip: 0,
            taken: 0,
            given: 0,
        };
        filter.begin();
        Ok(filter)
    }

    fn process(&mut self, mut input: &[i16], out: &mut Vec<i16>) {
        self.taken += input.len() as u64;
        while !input.is_empty() {
            let (now, rest) = input.split_at(input.len().min(self.block.len() - self.filled));
            for (slot, &sample) in self.block[self.filled..].iter_mut().zip(now) {
                *slot = f32::from(sample);
            }
            self.filled += now.len();
            if self.filled == self.block.len() {
                self.filter_block(self.filled, |samples| {
                    out.extend(samples.iter().map(|&sample| to_i16(sample)));
                });
            }
            input = rest;
        }
    }

    fn finish(&mut self, out: &mut Vec<i16>) {
        let total = self.ratio.output_len(self.taken);
        while self.given < total {
            let missing = (total - self.given) as usize;
            self.block[self.filled..].fill(0.0);
            self.filter_block(self.block.len(), |samples| {
                let samples = &samples[..samples.len().min(missing)];
                out.extend(samples.iter().map(|&sample| to_i16(sample)));
            });
        }
        self.reset();
    }

    fn reset(&mut self) {
        self.sinc.reset();
        self.filled = 0;
        self.begin();
    }

    /// Brings a fresh filter to the first sample of a stream, with an empty block.
    fn begin(&mut self) {
        self.skip = self.start.skip;
        self.block.fill(0.0);
        let mut zeros = self.start.zeros;
        while zeros > 0 {
            let len = zeros.min(self.block.len());
            self.resize_blocks(len);
            self.filter_block(len, |_| {});
            zeros -= len;
        }
        self.resize_blocks(self.block.len());
        self.taken = 0;
        self.given = 0;
    }

    fn resize_blocks(&mut self, len: usize) {
        self.sinc
            .set_chunk_size(len)
            .expect("no longer than the first block and not empty");
    }

    /// Filters the first `len` samples of the block, gives the result and leaves the block empty.
    fn filter_block(&mut self, len: usize, give: impl FnOnce(&[f32])) {
        const FITS: &str = "the buffers were made for one channel and one block";
        let input = SequentialSlice::new(&self.block[..len], 1, len).expect(FITS);
        let capacity = self.produced.len();
        let mut output = SequentialSlice::new_mut(&mut self.produced, 1, capacity).expect(FITS);
        let (_, len) = self
            .sinc
            .process_into_buffer(&input, &mut output, None)
            .expect(FITS);
        let skip = self.skip.min(len);
        self.skip -= skip;
        self.given += (len - skip) as u64;
        self.filled = 0;
        give(&self.produced[skip..len]);
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter")
            .field("ratio", &self.ratio)
            .field("taken", &self.taken)
            .field("given", &self.given)
            .finish_non_exhaustive()
    }
}

impl Start {
    /// rubato's output sample `n` is centred on input time `(n + 1) / ratio + phase - len / 2`.
    /// Zeros in front move that grid by whole input samples; some number of them puts an output
    /// sample on the first input sample.
    fn of(ratio: Ratio, len: usize, phase: f64) -> Self {
        let first = |zeros: usize| (len as f64 / 2.0 - phase + zeros as f64) * ratio.as_f64() - 1.0;
        let off_grid_millionths = |&zeros: &usize| {
            let at = first(zeros);
            ((at - at.round()).abs() * 1e6).round() as u64
        };
        let zeros = (0..ratio.input.min(MAX_PHASES_UP) as usize)
            .min_by_key(off_grid_millionths)
            .unwrap_or(0);
        Self {
            zeros,
            skip: first(zeros).round() as usize,
        }
    }
}

/// Rounds to the nearest; what is out of range saturates (a float-to-int cast does).
fn to_i16(sample: f32) -> i16 {
    (sample + 0.5_f32.copysign(sample)) as i16
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
