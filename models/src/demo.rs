//! The bundled demo model: a small Whisper for an order help line, so that a fresh clone
//! understands its own demo without a download. `models/demo/README.md` is its model card.

use std::io::Read;
use std::sync::Arc;

use ruzstd::decoding::StreamingDecoder;

use crate::{ModelError, Sha256Digest};

/// The name that resolves to the bundled model.
pub const NAME: &str = "demo";

/// The languages that it understands, as ISO 639-1 codes: simple calls in Spanish and Portuguese,
/// the demo's conversation in English. Its vocabulary file has more, as all multilingual ones do.
pub const LANGUAGES: [&str; 3] = ["en", "es", "pt"];

/// The longest window that it transcribes well, in ms: it was trained on single short utterances.
pub const WINDOW_MS: u32 = 5_000;

/// Size of the unpacked model in bytes.
pub const SIZE_BYTES: usize = 7_081_809;

/// SHA-256 of the unpacked model.
pub const SHA256: &str = "2aa64217da85e2215e50f1a0f5b40c5b104f61f3724b2adfc3935df17ad24594";

/// The model as ggml, `q5_0`, packed by `zstd -19`.
static PACKED: &[u8] = include_bytes!("../demo/demo.bin.zst");

/// Unpacks the bundled model into memory: a whisper.cpp ggml file for [`LANGUAGES`].
///
/// It takes some ten milliseconds and [`SIZE_BYTES`]; load once and share.
///
/// # Errors
///
/// [`ModelError::DamagedBundle`] when the program file itself is damaged.
pub fn load() -> Result<Arc<[u8]>, ModelError> {
    unpack(PACKED)
}

fn unpack(packed: &[u8]) -> Result<Arc<[u8]>, ModelError> {
    let damaged = |reason: String| ModelError::DamagedBundle { reason };
    let mut model = Vec::with_capacity(SIZE_BYTES);
    StreamingDecoder::new(packed)
        .map_err(|e| damaged(e.to_string()))?
        // One byte beyond tells a longer file from a whole one, and bounds the memory of both.
        .take(SIZE_BYTES as u64 + 1)
        .read_to_end(&mut model)
        .map_err(|e| damaged(e.to_string()))?;
    if model.len() != SIZE_BYTES {
        return Err(damaged(format!(
            "{} bytes, expected {SIZE_BYTES}",
            model.len()
        )));
    }
    let actual = Sha256Digest::of(&model).to_string();
    if actual != SHA256 {
        return Err(damaged(format!("SHA-256 {actual}, expected {SHA256}")));
    }
    Ok(model.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of whisper.cpp's ggml header: the magic number, then its hyperparameters.
    fn header(model: &[u8], field: usize) -> u32 {
        u32::from_le_bytes(model[4 * field..4 * field + 4].try_into().unwrap())
    }

    #[test]
    fn the_bundled_model_unpacks_to_a_multilingual_whisper() {
        let model = load().unwrap();
        assert_eq!(model.len(), SIZE_BYTES);
        assert_eq!(header(&model, 0), 0x6767_6d6c, "ggml's magic number");
        assert_eq!(
            header(&model, 1),
            51_865,
            "the vocabulary of the multilingual models"
        );
        assert_eq!(header(&model, 10), 80, "mel bands");
    }

    #[test]
    fn it_stays_small_enough_to_ship() {
        const { assert!(SIZE_BYTES <= 8_000_000) };
        assert!(PACKED.len() <= 4_000_000);
    }

    #[test]
    fn damage_is_noticed() {
        let refused = |packed: &[u8]| {
            let error = unpack(packed).unwrap_err();
            assert!(matches!(error, ModelError::DamagedBundle { .. }), "{error}");
        };
        refused(b"");
        refused(b"not zstd at all");
        refused(&PACKED[..PACKED.len() / 2]);
        let mut flipped = PACKED.to_vec();
        flipped[PACKED.len() / 2] ^= 1;
        refused(&flipped);
    }
}
