//! `sidetone check` says what is missing, in one line.

#![allow(clippy::unwrap_used)]

use std::{path::Path, process::Command};

/// What `sidetone check` says about models that `config` asks for, with `models` as the models
/// directory; `Ok`: nothing. `library` is where ONNX Runtime is said to be.
fn checked(config: &str, models: &Path, library: &Path) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sidetone.toml");
    let text = format!("[server]\ninsecure = true\n[tts]\nprovider = \"openai\"\n{config}\n");
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidetone"));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("SIDETONE_") || name.starts_with("TWILIO_") {
            command.env_remove(&*name);
        }
    }
    let output = command
        .args(["check", "--config"])
        .arg(&file)
        .env("SIDETONE_MODELS_DIR", models)
        .env("ORT_DYLIB_PATH", library)
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    if output.status.success() {
        Ok(())
    } else {
        assert_eq!(error.lines().count(), 1, "{error}");
        Err(error)
    }
}

const ASKING: [(&str, &str, &str, u64); 2] = [
    (
        "[vad]\nprovider = \"silero\"",
        "`vad.provider` = \"silero\"",
        "silero_vad.onnx",
        2_327_524,
    ),
    (
        "[endpointing]\nmodel = \"smart-turn\"",
        "`endpointing.model` = \"smart-turn\"",
        "smart-turn-v3.2-cpu.onnx",
        8_679_182,
    ),
];

#[test]
fn a_model_that_is_not_here_is_named_with_the_command_that_fetches_it() {
    let empty = tempfile::tempdir().unwrap();
    for (config, key, file, _) in ASKING {
        let error = checked(config, empty.path(), Path::new("")).unwrap_err();
        assert!(
            error.starts_with(&format!("error: {key}: the model ")),
            "{error}"
        );
        assert!(error.contains(file), "{error}");
        assert!(
            error.contains("fetch it with `sidetone models fetch "),
            "{error}"
        );
    }
}

#[test]
fn a_runtime_that_is_not_there_is_named_with_the_command_that_fetches_it() {
    let models = tempfile::tempdir().unwrap();
    for (config, key, file, size_bytes) in ASKING {
        // The right size is all that a check looks at.
        let file = std::fs::File::create(models.path().join(file)).unwrap();
        file.set_len(size_bytes).unwrap();
        let library = models.path().join("libonnxruntime.so");
        let error = checked(config, models.path(), &library).unwrap_err();
        let expected = format!("error: {key}: the ONNX Runtime {} ", library.display());
        assert!(error.starts_with(&expected), "{error}");
        assert!(
            error.contains("`sidetone models fetch onnxruntime`"),
            "{error}"
        );
        // Who does not ask for the model needs none of it.
        checked("", models.path(), &library).unwrap();
    }
}
