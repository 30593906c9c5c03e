//! A server with a store, tokens of each role, and a caller who hums.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;
use sidetone::{CallHandle, Engine, EventStream};
use sidetone_core::{event::CallEvent, handoff::CallState};
use sidetone_server::{
    Config, RunningServer, Server,
    auth::tokens::{self, IssuedToken},
    store::{AuditFilter, Role, Store},
};
use tempfile::TempDir;
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{
    support::{self, Phone},
    tones::{CALLER, Ear, Tone},
};

/// Longer than anything takes on the busiest machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A server, and who may do what on it.
pub(crate) struct World {
    pub(crate) server: RunningServer,
    pub(crate) addr: SocketAddr,
    pub(crate) engine: Engine,
    pub(crate) viewer: IssuedToken,
    pub(crate) operator: IssuedToken,
    pub(crate) admin: IssuedToken,
    _folder: TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = TempDir::new().unwrap();
        let mut config = support::insecure();
        config.store.url = format!("sqlite:{}", folder.path().join("calls.db").display());
        change(&mut config);
        let engine = support::quiet_engine();
        let server = Server::start(&config, engine.clone()).await.unwrap();
        let store = server.state().archive().unwrap().store().clone();
        Self {
            addr: server.addr(),
            viewer: token(&store, Role::Viewer).await,
            operator: token(&store, Role::Operator).await,
            admin: token(&store, Role::Admin).await,
            server,
            engine,
            _folder: folder,
        }
    }

    pub(crate) fn store(&self) -> &Store {
        self.server.state().archive().unwrap().store()
    }

    /// A call whose caller hums.
    pub(crate) async fn call(&self) -> Caller {
        let mut events = self.engine.events();
        let phone = Phone::call(self.addr, None).await;
        let call = loop {
            let record = events.recv().await.unwrap().unwrap();
            if matches!(record.event, CallEvent::CallStarted { .. }) {
                break self.engine.call(&record.call_id).unwrap();
            }
        };
        Caller::new(phone, call)
    }

    /// Waits until the audit log has `actions` of a call, in this order.
    pub(crate) async fn audited(&self, call: &CallHandle, actions: &[&str]) -> Vec<Value> {
        let filter = AuditFilter {
            call_id: Some(call.id().to_string()),
            before: None,
        };
        let mut all = Vec::new();
        let waiting = async {
            loop {
                let mut entries = self.store().audit_log(&filter, 100).await.unwrap();
                entries.reverse();
                all = entries;
                if all
                    .iter()
                    .map(|entry| entry.action.as_str())
                    .eq(actions.iter().copied())
                {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        if timeout(PATIENCE, waiting).await.is_err() {
            panic!("{all:?}");
        }
        all.iter()
            .map(|entry| Value::Object(entry.detail.clone()))
            .collect()
    }
}

async fn token(store: &Store, role: Role) -> IssuedToken {
    let name = match role {
        Role::Viewer => "Vera",
        Role::Operator => "Otto",
        Role::Admin => "Ada",
    };
    tokens::create(store, name, role).await.unwrap()
}

/// Somebody on the phone who hums, and hears.
pub(crate) struct Caller {
    pub(crate) call: CallHandle,
    pub(crate) ear: Ear,
    line: JoinHandle<()>,
}

impl Caller {
    fn new(mut phone: Phone, call: CallHandle) -> Self {
        let ear = Ear::new(8_000);
        let hears = ear.clone();
        let line = tokio::spawn(async move {
            let mut tone = Tone::new(CALLER, 8_000);
            let mut tick = interval(Duration::from_millis(20));
            tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
            loop {
                tokio::select! {
                    _ = tick.tick() => phone.samples(&tone.frame()).await,
                    event = phone.event() => match event {
                        Some(event) if event["event"] == "media" => {
                            hears.hear(&support::samples_of(&event));
                        }
                        Some(event) if event["event"] == "mark" => {
                            phone.mark(event["mark"]["name"].as_str().unwrap()).await;
                        }
                        Some(_) => {}
                        None => return,
                    },
                }
            }
        });
        Self { call, ear, line }
    }

    /// The path of something of the call.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/api/calls/{}{rest}", self.call.id())
    }

    /// Waits until the call is so.
    pub(crate) async fn is(&self, good: impl FnMut(&CallState) -> bool) {
        let mut state = self.call.state();
        let found = timeout(PATIENCE, state.wait_for(good)).await;
        if !matches!(found, Ok(Ok(_))) {
            panic!("{:?}", self.call.state().borrow());
        }
    }

    /// The line is cut.
    pub(crate) async fn drops_off(self) {
        self.line.abort();
        self.call.ended().await;
    }
}

/// The next event for which `pick` finds something.
pub(crate) async fn event<T>(
    events: &mut EventStream,
    mut pick: impl FnMut(&CallEvent) -> Option<T>,
) -> T {
    let waiting = async {
        loop {
            let record = events.recv().await.expect("the call goes on").unwrap();
            if let Some(found) = pick(&record.event) {
                return found;
            }
        }
    };
    timeout(PATIENCE, waiting).await.expect("it happens")
}
