//! μ-law: North America and Japan, and every Twilio media stream.

use super::drop_bits;

/// The code of silence (+0).
pub const SILENCE: u8 = 0xFF;

/// Moves the eight segments' ends to powers of two.
const BIAS: u32 = 33;
/// The largest 14-bit magnitude with a code of its own; louder is clipped to it.
const MAX_MAGNITUDE: u32 = 8158;

static DECODED: [i16; 256] = {
    let mut table = [0; 256];
    let mut code = 0;
    while code < 256 {
        table[code] = expand(code as u8);
        code += 1;
    }
    table
};

/// The code of one 16-bit sample.
#[must_use]
pub const fn encode(sample: i16) -> u8 {
    let linear = drop_bits(sample, 2);
    let magnitude = linear.unsigned_abs();
    let biased = if magnitude < MAX_MAGNITUDE {
        magnitude
    } else {
        MAX_MAGNITUDE
    } + BIAS;
    // BIAS has bit 5 set, so the leading bit is at 5 to 12: segment 0 to 7.
    let segment = biased.ilog2() - 5;
    let step = (biased >> (segment + 1)) & 0x0F;
    let sign = if linear < 0 { 0x80 } else { 0 };
    !(sign | (segment << 4) as u8 | step as u8)
}

/// The 16-bit sample of one code, within ±32,124.
#[must_use]
pub const fn decode(code: u8) -> i16 {
    DECODED[code as usize]
}

super::slices!();

const fn expand(code: u8) -> i16 {
    let code = !code;
    let segment = (code >> 4) & 0x07;
    let step = (code & 0x0F) as i16;
    // The middle of the step, in 14 bits, then scaled to 16.
    let magnitude = (((step << 1) + BIAS as i16) << segment) - BIAS as i16;
    let sample = magnitude << 2;
    if code & 0x80 == 0 { sample } else { -sample }
}
