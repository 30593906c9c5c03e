//! `sidetone serve`: answers calls until it is told to stop.

use std::{env, error::Error, io, path::Path};

use sidetone_cli::signals::Signals;
use sidetone_server::{Config, Server, Shutdown};
use tracing::{Level, Metadata, info};
use tracing_subscriber::{
    EnvFilter, filter::filter_fn, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// What is logged; `RUST_LOG` is understood too.
const LOG_VARIABLE: &str = "SIDETONE_LOG";

pub(crate) async fn run(config: Option<&Path>) -> Result<(), Box<dyn Error>> {
    let config = Config::load(config)?;
    log_to_stderr()?;
    let server = Server::bind(&config).await?;
    let shutdown = Shutdown::new();
    tokio::spawn(obey_signals(Signals::listen()?, shutdown.clone()));
    server.run(shutdown).await;
    Ok(())
}

fn log_to_stderr() -> Result<(), Box<dyn Error>> {
    let rules = [LOG_VARIABLE, EnvFilter::DEFAULT_ENV]
        .into_iter()
        .find_map(|name| Some((name, env::var(name).ok().filter(|rules| !rules.is_empty())?)));
    let filter = match rules {
        Some((name, rules)) => EnvFilter::try_new(&rules)
            .map_err(|error| format!("environment variable {name} = {rules:?}: {error}"))?,
        None => EnvFilter::new("info"),
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()));
    tracing_subscriber::registry()
        .with(filter)
        .with(filter_fn(may_be_logged))
        .with(lines)
        .init();
    Ok(())
}

/// The libraries below log whole messages and headers at their finer levels, and with them voices
/// and secrets. Those levels are ours alone, whatever the rules say.
fn may_be_logged(of: &Metadata<'_>) -> bool {
    *of.level() <= Level::INFO || of.target().starts_with("sidetone")
}

/// The first signal begins to drain, the second hangs up.
async fn obey_signals(mut signals: Signals, shutdown: Shutdown) {
    let signal = signals.next().await;
    info!(signal, "ending; once more hangs up at once");
    shutdown.drain();
    let signal = signals.next().await;
    info!(signal, "ending at once");
    shutdown.now();
}
