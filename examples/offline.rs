//! Transcribes recordings, with the bundled model or another, and prints segments and words as they come.
//!
//! ```sh
//! cargo run --example offline
//! cargo run --example offline -- base.en call.mp3
//! ```
#![allow(clippy::print_stdout, reason = "what an example shows, it prints")]

use std::{env, error::Error, path::PathBuf};

use futures_util::StreamExt;
use sidetone::offline::{TranscribeOptions, Transcriber, TranscriberConfig};
use sidetone_codecs::recording::Recording;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let model = arguments.next().unwrap_or_else(|| "demo".into());
    let mut recordings: Vec<PathBuf> = arguments.map(PathBuf::from).collect();
    if recordings.is_empty() {
        let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
        recordings = [
            "demo/1-where.wav",
            "demo/2-number.wav",
            "callers/annie/hello.wav",
        ]
        .map(|name| fixtures.join(name))
        .into();
    }

    let transcriber = Transcriber::load(TranscriberConfig::named(&model)?)?;
    for path in recordings {
        println!("{}", path.display());
        let options = TranscribeOptions {
            words: true,
            ..TranscribeOptions::default()
        };
        let recording = Recording::open(&path)?;
        let mut transcription = transcriber.start(recording, path, options)?;
        // Segments come while the rest is still being read.
        while let Some(segment) = transcription.next().await {
            let speaker = segment.speaker.unwrap_or_default();
            println!("  {:>6} ms  {speaker} {}", segment.start_ms, segment.text);
            for word in &segment.words {
                println!("      {:>6} ms  {}", word.start_ms, word.text);
            }
        }
        let transcript = transcription.finish().await?;
        if let Some(damage) = transcript.damage {
            println!("  broken at {} ms: {}", damage.at_ms, damage.message);
        }
        let timings = transcript.timings;
        println!(
            "  {} ms of speech in {} ms",
            timings.speech_ms, timings.elapsed_ms
        );
    }
    Ok(())
}
