//! Who may use the API, and who is told what happens.

use serde::{Deserialize, Serialize};
use sidetone_speech::Secret;

use super::sections::secret_text;

/// `[api]`: the call-control API and the console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// How many requests a token may make in a second, 1 to 10000; twice as many at once. Default:
    /// 50.
    pub requests_per_second: u32,
    /// How many requests may come from an address in a second, whoever sends them, 1 to 100000;
    /// twice as many at once. Default: 200.
    pub address_requests_per_second: u32,
    /// A session of the console that is not used for this long is over, in minutes, 1 to 1440.
    /// Default: 60.
    pub session_idle_minutes: u32,
    /// A session of the console lasts no longer than this, in hours, 1 to 720. Default: 12.
    pub session_hours: u32,
    /// The server is reached through a proxy that adds the client's address to `X-Forwarded-For`:
    /// limits go by that address. Only with such a proxy, for otherwise clients choose their
    /// address themselves. Default: false.
    pub behind_proxy: bool,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            requests_per_second: 50,
            address_requests_per_second: 200,
            session_idle_minutes: 60,
            session_hours: 12,
            behind_proxy: false,
        }
    }
}

impl ApiConfig {
    /// The keys, with what each is and what it may be.
    pub(super) fn bounds(&self) -> [(&'static str, u32, u32); 4] {
        [
            ("api.requests_per_second", self.requests_per_second, 10_000),
            (
                "api.address_requests_per_second",
                self.address_requests_per_second,
                100_000,
            ),
            ("api.session_idle_minutes", self.session_idle_minutes, 1_440),
            ("api.session_hours", self.session_hours, 720),
        ]
    }
}

/// `[[webhooks]]`: a URL that is told what happens in calls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookConfig {
    /// Where events are posted to: `https://`, or `http://` to this machine or with
    /// `server.insecure`.
    pub url: String,
    /// Which events, by name, such as `call.ended`. Default: all but `transcript.partial`.
    pub events: Vec<String>,
    /// The key that requests are signed with: `whsec_` and base64 of 24 to 64 random bytes. Required.
    #[serde(with = "secret_text")]
    pub secret: Option<Secret>,
}
