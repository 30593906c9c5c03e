//! `sidetone demo`: a whole conversation on this machine, through the real socket.
//!
//! Starts the server with the embedded defaults on a free loopback port, calls it with a recorded
//! caller, shows both sides while they speak, and leaves a recording, the events and a picture.

mod account;
mod caller;

use std::{
    error::Error,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use clap::Args;
use owo_colors::OwoColorize as _;
use sidetone::EventStream;
use sidetone_server::{Config, RunningServer, Server, VOICE_PATH};
use tokio::sync::oneshot;

use self::account::Account;
use crate::{
    call::CallFailed,
    phone::{self, CallIdentity, CallReport, Entry, Script, Sight, Target},
    saved::{make_folder, save},
    view::{self, View},
};

/// The agent's first words in the demo.
const GREETING: &str = "Hello, this is the Sidetone help line. How can I help you?";

/// What `sidetone demo` is told.
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Leave call.wav, events.ndjson, report.json, session.ndjson and timeline.svg there.
    #[arg(long, value_name = "DIR", default_value = "out/demo")]
    out: PathBuf,
}

/// Holds the demo's call.
///
/// # Errors
///
/// Something is missing on this machine, or a turn of the caller went unanswered, or the
/// interruption did not stop the agent.
pub async fn run(args: DemoArgs) -> Result<(), Box<dyn Error>> {
    require_espeak()?;
    make_folder(&args.out)?;
    let script = Arc::new(caller::script()?);
    let events_file = args.out.join("events.ndjson");
    begin_anew(&events_file)?;
    let config = config(&events_file);

    anstream::println!(
        "sidetone demo: one call on this machine, through the real socket\n\n\
         \x20 ears   whisper.cpp with the bundled demo model, which knows a few hundred words\n\
         \x20 mind   a scripted dialogue, no language model\n\
         \x20 voice  espeak-ng\n"
    );
    let engine = sidetone_server::engine(&config).await?;
    engine.warm_up().await?;
    let events = engine.events();
    let server = Server::start(&config, engine).await?;
    let (report, account) = hold_call(&server, &script, events).await?;
    server.stop().await;

    view::summary(&report);
    account.print_transcripts(&report);
    save(&args.out, &report, &account.timeline(&report))?;
    print_farewell(&args.out);
    Ok(CallFailed::check(&report)?)
}

/// The defaults, reachable from this machine only.
fn config(events_file: &Path) -> Config {
    let mut config = Config::default();
    config.server.listen = ([127, 0, 0, 1], 0).into();
    config.server.insecure = true;
    config.agent.greeting = GREETING.to_owned();
    config.events.ndjson = events_file.display().to_string();
    config
}

async fn hold_call(
    server: &RunningServer,
    script: &Arc<Script>,
    events: EventStream,
) -> Result<(CallReport, Account), Box<dyn Error>> {
    let target = Target {
        entry: Entry::Webhook(format!("http://{}{VOICE_PATH}", server.addr())),
        connect: None,
        auth_token: None,
    };
    let (hung_up, over) = oneshot::channel();
    let account = tokio::spawn(Account::keep(events, over));
    let view = View::new(script, false);
    let report = phone::call(
        &target,
        Arc::clone(script),
        CallIdentity::random(None),
        true,
        |at, sight| match sight {
            // The account shows what the agent says.
            Sight::AgentBegan {
                answers: Some((_, took)),
            } => {
                let text = format!("heard {} after the caller's last word", view::ms(*took));
                view::line(at, &"      ", &text.dimmed());
            }
            Sight::AgentBegan { .. } | Sight::AgentStopped => {}
            sight => view.sight(at, sight),
        },
    )
    .await?;
    // The account may have ended by itself with the call's last event.
    let _ = hung_up.send(());
    Ok((report, account.await?))
}

/// The engine appends to its file of events; this one is of one call.
fn begin_anew(events_file: &Path) -> Result<(), String> {
    match fs::remove_file(events_file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(format!("cannot replace {}: {error}", events_file.display()))
        }
        _ => Ok(()),
    }
}

fn require_espeak() -> Result<(), String> {
    let started = Command::new("espeak-ng")
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match started {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(
            "the agent's voice is the program espeak-ng, which is not installed: \
             apt install espeak-ng (Debian, Ubuntu), brew install espeak-ng (macOS)"
                .to_owned(),
        ),
        Err(error) => Err(format!("espeak-ng does not start: {error}")),
    }
}

fn print_farewell(out: &Path) {
    anstream::println!(
        "\nin {}:\n\
         \x20 call.wav        what was said: left the caller, right the agent\n\
         \x20 timeline.svg    a picture of it\n\
         \x20 events.ndjson   what the engine told about it\n\
         \x20 report.json     what the phone measured\n\
         \x20 session.ndjson  every message on the socket\n\n\
         The ears of this demo are a demo model: it fits into the program and understands little \
         more than this call.\n\
         Choose a real one for real calls, for example:\n\n\
         \x20 [stt]\n\
         \x20 model = \"small.en-q5_1\"   # or base.en, small, medium, large-v3-turbo…\n",
        out.display()
    );
}
