//! Samples of other widths as 16 bits: rounded to the nearest, halves up.

/// A sample of 32 bits.
pub(super) fn from_i32(sample: i32) -> i16 {
    (sample.saturating_add(1 << 15) >> 16) as i16
}

/// A sample whose full scale is ±1. The cast saturates, and makes 0 of what is not a number.
pub(super) fn from_f32(sample: f32) -> i16 {
    (sample * 32_768.0).round() as i16
}

/// As [`from_f32`].
pub(super) fn from_f64(sample: f64) -> i16 {
    (sample * 32_768.0).round() as i16
}
