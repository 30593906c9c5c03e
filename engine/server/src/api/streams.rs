//! How many event streams are open, and whose.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::problem::{Kind, Problem};

/// How many event streams may be open at the same time, of all who watch together.
pub(crate) const MAX_STREAMS: usize = 256;

/// How many of them may be one token's and its sessions': nobody locks the others out, and one program may still read
/// along in many calls.
const MAX_OF_TOKEN: usize = 128;

/// When to ask again for a stream that there was no room for.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// The event streams that are open on one server, by the token's id.
#[derive(Debug, Default)]
pub(crate) struct Streams(Mutex<HashMap<String, usize>>);

/// Room for one stream, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    streams: Arc<Streams>,
    token_id: String,
}

impl Streams {
    /// Room for another stream of a token.
    ///
    /// # Errors
    ///
    /// 429 where too many are open with the token, 503 where too many are open on the server.
    pub(super) fn place(self: &Arc<Self>, token_id: &str) -> Result<Place, Problem> {
        let mut open = self.open();
        if open.values().sum::<usize>() >= MAX_STREAMS {
            return Err(Problem::new(
                Kind::Unavailable,
                "Too many event streams are open on this server.",
            )
            .retry_after(RETRY_AFTER));
        }
        let own = open.entry(token_id.to_owned()).or_default();
        if *own >= MAX_OF_TOKEN {
            return Err(Problem::new(
                Kind::TooFast,
                format!(
                    "{MAX_OF_TOKEN} event streams are open with this token, and no more may be: close some, \
                     watch all calls with one stream (`GET /api/events`), or give each program and person a \
                     token of their own."
                ),
            )
            .retry_after(RETRY_AFTER));
        }
        *own += 1;
        Ok(Place {
            streams: Arc::clone(self),
            token_id: token_id.to_owned(),
        })
    }

    /// A panic while the lock was held cannot leave the map half changed.
    fn open(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.open();
        if let Some(own) = open.get_mut(&self.token_id) {
            *own -= 1;
            if *own == 0 {
                open.remove(&self.token_id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_its_share_and_all_together_have_what_there_is() {
        let streams = Arc::new(Streams::default());
        let mut places = Vec::new();
        for token in 0..MAX_STREAMS / MAX_OF_TOKEN {
            let token = format!("tok-{token}");
            for _ in 0..MAX_OF_TOKEN {
                places.push(streams.place(&token).unwrap());
            }
            let refused = streams.place(&token).unwrap_err().kind();
            let is_full = places.len() == MAX_STREAMS;
            let kind = if is_full {
                Kind::Unavailable
            } else {
                Kind::TooFast
            };
            assert_eq!(refused, kind, "{token}");
        }
        let other = || streams.place("tok-other");
        assert_eq!(other().unwrap_err().kind(), Kind::Unavailable);
        places.pop();
        drop(other().unwrap());
        places.clear();
        assert!(streams.open().is_empty(), "nothing is kept of who has gone");
    }
}
