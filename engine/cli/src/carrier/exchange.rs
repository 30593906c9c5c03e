//! What all calls share: the account, the telephones, the records, the way to the application.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use sidetone_speech::Secret;
use tokio::sync::{mpsc, watch};

use super::{
    fault::{Fault, Planned},
    phone::Phone,
    record::{CallRecord, Direction, Status},
};
use crate::phone::{Answer, DialError, Webhook};

/// An account at the carrier.
#[derive(Clone, Debug)]
pub struct Account {
    /// `AC` and 32 hexadecimal digits.
    pub sid: String,
    /// What callbacks are signed with, and what requests may show.
    pub auth_token: Secret,
    /// An API key and its secret that requests may show as well.
    pub api_key: Option<(String, Secret)>,
}

impl Account {
    /// An account that nobody else has.
    #[must_use]
    pub fn random() -> Self {
        Self {
            sid: new_sid("AC"),
            auth_token: Secret::new(format!("{:032x}", fastrand::u128(..))),
            api_key: None,
        }
    }
}

/// A name that nothing else has.
pub(super) fn new_sid(prefix: &str) -> String {
    format!("{prefix}{:032x}", fastrand::u128(..))
}

/// What a call is told from outside while it runs.
#[derive(Clone, Debug)]
pub(super) enum Command {
    /// Do something else.
    Redirect(Instructions),
    /// End: the REST API says so.
    Complete,
    /// The person hangs up.
    HangUp,
    /// The person presses a key.
    Press(char),
}

/// What a call is to do.
#[derive(Clone, Debug)]
pub(super) enum Instructions {
    Twiml(String),
    Url(String),
}

#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) account: Account,
    client: reqwest::Client,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    phones: HashMap<String, Phone>,
    /// Where a host really is, without TLS.
    hosts: HashMap<String, String>,
    faults: Vec<Planned>,
    /// In the order in which they were placed.
    calls: Vec<CallRecord>,
    commands: BTreeMap<String, mpsc::UnboundedSender<Command>>,
}

/// A call that was just written down, and what tells it what to do.
pub(super) struct Opened {
    pub(super) sid: String,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
}

impl Exchange {
    pub(super) fn new(account: Account, client: reqwest::Client) -> Self {
        Self {
            account,
            client,
            state: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }

    pub(super) fn set_phone(&self, number: String, phone: Phone) {
        self.state().phones.insert(number, phone);
    }

    /// The telephone at a number; one that nobody has cannot be reached.
    pub(super) fn phone(&self, number: &str) -> Phone {
        let phone = self.state().phones.get(number).cloned();
        phone.unwrap_or_else(Phone::fails)
    }

    pub(super) fn set_host(&self, host: String, address: String) {
        self.state().hosts.insert(host, address);
    }

    /// `host:port` to connect to in place of where `url` points.
    pub(super) fn address_of(&self, url: &str) -> Option<String> {
        let url = reqwest::Url::parse(url).ok()?;
        self.state().hosts.get(url.host_str()?).cloned()
    }

    pub(super) fn plan(&self, fault: Fault, left: Option<u32>) {
        self.state().faults.push(Planned { fault, left });
    }

    pub(super) fn mend(&self) {
        self.state().faults.clear();
    }

    /// The fault of the next request, if one is planned.
    pub(super) fn next_fault(&self) -> Option<Fault> {
        let faults = &mut self.state().faults;
        let planned = faults.first_mut()?;
        let fault = planned.fault.clone();
        match &mut planned.left {
            None => {}
            Some(left) if *left > 1 => *left -= 1,
            Some(_) => drop(faults.remove(0)),
        }
        Some(fault)
    }

    /// Writes a new call down.
    pub(super) fn open(
        &self,
        direction: Direction,
        from: &str,
        to: &str,
        parent_sid: Option<String>,
        request: Vec<(String, String)>,
    ) -> Opened {
        let sid = new_sid("CA");
        let (sender, commands) = mpsc::unbounded_channel();
        let mut state = self.state();
        state.calls.push(CallRecord {
            sid: sid.clone(),
            parent_sid,
            direction,
            from: from.to_owned(),
            to: to.to_owned(),
            status: Status::Queued,
            answered_by: None,
            request,
            steps: Vec::new(),
            callbacks: Vec::new(),
            recordings: Vec::new(),
            created: SystemTime::now(),
            answered: None,
            ended: None,
        });
        state.commands.insert(sid.clone(), sender);
        drop(state);
        self.changed.send_replace(());
        Opened { sid, commands }
    }

    /// Changes what is written down about a call.
    pub(super) fn update<T>(&self, sid: &str, change: impl FnOnce(&mut CallRecord) -> T) -> T {
        let mut state = self.state();
        let call = state
            .calls
            .iter_mut()
            .find(|call| call.sid == sid)
            .expect("calls are never struck off");
        let result = change(call);
        drop(state);
        self.changed.send_replace(());
        result
    }

    pub(super) fn call(&self, sid: &str) -> Option<CallRecord> {
        let state = self.state();
        state.calls.iter().find(|call| call.sid == sid).cloned()
    }

    pub(super) fn calls(&self) -> Vec<CallRecord> {
        self.state().calls.clone()
    }

    /// Tells a call what to do; false where there is none of that name, or it is over.
    pub(super) fn command(&self, sid: &str, command: Command) -> bool {
        let state = self.state();
        let sender = state.commands.get(sid);
        sender.is_some_and(|sender| sender.send(command).is_ok())
    }

    pub(super) fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Posts a form to the application, signed.
    pub(super) async fn post(
        &self,
        url: &str,
        form: &[(String, String)],
    ) -> Result<Answer, DialError> {
        let address = self.address_of(url);
        Webhook {
            client: &self.client,
            auth_token: Some(&self.account.auth_token),
            connect: address.as_deref(),
        }
        .post(url, form)
        .await
    }

    /// A panic while the lock was held cannot leave a record half changed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
