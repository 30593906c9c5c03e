//! G.711, the telephone network's codec: 8 kHz, one byte a sample, two companding laws.
//!
//! ITU-T G.711 (11/88) defines its laws on uniform samples of 14 bits (μ-law) and 13 bits (A-law)
//! and leaves open how 16-bit PCM becomes those. Here a sample goes to the nearest value, halves
//! upwards, as in SoX; every decision value after that is the standard's. Encoders that cut the
//! low bits off instead differ by one code on about one sample in a hundred, next to a decision
//! value, and are a little further from the input there. The tests compare all 65,536 samples
//! and all 256 codes of both laws with tables made by SoX.
//!
//! Encoding what was decoded gives the same code again, with one exception: μ-law has two codes
//! for zero, and the negative one (`0x7F`) comes back as the positive one (`0xFF`).

/// A law's work on slices, from its `encode` and `decode` of one sample.
macro_rules! slices {
    () => {
        /// Encodes `samples` into `codes`, one byte a sample.
        ///
        /// # Panics
        ///
        /// If the two lengths differ.
        pub fn encode_into(samples: &[i16], codes: &mut [u8]) {
            assert_eq!(samples.len(), codes.len(), "one code per sample");
            for (code, &sample) in codes.iter_mut().zip(samples) {
                *code = encode(sample);
            }
        }

        /// Decodes `codes` into `samples`, one sample a byte.
        ///
        /// # Panics
        ///
        /// If the two lengths differ.
        pub fn decode_into(codes: &[u8], samples: &mut [i16]) {
            assert_eq!(codes.len(), samples.len(), "one sample per code");
            for (sample, &code) in samples.iter_mut().zip(codes) {
                *sample = decode(code);
            }
        }

        /// Appends the codes of `samples`. Allocates only where `codes` lacks capacity.
        pub fn encode_append(samples: &[i16], codes: &mut Vec<u8>) {
            codes.extend(samples.iter().map(|&sample| encode(sample)));
        }

        /// Appends the samples of `codes`. Allocates only where `samples` lacks capacity.
        pub fn decode_append(codes: &[u8], samples: &mut Vec<i16>) {
            samples.extend(codes.iter().map(|&code| decode(code)));
        }
    };
}
use slices;

pub mod alaw;
pub mod mulaw;

/// `2^n` neighbouring 16-bit values become one, the nearest; halves go up.
const fn drop_bits(sample: i16, n: u32) -> i32 {
    (sample as i32 + (1 << (n - 1))) >> n
}
