//! Events as lines of JSON in a file.

use std::{
    fs::OpenOptions,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use serde::Serialize;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tracing::error;

use crate::events::EventRecord;

/// How many events may wait for the file.
const QUEUE: usize = 4_096;

/// Writes every call's events to a file: one [`EventRecord`] a line, as JSON.
///
/// Writing happens on a thread of its own and never holds up a call. When the file is slower
/// than the calls, events are left out, and a line
/// `{"event":"log.missed","missed":<how many>}` stands in their place.
#[derive(Clone, Debug)]
pub struct EventLog {
    queue: mpsc::Sender<Entry>,
    missed: Arc<AtomicU64>,
}

/// Why events cannot be written to a file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EventLogError {
    /// The file cannot be opened.
    #[error("cannot open the event log {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Some events could not be written.
    #[error("cannot write the event log")]
    Write {
        /// Why.
        source: io::Error,
    },
}

#[derive(Debug)]
enum Entry {
    Record(Arc<EventRecord>),
    Flush(oneshot::Sender<io::Result<()>>),
}

/// Stands in the file for events that are not there.
#[derive(Serialize)]
struct Missed {
    event: &'static str,
    missed: u64,
}

impl EventLog {
    /// Appends to the file at `path`, which is created if there is none.
    ///
    /// # Errors
    ///
    /// [`EventLogError::Open`] names the file.
    pub fn ndjson(path: impl AsRef<Path>) -> Result<Self, EventLogError> {
        let path = path.as_ref();
        let open_error = |source| EventLogError::Open {
            path: path.to_owned(),
            source,
        };
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(open_error)?;
        Self::start(BufWriter::new(file), QUEUE).map_err(open_error)
    }

    fn start(out: impl Write + Send + 'static, capacity: usize) -> io::Result<Self> {
        let (queue, entries) = mpsc::channel(capacity);
        let missed = Arc::new(AtomicU64::new(0));
        let writer = Writer {
            out,
            missed: Arc::clone(&missed),
            failure: None,
        };
        thread::Builder::new()
            .name("sidetone-events".into())
            .spawn(move || writer.run(entries))?;
        Ok(Self { queue, missed })
    }

    /// Queues an event; counts it as missed if the queue is full.
    pub(crate) fn append(&self, record: Arc<EventRecord>) {
        if self.queue.try_send(Entry::Record(record)).is_err() {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until every event so far is handed to the operating system.
    ///
    /// # Errors
    ///
    /// [`EventLogError::Write`] with the first failure since the last flush.
    pub async fn flush(&self) -> Result<(), EventLogError> {
        let (done, flushed) = oneshot::channel();
        let stopped = || io::Error::other("the thread that writes it has stopped");
        let result = match self.queue.send(Entry::Flush(done)).await {
            Ok(()) => flushed.await.unwrap_or_else(|_| Err(stopped())),
            Err(_) => Err(stopped()),
        };
        result.map_err(|source| EventLogError::Write { source })
    }
}

/// The thread that writes.
struct Writer<W> {
    out: W,
    missed: Arc<AtomicU64>,
    /// The first failure since the last flush.
    failure: Option<io::Error>,
}

impl<W: Write> Writer<W> {
    fn run(mut self, mut entries: mpsc::Receiver<Entry>) {
        while let Some(entry) = entries.blocking_recv() {
            match entry {
                Entry::Record(record) => self.line(&*record),
                Entry::Flush(done) => {
                    self.note_missed();
                    self.flush();
                    // Who asked may have gone.
                    let _ = done.send(self.failure.take().map_or(Ok(()), Err));
                }
            }
            if entries.is_empty() {
                self.note_missed();
                self.flush();
            }
        }
        self.note_missed();
        self.flush();
    }

    fn note_missed(&mut self) {
        let missed = self.missed.swap(0, Ordering::Relaxed);
        if missed > 0 {
            self.line(&Missed {
                event: "log.missed",
                missed,
            });
        }
    }

    fn line(&mut self, value: &impl Serialize) {
        let written = serde_json::to_writer(&mut self.out, value).map_err(io::Error::from);
        self.keep(written);
        let written = self.out.write_all(b"\n");
        self.keep(written);
    }

    fn flush(&mut self) {
        let flushed = self.out.flush();
        self.keep(flushed);
    }

    fn keep(&mut self, result: io::Result<()>) {
        if let Err(failure) = result
            && self.failure.is_none()
        {
            error!(%failure, "cannot write the event log");
            self.failure = Some(failure);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::mpsc as sync_mpsc};

    use serde_json::Value;
    use sidetone_core::event::CallEvent;

    use super::*;
    use crate::events::CallId;

    fn record(seq: u64) -> Arc<EventRecord> {
        Arc::new(EventRecord {
            call_id: CallId::random(),
            at_ms: 20 * seq,
            seq,
            event: CallEvent::Dtmf { digit: '7' },
        })
    }

    #[tokio::test]
    async fn appends_to_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.ndjson");
        let records = [record(1), record(2), record(3)];
        for part in records.chunks(2) {
            let log = EventLog::ndjson(&path).unwrap();
            for record in part {
                log.append(Arc::clone(record));
            }
            log.flush().await.unwrap();
        }
        let text = fs::read_to_string(&path).unwrap();
        let read: Vec<EventRecord> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(read, records.map(|record| (*record).clone()));
    }

    #[test]
    fn an_unusable_path_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = EventLog::ndjson(dir.path()).unwrap_err();
        let named = dir.path().display().to_string();
        assert!(error.to_string().contains(&named), "{error}");
    }

    /// A file that takes nothing until it is told to.
    struct Slow {
        go: sync_mpsc::Receiver<()>,
        written: sync_mpsc::Sender<Vec<u8>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Once the other end is gone there is nothing to wait for.
            let _ = self.go.recv();
            let _ = self.written.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_slow_file_costs_events_and_says_how_many() {
        let (go, wait) = sync_mpsc::channel();
        let (written, lines) = sync_mpsc::channel();
        let slow = Slow { go: wait, written };
        let log = EventLog::start(slow, 2).unwrap();
        log.append(record(1));
        // The thread has taken the first event once both places of the queue are free.
        while log.queue.capacity() < 2 {
            tokio::task::yield_now().await;
        }
        for seq in 2..=6 {
            log.append(record(seq));
        }
        drop(go);
        log.flush().await.unwrap();
        drop(log);
        let bytes: Vec<u8> = lines.iter().flatten().collect();
        let read: Vec<Value> = String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let seqs: Vec<_> = read
            .iter()
            .filter_map(|line| line["seq"].as_u64())
            .collect();
        assert_eq!(seqs, [1, 2, 3]);
        let missed: u64 = read.iter().filter_map(|line| line["missed"].as_u64()).sum();
        assert_eq!(missed, 3);
    }

    /// A full disk.
    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_failure_to_write_is_told_once() {
        let log = EventLog::start(Full, 8).unwrap();
        log.append(record(1));
        assert!(matches!(
            log.flush().await,
            Err(EventLogError::Write { .. })
        ));
        assert!(log.flush().await.is_ok());
    }
}
