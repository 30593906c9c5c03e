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

pub mod alaw;
pub mod mulaw;

/// `2^n` neighbouring 16-bit values become one, the nearest; halves go up.
const fn drop_bits(sample: i16, n: u32) -> i32 {
    (sample as i32 + (1 << (n - 1))) >> n
}
