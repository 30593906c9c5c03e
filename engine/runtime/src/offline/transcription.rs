//! A transcription under way.

use std::{
    future::poll_fn,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    thread,
    time::Duration,
};

use futures_util::Stream;

use super::{
    error::TranscribeError,
    pool::{self, Pool},
    progress::{Board, State},
    reading::{Plan, Reader},
    source::Source as Samples,
    transcript::{Segment, Source, Timings, Transcript},
};

/// For each thread one window at work and one that waits: reading goes no further ahead.
const WINDOWS_PER_THREAD: usize = 2;

/// A transcription under way: a stream of its segments in the order of their beginnings. Dropping
/// it stops it at once.
///
/// It works in threads of its own and needs no particular async runtime: whatever polls it will do.
/// Segments that are not polled for hold nothing back; they wait for [`finish`](Self::finish).
#[must_use = "dropping a transcription stops it"]
pub struct Transcription {
    board: Arc<Board>,
    /// Keeps the threads.
    _pool: Arc<Pool>,
    about: About,
    /// How many segments the stream has yielded.
    yielded: usize,
}

/// What stands in the transcript from the start.
pub(super) struct About {
    pub(super) name: PathBuf,
    pub(super) format: String,
    pub(super) rate_hz: u32,
    pub(super) channels: u16,
    pub(super) model: String,
}

impl Transcription {
    /// Starts reading in a thread of its own.
    pub(super) fn start(
        pool: &Arc<Pool>,
        mut samples: impl Samples + 'static,
        plan: Plan,
        about: About,
        total: Option<Duration>,
    ) -> Result<Self, TranscribeError> {
        let board = Arc::new(Board::new(WINDOWS_PER_THREAD * pool.threads(), total));
        let reader = Reader::new(plan, board.clone(), pool.queue())?;
        let watched = board.clone();
        let read = move || {
            let result = pool::caught(|| {
                reader.run(&mut samples);
                Ok(())
            });
            if let Err(panic) = result {
                watched.fail(TranscribeError::Recognition(panic));
            }
        };
        thread::Builder::new()
            .name("transcribe-read".into())
            .spawn(read)
            .map_err(TranscribeError::Thread)?;
        Ok(Self {
            board,
            _pool: pool.clone(),
            about,
            yielded: 0,
        })
    }

    /// How far it is. Cheap.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let state = self.board.lock();
        Progress {
            done: state.done(),
            total: state.total,
        }
    }

    /// Takes no new windows: the segments of those under way still come, then the stream ends.
    pub fn stop(&self) {
        self.board.stop(false);
    }

    /// Waits for the end, and returns everything, the segments that the stream yielded before
    /// included.
    ///
    /// # Errors
    ///
    /// [`TranscribeError`] when the recognition failed. A damaged recording is no error here: see
    /// [`Transcript::damage`].
    pub async fn finish(self) -> Result<Transcript, TranscribeError> {
        poll_fn(|context| {
            let mut state = self.board.lock();
            let Some(elapsed) = state.elapsed else {
                state.wait(context.waker());
                return Poll::Pending;
            };
            if let Some(error) = state.error.take() {
                return Poll::Ready(Err(error));
            }
            Poll::Ready(Ok(self.about.transcript(&mut state, elapsed)))
        })
        .await
    }
}

impl Stream for Transcription {
    type Item = Segment;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Segment>> {
        let mut state = self.board.lock();
        let next = state.segments.get(self.yielded).cloned();
        if next.is_none() && state.elapsed.is_none() {
            state.wait(context.waker());
            return Poll::Pending;
        }
        drop(state);
        self.yielded += usize::from(next.is_some());
        Poll::Ready(next)
    }
}

impl Drop for Transcription {
    fn drop(&mut self) {
        self.board.stop(true);
    }
}

impl std::fmt::Debug for Transcription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transcription")
            .field("name", &self.about.name)
            .field("progress", &self.progress())
            .finish_non_exhaustive()
    }
}

impl About {
    fn transcript(&self, state: &mut State, elapsed: Duration) -> Transcript {
        let segments = std::mem::take(&mut state.segments);
        Transcript {
            source: Source {
                name: self.name.clone(),
                format: self.format.clone(),
                rate_hz: self.rate_hz,
                channels: self.channels,
                duration_ms: ms(state.read),
                call: None,
            },
            model: self.model.clone(),
            language: most_spoken(&segments),
            speakers: std::mem::take(&mut state.speakers),
            segments,
            timings: Timings {
                speech_ms: state.speech_ms,
                elapsed_ms: ms(elapsed),
                decode_ms: ms(state.decode),
                windows: state.encodes,
            },
            damage: state.damage.take(),
            stopped: state.stopped(),
        }
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The language of the longest speech; of equals the one that comes first.
fn most_spoken(segments: &[Segment]) -> Option<String> {
    let mut spoken: Vec<(&str, u64)> = Vec::new();
    for segment in segments {
        let len = segment.end_ms - segment.start_ms;
        match spoken
            .iter_mut()
            .find(|(language, _)| *language == segment.language)
        {
            Some((_, sum)) => *sum += len,
            None => spoken.push((&segment.language, len)),
        }
    }
    let most = spoken.into_iter().rev().max_by_key(|(_, sum)| *sum);
    most.map(|(language, _)| language.to_owned())
}

/// How far a transcription is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// All before this point of the recording is transcribed.
    pub done: Duration,
    /// The recording's length, where it is known before the end.
    pub total: Option<Duration>,
}
