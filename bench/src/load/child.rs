//! The server under load, in a process of its own so that its CPU and memory are its alone, and
//! the bare echo server it is compared with.

use std::{
    io::{self, BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use futures_util::{SinkExt as _, StreamExt as _};
use procfs::{WithCurrentSystemInfo as _, process::Process};
use sidetone::{Engine, EventStream};
use sidetone_core::{config::CallConfig, event::CallEvent};
use sidetone_server::{Config, Server};
use sidetone_speech::vad::EarshotVad;
use tokio::net::TcpListener;

use super::services::{InstantLlm, InstantStt, InstantTts};

/// What a child serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// The engine behind its server, with services that answer at once.
    Engine,
    /// A WebSocket server that sends every message back.
    Echo,
}

/// A server in a process of its own; ends with this value.
pub struct Served {
    child: Child,
    process: Process,
    answers: Arc<Mutex<Vec<Duration>>>,
    /// Where it listens.
    pub addr: SocketAddr,
}

/// What a process has used.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// CPU time, user and system.
    pub cpu: Duration,
    /// Resident memory, in bytes.
    pub resident: u64,
}

impl Served {
    /// Starts `program`, which is the load generator, as `role`, and waits until it listens.
    ///
    /// # Errors
    ///
    /// The program does not start or does not say where it listens.
    pub fn start(program: &Path, role: Role) -> io::Result<Self> {
        let role = match role {
            Role::Engine => "engine",
            Role::Echo => "echo",
        };
        let mut child = Command::new(program)
            .args(["serve", role])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().expect("it is piped");
        let mut line = String::new();
        let mut stdout = BufReader::new(stdout);
        stdout.read_line(&mut line)?;
        let Ok(addr) = line.trim().parse() else {
            // Whatever it is, it is no server.
            let _ = child.kill();
            let _ = child.wait();
            return Err(io::Error::other(format!(
                "the {role} server did not say where it listens: {line:?}"
            )));
        };
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        let process = Process::new(pid).map_err(io::Error::other)?;
        // Read by a thread, so that the child never waits for its parent.
        let answers = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&answers);
        thread::spawn(move || {
            let lines = stdout.lines().map_while(Result::ok);
            for ms in lines.filter_map(|line| line.parse().ok()) {
                let mut answers = told.lock().unwrap_or_else(PoisonError::into_inner);
                answers.push(Duration::from_millis(ms));
            }
        });
        Ok(Self {
            child,
            process,
            answers,
            addr,
        })
    }

    /// How long each answer since the last time took the engine, from its decision that the
    /// caller's turn had ended to the first audio out, in whole ms.
    #[must_use]
    pub fn take_answers(&self) -> Vec<Duration> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut answers)
    }

    /// What the server has used so far.
    ///
    /// # Errors
    ///
    /// The process has ended.
    pub fn usage(&self) -> io::Result<Usage> {
        usage_of(&self.process).map_err(|error| {
            io::Error::other(format!(
                "the server under load has ended by itself; what it said stands above ({error})"
            ))
        })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone afterwards.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What this process has used so far.
///
/// # Errors
///
/// The system does not say.
pub fn own_usage() -> io::Result<Usage> {
    usage_of(&Process::myself().map_err(io::Error::other)?)
}

/// What a process has used so far.
///
/// # Errors
///
/// It has ended.
pub fn usage_of(process: &Process) -> io::Result<Usage> {
    let stat = process.stat().map_err(io::Error::other)?;
    // A child that died stays in the table until it is waited for.
    if matches!(stat.state, 'Z' | 'X') {
        return Err(io::Error::other("no such process"));
    }
    let ticks = stat.utime + stat.stime;
    let cpu = Duration::from_secs_f64(ticks as f64 / procfs::ticks_per_second() as f64);
    Ok(Usage {
        cpu,
        resident: stat.rss_bytes().get(),
    })
}

/// The body of a child: serves until its standard input is closed.
///
/// # Errors
///
/// It cannot listen.
pub async fn serve(role: Role) -> io::Result<()> {
    match role {
        Role::Engine => serve_engine().await,
        Role::Echo => serve_echo().await,
    }
}

/// Tells the parent one thing.
#[expect(clippy::print_stdout, reason = "the parent reads it there")]
fn announce(what: impl std::fmt::Display) {
    println!("{what}");
}

/// Tells the parent how long the engine took for each answer.
async fn announce_answers(mut events: EventStream) {
    while let Some(record) = events.recv().await {
        // Events that were missed are answers that are not counted.
        let Ok(record) = record else { continue };
        if let CallEvent::TurnMetrics(metrics) = &record.event {
            announce(metrics.total_ms.saturating_sub(metrics.endpointing_ms));
        }
    }
}

async fn serve_engine() -> io::Result<()> {
    let engine = Engine::builder()
        .stt(Arc::new(InstantStt))
        .llm(Arc::new(InstantLlm))
        .tts(Arc::new(InstantTts::new()))
        .vad(|| Box::new(EarshotVad::new()))
        .config(CallConfig::default())
        .build()
        .map_err(io::Error::other)?;
    let events = engine.events();
    let mut config = Config::default();
    config.server.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.server.insecure = true;
    config.server.max_calls = 10_000;
    let server = Server::start(&config, engine)
        .await
        .map_err(io::Error::other)?;
    announce(server.addr());
    tokio::spawn(announce_answers(events));
    parent_gone().await;
    Ok(())
}

async fn serve_echo() -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    announce(listener.local_addr()?);
    let accept = async {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let Ok(socket) = tokio_tungstenite::accept_async(stream).await else {
                    return;
                };
                let (mut sink, mut stream) = socket.split();
                while let Some(Ok(message)) = stream.next().await {
                    if !message.is_text() || sink.send(message).await.is_err() {
                        return;
                    }
                }
            });
        }
    };
    tokio::select! {
        () = accept => {}
        () = parent_gone() => {}
    }
    Ok(())
}

/// Waits until the parent closes its end of the standard input.
async fn parent_gone() {
    // What the parent might write is of no interest, nor is how the pipe ends.
    let _ = tokio::task::spawn_blocking(|| io::stdin().lines().count()).await;
}
