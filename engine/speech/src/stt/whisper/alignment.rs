//! Which attention heads follow the audio, for whisper.cpp's alignment of tokens with time.

use std::mem::size_of;

use whisper_rs::{DtwMode, DtwModelPreset, DtwParameters};

use super::model_file::Header;

/// More tokens than whisper.cpp writes for a window, with those around the text.
const MOST_TOKENS: usize = 256;

/// Copies of the attention weights that whisper.cpp's alignment makes, rounded up.
const COPIES: usize = 4;

/// For what comes beside the copies.
const SPARE_BYTES: usize = 16 << 20;

/// OpenAI's models are known by their shape, and the heads of theirs that align best by OpenAI's
/// list. (large-v1 has the shape of large-v2, which is far more common.) Of other models all heads
/// of the upper half of the layers are asked, as OpenAI's own code does.
pub(super) fn parameters(header: &Header) -> DtwParameters<'static> {
    use DtwModelPreset as Preset;
    let preset = match (header.n_text_layer, header.n_state, header.n_vocab) {
        (4, 384, 51_864) => Some((Preset::TinyEn, 8)),
        (4, 384, _) => Some((Preset::Tiny, 6)),
        (6, 512, 51_864) => Some((Preset::BaseEn, 5)),
        (6, 512, _) => Some((Preset::Base, 8)),
        (12, 768, 51_864) => Some((Preset::SmallEn, 19)),
        (12, 768, _) => Some((Preset::Small, 10)),
        (24, 1_024, 51_864) => Some((Preset::MediumEn, 18)),
        (24, 1_024, _) => Some((Preset::Medium, 6)),
        (32, 1_280, 51_866) => Some((Preset::LargeV3, 10)),
        (32, 1_280, _) => Some((Preset::LargeV2, 23)),
        (4, 1_280, 51_866) => Some((Preset::LargeV3Turbo, 6)),
        _ => None,
    };
    // OpenAI's heads have 64 dimensions each: a file that has the shape but not the heads is
    // another model.
    let (mode, heads) = match preset.filter(|_| header.n_text_head * 64 == header.n_state) {
        Some((model_preset, heads)) => (DtwMode::ModelPreset { model_preset }, heads),
        None => {
            let n_top = (header.n_text_layer / 2).max(2).min(header.n_text_layer);
            (DtwMode::TopMost { n_top }, n_top * header.n_text_head)
        }
    };
    let weights = heads as usize * MOST_TOKENS * header.n_audio_ctx as usize;
    DtwParameters {
        mode,
        dtw_mem_size: COPIES * weights * size_of::<f32>() + SPARE_BYTES,
    }
}
