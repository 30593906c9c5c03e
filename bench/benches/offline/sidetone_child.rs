//! Sidetone's transcriber in a process of its own, so that what it costs is its alone.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use serde::{Deserialize, Serialize};
use sidetone::offline::{
    LanguageChoice, TranscribeOptions, Transcriber, TranscriberConfig, Transcript,
};
use sidetone_codecs::recording::Recording;
use sidetone_models::ModelSource;

/// What the child is to do, as JSON on its command line.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Order {
    model: PathBuf,
    threads: usize,
    window_ms: u32,
    retries: usize,
    file: PathBuf,
}

/// The command that transcribes `file`.
pub(crate) fn command(config: &TranscriberConfig, file: &Path) -> io::Result<Command> {
    let ModelSource::File(model) = &config.model else {
        return Err(io::Error::other("a child reads its model from a file"));
    };
    let order = Order {
        model: model.clone(),
        threads: config.threads,
        window_ms: config.window_ms,
        retries: config.retries,
        file: file.to_owned(),
    };
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--order", &serde_json::to_string(&order)?]);
    Ok(command)
}

/// The body of the child.
pub(crate) fn transcribe(order: &str) -> io::Result<()> {
    let order: Order = serde_json::from_str(order)?;
    let mut config = TranscriberConfig::new(ModelSource::File(order.model), "model");
    config.threads = order.threads;
    config.window_ms = order.window_ms;
    config.retries = order.retries;
    let transcriber = Transcriber::load(config).map_err(io::Error::other)?;
    let recording = Recording::open(&order.file).map_err(io::Error::other)?;
    let options = TranscribeOptions {
        language: LanguageChoice::Is("en".to_owned()),
        ..TranscribeOptions::default()
    };
    let transcription = transcriber
        .start(recording, order.file, options)
        .map_err(io::Error::other)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let transcript = runtime
        .block_on(transcription.finish())
        .map_err(io::Error::other)?;
    io::stdout().write_all(&serde_json::to_vec(&transcript)?)
}

/// What the child wrote: the text of each channel, and how often the encoder ran.
pub(crate) fn texts(output: &[u8], channels: usize) -> io::Result<(Vec<String>, u32)> {
    let transcript: Transcript = serde_json::from_slice(output)?;
    if let Some(damage) = transcript.damage {
        return Err(io::Error::other(damage.message));
    }
    let mut texts = vec![String::new(); channels];
    for segment in transcript.segments {
        let text = &mut texts[usize::from(segment.channel)];
        text.push_str(&segment.text);
        text.push(' ');
    }
    Ok((texts, transcript.timings.windows))
}
