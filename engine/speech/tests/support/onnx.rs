//! Models and a runtime for tests, where they are.
//!
//! The models are looked for at the environment's `SIDETONE_TEST_MODELS`, else in `shared/models`
//! beside the checkout; the runtime where the engine itself looks for it. Tests that find none say
//! so and pass.

#![allow(clippy::print_stdout, reason = "a test that is skipped says why")]

use std::{env, path::PathBuf};

use sidetone_models::ModelSource;
use sidetone_speech::onnx;

pub(crate) const SILERO: &str = "silero_vad.onnx";
#[allow(dead_code, reason = "not every test needs it")]
pub(crate) const SMART_TURN: &str = "smart-turn-v3.2-cpu.onnx";

/// The model `file`, if there is one and something to run it with.
pub(crate) fn model(file: &str) -> Option<ModelSource> {
    let folder = env::var_os("SIDETONE_TEST_MODELS").map_or_else(
        || {
            PathBuf::from(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../../shared/models"
            ))
        },
        PathBuf::from,
    );
    let path = folder.join(file);
    if !path.is_file() {
        println!(
            "skipped: no {} (SIDETONE_TEST_MODELS names the folder)",
            path.display()
        );
        return None;
    }
    match onnx::open() {
        Ok(()) => Some(ModelSource::File(path)),
        Err(onnx::OnnxError::NoRuntime) => {
            println!("skipped: {}", onnx::OnnxError::NoRuntime);
            None
        }
        Err(unusable) => panic!("{unusable}"),
    }
}
