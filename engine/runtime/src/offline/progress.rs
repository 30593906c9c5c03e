//! What a transcription has come to: windows out, segments back in order.

use std::{
    collections::BTreeMap,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::{Duration, Instant},
};

use super::{
    error::TranscribeError,
    transcript::{Damage, Segment},
};

/// Samples of a millisecond at the rate that windows are in.
const MS: u64 = 16;

/// Shared by who reads, who decodes and who waits.
pub(super) struct Board {
    state: Mutex<State>,
    changed: Condvar,
    /// How many windows may be decoded or wait for it: what holds reading back.
    most_windows: usize,
}

/// What is known so far.
pub(super) struct State {
    began: Instant,
    /// Windows that wait or are decoded: where they begin, by number.
    windows: BTreeMap<u64, u64>,
    next_window: u64,
    /// All windows that begin before this were handed out.
    handed_out: u64,
    /// Segments that others may still come before.
    held: BTreeMap<(u64, u16, u64), Segment>,
    next_segment: u64,
    reading: bool,
    /// Whether all of the recording was read and handed out.
    whole: bool,
    pub(super) stopping: bool,
    pub(super) cancelled: bool,
    pub(super) segments: Vec<Segment>,
    pub(super) speakers: Vec<String>,
    pub(super) damage: Option<Damage>,
    pub(super) error: Option<TranscribeError>,
    pub(super) read: Duration,
    pub(super) total: Option<Duration>,
    pub(super) speech_ms: u64,
    pub(super) decode: Duration,
    pub(super) encodes: u32,
    /// Where all has come to, once it has ended.
    pub(super) elapsed: Option<Duration>,
    waker: Option<Waker>,
}

impl Board {
    pub(super) fn new(most_windows: usize, total: Option<Duration>) -> Self {
        Self {
            state: Mutex::new(State {
                began: Instant::now(),
                windows: BTreeMap::new(),
                next_window: 0,
                handed_out: 0,
                held: BTreeMap::new(),
                next_segment: 0,
                reading: true,
                whole: false,
                stopping: false,
                cancelled: false,
                segments: Vec::new(),
                speakers: Vec::new(),
                damage: None,
                error: None,
                read: Duration::ZERO,
                total,
                speech_ms: 0,
                decode: Duration::ZERO,
                encodes: 0,
                elapsed: None,
                waker: None,
            }),
            changed: Condvar::new(),
            most_windows,
        }
    }

    /// Each change is whole before it can panic.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a window that begins at `start`, once there is room; gives its number, or `None` when
    /// no more are taken.
    pub(super) fn begin(&self, start: u64, speech: u64) -> Option<u64> {
        let mut state = self.lock();
        while !state.stopping && state.windows.len() >= self.most_windows {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if state.stopping {
            return None;
        }
        let number = state.next_window;
        state.next_window += 1;
        state.windows.insert(number, start);
        state.speech_ms += speech / MS;
        Some(number)
    }

    /// All windows that begin before `position` were begun.
    pub(super) fn handed_out(&self, position: u64) {
        let mut state = self.lock();
        state.handed_out = state.handed_out.max(position);
        self.settle(state);
    }

    /// A window is done.
    pub(super) fn done(&self, number: u64, segments: Vec<Segment>, took: Duration, encodes: u32) {
        let mut state = self.lock();
        state.windows.remove(&number);
        state.decode += took;
        state.encodes += encodes;
        if !state.cancelled {
            for segment in segments {
                let key = (segment.start_ms, segment.channel, state.next_segment);
                state.next_segment += 1;
                state.held.insert(key, segment);
            }
        }
        self.settle(state);
    }

    /// A window will not be done.
    pub(super) fn given_up(&self, number: u64) {
        let mut state = self.lock();
        state.windows.remove(&number);
        state.whole = false;
        self.settle(state);
    }

    /// Nothing more comes from the recording; `whole`: because it ended.
    pub(super) fn read_all(&self, whole: bool) {
        let mut state = self.lock();
        state.reading = false;
        state.whole = whole && !state.stopping;
        if whole {
            state.handed_out = u64::MAX;
        }
        self.settle(state);
    }

    /// It cannot go on.
    pub(super) fn fail(&self, error: TranscribeError) {
        let mut state = self.lock();
        state.error.get_or_insert(error);
        state.stopping = true;
        state.cancelled = true;
        self.settle(state);
    }

    /// No new windows; `now`: nor those under way.
    pub(super) fn stop(&self, now: bool) {
        let mut state = self.lock();
        state.stopping = true;
        state.cancelled |= now;
        self.settle(state);
    }

    /// Moves on what nothing can come before, and wakes who waits.
    fn settle(&self, mut state: MutexGuard<'_, State>) {
        state.settle();
        let waker = state.waker.take();
        drop(state);
        self.changed.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl State {
    fn settle(&mut self) {
        let ended = self.windows.is_empty() && (!self.reading || self.stopping);
        let settled = self.settled();
        while let Some(first) = self.held.first_entry() {
            if !ended && first.key().0 >= settled / MS {
                break;
            }
            let segment = first.remove();
            self.segments.push(segment);
        }
        if ended && self.elapsed.is_none() {
            self.elapsed = Some(self.began.elapsed());
        }
    }

    /// No segment that is still to come begins before this.
    fn settled(&self) -> u64 {
        let windows = self.windows.values().copied().min();
        windows.unwrap_or(u64::MAX).min(self.handed_out)
    }

    /// Whether something was left out because it was told to stop.
    pub(super) fn stopped(&self) -> bool {
        self.stopping && !self.whole
    }

    /// All before this is transcribed.
    pub(super) fn done(&self) -> Duration {
        Duration::from_millis(self.settled() / MS).min(self.read)
    }

    /// Whom to wake at the next change.
    pub(super) fn wait(&mut self, waker: &Waker) {
        self.waker = Some(waker.clone());
    }
}
