//! From a call's audio to its file.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use sidetone::{CallId, TappedAudio};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, spawn_blocking},
};
use tracing::{Instrument as _, warn};

use super::{RecordingError, Register, Settings, file::Writing, health::Health};
use crate::store::RecordingFile;

/// How many frames may wait to be written: four seconds.
const QUEUE: usize = 200;
/// How many frames are written at once: a second.
const BATCH: usize = 50;

/// Appends left and right in turn; what is missing of the shorter one is silence.
pub(super) fn interleave(audio: &TappedAudio, samples: &mut Vec<i16>) {
    let len = audio.caller.len().max(audio.others.len());
    let sample = |side: &[i16], at| side.get(at).copied().unwrap_or(0);
    samples.extend((0..len).flat_map(|at| [sample(&audio.caller, at), sample(&audio.others, at)]));
}

/// As much silence.
fn silent(audio: &TappedAudio) -> TappedAudio {
    TappedAudio {
        caller: vec![0; audio.caller.len()],
        others: vec![0; audio.others.len()],
        rate: audio.rate,
    }
}

/// How a recording fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecorderStatus {
    /// Frames that could not be kept, because the disk is too slow: they are silent in the recording.
    pub missed: u64,
    /// Frames of another rate than the first, which are left out.
    pub refused: u64,
}

/// Writes the audio of one call to a file. When it is dropped, the file is completed all the same.
#[derive(Debug)]
pub struct Recorder {
    pub(super) frames: mpsc::Sender<Frames>,
    /// Frames before the next that found no room.
    gap: u32,
    pub(super) counted: Arc<Counted>,
    task: JoinHandle<Result<RecordingFile, RecordingError>>,
}

/// A frame, and how many before it found no room.
pub(super) type Frames = (u32, TappedAudio);

#[derive(Debug, Default)]
pub(super) struct Counted {
    missed: AtomicU64,
    pub(super) refused: AtomicU64,
}

impl Recorder {
    pub(super) fn start(
        settings: &Settings,
        call_id: &CallId,
        register: Option<Register>,
    ) -> Result<Self, RecordingError> {
        let writing = Writing::create(settings, call_id)?;
        if let Some(register) = &register {
            // How long it is, is known when it is complete.
            let file = RecordingFile {
                bytes: 0,
                ..writing.file()
            };
            register.writer.note_recording(call_id, file);
        }
        let (frames, queue) = mpsc::channel(QUEUE);
        let counted = Arc::new(Counted::default());
        let task = write(writing, queue, Arc::clone(&counted));
        let health = Arc::clone(&settings.health);
        let task = keep(call_id.clone(), register, health, task);
        Ok(Self {
            frames,
            gap: 0,
            counted,
            task: tokio::spawn(task.in_current_span()),
        })
    }

    /// Takes the next 20 ms, at 8 or 16 kHz; for Opus also at 12, 24 or 48 kHz. Never waits: what
    /// finds no room becomes silence.
    pub fn push(&mut self, frame: TappedAudio) {
        match self.frames.try_send((self.gap, frame)) {
            Ok(()) => self.gap = 0,
            Err(_) => {
                self.gap = self.gap.saturating_add(1);
                if self.counted.missed.fetch_add(1, Ordering::Relaxed) == 0 {
                    warn!("the recording has gaps: its disk is slower than the call, or full");
                }
            }
        }
    }

    /// How the recording fares.
    #[must_use]
    pub fn status(&self) -> RecorderStatus {
        RecorderStatus {
            missed: self.counted.missed.load(Ordering::Relaxed),
            refused: self.counted.refused.load(Ordering::Relaxed),
        }
    }

    /// Completes the file and waits for it.
    ///
    /// # Errors
    ///
    /// [`RecordingError`] where it could not be written to its end; what was written before is there.
    pub async fn finish(self) -> Result<RecordingFile, RecordingError> {
        let Self { frames, task, .. } = self;
        drop(frames);
        match task.await {
            Ok(result) => result,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

/// A recording that is written no further: what there is of it, and why that is not all.
enum Written {
    Whole(RecordingFile),
    Part(RecordingFile, RecordingError),
    Nothing(RecordingError),
}

impl Written {
    fn file(&self) -> Option<&RecordingFile> {
        match self {
            Self::Whole(file) | Self::Part(file, _) => Some(file),
            Self::Nothing(_) => None,
        }
    }

    fn failure(&self) -> Option<&RecordingError> {
        match self {
            Self::Whole(_) => None,
            Self::Part(_, error) | Self::Nothing(error) => Some(error),
        }
    }
}

/// Writes frames until there are no more, or no more can be written.
async fn write(
    writing: Writing,
    mut queue: mpsc::Receiver<Frames>,
    counted: Arc<Counted>,
) -> Written {
    let mut batches = Batches {
        writing,
        batch: Vec::with_capacity(BATCH),
        counted,
    };
    let mut written = Ok(());
    while let Some((gap, frame)) = queue.recv().await {
        (batches, written) = batches.put(gap, frame).await;
        if written.is_err() {
            break;
        }
    }
    // Whoever still pushes is told by the count.
    drop(queue);
    if written.is_ok() {
        (batches, written) = batches.write().await;
    }
    if let Err(error) = &written {
        warn!(error = ?error, "the recording ends here");
    }
    let writing = batches.writing;
    match (blocking(move || writing.finish()).await, written) {
        (Ok(file), Ok(())) => Written::Whole(file),
        (Ok(file), Err(error)) => Written::Part(file, error),
        (Err(error), written) => Written::Nothing(written.err().unwrap_or(error)),
    }
}

/// Frames on their way to the file, as many at once as are worth the way.
struct Batches {
    writing: Writing,
    batch: Vec<TappedAudio>,
    counted: Arc<Counted>,
}

impl Batches {
    /// Takes a frame behind `gap` frames of silence, however long that is.
    async fn put(mut self, gap: u32, frame: TappedAudio) -> (Self, Result<(), RecordingError>) {
        for frame in (0..gap).map(|_| silent(&frame)) {
            self.batch.push(frame);
            if self.batch.len() >= BATCH {
                let written;
                (self, written) = self.write().await;
                if written.is_err() {
                    return (self, written);
                }
            }
        }
        self.batch.push(frame);
        match self.batch.len() < BATCH {
            true => (self, Ok(())),
            false => self.write().await,
        }
    }

    async fn write(self) -> (Self, Result<(), RecordingError>) {
        blocking(move || {
            let Self {
                mut writing,
                mut batch,
                counted,
            } = self;
            let appended = writing.append(&batch);
            batch.clear();
            let written = appended.map(|refused| {
                counted.refused.fetch_add(refused, Ordering::Relaxed);
            });
            let this = Self {
                writing,
                batch,
                counted,
            };
            (this, written)
        })
        .await
    }
}

/// Notes with its call how long the recording is when there comes no more of it, and removes it where
/// the call was deleted.
async fn keep(
    call_id: CallId,
    register: Option<Register>,
    health: Arc<Health>,
    written: impl Future<Output = Written>,
) -> Result<RecordingFile, RecordingError> {
    let written = written.await;
    health.note(written.failure());
    if let (Some(file), Some(Register { store, writer })) = (written.file(), register) {
        writer.flush().await;
        match store.set_recording(call_id.as_str(), file).await {
            Ok(true) => {}
            Ok(false) => {
                let path = file.path.clone();
                // At worst it was removed with the call.
                drop(blocking(move || std::fs::remove_file(path)).await);
            }
            Err(_) => warn!("the length of a recording could not be noted"),
        }
    }
    match written {
        Written::Whole(file) => Ok(file),
        Written::Part(_, error) | Written::Nothing(error) => Err(error),
    }
}

pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::RecordingConfig, recording::Recordings};
    use sidetone_codecs::SampleRate;

    #[tokio::test]
    async fn silence_is_written_in_pieces_however_long_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let config = RecordingConfig {
            folder: folder.path().display().to_string(),
            ..RecordingConfig::default()
        };
        let recordings = Recordings::new(&config).unwrap();
        let writing = Writing::create(&recordings.0, &CallId::from("call-1")).unwrap();
        let batches = Batches {
            writing,
            batch: Vec::new(),
            counted: Arc::default(),
        };
        let frame = TappedAudio {
            rate: SampleRate::HZ_8000,
            caller: vec![1; 160],
            others: vec![1; 160],
        };
        let (batches, written) = batches.put(1_234, frame).await;
        written.unwrap();
        assert_eq!(batches.batch.len(), 1_235 % BATCH);
        assert!(batches.batch.capacity() < 3 * BATCH);
        let (batches, written) = batches.write().await;
        written.unwrap();
        let file = batches.writing.finish().unwrap();
        assert_eq!(file.bytes, 44 + 1_235 * 160 * 4);
    }
}
