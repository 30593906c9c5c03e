//! Transcribes WAV files with a Whisper model, each as one turn of a call.
//!
//! Reads one path per line from standard input and writes `path<TAB>language<TAB>text` lines in the
//! same order. The arguments are a model's name or file and the language to expect, an ISO 639-1
//! code; without one the model finds out. `models/training/evaluate.py` measures with it.
//!
//! ```sh
//! ls recordings/*.wav | cargo run --release -p sidetone-speech --example transcribe -- demo en
//! ```

#![allow(
    clippy::print_stdout,
    reason = "the transcript is this program's output"
)]

use std::{env, error::Error, io};

use sidetone_codecs::wav;
use sidetone_core::job::{JobEvent, JobId, SttEvent, SttJob, SttPurpose};
use sidetone_speech::{
    Sink, Stt,
    stt::whisper::{Whisper, WhisperConfig},
};
use tokio::sync::mpsc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let model = env::args()
        .nth(1)
        .ok_or("usage: transcribe MODEL [LANGUAGE] < paths")?;
    let language = env::args().nth(2);
    let mut config = WhisperConfig::new(sidetone_models::resolve(&model)?);
    config.threads = 1;
    let whisper = Whisper::load(config)?;
    let (to_updates, mut updates) = mpsc::channel(1);
    for (number, path) in io::stdin().lines().enumerate() {
        let path = path?;
        let recording = wav::read_file(&path)?;
        let job = SttJob {
            id: JobId(number as u64),
            purpose: SttPurpose::Final,
            rate: recording.rate,
            audio: recording.into_mono().into(),
            language: language.clone(),
        };
        let _running = whisper.start(job, Sink::new(JobId(number as u64), to_updates.clone()));
        let update = updates.recv().await.ok_or("the recogniser went away")?;
        let JobEvent::Stt(SttEvent::Transcript(transcript)) = update.event else {
            return Err(format!("{path}: {:?}", update.event).into());
        };
        let language = transcript.language.unwrap_or_default();
        println!("{path}\t{language}\t{}", transcript.text);
    }
    Ok(())
}
