//! Gets a call to a server: first the webhook, as Twilio would, then the stream's WebSocket.

use std::{collections::BTreeMap, time::Duration};

use sidetone_server::signature::{SIGNATURE_HEADER, sign};
use sidetone_speech::Secret;
use thiserror::Error;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, client_async_tls_with_config,
    tungstenite::{
        self,
        client::IntoClientRequest as _,
        handshake::client::Request,
        http::{HeaderValue, Uri},
        protocol::WebSocketConfig,
    },
};

use super::{
    message::CallIdentity,
    twiml::{self, TwimlError},
    webhook::Webhook,
};

/// A server that does not answer within this time does not answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Memory for each of a call's socket buffers, in bytes: the default would hold 128 KiB.
const BUFFER_BYTES: usize = 8 * 1024;

/// Whom to call, and how to get there.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where the call begins.
    pub entry: Entry,
    /// `host:port` to open every connection to, without TLS, in place of where the URLs point:
    /// for a server whose public URL ends at a proxy. The URLs are still what is signed.
    pub connect: Option<String>,
    /// The account's auth token; requests are signed with it, as Twilio does.
    pub auth_token: Option<Secret>,
}

/// Where a call begins.
#[derive(Clone, Debug)]
pub enum Entry {
    /// The voice webhook: an `http://` or `https://` URL.
    Webhook(String),
    /// The stream itself: a `ws://` or `wss://` URL, and the parameters of `start`.
    Stream(String, BTreeMap<String, String>),
}

/// Why a call did not come about.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DialError {
    /// The webhook could not be reached.
    #[error("cannot reach the webhook {url}")]
    Webhook {
        /// The webhook.
        url: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The webhook did not accept the call.
    #[error("the webhook {url} answered {status}{}", hint(*.status))]
    Refused {
        /// The webhook.
        url: String,
        /// Its answer.
        status: u16,
    },
    /// The webhook's answer leads to no stream.
    #[error(transparent)]
    Twiml(#[from] TwimlError),
    /// A URL that cannot be used.
    #[error("{url} is not a usable URL: {reason}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing listens there.
    #[error("cannot connect to {address}")]
    Connect {
        /// `host:port`.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// Something listens and does not speak WebSocket, or refuses.
    #[error("the WebSocket handshake with {url} failed{}", refusal(.source))]
    Handshake {
        /// The stream's URL.
        url: String,
        /// Why.
        source: Box<tungstenite::Error>,
    },
    /// Nothing came in time.
    #[error("{url} did not answer within {} s", TIMEOUT.as_secs())]
    TimedOut {
        /// The webhook or the stream.
        url: String,
    },
}

fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => ": is the auth token right, and the URL exactly the server's public one?",
        404 => ": is the path right?",
        _ => "",
    }
}

fn refusal(error: &tungstenite::Error) -> String {
    match error {
        tungstenite::Error::Http(response) => {
            let status = response.status().as_u16();
            format!(": status {status}{}", hint(status))
        }
        _ => String::new(),
    }
}

/// An open stream.
pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

impl Target {
    /// Calls as `identity` and opens the stream; returns it with the parameters for `start`.
    pub(super) async fn dial(
        &self,
        identity: &CallIdentity,
    ) -> Result<(Socket, BTreeMap<String, String>), DialError> {
        // Twice is once: whoever was first has installed the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (url, parameters) = match &self.entry {
            Entry::Stream(url, parameters) => (url.clone(), parameters.clone()),
            Entry::Webhook(url) => {
                let stream = timeout(TIMEOUT, self.ask_webhook(url, identity))
                    .await
                    .map_err(|_| DialError::TimedOut { url: url.clone() })??;
                (stream.url, stream.parameters)
            }
        };
        let socket = timeout(TIMEOUT, self.open(&url))
            .await
            .map_err(|_| DialError::TimedOut { url })??;
        Ok((socket, parameters))
    }

    async fn ask_webhook(
        &self,
        url: &str,
        identity: &CallIdentity,
    ) -> Result<twiml::Stream, DialError> {
        let client = reqwest::Client::builder()
            .build()
            .map_err(|source| DialError::Webhook {
                url: url.to_owned(),
                source,
            })?;
        let answer = Webhook {
            client: &client,
            auth_token: self.auth_token.as_ref(),
            connect: self.connect.as_deref(),
        }
        .post(url, &form(identity))
        .await?;
        if !(200..300).contains(&answer.status) {
            return Err(DialError::Refused {
                url: url.to_owned(),
                status: answer.status,
            });
        }
        Ok(twiml::stream(&answer.body)?)
    }

    async fn open(&self, url: &str) -> Result<Socket, DialError> {
        let uri = parse(url)?;
        let secure = uri.scheme_str() == Some("wss");
        if !secure && uri.scheme_str() != Some("ws") {
            return Err(unusable(url, "a stream's URL begins with wss:// or ws://"));
        }
        let host = uri.host().ok_or_else(|| unusable(url, "it has no host"))?;
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let address = match &self.connect {
            Some(connect) => connect.clone(),
            None => format!("{host}:{port}"),
        };
        let mut request: Request = url
            .into_client_request()
            .map_err(|error| unusable(url, &error.to_string()))?;
        if let Some(token) = &self.auth_token {
            let signature = HeaderValue::try_from(sign(token.expose(), url, &[]))
                .expect("base64 is valid in a header");
            request.headers_mut().insert(SIGNATURE_HEADER, signature);
        }
        let failed = |source| DialError::Connect {
            address: address.clone(),
            source,
        };
        let tcp = TcpStream::connect(&address).await.map_err(failed)?;
        tcp.set_nodelay(true).map_err(failed)?;
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(1 << 20);
        let connected = if self.connect.is_some() {
            let plain = MaybeTlsStream::Plain(tcp);
            tokio_tungstenite::client_async_with_config(request, plain, Some(config)).await
        } else {
            client_async_tls_with_config(request, tcp, Some(config), None).await
        };
        let (socket, _) = connected.map_err(|source| DialError::Handshake {
            url: url.to_owned(),
            source: Box::new(source),
        })?;
        Ok(socket)
    }
}

/// What Twilio posts about an inbound call. The numbers are of the range kept free for fiction.
fn form(identity: &CallIdentity) -> Vec<(String, String)> {
    [
        ("AccountSid", identity.account_sid.as_str()),
        ("ApiVersion", "2010-04-01"),
        ("CallSid", &identity.call_sid),
        ("CallStatus", "ringing"),
        ("Direction", "inbound"),
        ("From", "+12025550143"),
        ("Caller", "+12025550143"),
        ("To", "+12025550199"),
        ("Called", "+12025550199"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

pub(super) fn parse(url: &str) -> Result<Uri, DialError> {
    url.parse()
        .map_err(|error: tungstenite::http::uri::InvalidUri| unusable(url, &error.to_string()))
}

pub(super) fn unusable(url: &str, reason: &str) -> DialError {
    DialError::Url {
        url: url.to_owned(),
        reason: reason.to_owned(),
    }
}
