//! Who may come in: places for calls, and the tokens that turn a webhook into a stream.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq as _;
use tokio::sync::watch;

/// How long a token can be used after the webhook handed it out.
pub(crate) const TOKEN_LIFETIME: Duration = Duration::from_secs(60);

/// How long after its webhook a caller is still expected to connect while the server drains.
/// Twilio opens the stream within a second or so.
const CONNECT_GRACE: Duration = Duration::from_secs(5);

/// Counts calls and keeps the tokens. Never holds more than `max_calls` of either.
pub(crate) struct Admission {
    max_calls: usize,
    state: Mutex<State>,
    /// How many places are taken, for whoever waits for the last call to end.
    taken: watch::Sender<usize>,
}

/// Why nobody more comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// `max_calls` are running or on their way.
    Busy,
    /// The server is going down.
    Draining,
}

/// A socket's place among the calls. Dropping it frees the place.
pub(crate) struct Place {
    admission: Arc<Admission>,
    started: AtomicBool,
}

#[derive(Default)]
struct State {
    draining: bool,
    /// Sockets whose stream has not started.
    waiting: usize,
    /// Sockets whose stream has started.
    started: usize,
    /// Tokens handed out and not used, by their public half.
    tokens: HashMap<[u8; 8], Token>,
}

struct Token {
    secret: [u8; 16],
    issued: Instant,
    until: Instant,
}

impl Admission {
    pub(crate) fn new(max_calls: usize) -> Self {
        Self {
            max_calls,
            state: Mutex::default(),
            taken: watch::Sender::new(0),
        }
    }

    /// A fresh token for a caller who is about to connect; it holds a place until it is used or
    /// too old.
    pub(crate) fn issue(&self, now: Instant) -> Result<String, Closed> {
        self.issue_for(TOKEN_LIFETIME, now)
    }

    /// The same for a caller who may take this long to connect.
    pub(crate) fn issue_for(&self, lifetime: Duration, now: Instant) -> Result<String, Closed> {
        let mut token = [0; 24];
        getrandom::fill(&mut token).expect("the operating system has random numbers");
        let (id, secret) = token.split_at(8);

        let mut state = self.state();
        state.forget_old_tokens(now);
        if state.draining {
            return Err(Closed::Draining);
        }
        // A waiting socket belongs to one of the tokens: count the two once.
        if state.started + state.waiting.max(state.tokens.len()) >= self.max_calls {
            return Err(Closed::Busy);
        }
        state.tokens.insert(
            id.try_into().expect("split at 8"),
            Token {
                secret: secret.try_into().expect("24 - 8 bytes"),
                issued: now,
                until: now + lifetime,
            },
        );
        Ok(URL_SAFE_NO_PAD.encode(token))
    }

    /// Takes a token back, and frees its place: nobody will connect.
    pub(crate) fn revoke(&self, token: &str) {
        let token = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
        if let Some((id, _)) = token.split_first_chunk::<8>() {
            self.state().tokens.remove(id);
        }
    }

    /// A place for a socket that wants to open. While the server drains, only callers already
    /// promised a stream by their webhook get one.
    pub(crate) fn connect(self: &Arc<Self>, now: Instant) -> Result<Place, Closed> {
        let mut state = self.state();
        state.forget_old_tokens(now);
        if state.draining && state.waiting >= state.tokens.len() {
            return Err(Closed::Draining);
        }
        if state.started + state.waiting >= self.max_calls {
            return Err(Closed::Busy);
        }
        state.waiting += 1;
        self.publish(&state);
        drop(state);
        Ok(Place {
            admission: Arc::clone(self),
            started: AtomicBool::new(false),
        })
    }

    /// No new callers from now on.
    pub(crate) fn drain(&self) {
        self.state().draining = true;
    }

    /// Whether [`drain`](Self::drain) was called.
    pub(crate) fn is_draining(&self) -> bool {
        self.state().draining
    }

    /// Waits until no socket is open and no caller is expected any more.
    pub(crate) async fn idle(&self) {
        let mut taken = self.taken.subscribe();
        loop {
            taken
                .wait_for(|taken| *taken == 0)
                .await
                .expect("the sender lives in self");
            let now = Instant::now();
            let expected = {
                let state = self.state();
                let newest = state.tokens.values().map(|token| token.issued).max();
                newest.map(|issued| (issued + CONNECT_GRACE).saturating_duration_since(now))
            };
            match expected {
                None | Some(Duration::ZERO) => return,
                Some(left) => {
                    // Either the caller connects, or the grace runs out.
                    let _ = tokio::time::timeout(left, taken.changed()).await;
                }
            }
        }
    }

    /// How many streams have started and not ended.
    pub(crate) fn started(&self) -> usize {
        self.state().started
    }

    fn publish(&self, state: &State) {
        self.taken.send_replace(state.waiting + state.started);
    }

    /// A panic while the lock was held cannot leave the counts half changed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget_old_tokens(&mut self, now: Instant) {
        self.tokens.retain(|_, token| now < token.until);
    }
}

impl Place {
    /// Uses up `token`; says whether it was good. The stream has started then.
    pub(crate) fn start_with_token(&self, token: &str, now: Instant) -> bool {
        let Ok(token) = URL_SAFE_NO_PAD.decode(token) else {
            return false;
        };
        let Some((id, secret)) = token.split_first_chunk::<8>() else {
            return false;
        };
        let good = {
            let mut state = self.admission.state();
            state.forget_old_tokens(now);
            // Finding the public half tells nothing; the secret half is compared in constant time.
            match state.tokens.get(id) {
                Some(known) if bool::from(known.secret.ct_eq(secret)) => {
                    state.tokens.remove(id);
                    true
                }
                _ => false,
            }
        };
        if good {
            self.start();
        }
        good
    }

    /// The stream has started.
    pub(crate) fn start(&self) {
        if !self.started.swap(true, Ordering::Relaxed) {
            let mut state = self.admission.state();
            state.waiting -= 1;
            state.started += 1;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.admission.state();
        if self.started.load(Ordering::Relaxed) {
            state.started -= 1;
        } else {
            state.waiting -= 1;
        }
        self.admission.publish(&state);
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("started", &self.started)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(max_calls: usize) -> Arc<Admission> {
        Arc::new(Admission::new(max_calls))
    }

    #[test]
    fn a_token_is_good_once() {
        let now = Instant::now();
        let admission = admission(10);
        let token = admission.issue(now).unwrap();
        assert!(
            admission
                .connect(now)
                .unwrap()
                .start_with_token(&token, now)
        );
        assert!(
            !admission
                .connect(now)
                .unwrap()
                .start_with_token(&token, now)
        );
    }

    #[test]
    fn a_token_is_good_for_a_minute() {
        let now = Instant::now();
        let admission = admission(10);
        let (kept, old) = (admission.issue(now).unwrap(), admission.issue(now).unwrap());
        let place = admission.connect(now).unwrap();
        let just_before = now + TOKEN_LIFETIME - Duration::from_millis(1);
        assert!(place.start_with_token(&kept, just_before));
        assert!(!place.start_with_token(&old, now + TOKEN_LIFETIME));
    }

    #[test]
    fn what_was_never_handed_out_is_refused() {
        let now = Instant::now();
        let admission = admission(10);
        let token = admission.issue(now).unwrap();
        let place = admission.connect(now).unwrap();
        let mut forged = URL_SAFE_NO_PAD.decode(&token).unwrap();
        forged[23] ^= 1;
        let forged = URL_SAFE_NO_PAD.encode(forged);
        for wrong in [
            "",
            "abc",
            "%%%",
            &token[..12],
            &format!("{token}AAAA"),
            &forged,
        ] {
            assert!(!place.start_with_token(wrong, now), "{wrong}");
        }
        assert!(place.start_with_token(&token, now));
    }

    #[test]
    fn no_more_than_max_calls_come_in() {
        let now = Instant::now();
        let admission = admission(2);
        let first = admission.connect(now).unwrap();
        let _second = admission.connect(now).unwrap();
        assert_eq!(admission.connect(now).unwrap_err(), Closed::Busy);
        assert_eq!(admission.issue(now).unwrap_err(), Closed::Busy);
        drop(first);
        let third = admission.connect(now).unwrap();
        third.start();
        assert_eq!(admission.connect(now).unwrap_err(), Closed::Busy);
    }

    #[test]
    fn a_token_holds_a_place_until_it_is_old() {
        let now = Instant::now();
        let admission = admission(1);
        admission.issue(now).unwrap();
        assert_eq!(admission.issue(now).unwrap_err(), Closed::Busy);
        assert!(admission.issue(now + TOKEN_LIFETIME).is_ok());
    }

    #[test]
    fn a_token_that_is_taken_back_frees_its_place() {
        let now = Instant::now();
        let admission = admission(1);
        let token = admission.issue_for(2 * TOKEN_LIFETIME, now).unwrap();
        let later = now + TOKEN_LIFETIME;
        assert_eq!(admission.issue(later).unwrap_err(), Closed::Busy);
        admission.revoke(&token);
        admission.revoke("no token");
        assert!(admission.issue(later).is_ok());
    }

    #[test]
    fn a_socket_and_its_token_take_one_place() {
        let now = Instant::now();
        let admission = admission(2);
        let token = admission.issue(now).unwrap();
        let place = admission.connect(now).unwrap();
        let second = admission.issue(now);
        assert!(second.is_ok(), "one of two places is free");
        assert!(place.start_with_token(&token, now));
        assert_eq!(admission.issue(now).unwrap_err(), Closed::Busy);
    }

    #[tokio::test]
    async fn draining_keeps_promises_and_makes_no_new_ones() {
        let now = Instant::now();
        let admission = admission(10);
        let token = admission.issue(now).unwrap();
        admission.drain();
        assert!(admission.is_draining());
        assert_eq!(admission.issue(now).unwrap_err(), Closed::Draining);
        let promised = admission.connect(now).unwrap();
        assert_eq!(admission.connect(now).unwrap_err(), Closed::Draining);
        assert!(promised.start_with_token(&token, now));

        let idle = tokio::spawn({
            let admission = Arc::clone(&admission);
            async move { admission.idle().await }
        });
        tokio::task::yield_now().await;
        assert!(!idle.is_finished(), "a call is running");
        drop(promised);
        idle.await.unwrap();
    }
}
