//! Who asks, and what they may do: bearer tokens, and the console's sessions that stand for one.

pub(crate) mod address;
pub(crate) mod limits;
pub(crate) mod principal;
pub(crate) mod secret;
pub(crate) mod sessions;
pub mod tokens;
mod uses;

use std::{
    collections::HashMap,
    net::IpAddr,
    num::NonZeroU32,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::time::timeout;
use tracing::warn;

use self::{
    address::client_address,
    limits::Limits,
    principal::{Means, Principal},
    secret::SecretHash,
    sessions::{CSRF_HEADER, Sessions},
    uses::Uses,
};
use crate::{
    api::problem::{Kind, Problem},
    config::ApiConfig,
    store::{Store, StoreError, UnixMs},
};

/// How long a database may take to say who a token is.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// For so long a token or session that was good is still taken while the database cannot be asked: who
/// has to end a call must be able to.
const REMEMBERED_FOR: Duration = Duration::from_secs(10 * 60);

/// At most so many of them are remembered.
const REMEMBERED: usize = 1_024;

/// Checks who asks.
#[derive(Debug)]
pub(crate) struct Auth {
    store: Store,
    limits: Limits,
    sessions: Sessions,
    behind_proxy: bool,
    uses: Uses,
    remembered: Mutex<HashMap<[u8; 32], (Principal, Instant)>>,
}

impl Auth {
    /// # Panics
    ///
    /// If called outside a tokio runtime.
    pub(crate) fn new(config: &ApiConfig, public_url: &str, store: Store) -> Self {
        let limit = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MAX);
        Self {
            limits: Limits::new(
                limit(config.requests_per_second),
                limit(config.address_requests_per_second),
            ),
            sessions: Sessions::new(config, public_url.starts_with("https://")),
            behind_proxy: config.behind_proxy,
            uses: Uses::new(store.clone()),
            store,
            remembered: Mutex::default(),
        }
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Who sent a request: the bearer of a token, or a session's browser.
    ///
    /// # Errors
    ///
    /// 401 where nobody is known by what the request brings, 403 where a session's request lacks its
    /// CSRF token, 429, and 503 where the database cannot be asked.
    pub(crate) async fn authenticate(
        &self,
        method: &Method,
        headers: &HeaderMap,
        address: IpAddr,
    ) -> Result<Principal, Problem> {
        let principal = match bearer(headers) {
            Some(text) => self.bearer_of(text).await?,
            None => match self.sessions.cookie(headers) {
                Some(text) => self.session_of(&text).await?,
                None => None,
            },
        };
        let Some(principal) = principal else {
            self.limits.wrong_token(address)?;
            return Err(unauthorized());
        };
        self.limits.token(&principal.token_id)?;
        if !method.is_safe()
            && let Means::Session { csrf, .. } = &principal.means
            && !sessions::csrf_matches(csrf, headers.get(CSRF_HEADER))
        {
            return Err(Problem::new(
                Kind::Csrf,
                format!(
                    "Send the session's CSRF token (`GET /api/session` has it) in the header \
                     `{CSRF_HEADER}`."
                ),
            ));
        }
        Ok(principal)
    }

    /// The bearer of a token; none where the token is not known, or revoked.
    ///
    /// # Errors
    ///
    /// 503 where the database cannot be asked.
    pub(crate) async fn bearer_of(&self, text: &str) -> Result<Option<Principal>, Problem> {
        let hash = SecretHash::of(text);
        let found = self.store.token_by_hash(hash.as_bytes());
        let found = match self.look_up(found).await {
            Ok(found) => found,
            Err(problem) => return self.remembered(&hash).ok_or(problem).map(Some),
        };
        let Some(token) = found.filter(|token| token.revoked_at.is_none()) else {
            self.forget(&hash);
            return Ok(None);
        };
        self.uses.token(&token.id, UnixMs::now());
        let principal = Principal::bearer(&token);
        self.remember(&hash, &principal);
        Ok(Some(principal))
    }

    async fn session_of(&self, text: &str) -> Result<Option<Principal>, Problem> {
        let hash = SecretHash::of(text);
        let now = UnixMs::now();
        let found = self.store.session(hash.as_bytes(), now);
        let found = match self.look_up(found).await {
            Ok(found) => found,
            Err(problem) => return self.remembered(&hash).ok_or(problem).map(Some),
        };
        let Some(session) = found else {
            self.forget(&hash);
            return Ok(None);
        };
        if let Some(until) = self.sessions.extended(session.expires_at, now) {
            let longest = self.sessions.longest();
            self.uses.session(*hash.as_bytes(), until, longest);
        }
        self.uses.token(&session.token.id, now);
        let principal = Principal::session(&session, hash);
        self.remember(&hash, &principal);
        Ok(Some(principal))
    }

    /// Whether who was let in would be let in now. While the database cannot say, they stay.
    pub(crate) async fn is_still_good(&self, principal: &Principal) -> bool {
        match &principal.means {
            Means::Bearer => self.has_good_token(principal).await,
            Means::Session { hash, .. } => {
                let found = self.store.session(hash.as_bytes(), UnixMs::now()).await;
                found.map_or(true, |session| session.is_some())
            }
        }
    }

    /// Whether the token of who was let in is not revoked, whatever became of the session. While the
    /// database cannot say, it is not.
    pub(crate) async fn has_good_token(&self, principal: &Principal) -> bool {
        let found = self.store.token(&principal.token_id).await;
        found.map_or(true, |token| {
            token.is_some_and(|token| token.revoked_at.is_none())
        })
    }

    async fn look_up<T>(
        &self,
        asked: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, Problem> {
        let error = match timeout(LOOKUP_TIMEOUT, asked).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer after {} s", LOOKUP_TIMEOUT.as_secs()),
        };
        warn!(error, "the database cannot say whose token it is");
        Err(Problem::new(
            Kind::Unavailable,
            "The database cannot say who you are; calls go on. The server's log has the reason.",
        )
        .retry_after(LOOKUP_TIMEOUT))
    }

    fn remember(&self, hash: &SecretHash, principal: &Principal) {
        let mut memory = self.memory();
        let now = Instant::now();
        if memory.len() >= REMEMBERED {
            memory.retain(|_, (_, seen)| now.duration_since(*seen) < REMEMBERED_FOR);
        }
        if memory.len() < REMEMBERED {
            memory.insert(*hash.as_bytes(), (principal.clone(), now));
        }
    }

    /// Who it was, if that is not long ago; of a session, if it is not over.
    fn remembered(&self, hash: &SecretHash) -> Option<Principal> {
        let memory = self.memory();
        let (principal, seen) = memory.get(hash.as_bytes())?;
        let is_over = match &principal.means {
            Means::Bearer => false,
            Means::Session { expires_at, .. } => *expires_at <= UnixMs::now(),
        };
        (seen.elapsed() < REMEMBERED_FOR && !is_over).then(|| principal.clone())
    }

    /// A secret that is good for nothing any more.
    pub(crate) fn forget(&self, hash: &SecretHash) {
        self.memory().remove(hash.as_bytes());
    }

    /// A panic while the lock was held cannot leave the map half changed.
    fn memory(&self) -> MutexGuard<'_, HashMap<[u8; 32], (Principal, Instant)>> {
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The address of who sent a request, counted against its limit.
    ///
    /// # Errors
    ///
    /// 429.
    pub(crate) fn admit(&self, parts: &Parts) -> Result<IpAddr, Problem> {
        let address = client_address(parts, self.behind_proxy);
        self.limits.address(address)?;
        Ok(address)
    }

    /// Counts a token that was not good.
    ///
    /// # Errors
    ///
    /// 429.
    pub(crate) fn wrong_token(&self, address: IpAddr) -> Result<(), Problem> {
        self.limits.wrong_token(address)
    }
}

/// Lets nobody through whom [`Auth`] does not know.
pub(crate) async fn require(
    State(auth): State<std::sync::Arc<Auth>>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let known = async {
        let address = auth.admit(&parts)?;
        auth.authenticate(&parts.method, &parts.headers, address)
            .await
    };
    match known.await {
        Ok(principal) => {
            parts.extensions.insert(principal);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// The token that a request bears.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// 401.
pub(crate) fn unauthorized() -> Problem {
    Problem::new(
        Kind::Unauthorized,
        "Send a token as `Authorization: Bearer sdt_…`; `sidetone token create` makes one.",
    )
    .header(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer realm=\"sidetone\""),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Role;

    #[tokio::test]
    async fn a_token_is_good_for_longer_than_its_session() {
        let folder = tempfile::TempDir::new().unwrap();
        let url = format!("sqlite:{}", folder.path().join("calls.db").display());
        let store = Store::open(&url).await.unwrap();
        let token = tokens::create(&store, "Otto", Role::Operator)
            .await
            .unwrap();
        let id = token.token.id.clone();
        let auth = Auth::new(&ApiConfig::default(), "", store.clone());
        let signed_out = Principal {
            token_id: id.clone(),
            name: "Otto".into(),
            role: Role::Operator,
            means: Means::Session {
                hash: SecretHash::of("a session that is over"),
                csrf: String::new(),
                expires_at: UnixMs::now(),
            },
        };
        assert!(!auth.is_still_good(&signed_out).await);
        assert!(auth.has_good_token(&signed_out).await);
        store.revoke_token(&id).await.unwrap();
        assert!(!auth.has_good_token(&signed_out).await);
    }
}
