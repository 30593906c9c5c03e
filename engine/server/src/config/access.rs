//! Who may use the API, and who is told what happens.

use serde::{Deserialize, Serialize};
use sidetone_core::event::CallEvent;
use sidetone_speech::{Secret, http::is_loopback};

use super::{Config, ConfigError, sections::secret_text};
use crate::{config::StoreConfig, webhooks::signature::SigningKey};

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
    /// The keys, with what each is and may be at most.
    fn bounds(&self) -> [(&'static str, u32, u32); 4] {
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

impl Config {
    /// Checks `[api]` and `[[webhooks]]`.
    pub(super) fn check_access(
        &self,
        require: &impl Fn(bool, &str, String, &str) -> Result<(), ConfigError>,
    ) -> Result<(), ConfigError> {
        for (key, value, longest) in self.api.bounds() {
            require(
                (1..=longest).contains(&value),
                key,
                value.to_string(),
                &format!("must be 1 to {longest}"),
            )?;
        }
        for (n, webhook) in self.webhooks.iter().enumerate() {
            let key = |name| format!("webhooks.{n}.{name}");
            require(
                is_webhook_url(&webhook.url, self.server.insecure),
                &key("url"),
                format!("{:?}", webhook.url),
                "must be https:// and a host, such as \"https://crm.example.com/sidetone\" (http:// \
                 only to this machine, or with `server.insecure`)",
            )?;
            let known = event_names();
            for event in &webhook.events {
                require(
                    known.contains(&event.as_str()),
                    &key("events"),
                    format!("{event:?}"),
                    &format!("must be names of events: {}", known.join(", ")),
                )?;
            }
            require(
                self.store.url != StoreConfig::NONE,
                &key("url"),
                format!("{:?}", webhook.url),
                "needs a store, which keeps events until they are delivered: `store.url` must not be \
                 \"none\"",
            )?;
            let signing: Result<SigningKey, _> =
                webhook.secret.as_ref().map_or("", Secret::expose).parse();
            if let Err(error) = signing {
                require(false, &key("secret"), String::new(), &error.to_string())?;
            }
        }
        Ok(())
    }
}

/// `https://`, or `http://` where nobody can listen, or nobody minds.
fn is_webhook_url(url: &str, insecure: bool) -> bool {
    reqwest::Url::parse(url).is_ok_and(|url| {
        let is_secure = url.scheme() == "https";
        (is_secure || (url.scheme() == "http" && (insecure || is_loopback(&url))))
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
    })
}

/// The names of all events, as the events themselves are read.
#[expect(
    clippy::result_large_err,
    reason = "figment's error is what it is, and goes no further"
)]
fn event_names() -> &'static [&'static str] {
    let nameless = figment::util::map! { "event" => "" };
    let error = figment::value::Value::serialize(nameless)
        .and_then(|event| event.deserialize::<CallEvent>())
        .expect_err("no event is without a name");
    match error.kind {
        figment::error::Kind::UnknownVariant(_, names) => names,
        kind => unreachable!("an event is told by its name: {kind}"),
    }
}
