//! The server, in a process of its own: its processor time is its alone, and its clock is the bench's.
//!
//! The child says on its standard output where it listens, and when each event happened; on its
//! standard input it is told what to do.

use std::{
    collections::HashMap,
    env, io,
    net::SocketAddr,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use procfs::process::Process;
use serde::{Deserialize, Serialize};
use sidetone::EventStream;
use sidetone_bench::load::child::{Usage, usage_of};
use sidetone_core::event::CallEvent;
use sidetone_server::{
    Config, Server as SidetoneServer,
    auth::tokens,
    store::{Role, Store},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, Command},
    sync::{mpsc, watch},
    time::timeout,
};

use crate::{fill, fill::Filled, services};

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the child says, a line of JSON each.
#[derive(Debug, Serialize, Deserialize)]
enum Said {
    Listens {
        addr: SocketAddr,
        tokens: [String; 2],
    },
    Happened {
        call: String,
        seq: u64,
        at_us: u64,
        /// The provider's id of a call that begins.
        begins: Option<String>,
    },
    Filled(Filled),
}

/// What the child is told.
#[derive(Debug, Serialize, Deserialize)]
enum Told {
    /// Write so many calls to the store.
    Fill { calls: u32 },
}

/// The child's body: serves until its standard input is closed.
pub(crate) async fn be(sentence_ms: u32) -> io::Result<()> {
    let folder = TempDir::new()?;
    let mut config = Config::default();
    config.server.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.server.insecure = true;
    config.server.max_calls = 1_000;
    config.api.requests_per_second = 10_000;
    config.api.address_requests_per_second = 100_000;
    config.store.url = format!("sqlite:{}", folder.path().join("calls.db").display());
    let engine = services::engine(sentence_ms).map_err(io::Error::other)?;
    let events = engine.events();
    let server = SidetoneServer::start(&config, engine)
        .await
        .map_err(io::Error::other)?;
    let archive = server.state().archive().expect("it has a store");
    let store: Store = archive.store().clone();
    let token = async |name| {
        let token = tokens::create(&store, name, Role::Admin).await;
        let token = token.map_err(io::Error::other)?;
        io::Result::Ok(token.expose().to_owned())
    };
    say(&Said::Listens {
        addr: server.addr(),
        tokens: [token("Anna").await?, token("Bert").await?],
    });
    tokio::spawn(announce(events));
    let mut lines = lines_of_stdin();
    while let Some(line) = lines.recv().await {
        match serde_json::from_str(&line)? {
            Told::Fill { calls } => {
                let filled = fill::fill(&store, calls).await.map_err(io::Error::other)?;
                say(&Said::Filled(filled));
            }
        }
    }
    server.stop().await;
    Ok(())
}

/// What the parent says.
fn lines_of_stdin() -> mpsc::UnboundedReceiver<String> {
    let (says, lines) = mpsc::unbounded_channel();
    thread::spawn(move || {
        let mut lines = io::stdin().lines().map_while(Result::ok);
        while lines.next().is_some_and(|line| says.send(line).is_ok()) {}
    });
    lines
}

/// Says when events happen.
async fn announce(mut events: EventStream) {
    while let Some(record) = events.recv().await {
        let at_us = now_us();
        // Events that were missed are delays that are not measured.
        let Ok(record) = record else { continue };
        let begins = match &record.event {
            CallEvent::CallStarted {
                provider_call_id, ..
            } => provider_call_id.clone(),
            _ => None,
        };
        say(&Said::Happened {
            call: record.call_id.to_string(),
            seq: record.seq,
            at_us,
            begins,
        });
    }
}

#[expect(clippy::print_stdout, reason = "the parent reads it there")]
fn say(said: &Said) {
    let line = serde_json::to_string(said).expect("texts and numbers are JSON");
    println!("{line}");
}

/// The clock that both processes share, in µs.
pub(crate) fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let micros = now.expect("it is after 1970").as_micros();
    u64::try_from(micros).expect("it is before the year 586000")
}

/// A server that runs; ends with this value.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    /// Of two people: nobody may hold all event streams.
    pub(crate) tokens: [String; 2],
    process: Process,
    told: ChildStdin,
    heard: Arc<Heard>,
    filled: mpsc::UnboundedReceiver<Filled>,
    _child: Child,
}

/// What the child said so far.
#[derive(Default)]
struct Heard {
    /// When each event of each call happened.
    events: Mutex<HashMap<(String, u64), u64>>,
    /// The calls by the provider's ids.
    calls: watch::Sender<HashMap<String, String>>,
}

impl Server {
    /// Starts a server whose agent's sentences are so long.
    pub(crate) async fn start(sentence_ms: u32) -> io::Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .args(["--serve", &sentence_ms.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().expect("it runs");
        let process = Process::new(i32::try_from(pid).map_err(io::Error::other)?);
        let told = child.stdin.take().expect("it is piped");
        let stdout = child.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(stdout).lines();
        let first = lines.next_line().await?.unwrap_or_default();
        let Ok(Said::Listens { addr, tokens }) = serde_json::from_str(&first) else {
            return Err(io::Error::other(format!("the server says {first:?}")));
        };
        let heard = Arc::<Heard>::default();
        let (tell, filled) = mpsc::unbounded_channel();
        let hears = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                match serde_json::from_str(&line) {
                    Ok(Said::Happened {
                        call,
                        seq,
                        at_us,
                        begins,
                    }) => hears.happened(call, seq, at_us, begins),
                    Ok(Said::Filled(filled)) => {
                        // Nobody may wait for it.
                        let _ = tell.send(filled);
                    }
                    _ => panic!("the server says {line:?}"),
                }
            }
        });
        Ok(Self {
            addr,
            tokens,
            process: process.map_err(io::Error::other)?,
            told,
            heard,
            filled,
            _child: child,
        })
    }

    /// The engine's id of a call, once it has begun.
    pub(crate) async fn call_id(&self, call_sid: &str) -> String {
        let mut calls = self.heard.calls.subscribe();
        let begun = timeout(
            PATIENCE,
            calls.wait_for(|calls| calls.contains_key(call_sid)),
        );
        let calls = begun.await.expect("the call begins");
        calls.expect("the server runs")[call_sid].clone()
    }

    /// When an event happened, in [`now_us`]; none where it is not known (yet).
    pub(crate) fn happened_us(&self, call: &str, seq: u64) -> Option<u64> {
        let events = self.heard.events.lock();
        let events = events.unwrap_or_else(PoisonError::into_inner);
        events.get(&(call.to_owned(), seq)).copied()
    }

    /// What it has used so far.
    pub(crate) fn usage(&self) -> io::Result<Usage> {
        usage_of(&self.process)
    }

    /// Writes so many calls to its store.
    pub(crate) async fn fill(&mut self, calls: u32) -> io::Result<Filled> {
        let mut line = serde_json::to_vec(&Told::Fill { calls })?;
        line.push(b'\n');
        self.told.write_all(&line).await?;
        self.told.flush().await?;
        let filled = timeout(PATIENCE, self.filled.recv()).await?;
        filled.ok_or_else(|| io::Error::other("the store could not be filled"))
    }
}

impl Heard {
    fn happened(&self, call: String, seq: u64, at_us: u64, begins: Option<String>) {
        if let Some(call_sid) = begins {
            self.calls
                .send_modify(|calls| drop(calls.insert(call_sid, call.clone())));
        }
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.insert((call, seq), at_us);
    }
}
