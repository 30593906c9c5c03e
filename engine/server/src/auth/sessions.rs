//! The console's sessions: a cookie that the page's scripts cannot read, and a CSRF token that no
//! other site can.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use subtle::ConstantTimeEq as _;

use crate::{config::ApiConfig, store::UnixMs};

/// What a session's request that changes something must bring.
pub(crate) const CSRF_HEADER: &str = "x-csrf-token";

/// The cookie's name. With the prefix a browser takes it from the host itself alone, over TLS.
const COOKIE: &str = "sidetone_session";
const HOST_PREFIX: &str = "__Host-";

/// Before a session's secret.
pub(crate) const SECRET_PREFIX: &str = "sds_";

/// A session's end is put off once this much of its idle time is over, not at each request.
const EXTEND_AFTER: Duration = Duration::from_secs(60);

/// How sessions are held.
#[derive(Debug)]
pub(crate) struct Sessions {
    idle: Duration,
    longest: Duration,
    secure: bool,
}

impl Sessions {
    pub(super) fn new(config: &ApiConfig, secure: bool) -> Self {
        Self {
            idle: Duration::from_secs(60 * u64::from(config.session_idle_minutes)),
            longest: Duration::from_secs(3_600 * u64::from(config.session_hours)),
            secure,
        }
    }

    /// When a session that begins at `now` ends, unless it is used.
    pub(crate) fn end(&self, now: UnixMs) -> UnixMs {
        now.after(self.idle.min(self.longest))
    }

    /// How long a session may last, however much it is used.
    pub(crate) fn longest(&self) -> Duration {
        self.longest
    }

    /// When a session that was to end at `expires_at` and is used at `now` ends; none where that
    /// is not worth noting.
    pub(super) fn extended(&self, expires_at: UnixMs, now: UnixMs) -> Option<UnixMs> {
        let end = now.after(self.idle);
        (end > expires_at.after(EXTEND_AFTER)).then_some(end)
    }

    /// The secret in a request's cookie.
    pub(super) fn cookie(&self, headers: &HeaderMap) -> Option<String> {
        let jar = CookieJar::from_headers(headers);
        let cookie = jar.get(&self.name())?;
        Some(cookie.value().to_owned())
    }

    /// The header that gives a browser its session.
    pub(crate) fn set_cookie(&self, secret: &str) -> HeaderValue {
        self.header(self.build(secret.to_owned()))
    }

    /// The header that takes it away.
    pub(crate) fn clear_cookie(&self) -> HeaderValue {
        let mut cookie = self.build(String::new());
        cookie.make_removal();
        self.header(cookie)
    }

    fn header(&self, cookie: Cookie<'static>) -> HeaderValue {
        HeaderValue::try_from(cookie.encoded().to_string())
            .expect("an encoded cookie is visible ASCII")
    }

    /// Without an end of its own: it goes with the browser, or with the session on this side.
    fn build(&self, secret: String) -> Cookie<'static> {
        Cookie::build((self.name(), secret))
            .path("/")
            .http_only(true)
            .secure(self.secure)
            .same_site(SameSite::Strict)
            .build()
    }

    fn name(&self) -> String {
        if self.secure {
            format!("{HOST_PREFIX}{COOKIE}")
        } else {
            COOKIE.to_owned()
        }
    }
}

/// Whether a request brought the session's CSRF token.
pub(super) fn csrf_matches(csrf: &str, header: Option<&HeaderValue>) -> bool {
    header.is_some_and(|header| header.as_bytes().ct_eq(csrf.as_bytes()).into())
}

/// The name of the header, for responses that set a cookie.
pub(crate) const SET_COOKIE: header::HeaderName = header::SET_COOKIE;

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(secure: bool) -> Sessions {
        Sessions::new(&ApiConfig::default(), secure)
    }

    #[test]
    fn a_cookie_is_for_this_host_and_no_script() {
        let header = sessions(true).set_cookie("sds_secret");
        assert_eq!(
            header,
            "__Host-sidetone_session=sds_secret; HttpOnly; SameSite=Strict; Secure; Path=/"
        );
        let header = sessions(false).set_cookie("sds_secret");
        assert_eq!(
            header,
            "sidetone_session=sds_secret; HttpOnly; SameSite=Strict; Path=/"
        );
    }

    #[test]
    fn a_cookie_is_read_back_and_removed() {
        let sessions = sessions(true);
        let mut headers = HeaderMap::new();
        headers.insert(
            "cookie",
            "a=b; __Host-sidetone_session=sds_x".parse().unwrap(),
        );
        assert_eq!(sessions.cookie(&headers).as_deref(), Some("sds_x"));
        headers.insert("cookie", "sidetone_session=sds_x".parse().unwrap());
        assert_eq!(sessions.cookie(&headers), None);
        let removal = sessions.clear_cookie();
        let removal = removal.to_str().unwrap();
        assert!(removal.contains("Max-Age=0"), "{removal}");
    }

    #[test]
    fn a_session_that_is_used_goes_on_up_to_its_longest() {
        let sessions = sessions(true);
        let now = UnixMs(0);
        let end = sessions.end(now);
        assert_eq!(end, UnixMs(60 * 60_000));
        assert_eq!(sessions.extended(end, UnixMs(59_000)), None);
        assert_eq!(
            sessions.extended(end, UnixMs(61_000)),
            Some(UnixMs(61 * 60_000 + 1_000)),
        );
        assert_eq!(sessions.longest(), Duration::from_secs(12 * 3_600));
    }

    #[test]
    fn a_csrf_token_must_be_the_sessions() {
        let header = HeaderValue::from_static("abc");
        assert!(csrf_matches("abc", Some(&header)));
        assert!(!csrf_matches("abd", Some(&header)));
        assert!(!csrf_matches("abc", None));
    }
}
