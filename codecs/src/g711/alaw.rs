//! A-law: the telephone network outside North America and Japan.

use super::drop_bits;

/// The code of the smallest positive step; A-law has no exact zero.
pub const SILENCE: u8 = 0xD5;

/// Every second bit of a code is inverted on the line.
const LINE_INVERSION: u8 = 0x55;
/// The largest 13-bit magnitude; only +32,764 and above round past it.
const MAX_MAGNITUDE: u32 = 4095;

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
    let linear = drop_bits(sample, 3);
    // The standard has no zero: the negative half starts at −1, mirrored onto 0.
    let (sign, magnitude) = if linear < 0 {
        (0, !linear as u32)
    } else {
        (0x80, linear as u32)
    };
    let magnitude = if magnitude < MAX_MAGNITUDE {
        magnitude
    } else {
        MAX_MAGNITUDE
    };
    // Segments 0 and 1 are one straight line; from there each is twice as coarse as the last.
    let (segment, step) = if magnitude < 32 {
        (0, magnitude >> 1)
    } else {
        let segment = magnitude.ilog2() - 4;
        (segment, (magnitude >> segment) & 0x0F)
    };
    (sign | (segment << 4) as u8 | step as u8) ^ LINE_INVERSION
}

/// The 16-bit sample of one code, within ±32,256.
#[must_use]
pub const fn decode(code: u8) -> i16 {
    DECODED[code as usize]
}

super::slices!();

const fn expand(code: u8) -> i16 {
    let code = code ^ LINE_INVERSION;
    let segment = (code >> 4) & 0x07;
    let step = (code & 0x0F) as i16;
    // The middle of the step, in 13 bits, then scaled to 16.
    let magnitude = match segment {
        0 => (step << 1) + 1,
        segment => ((step << 1) + 33) << (segment - 1),
    };
    let sample = magnitude << 3;
    if code & 0x80 == 0 { -sample } else { sample }
}
