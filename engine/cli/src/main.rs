//! The `sidetone` program.

mod check;
mod serve;
mod token;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use sidetone_cli::{
    call::{self, CallArgs},
    demo::{self, DemoArgs},
    dial::{self, DialArgs},
    in_full,
    models::{self, ModelsArgs},
    transcribe::{self, TranscribeArgs},
};
use token::TokenArgs;

/// A real-time voice engine for phone calls.
#[derive(Debug, Parser)]
#[command(name = "sidetone", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer the calls that Twilio connects.
    ///
    /// SIGTERM or Ctrl-C ends it: no new calls come in, running calls have
    /// `server.drain_seconds` to finish. A second one hangs up at once.
    Serve(ConfigArgs),
    /// Check the configuration and print it as it takes effect, secrets masked.
    ///
    /// Loads no model and connects to nothing, but looks whether files and programs are there.
    Check(ConfigArgs),
    /// Call any server that speaks Twilio Media Streams, as a phone with recordings to play.
    ///
    /// Speaks at real pace and hears the answer as Twilio plays it. Fails if a turn went
    /// unanswered or the agent did not do what the scenario expects.
    Call(Box<CallArgs>),
    /// Have Twilio call a number and connect it to a running server.
    ///
    /// Shows how the call fares until it is over; Ctrl-C ends it.
    Dial(DialArgs),
    /// Hold a conversation on this machine and show it: server, phone and caller in one.
    Demo(DemoArgs),
    /// Write down what is said in recordings.
    ///
    /// Recordings of two channels, as telephone systems make them, become conversations with a
    /// speaker for each channel. All on this machine: nothing leaves it.
    Transcribe(Box<TranscribeArgs>),
    /// Make, list and revoke the tokens that the API and the console ask for.
    Token(TokenArgs),
    /// List, fetch, check and remove models.
    ///
    /// They lie in the folder that `SIDETONE_MODELS_DIR` names, else in the platform's data
    /// folder. `SIDETONE_MODELS_URL` names a mirror: any web server that has the files.
    /// Proxies are taken from `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`.
    Models(ModelsArgs),
}

#[derive(Args, Debug)]
struct ConfigArgs {
    /// The configuration, a TOML file. Without one, defaults and the environment decide.
    #[arg(long, short, value_name = "FILE", env = "SIDETONE_CONFIG")]
    config: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(args) => serve::run(args.config.as_deref()).await,
        Command::Check(args) => check::run(args.config.as_deref()),
        Command::Call(args) => call::run(*args).await,
        Command::Dial(args) => dial::run(args).await,
        Command::Demo(args) => demo::run(args).await,
        Command::Token(args) => token::run(args).await,
        Command::Models(args) => models::run(args).await,
        Command::Transcribe(args) => return transcribe::run(*args).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("error: {}", in_full(&*error));
            ExitCode::FAILURE
        }
    }
}
