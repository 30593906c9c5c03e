//! `load`: holds many simulated calls with a server and says what they noticed and cost.

use std::{
    error::Error, fs, io, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc,
    time::Duration,
};

use clap::{Parser, Subcommand};
use serde_json::{Value, json};
use sidetone_bench::load::{
    child::{self, Role, Served, Usage, own_usage},
    listen,
    machine::{Machine, check_open_files},
    report::Talked,
    talk,
};
use sidetone_cli::phone::Script;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

/// Holds many simulated calls with a server of its own, over real sockets and at real pace.
///
/// The services behind the server answer at once, so that what is measured is the engine. Figures
/// are printed beside their budgets as each run ends; none is asserted. The exit status is 1 if a
/// call failed or a caller's line was not answered, 2 if the runs could not be made. Ctrl-C ends
/// the program and its server; what was printed and written until then stays.
#[derive(Parser)]
#[command(name = "load")]
struct Args {
    /// How many calls at the same time, 1 to 10000; one run for each number.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 50, 200],
        value_parser = clap::value_parser!(u32).range(1..=10_000))]
    calls: Vec<u32>,
    /// How many rounds of question and interruption each caller goes through, 1 to 15.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=15))]
    rounds: u32,
    /// How many calls listen when listening is compared with echoing; 0: leave that out.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    listening: u32,
    /// How long they listen, in seconds, 1 to 3600.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    listening_seconds: u64,
    /// The folder of the recorded callers: `fixtures` of the repository.
    #[arg(long, value_name = "FOLDER",
        default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures"))]
    fixtures: PathBuf,
    /// Writes the figures to this file too, anew after each run.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
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
async fn main() -> ExitCode {
    let args = Args::parse();
    let result = match args.command {
        Some(Internal::Serve { role }) => child::serve(role).await.map(|()| true),
        None => generate(&args).await,
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            complain(&error);
            ExitCode::from(2)
        }
    }
}

/// Makes all runs. False: a call failed, or a line was not answered.
async fn generate(args: &Args) -> io::Result<bool> {
    let script = talk::script(&args.fixtures, args.rounds as usize)?;
    let most = args.calls.iter().copied().max().unwrap_or(0);
    check_open_files(most.max(args.listening) as usize)?;
    let program = std::env::current_exe()?;
    let machine = Machine::this();
    let listed: Vec<String> = args.calls.iter().map(u32::to_string).collect();
    print(&format!(
        "{machine}\n{} calls that listen for {} s; {} calls that talk, {} rounds of question and \
         interruption",
        args.listening,
        args.listening_seconds,
        listed.join(", "),
        args.rounds
    ));
    let mut figures = json!({
        "machine": machine.to_json(),
        "rounds": args.rounds,
        "listening_seconds": args.listening_seconds,
        "listening": null,
        "talking": [],
    });
    let mut is_whole = true;
    write_json(args, &figures)?;
    if args.listening > 0 {
        let duration = Duration::from_secs(args.listening_seconds);
        let listened = listen::compare(&program, args.listening as usize, duration).await?;
        print(&listened.to_string());
        figures["listening"] = listened.to_json();
        write_json(args, &figures)?;
    }
    let mut talking = Vec::new();
    for &calls in &args.calls {
        let server = Arc::new(Served::start(&program, Role::Engine)?);
        let (talked, failure) = talk_to(&server, calls, &script).await?;
        print(&talked.to_string());
        if let Some(failure) = failure {
            print(&format!("  the first failure: {failure}"));
        }
        is_whole &= talked.is_whole();
        talking.push(talked.to_json());
        figures["talking"] = Value::Array(talking.clone());
        write_json(args, &figures)?;
    }
    Ok(is_whole)
}

/// Holds `calls` calls with `server`; also says why the first that failed did.
async fn talk_to(
    server: &Arc<Served>,
    calls: u32,
    script: &Arc<Script>,
) -> io::Result<(Talked, Option<String>)> {
    // Spread over a round, so that not all of them speak in the same breath.
    let ramp = Duration::from_secs(10).min(Duration::from_millis(100) * calls);
    warm_up(server.addr, script).await;
    drop(server.take_answers());
    let (server_before, phones_before, began) = (server.usage()?, own_usage()?, Instant::now());
    let (stop, stopped) = watch::channel(());
    let peak = tokio::spawn(watch_memory(Arc::clone(server), stopped));
    let reports = talk::hold_calls(server.addr, calls as usize, ramp, script).await;
    let (server_after, phones_after) = (server.usage()?, own_usage()?);
    drop(stop);
    let peak = peak.await.map_err(io::Error::other)?;
    let talked = Talked::new(
        &reports,
        began.elapsed(),
        &server.take_answers(),
        (server_before, server_after, peak),
        (phones_before, phones_after),
    );
    Ok((talked, reports.into_iter().find_map(Result::err)))
}

/// One call before the count begins: what is loaded once is no call's memory.
async fn warm_up(addr: SocketAddr, script: &Arc<Script>) {
    let mut short = Script::clone(script);
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

fn write_json(args: &Args, figures: &Value) -> io::Result<()> {
    let Some(file) = &args.json else {
        return Ok(());
    };
    fs::write(file, format!("{figures:#}\n"))
        .map_err(|error| io::Error::other(format!("cannot write {}: {error}", file.display())))
}

#[expect(clippy::print_stdout, reason = "the program's output")]
fn print(text: &str) {
    println!("{text}\n");
}

#[expect(clippy::print_stderr, reason = "why there is no output")]
fn complain(error: &io::Error) {
    eprint!("load: {error}");
    let mut source = error.source();
    while let Some(error) = source {
        eprint!(": {error}");
        source = error.source();
    }
    eprintln!();
}
