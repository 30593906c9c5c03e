//! Transcribes one recording.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::StreamExt as _;
use sidetone::offline::{
    Format, NdjsonWriter, RecordedCall, Redaction, Redactor, Segment, TranscribeError,
    TranscribeOptions, Transcriber, Transcript,
};
use sidetone_codecs::recording::{Recording, RecordingError};
use thiserror::Error;
use tokio::{sync::watch, task, time};

use crate::view;

use super::{
    args::RawFormat,
    calls::Calls,
    files::{Draft, WriteError},
    finished::FinishedList,
    inputs::Input,
    outcome::{Outcome, State},
    telling::Teller,
};

const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// What all recordings of a run have in common.
pub(super) struct Run {
    pub(super) transcriber: Transcriber,
    pub(super) options: TranscribeOptions,
    pub(super) raw: Option<RawFormat>,
    pub(super) calls: Calls,
    pub(super) formats: Vec<Format>,
    pub(super) redact: Vec<Redaction>,
    /// Write a heading before each on standard output.
    pub(super) headings: bool,
    pub(super) finished: Option<Mutex<FinishedList>>,
    pub(super) resume: bool,
    /// A digest of model and options.
    pub(super) settings: String,
    pub(super) teller: Arc<Teller>,
    /// Becomes true by Ctrl-C.
    pub(super) stop: watch::Receiver<bool>,
    /// What is wrong with one is wrong with all that follow.
    pub(super) hopeless: AtomicBool,
}

/// A recording, and where its transcripts go.
pub(super) struct Task {
    /// From 0.
    pub(super) n: usize,
    pub(super) input: Input,
    /// One for each format; none for standard output.
    pub(super) files: Vec<PathBuf>,
}

/// Why nothing became of a recording.
#[derive(Debug, Error)]
enum Fault {
    #[error(transparent)]
    Recording(#[from] RecordingError),
    #[error(transparent)]
    Transcribe(#[from] TranscribeError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error("{0}")]
    Call(String),
    #[error("cannot write to standard output: {0}")]
    Stdout(io::Error),
}

impl Fault {
    /// The next recording would meet it too.
    fn is_everyones(&self) -> bool {
        match self {
            Self::Write(error) => error.is_full(),
            // How many speakers there are depends on the recording.
            Self::Transcribe(TranscribeError::Option { key, .. }) => *key != "speakers",
            Self::Stdout(_) => true,
            _ => false,
        }
    }
}

impl Run {
    /// Transcribes a recording, and tells of it.
    pub(super) async fn transcribe(&self, task: Task) -> Outcome {
        let name = task.input.name().to_owned();
        let (n, began) = (task.n, Instant::now());
        if *self.stop.borrow() {
            return Outcome::bare(name, State::NotBegun);
        }
        if self.hopeless.load(Ordering::Relaxed) {
            return Outcome::bare(name, State::GivenUp);
        }
        let outcome = match self.before(&task) {
            Some(state) => Outcome {
                outputs: task.files,
                ..Outcome::bare(name, state)
            },
            None => {
                self.teller.began(n);
                match self.anew(task).await {
                    Ok(outcome) => Outcome {
                        took: began.elapsed(),
                        ..outcome
                    },
                    // Whoever read has read enough.
                    Err(Fault::Stdout(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                        self.hopeless.store(true, Ordering::Relaxed);
                        Outcome::bare(name, State::Stopped)
                    }
                    Err(fault) if fault.is_everyones() => {
                        // Told once, and not as a fault of this recording.
                        if !self.hopeless.swap(true, Ordering::Relaxed) {
                            self.teller.error(&crate::in_full(&fault));
                        }
                        Outcome::bare(name, State::GivenUp)
                    }
                    Err(fault) => Outcome::bare(name, State::Failed(crate::in_full(&fault))),
                }
            }
        };
        self.teller.ended(n, &outcome);
        outcome
    }

    /// What became of it before, if there is nothing left to do.
    fn before(&self, task: &Task) -> Option<State> {
        let list = self.finished.as_ref().filter(|_| self.resume)?;
        let list = list.lock().expect("nobody panics while noting");
        let (relative, source) = (task.input.relative(), task.input.name());
        let before = list.find(relative, source, &self.settings, &task.files)?;
        Some(match &before.damage {
            None => State::Before,
            Some(damage) => State::Damaged(damage.clone()),
        })
    }

    async fn anew(&self, task: Task) -> Result<Outcome, Fault> {
        let mut stop = self.stop.clone();
        let (input, raw) = (task.input.clone(), self.raw);
        let opened = task::spawn_blocking(move || open(&input, raw));
        let recording = tokio::select! {
            opened = opened => opened.expect("opening does not panic")?,
            // Standard input may keep silent for ever.
            _ = stop.wait_for(|stop| *stop) => {
                return Ok(Outcome::bare(task.input.name().to_owned(), State::Stopped));
            }
        };
        let (options, call) = self.options_of(&task.input, &recording)?;
        let name = task.input.name().to_owned();
        let mut transcription = self.transcriber.start(recording, name.clone(), options)?;
        let mut live = self.live(&task)?;
        let mut redactor = Redactor::new(&self.redact);
        let mut segments: Vec<Segment> = Vec::new();
        let mut told = time::interval(PROGRESS_EVERY);
        told.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        let mut stopping = false;
        loop {
            tokio::select! {
                segment = transcription.next() => {
                    let Some(segment) = segment else { break };
                    keep(redactor.push(segment), &mut segments, &mut live)?;
                }
                _ = told.tick() => self.teller.progress(task.n, transcription.progress()),
                _ = stop.wait_for(|stop| *stop), if !stopping => {
                    stopping = true;
                    transcription.stop();
                }
            }
        }
        let mut transcript = transcription.finish().await?;
        keep(redactor.finish(), &mut segments, &mut live)?;
        transcript.segments = segments;
        transcript.source.call = call;
        self.write(&task, &transcript, live)
    }

    /// The options for this recording, and the call that it is of.
    fn options_of(
        &self,
        input: &Input,
        recording: &Recording,
    ) -> Result<(TranscribeOptions, Option<RecordedCall>), Fault> {
        let mut options = self.options.clone();
        let channels = recording.channels().get();
        if channels == 1 && options.speakers.len() > 1 {
            // Nobody knows which of them speaks.
            options.speakers.clear();
        }
        let call = match input {
            Input::File { path, .. } => self.calls.of(path, channels).map_err(Fault::Call)?,
            Input::Stdin => None,
        };
        if call.is_some() && channels == 2 && options.speakers.is_empty() {
            options.speakers = RecordedCall::SPEAKERS.map(str::to_owned).into();
        }
        Ok((options, call))
    }

    /// Where segments go as they come, if they do.
    fn live(&self, task: &Task) -> Result<Option<Live<'_>>, Fault> {
        let Some(at) = self
            .formats
            .iter()
            .position(|format| *format == Format::Ndjson)
        else {
            return Ok(None);
        };
        let out = match task.files.get(at) {
            Some(file) => Out::File(Draft::begin(file)?),
            None => Out::Stdout(&self.teller),
        };
        Ok(Some(Live {
            lines: NdjsonWriter::new(out, task.input.name()),
            file: task.files.get(at).cloned(),
        }))
    }

    /// Writes the transcript in every format.
    fn write(
        &self,
        task: &Task,
        transcript: &Transcript,
        mut live: Option<Live<'_>>,
    ) -> Result<Outcome, Fault> {
        let mut printed = Vec::new();
        let mut drafts = Vec::new();
        for (at, format) in self.formats.iter().enumerate() {
            let draft = match (
                task.files.get(at),
                live.take_if(|_| *format == Format::Ndjson),
            ) {
                (None, Some(live)) => {
                    live.finish(transcript)?;
                    continue;
                }
                (None, None) => {
                    self.render(*format, transcript, &mut printed);
                    continue;
                }
                (Some(_), Some(live)) => match live.finish(transcript)? {
                    Out::File(draft) => draft,
                    Out::Stdout(_) => continue,
                },
                (Some(file), None) => {
                    let mut draft = Draft::begin(file)?;
                    let failed = |error| WriteError::new(file, error);
                    format.write(transcript, &mut draft).map_err(failed)?;
                    draft
                }
            };
            if !transcript.stopped {
                drafts.push(draft);
            } else if !transcript.segments.is_empty() {
                draft.leave()?;
            }
        }
        let written = Draft::complete_all(drafts)?;
        let state = match &transcript.damage {
            _ if transcript.stopped => State::Stopped,
            Some(damage) => State::Damaged(damage.clone()),
            None => State::Done,
        };
        if let Some(list) = &self.finished
            && !transcript.stopped
        {
            let (relative, source) = (task.input.relative(), task.input.name());
            let mut list = list.lock().expect("nobody panics while noting");
            let damage = transcript.damage.as_ref();
            list.add(relative, source, &self.settings, &written, damage)?;
        }
        let mut speakers: Vec<&str> = transcript
            .segments
            .iter()
            .filter_map(|segment| segment.speaker.as_deref())
            .collect();
        speakers.sort_unstable();
        speakers.dedup();
        Ok(Outcome {
            audio: Duration::from_millis(transcript.source.duration_ms),
            speech: Duration::from_millis(transcript.timings.speech_ms),
            speakers: speakers.len(),
            language: transcript.language.clone(),
            segments: transcript.segments.len(),
            outputs: written.into_iter().map(|(path, _)| path).collect(),
            printed,
            ..Outcome::bare(task.input.name().to_owned(), state)
        })
    }

    /// Prints what came of a recording, in its turn. An error is what becomes of it.
    pub(super) fn print(&self, printed: &[u8]) -> Result<(), State> {
        if printed.is_empty() {
            return Ok(());
        }
        self.teller.print(printed).map_err(|error| {
            let told = self.hopeless.swap(true, Ordering::Relaxed);
            // Whoever read has read enough.
            if error.kind() == io::ErrorKind::BrokenPipe {
                return State::Stopped;
            }
            if !told {
                self.teller.error(&Fault::Stdout(error).to_string());
            }
            State::GivenUp
        })
    }

    /// What is printed of a transcript.
    fn render(&self, format: Format, transcript: &Transcript, printed: &mut Vec<u8>) {
        if self.headings {
            let name = view::printable(&transcript.source.name.to_string_lossy());
            printed.extend(format!("==> {name} <==\n").as_bytes());
        }
        format.write(transcript, printed).expect("memory takes all");
        if self.headings {
            printed.push(b'\n');
        }
    }
}

/// Keeps the segments that are settled, and writes them where that is done as they come.
fn keep(
    settled: Vec<Segment>,
    segments: &mut Vec<Segment>,
    live: &mut Option<Live<'_>>,
) -> Result<(), Fault> {
    for segment in settled {
        if let Some(live) = live {
            live.segment(&segment)?;
        }
        segments.push(segment);
    }
    Ok(())
}

/// Opens a recording. Blocks.
fn open(input: &Input, raw: Option<RawFormat>) -> Result<Recording, RecordingError> {
    match (input, raw) {
        (Input::Stdin, raw) => {
            Recording::from_reader(io::stdin(), raw.map_or("-", RawFormat::file_name))
        }
        (Input::File { path, .. }, None) => Recording::open(path),
        (Input::File { path, .. }, Some(raw)) => {
            Recording::from_reader(File::open(path)?, raw.file_name())
        }
    }
}

/// Segments written as they come.
struct Live<'a> {
    lines: NdjsonWriter<Out<'a>>,
    /// None: standard output.
    file: Option<PathBuf>,
}

enum Out<'a> {
    File(Draft),
    Stdout(&'a Teller),
}

impl<'a> Live<'a> {
    fn segment(&mut self, segment: &Segment) -> Result<(), Fault> {
        let written = self.lines.segment(segment);
        written.map_err(|error| fault(self.file.as_deref(), error))
    }

    fn finish(self, transcript: &Transcript) -> Result<Out<'a>, Fault> {
        let finished = self.lines.finish(transcript);
        finished.map_err(|error| fault(self.file.as_deref(), error))
    }
}

fn fault(file: Option<&Path>, error: io::Error) -> Fault {
    match file {
        Some(file) => WriteError::new(file, error).into(),
        None => Fault::Stdout(error),
    }
}

impl Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(draft) => draft.write(bytes),
            Self::Stdout(teller) => teller.print(bytes).map(|()| bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(draft) => draft.flush(),
            Self::Stdout(_) => Ok(()),
        }
    }
}
