//! Writing down that tokens and sessions are used: one at a time, behind the back of the requests that
//! use them. A database that takes nothing holds up nobody who asks.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::mpsc;
use tracing::warn;

use crate::store::{Store, StoreError, UnixMs};

/// A use is written down this often.
const NOTED_EVERY: Duration = Duration::from_secs(60);
/// How many wait to be written down; what finds no room is noted with the next use.
const QUEUE: usize = 256;
/// How many are remembered.
const REMEMBERED: usize = 4_096;

/// The way to those notes.
#[derive(Debug)]
pub(super) struct Uses {
    noted: Arc<Noted>,
    queue: mpsc::Sender<Use>,
}

/// What was used.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    /// A token, by its id.
    Token(String),
    /// A session, by its hash.
    Session([u8; 32]),
}

/// What there is to write down.
#[derive(Debug)]
enum Use {
    Token {
        id: String,
        at: UnixMs,
    },
    Session {
        hash: [u8; 32],
        until: UnixMs,
        longest: Duration,
    },
}

impl Use {
    fn key(&self) -> Key {
        match self {
            Self::Token { id, .. } => Key::Token(id.clone()),
            Self::Session { hash, .. } => Key::Session(*hash),
        }
    }

    async fn write(&self, store: &Store) -> Result<(), StoreError> {
        match self {
            Self::Token { id, at } => store.token_used(id, *at).await,
            Self::Session {
                hash,
                until,
                longest,
            } => store.extend_session(hash, *until, *longest).await,
        }
    }
}

/// When what was noted last.
#[derive(Debug, Default)]
struct Noted(Mutex<HashMap<Key, Instant>>);

impl Uses {
    /// Writes to `store`, in a task of its own.
    pub(super) fn new(store: Store) -> Self {
        let noted = Arc::<Noted>::default();
        let (queue, queued) = mpsc::channel(QUEUE);
        tokio::spawn(write(store, queued, Arc::clone(&noted)));
        Self { noted, queue }
    }

    /// A token is used.
    pub(super) fn token(&self, id: &str, at: UnixMs) {
        self.note(Use::Token {
            id: id.to_owned(),
            at,
        });
    }

    /// A session is used, and goes on until `until`, but no longer than `longest`.
    pub(super) fn session(&self, hash: [u8; 32], until: UnixMs, longest: Duration) {
        self.note(Use::Session {
            hash,
            until,
            longest,
        });
    }

    fn note(&self, what: Use) {
        let key = what.key();
        if self.noted.is_news(&key, Instant::now()) && self.queue.try_send(what).is_err() {
            self.noted.forget(&key);
        }
    }
}

impl Noted {
    /// Whether it was not noted lately; it is now.
    fn is_news(&self, key: &Key, now: Instant) -> bool {
        let is_recent = |noted: &Instant| now.saturating_duration_since(*noted) < NOTED_EVERY;
        let mut noted = self.noted();
        if noted.get(key).is_some_and(is_recent) {
            return false;
        }
        if noted.len() >= REMEMBERED {
            noted.retain(|_, noted| is_recent(noted));
        }
        if noted.len() >= REMEMBERED {
            return false;
        }
        noted.insert(key.clone(), now);
        true
    }

    /// It could not be written down: the next use is news.
    fn forget(&self, key: &Key) {
        self.noted().remove(key);
    }

    /// A panic while the lock was held cannot leave the map half changed.
    fn noted(&self) -> MutexGuard<'_, HashMap<Key, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn write(store: Store, mut queued: mpsc::Receiver<Use>, noted: Arc<Noted>) {
    while let Some(what) = queued.recv().await {
        if let Err(error) = what.write(&store).await {
            warn!(%error, "the use of a token or session is not written down yet");
            noted.forget(&what.key());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_is_noted_once_a_minute() {
        let (noted, now) = (Noted::default(), Instant::now());
        let key = Key::Token("tok-1".into());
        assert!(noted.is_news(&key, now));
        assert!(!noted.is_news(&key, now + Duration::from_secs(59)));
        assert!(noted.is_news(&Key::Session([1; 32]), now));
        assert!(noted.is_news(&key, now + NOTED_EVERY));
        noted.forget(&key);
        assert!(noted.is_news(&key, now + NOTED_EVERY));
    }

    #[test]
    fn no_more_is_remembered_than_there_is_room_for() {
        let (noted, now) = (Noted::default(), Instant::now());
        let key = |n: usize| Key::Token(format!("tok-{n}"));
        for n in 0..REMEMBERED {
            assert!(noted.is_news(&key(n), now));
        }
        assert!(!noted.is_news(&key(REMEMBERED), now));
        let later = now + NOTED_EVERY;
        assert!(noted.is_news(&key(REMEMBERED), later));
        assert_eq!(noted.noted().len(), 1);
    }
}
