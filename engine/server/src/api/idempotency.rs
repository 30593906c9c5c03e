//! `Idempotency-Key`: asking again does not call again.
//!
//! What was answered is kept in memory for a day; a server that restarts has forgotten it.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::problem::{Kind, Problem};

/// The header.
pub(super) const HEADER: &str = "idempotency-key";

/// How long an answer is kept.
const KEPT: Duration = Duration::from_secs(24 * 3_600);

/// How many answers are kept.
const MOST_KEPT: usize = 10_000;

/// The longest key, in bytes.
const MAX_KEY: usize = 255;

/// The answers to requests with keys. `A` is an answer.
#[derive(Debug)]
pub(crate) struct Idempotency<A>(Mutex<HashMap<Key, Entry<A>>>);

impl<A> Default for Idempotency<A> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// Whose key: the token's id, and the key.
type Key = (String, String);

#[derive(Debug)]
struct Entry<A> {
    request: [u8; 32],
    since: Instant,
    answer: Option<A>,
}

/// What to do with a request.
#[derive(Debug)]
pub(super) enum Turn<'a, A> {
    /// It is the first with its key: carry it out.
    First(Claim<'a, A>),
    /// It was carried out: give this answer again.
    Again(A),
}

/// A request that is being carried out. Dropped without an [`answer`](Self::answer) it was not, and
/// may be sent again.
#[derive(Debug)]
pub(super) struct Claim<'a, A> {
    all: &'a Idempotency<A>,
    key: Option<Key>,
}

impl<A: Clone> Idempotency<A> {
    /// What to do with a request of `who` with this hash.
    ///
    /// # Errors
    ///
    /// 400 for a key that is none, 409 where the key was used for another request, or the first with
    /// it is still being carried out.
    pub(super) fn begin(
        &self,
        who: &str,
        key: &[u8],
        request: [u8; 32],
        now: Instant,
    ) -> Result<Turn<'_, A>, Problem> {
        let key = std::str::from_utf8(key)
            .ok()
            .filter(|key| (1..=MAX_KEY).contains(&key.len()))
            .ok_or_else(|| {
                Problem::field(
                    "Idempotency-Key",
                    format!("must be 1 to {MAX_KEY} characters"),
                )
            })?;
        let key = (who.to_owned(), key.to_owned());
        let mut entries = self.entries();
        if entries.len() >= MOST_KEPT {
            entries.retain(|_, entry| now.saturating_duration_since(entry.since) < KEPT);
        }
        match entries.get(&key) {
            Some(entry) if now.saturating_duration_since(entry.since) < KEPT => {
                if entry.request != request {
                    return Err(Problem::new(
                        Kind::KeyReused,
                        "Use a new key for each request that differs.",
                    ));
                }
                match &entry.answer {
                    Some(answer) => Ok(Turn::Again(answer.clone())),
                    None => Err(Problem::new(
                        Kind::Conflict,
                        "The first request with this key is still being carried out.",
                    )
                    .retry_after(Duration::from_secs(1))),
                }
            }
            _ if entries.len() >= MOST_KEPT => Err(Problem::new(
                Kind::Unavailable,
                "Too many requests with keys came within a day.",
            )),
            _ => {
                let entry = Entry {
                    request,
                    since: now,
                    answer: None,
                };
                entries.insert(key.clone(), entry);
                Ok(Turn::First(Claim {
                    all: self,
                    key: Some(key),
                }))
            }
        }
    }

    /// A request without a key.
    pub(super) fn without(&self) -> Turn<'_, A> {
        Turn::First(Claim {
            all: self,
            key: None,
        })
    }
}

impl<A> Idempotency<A> {
    /// A panic while the lock was held cannot leave the map half changed.
    fn entries(&self) -> MutexGuard<'_, HashMap<Key, Entry<A>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<A> Claim<'_, A> {
    /// The request was carried out, or may have been: this is the answer to all with its key.
    pub(super) fn answer(mut self, answer: A) {
        if let Some(key) = self.key.take()
            && let Some(entry) = self.all.entries().get_mut(&key)
        {
            entry.answer = Some(answer);
        }
    }
}

impl<A> Drop for Claim<'_, A> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.all.entries().remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first<'a>(turn: Result<Turn<'a, u32>, Problem>) -> Claim<'a, u32> {
        match turn.unwrap() {
            Turn::First(claim) => claim,
            Turn::Again(answer) => panic!("answered {answer}"),
        }
    }

    #[test]
    fn the_same_request_gets_the_same_answer() {
        let (all, now) = (Idempotency::default(), Instant::now());
        let begin = |who, key, request, at| all.begin(who, key, [request; 32], at);
        let claim = first(begin("a", b"k", 1, now));
        let meanwhile = begin("a", b"k", 1, now).unwrap_err();
        assert_eq!(meanwhile.kind(), Kind::Conflict);
        claim.answer(7);
        assert!(matches!(begin("a", b"k", 1, now), Ok(Turn::Again(7))));
        let other = begin("a", b"k", 2, now).unwrap_err();
        assert_eq!(other.kind(), Kind::KeyReused);
        // Somebody else's key, and the same key a day later.
        drop(first(begin("b", b"k", 2, now)));
        drop(first(begin("a", b"k", 2, now + KEPT)));
    }

    #[test]
    fn what_was_not_carried_out_may_be_asked_again() {
        let (all, now) = (Idempotency::<u32>::default(), Instant::now());
        drop(first(all.begin("a", b"k", [1; 32], now)));
        drop(first(all.begin("a", b"k", [1; 32], now)));
        drop(first(Ok(all.without())));
    }

    #[test]
    fn a_key_has_a_length() {
        let all = Idempotency::<u32>::default();
        for key in [&b""[..], &[b'x'; 256], &[0xff]] {
            let problem = all.begin("a", key, [0; 32], Instant::now()).unwrap_err();
            assert_eq!(problem.kind(), Kind::BadRequest);
        }
    }
}
