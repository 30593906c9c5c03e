//! Join tokens: what turns a permission to come on a call into a leg.
//!
//! Whoever asks for a leg through the API gets a token, and shows it on the WebSocket of the leg: in
//! the browser a WebSocket cannot carry an `Authorization` header, and a phone's stream never could.
//! A token is good once, soon, and for exactly what was asked for.
#![cfg_attr(
    not(test),
    expect(dead_code, reason = "the legs' WebSocket redeems them")
)]

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sidetone::CallId;
use sidetone_core::person::Mode;

use crate::{
    auth::secret::{RandomSecret, SecretHash},
    store::Role,
};

/// Before a join token's secret.
const PREFIX: &str = "sdj_";

/// How many tokens may be waiting for their leg.
const MOST_WAITING: usize = 4_096;

/// What a join token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// The call to come on.
    pub(crate) call_id: CallId,
    /// The token of who asked, by its id: what the audit log says.
    pub(crate) who: String,
    /// What they are called on the call.
    pub(crate) name: String,
    /// What they do first.
    pub(crate) mode: Mode,
    /// What they may do.
    pub(crate) role: Role,
}

/// The join tokens of one server that were handed out and not used.
#[derive(Debug, Default)]
pub(crate) struct JoinTokens {
    waiting: Mutex<HashMap<[u8; 32], Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    grant: Grant,
    until: Instant,
}

impl JoinTokens {
    /// A fresh token, good until `lifetime` from `now`; none where too many are waiting.
    pub(crate) fn issue(
        &self,
        grant: Grant,
        now: Instant,
        lifetime: Duration,
    ) -> Option<RandomSecret> {
        let mut waiting = self.waiting();
        waiting.retain(|_, waiting| waiting.until > now);
        if waiting.len() >= MOST_WAITING {
            return None;
        }
        let secret = RandomSecret::new(PREFIX);
        let until = now + lifetime;
        waiting.insert(*secret.hash().as_bytes(), Waiting { grant, until });
        Some(secret)
    }

    /// What `token` stands for, once: it is used up. None where it is not known, used, or too old.
    ///
    /// It is found by its hash: how long that takes tells nothing about any token.
    pub(crate) fn redeem(&self, token: &str, now: Instant) -> Option<Grant> {
        let hash = SecretHash::of(token);
        let waiting = self.waiting().remove(hash.as_bytes())?;
        (waiting.until > now).then_some(waiting.grant)
    }

    /// Takes a token back: nobody will come.
    pub(crate) fn revoke(&self, token: &RandomSecret) {
        self.waiting().remove(token.hash().as_bytes());
    }

    /// A panic while the lock was held cannot leave the map half changed.
    fn waiting(&self) -> MutexGuard<'_, HashMap<[u8; 32], Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Duration = Duration::from_secs(30);

    fn grant() -> Grant {
        Grant {
            call_id: CallId::from("call-0123456789ab"),
            who: "tok-1".into(),
            name: "Ada".into(),
            mode: Mode::Monitor,
            role: Role::Operator,
        }
    }

    #[test]
    fn a_token_is_good_once_and_for_what_it_was_given_for() {
        let (tokens, now) = (JoinTokens::default(), Instant::now());
        let token = tokens.issue(grant(), now, LIFETIME).unwrap();
        assert!(token.expose().starts_with("sdj_"));
        assert_eq!(tokens.redeem(token.expose(), now), Some(grant()));
        assert_eq!(tokens.redeem(token.expose(), now), None, "used");
        assert_eq!(tokens.redeem("sdj_made-up", now), None);
    }

    #[test]
    fn a_token_is_good_for_a_while_only() {
        let (tokens, now) = (JoinTokens::default(), Instant::now());
        let token = tokens.issue(grant(), now, LIFETIME).unwrap();
        assert_eq!(tokens.redeem(token.expose(), now + LIFETIME), None);
        assert_eq!(tokens.redeem(token.expose(), now), None, "shown too late");
        let token = tokens.issue(grant(), now, LIFETIME).unwrap();
        tokens.revoke(&token);
        assert_eq!(tokens.redeem(token.expose(), now), None, "taken back");
    }

    #[test]
    fn tokens_that_nobody_uses_are_forgotten() {
        let (tokens, now) = (JoinTokens::default(), Instant::now());
        for _ in 0..MOST_WAITING {
            tokens.issue(grant(), now, LIFETIME).unwrap();
        }
        assert!(tokens.issue(grant(), now, LIFETIME).is_none());
        assert!(tokens.issue(grant(), now + LIFETIME, LIFETIME).is_some());
    }
}
