//! `load`: holds many simulated calls with a server and says what they noticed and cost.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use clap::{Parser, Subcommand};
use sidetone_bench::load::{
    child::{self, Role, Served, Usage, own_usage},
    leg,
    report::{Talked, share},
    talk,
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};

/// Holds many simulated calls with a server of its own, over real sockets and at real pace.
#[derive(Parser)]
#[command(name = "load")]
struct Args {
    /// How many calls at the same time; one run for each number.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 50, 200])]
    calls: Vec<usize>,
    /// How many rounds of question and interruption each caller goes through.
    #[arg(long, default_value_t = 4)]
    rounds: usize,
    /// How many calls listen when listening is compared with echoing; 0: leave that out.
    #[arg(long, default_value_t = 100)]
    listening: usize,
    /// How long they listen, in seconds.
    #[arg(long, default_value_t = 15)]
    listening_seconds: u64,
    /// The recorded callers.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures"))]
    fixtures: PathBuf,
    #[command(subcommand)]
    command: Option<Internal>,
}

#[derive(Subcommand)]
enum Internal {
    /// Be the server under load.
    #[command(hide = true)]
    Serve {
        /// Which one.
        role: Role,
    },
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let args = Args::parse();
    if let Some(Internal::Serve { role }) = args.command {
        return child::serve(role).await;
    }
    if args.listening > 0 {
        let listened = Duration::from_secs(args.listening_seconds);
        print(&compare_listening(args.listening, listened).await?);
    }
    let script = talk::script(&args.fixtures, args.rounds)?;
    for calls in args.calls {
        // Spread over a round, so that not all of them speak in the same breath.
        let ramp = Duration::from_secs(10).min(Duration::from_millis(100) * calls as u32);
        let server = Served::start(Role::Engine)?;
        warm_up(server.addr, &script).await;
        let (server_before, phones_before, began) = (server.usage()?, own_usage()?, Instant::now());
        let (stop, stopped) = watch::channel(());
        let server = Arc::new(server);
        let peak = tokio::spawn(watch_memory(Arc::clone(&server), stopped));
        let reports = talk::hold_calls(server.addr, calls, ramp, &script).await;
        let (server_after, phones_after) = (server.usage()?, own_usage()?);
        drop(stop);
        let peak = peak.await.map_err(io::Error::other)?;
        let talked = Talked::new(
            &reports,
            began.elapsed(),
            (server_before, server_after, peak),
            (phones_before, phones_after),
        );
        print(&talked.to_string());
        if let Some(Err(error)) = reports.iter().find(|report| report.is_err()) {
            print(&format!("  the first failure: {error}"));
        }
    }
    Ok(())
}

#[allow(clippy::print_stdout, reason = "the program's output")]
fn print(text: &str) {
    println!("{text}\n");
}

/// One call before the count begins: what is loaded once is no call's memory.
async fn warm_up(addr: SocketAddr, script: &Arc<sidetone_cli::phone::Script>) {
    let mut short = sidetone_cli::phone::Script::clone(script);
    short.lines.truncate(2);
    talk::hold_calls(addr, 1, Duration::ZERO, &Arc::new(short)).await;
}

/// The most resident memory until `stopped`.
async fn watch_memory(server: Arc<Served>, mut stopped: watch::Receiver<()>) -> u64 {
    let mut peak = 0;
    loop {
        if let Ok(Usage { resident, .. }) = server.usage() {
            peak = peak.max(resident);
        }
        tokio::select! {
            _ = stopped.changed() => return peak,
            () = sleep(Duration::from_millis(250)) => {}
        }
    }
}

/// A listening call's CPU against a bare echo server's, with the same legs in the same run.
async fn compare_listening(calls: usize, duration: Duration) -> io::Result<String> {
    let mut shares = Vec::new();
    let mut memory = 0;
    // In turn, twice, so that a machine that slows down slows both.
    for role in [Role::Echo, Role::Engine, Role::Echo, Role::Engine] {
        let server = Served::start(role)?;
        let idle = server.usage()?;
        let until = Instant::now() + Duration::from_secs(2) + duration;
        let mut legs = JoinSet::new();
        for n in 0..calls {
            let addr = server.addr;
            legs.spawn(async move {
                sleep(Duration::from_secs(1).mul_f64(n as f64 / calls as f64)).await;
                match role {
                    Role::Engine => leg::call_and_listen(addr, until, n as u64).await,
                    Role::Echo => leg::stream(addr, "", until, n as u64).await,
                }
            });
        }
        sleep(Duration::from_secs(2)).await;
        let (before, began) = (server.usage()?, Instant::now());
        sleep(duration.mul_f64(0.9)).await;
        let after = server.usage()?;
        shares.push(share(before, after, began.elapsed()) / calls as f64);
        if role == Role::Engine {
            memory = after.resident.saturating_sub(idle.resident) / calls as u64;
        }
        for result in legs.join_all().await {
            result?;
        }
    }
    let echo = f64::midpoint(shares[0], shares[2]);
    let engine = f64::midpoint(shares[1], shares[3]);
    Ok(format!(
        "{calls} calls that listen\n  CPU of a call          {:.3} % of a core; a bare echo server {:.3} %: \
         ratio {:.2}  (budget ≤ 2)\n  memory of a call       {} KiB resident  (budget ≤ 200 KiB)",
        engine * 100.0,
        echo * 100.0,
        engine / echo,
        memory / 1_024,
    ))
}
