//! `sidetone call`: a phone that calls any server that speaks Twilio Media Streams.

use std::{
    collections::BTreeMap, error::Error, path::PathBuf, str::FromStr, sync::Arc, time::Duration,
};

use clap::{ArgGroup, Args};
use sidetone_speech::Secret;
use thiserror::Error;

use crate::{
    phone::{self, CallIdentity, CallReport, Entry, Line, Script, Target, When},
    saved,
    timeline::Timeline,
    view::{self, View},
};

/// What `sidetone call` is told.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("entry").required(true).args(["webhook", "url"])))]
#[command(group(ArgGroup::new("caller").required(true).multiple(true).args(["say", "scenario"])))]
pub struct CallArgs {
    /// Call as Twilio does: post to this voice webhook and follow its TwiML to the stream.
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// Connect to this stream (ws:// or wss://) without asking a webhook.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// A parameter of the stream's start; with --url, where no TwiML gives them.
    #[arg(long, value_name = "NAME=VALUE", conflicts_with = "webhook")]
    parameter: Vec<Parameter>,
    /// Open every connection to this address, without TLS, wherever the URLs point: for a server
    /// whose public URL ends at a proxy.
    #[arg(long, value_name = "HOST:PORT")]
    connect: Option<String>,
    /// Sign requests with this auth token, as Twilio does.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "TWILIO_AUTH_TOKEN",
        hide_env_values = true
    )]
    auth_token: Option<Secret>,
    /// The account that the call belongs to; made up if missing.
    #[arg(long, value_name = "SID", env = "TWILIO_ACCOUNT_SID")]
    account_sid: Option<String>,
    /// Say these recordings (WAV, any rate) one after the other, each when the agent has finished.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "scenario")]
    say: Vec<PathBuf>,
    /// Say recording LINE (from 1) MS milliseconds after the agent began to speak, over its voice.
    #[arg(long, value_name = "LINE@MS", requires = "say")]
    barge_in: Vec<BargeIn>,
    /// Let the agent speak first.
    #[arg(long, requires = "say")]
    wait_for_greeting: bool,
    /// The agent has finished after this much silence, in ms.
    #[arg(long, value_name = "MS", default_value_t = 800, requires = "say")]
    agent_silence: u32,
    /// A turn without an answer after this time is unanswered, in ms.
    #[arg(long, value_name = "MS", default_value_t = 10_000, requires = "say")]
    max_wait: u32,
    /// Play this scenario: which recordings, when, and what is expected of the agent.
    #[arg(long, value_name = "FILE.toml")]
    scenario: Option<PathBuf>,
    /// Leave call.wav (left the caller, right the agent), report.json, session.ndjson (every
    /// message) and timeline.svg there.
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    /// Show each mark that is returned.
    #[arg(long)]
    marks: bool,
}

/// `NAME=VALUE`.
#[derive(Clone, Debug)]
struct Parameter(String, String);

impl FromStr for Parameter {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE")?;
        Ok(Self(name.to_owned(), value.to_owned()))
    }
}

/// `LINE@MS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BargeIn {
    /// From 1.
    line: usize,
    after_ms: u32,
}

impl FromStr for BargeIn {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "must be LINE@MS, such as 2@1500, with lines counted from 1";
        let (line, after_ms) = text.split_once('@').ok_or(EXPECTED)?;
        let line = line.parse().map_err(|_| EXPECTED)?;
        let after_ms = after_ms.parse().map_err(|_| EXPECTED)?;
        if line == 0 {
            return Err(EXPECTED);
        }
        Ok(Self { line, after_ms })
    }
}

/// The call was held, and the agent did not do what it should.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{}", .0.join("; "))]
pub struct CallFailed(Vec<String>);

impl CallFailed {
    /// What went wrong in a call, if anything did.
    pub(crate) fn check(report: &CallReport) -> Result<(), Self> {
        let mut faults: Vec<String> = report
            .failures()
            .map(|(n, turn, failure)| format!("turn {n} (“{}”): {failure}", turn.text))
            .collect();
        if report.unsaid > 0 {
            let unsaid = report.unsaid;
            faults.push(format!(
                "the call ended before {unsaid} more of the caller's lines"
            ));
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Self(faults))
        }
    }
}

/// Calls, shows the call, and saves it if asked to.
///
/// # Errors
///
/// The call did not come about, could not be saved, or [`CallFailed`].
pub async fn run(args: CallArgs) -> Result<(), Box<dyn Error>> {
    let script = Arc::new(script(&args)?);
    let target = Target {
        entry: match (args.webhook, args.url) {
            (Some(webhook), _) => Entry::Webhook(webhook),
            (None, Some(url)) => {
                let parameters = args.parameter.into_iter();
                let parameters = parameters.map(|Parameter(name, value)| (name, value));
                Entry::Stream(url, parameters.collect::<BTreeMap<_, _>>())
            }
            (None, None) => return Err("one of --webhook and --url is needed".into()),
        },
        connect: args.connect,
        auth_token: args.auth_token,
    };
    if let Some(folder) = &args.save {
        // Before the call rather than after it.
        saved::make_folder(folder)?;
    }
    let identity = CallIdentity::random(args.account_sid.as_deref());
    anstream::println!("calling as {}\n", identity.call_sid);
    let view = View::new(&script, args.marks);
    let keep = args.save.is_some();
    let report = phone::call(&target, Arc::clone(&script), identity, keep, |at, sight| {
        view.sight(at, sight);
    })
    .await?;
    view::summary(&report);
    if let Some(folder) = &args.save {
        saved::save(folder, &report, &Timeline::of("sidetone call", &report))?;
        anstream::println!("\nsaved in {}", folder.display());
    }
    Ok(CallFailed::check(&report)?)
}

fn script(args: &CallArgs) -> Result<Script, Box<dyn Error>> {
    if let Some(scenario) = &args.scenario {
        return Ok(phone::load_scenario(scenario)?);
    }
    let mut lines = Vec::new();
    for (n, file) in args.say.iter().enumerate() {
        let barge_in = args.barge_in.iter().find(|b| b.line == n + 1);
        let when = match barge_in {
            Some(barge_in) => When::InterruptAfterMs(barge_in.after_ms),
            None if n == 0 && !args.wait_for_greeting => When::PauseMs(1_000),
            None => When::AgentSilenceMs(args.agent_silence),
        };
        let name = file.file_stem().unwrap_or(file.as_os_str());
        lines.push(Line::new(
            name.to_string_lossy(),
            phone::load_audio(file)?,
            when,
        ));
    }
    if let Some(beyond) = args.barge_in.iter().find(|b| b.line > lines.len()) {
        return Err(format!(
            "--barge-in names line {}, and there are {} to say",
            beyond.line,
            lines.len()
        )
        .into());
    }
    Ok(Script {
        max_wait: Duration::from_millis(u64::from(args.max_wait)),
        ..Script::new(lines)
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        call: CallArgs,
    }

    fn parse(args: &[&str]) -> Result<CallArgs, clap::Error> {
        let args = std::iter::once("call").chain(args.iter().copied());
        Cli::try_parse_from(args).map(|cli| cli.call)
    }

    fn recording(name: &str) -> String {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/demo/");
        format!("{folder}{name}")
    }

    #[test]
    fn lines_follow_each_other_and_interrupt_where_told() {
        let (first, second) = (recording("1-where.wav"), recording("3-hold-on.wav"));
        let args = [
            "--url",
            "ws://x",
            "--say",
            &first,
            &second,
            &first,
            "--barge-in",
            "2@1500",
        ];
        let script = script(&parse(&args).unwrap()).unwrap();
        let lines: Vec<_> = script
            .lines
            .iter()
            .map(|line| (line.text.as_str(), line.when))
            .collect();
        assert_eq!(
            lines,
            [
                ("1-where", When::PauseMs(1_000)),
                ("3-hold-on", When::InterruptAfterMs(1_500)),
                ("1-where", When::AgentSilenceMs(800)),
            ]
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for args in [
            &["--say", "a.wav"][..],
            &["--url", "ws://x"],
            &["--url", "ws://x", "--webhook", "http://x", "--say", "a.wav"],
            &["--url", "ws://x", "--say", "a.wav", "--scenario", "b.toml"],
            &["--url", "ws://x", "--say", "a.wav", "--barge-in", "0@5"],
            &[
                "--webhook",
                "http://x",
                "--say",
                "a.wav",
                "--parameter",
                "a=b",
            ],
        ] {
            assert!(parse(args).is_err(), "{args:?}");
        }
        let file = recording("1-where.wav");
        let args = ["--url", "ws://x", "--say", &file, "--barge-in", "2@5"];
        let error = script(&parse(&args).unwrap()).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }

    #[test]
    fn the_auth_token_is_not_shown() {
        let args = ["--url", "ws://x", "--say", "a", "--auth-token", "hush"];
        assert!(!format!("{:?}", parse(&args).unwrap()).contains("hush"));
    }
}
