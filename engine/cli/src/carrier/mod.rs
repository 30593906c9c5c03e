//! A carrier on this machine: a stand-in for Twilio that calls are placed with, and that calls.
//!
//! It serves the part of Twilio's REST API that phone calls need, with Twilio's paths, shapes and
//! errors, and it acts: a call that is placed rings at a [`Phone`], follows its TwiML when that
//! answers, opens a real WebSocket for a `<Stream>` and speaks into it, dials other phones, presses
//! keys, and reports how it fares to the status callbacks, signed as Twilio signs. So a server is
//! tried from end to end without an account and without a network.
//!
//! ```no_run
//! use std::time::Duration;
//! use sidetone_cli::carrier::{Account, Carrier, Fault, Phone, Status};
//! use sidetone_server::twilio::{NewCall, TwilioClient};
//! use sidetone_server::twiml::{Say, Twiml};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let carrier = Carrier::start(Account::random()).await?;
//! carrier.phone("+12025550143", Phone::answers().after(Duration::from_millis(200)));
//! carrier.phone("+12025550144", Phone::busy());
//!
//! let twilio = TwilioClient::new(&carrier.twilio_config())?;
//! let twiml = Twiml::new().say(&Say::new("Hello."));
//! let call = NewCall::new("+12025550143".parse()?, "+12025550199".parse()?, twiml);
//! let placed = twilio.place_call(&call).await?;
//! let ended = carrier.ended(placed.sid.as_str()).await;
//! assert_eq!(ended.status, Status::Completed);
//!
//! // The API answers 503 once.
//! carrier.fault(Fault::Refuses { status: 503 }, 1);
//! # Ok(())
//! # }
//! ```
//!
//! # What it leaves out
//!
//! Calls between its phones carry no sound: what is heard goes over media streams. Twilio's own
//! voice speaks in no time. Conferences and queues are written down, and a call stays in them until
//! it is redirected or over. A `<Dial>` calls one number.

mod document;
mod exchange;
mod fault;
mod leg;
mod phone;
mod record;
mod reports;
mod rest;
mod wire;

use std::{io, net::SocketAddr, sync::Arc};

use sidetone_server::config::TwilioConfig;
use tokio::{net::TcpListener, task::JoinHandle};

pub use exchange::Account;
pub use fault::Fault;
pub use phone::Phone;
pub use record::{CallRecord, CallbackRecord, Direction, RecordingRecord, Status, Step};

use exchange::{Command, Exchange};
use leg::Leg;

/// A carrier that runs. Dropping it closes its REST API; calls in progress go on.
#[derive(Debug)]
pub struct Carrier {
    exchange: Arc<Exchange>,
    addr: SocketAddr,
    server: JoinHandle<()>,
}

/// A call that somebody makes to one of the account's numbers.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Who calls; the [`Phone`] at this number is what speaks.
    pub from: String,
    /// The account's number.
    pub to: String,
    /// The number's voice webhook.
    pub webhook: String,
    /// Where it is reported that the call is over.
    pub status_callback: Option<String>,
}

impl Carrier {
    /// Listens on a free port of this machine.
    ///
    /// # Errors
    ///
    /// There is no port, or no HTTP client.
    pub async fn start(account: Account) -> io::Result<Self> {
        // Twice is once: whoever was first has installed the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .build()
            .map_err(io::Error::other)?;
        let exchange = Arc::new(Exchange::new(account, client));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let addr = listener.local_addr()?;
        let router = rest::router(Arc::clone(&exchange));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::warn!(%error, "the carrier's REST API ended");
            }
        });
        Ok(Self {
            exchange,
            addr,
            server,
        })
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.exchange.account
    }

    /// Where the REST API is: `twilio.base_url`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The configuration of a server whose account this is.
    #[must_use]
    pub fn twilio_config(&self) -> TwilioConfig {
        let account = self.account();
        TwilioConfig {
            account_sid: account.sid.clone(),
            auth_token: Some(account.auth_token.clone()),
            base_url: self.base_url(),
            ..TwilioConfig::default()
        }
    }

    /// Puts a telephone at a number. Calls that ring already keep the one that they found; a number
    /// without one cannot be reached.
    pub fn phone(&self, number: impl Into<String>, phone: Phone) {
        self.exchange.set_phone(number.into(), phone);
    }

    /// Where the host of a URL really is: for a server whose public URL ends at a proxy that is not
    /// there. Webhooks and streams to `host` go to `address` without TLS.
    pub fn route(&self, host: impl Into<String>, address: SocketAddr) {
        self.exchange.set_host(host.into(), address.to_string());
    }

    /// The next `times` requests to the REST API go wrong; after those that are planned already.
    pub fn fault(&self, fault: Fault, times: u32) {
        if times > 0 {
            self.exchange.plan(fault, Some(times));
        }
    }

    /// All requests to the REST API go wrong until [`mend`](Self::mend).
    pub fn fault_until_mended(&self, fault: Fault) {
        self.exchange.plan(fault, None);
    }

    /// No request goes wrong any more.
    pub fn mend(&self) {
        self.exchange.mend();
    }

    /// Somebody calls. Returns the call's SID at once.
    pub fn call_in(&self, incoming: Incoming) -> String {
        let Incoming {
            from,
            to,
            webhook,
            status_callback,
        } = incoming;
        let phone = self.exchange.phone(&from);
        let opened = self
            .exchange
            .open(Direction::Inbound, &from, &to, None, Vec::new());
        let sid = opened.sid.clone();
        let status = status_callback.map(|url| (url, Vec::new()));
        tokio::spawn(Leg::new(&self.exchange, opened, phone, status).come_in(webhook));
        sid
    }

    /// The person on a call hangs up. False: it is over already, or unknown.
    pub fn hang_up(&self, sid: &str) -> bool {
        self.exchange.command(sid, Command::HangUp)
    }

    /// The person on a call presses a key: for the `<Gather>` that waits, or into the media stream.
    /// False: the call is over already, or unknown.
    pub fn press(&self, sid: &str, key: char) -> bool {
        self.exchange.command(sid, Command::Press(key))
    }

    /// Everything about a call.
    #[must_use]
    pub fn call(&self, sid: &str) -> Option<CallRecord> {
        self.exchange.call(sid)
    }

    /// Everything about all calls, in the order in which they were placed.
    #[must_use]
    pub fn calls(&self) -> Vec<CallRecord> {
        self.exchange.calls()
    }

    /// Waits until `look` finds in the calls what it looks for.
    pub async fn until<T>(&self, mut look: impl FnMut(&[CallRecord]) -> Option<T>) -> T {
        let mut changed = self.exchange.watch();
        loop {
            if let Some(found) = look(&self.exchange.calls()) {
                return found;
            }
            changed
                .changed()
                .await
                .expect("the exchange lives as long as this");
        }
    }

    /// Waits until something is true of one call, and returns the call.
    pub async fn until_call(&self, sid: &str, is_so: impl Fn(&CallRecord) -> bool) -> CallRecord {
        self.until(|calls| {
            let mut calls = calls.iter();
            calls.find(|call| call.sid == sid && is_so(call)).cloned()
        })
        .await
    }

    /// Waits until a call is over, and returns it.
    pub async fn ended(&self, sid: &str) -> CallRecord {
        self.until_call(sid, |call| call.status.is_over()).await
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.server.abort();
    }
}
