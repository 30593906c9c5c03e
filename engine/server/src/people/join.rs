//! Join tokens: what lets a phone's stream onto a call.
//!
//! A phone's stream carries no `Authorization` header, and who rings up a person knows only their number:
//! the TwiML of that call brings a token, and the stream shows it when it starts. A token is good once,
//! soon, and for exactly what was asked for.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sidetone::CallId;
use sidetone_core::person::Mode;

use super::{guest::Guest, invite::Invite};
use crate::auth::secret::{RandomSecret, SecretHash};

/// Before a join token's secret.
const PREFIX: &str = "sdj_";

/// How many tokens may be waiting for their leg.
const MOST_WAITING: usize = 4_096;

/// What a join token stands for.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    /// The call to come on.
    pub(crate) call_id: CallId,
    /// Who comes.
    pub(crate) guest: Guest,
    /// What they do first.
    pub(crate) mode: Mode,
    /// How they were called.
    pub(crate) invite: Arc<Invite>,
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
    use crate::{people::invite::Callee, store::Role};

    const LIFETIME: Duration = Duration::from_secs(30);

    fn grant() -> Grant {
        Grant {
            call_id: CallId::from("call-0123456789ab"),
            guest: Guest::example("Ada", Role::Operator),
            mode: Mode::Monitor,
            invite: Arc::new(Invite::new(Callee {
                number: "+12025550143".parse().unwrap(),
                name: Some("Ada".to_owned()),
                mode: Mode::Monitor,
            })),
        }
    }

    fn redeemed(tokens: &JoinTokens, token: &str, at: Instant) -> Option<String> {
        tokens.redeem(token, at).map(|grant| grant.guest.name)
    }

    #[test]
    fn a_token_is_good_once_and_for_what_it_was_given_for() {
        let (tokens, now) = (JoinTokens::default(), Instant::now());
        let token = tokens.issue(grant(), now, LIFETIME).unwrap();
        assert!(token.expose().starts_with("sdj_"));
        assert_eq!(
            redeemed(&tokens, token.expose(), now).as_deref(),
            Some("Ada")
        );
        assert_eq!(redeemed(&tokens, token.expose(), now), None, "used");
        assert_eq!(redeemed(&tokens, "sdj_made-up", now), None);
    }

    #[test]
    fn a_token_is_good_for_a_while_only() {
        let (tokens, now) = (JoinTokens::default(), Instant::now());
        let token = tokens.issue(grant(), now, LIFETIME).unwrap();
        assert_eq!(redeemed(&tokens, token.expose(), now + LIFETIME), None);
        assert_eq!(
            redeemed(&tokens, token.expose(), now),
            None,
            "shown too late"
        );
        let token = tokens.issue(grant(), now, LIFETIME).unwrap();
        tokens.revoke(&token);
        assert_eq!(redeemed(&tokens, token.expose(), now), None, "taken back");
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
