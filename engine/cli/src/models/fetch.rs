//! `sidetone models fetch`.

use std::{
    error::Error,
    io::{self, IsTerminal as _},
    path::PathBuf,
    process,
    time::{Duration, Instant},
};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sidetone_models::{
    demo, entry,
    fetch::{FetchError, FetchEvent, FetchOptions, Fetcher, Interruption, install_from},
    models_dir,
};

use super::{list::size, say, tally};

#[derive(Args, Debug)]
pub(super) struct FetchArgs {
    /// Models, as `list` calls them.
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// Files or folders that have the models, in place of the network: what `list --json` names, copied here
    /// by other means, or another machine's models directory.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    from: Vec<PathBuf>,
}

pub(super) async fn run(args: FetchArgs) -> Result<(), Box<dyn Error>> {
    tokio::select! {
        result = fetch_all(&args) => result,
        _ = tokio::signal::ctrl_c() => {
            anstream::eprintln!("\nstopped; the same command goes on where it stopped");
            // At once, even if a digest of gigabytes is being taken. A file that ends in the
            // middle of a write is what the next fetch is made for.
            process::exit(130);
        }
    }
}

async fn fetch_all(args: &FetchArgs) -> Result<(), Box<dyn Error>> {
    if let [name] = &args.names[..] {
        return fetch(name, &args.from).await;
    }
    let mut failed = 0;
    for name in &args.names {
        if let Err(error) = fetch(name, &args.from).await {
            failed += 1;
            say(&*error);
        }
    }
    tally(failed, args.names.len())
}

async fn fetch(name: &str, from: &[PathBuf]) -> Result<(), Box<dyn Error>> {
    if name == demo::NAME {
        anstream::eprintln!("{name}: comes with the program");
        return Ok(());
    }
    let entry = entry(name)?;
    let mut telling = Telling::new();
    let result = if from.is_empty() {
        let fetcher = Fetcher::new(FetchOptions::from_env()?)?;
        fetcher
            .fetch(entry, &mut |event| telling.tell(&event))
            .await
    } else {
        let mut tell = |event: FetchEvent<'_>| telling.tell(&event);
        install_from(&models_dir()?, entry, from, &mut tell).await
    };
    telling.end();
    if let Err(error) = &result
        && let FetchError::GaveUp {
            url,
            source: Interruption::Connection(_),
            ..
        } = error
    {
        anstream::eprintln!(
            "no network here? bring {url} by other means, then: sidetone models fetch {name} --from FILE"
        );
    }
    Ok(result?)
}

/// What happened and what caused it, without the links between.
fn in_short(why: &Interruption) -> String {
    let mut cause = why.source();
    while let Some(deeper) = cause.and_then(Error::source) {
        cause = Some(deeper);
    }
    match cause {
        Some(cause) => format!("{why}: {cause}"),
        None => why.to_string(),
    }
}

/// Tells a person how a fetch goes: a bar on a terminal, now and then a line elsewhere.
struct Telling {
    bar: Option<ProgressBar>,
    on_terminal: bool,
    total_bytes: u64,
    last_line: Instant,
}

/// How often to write a line where there is no bar.
const LINE_EVERY: Duration = Duration::from_secs(10);

impl Telling {
    fn new() -> Self {
        Self {
            bar: None,
            on_terminal: io::stderr().is_terminal(),
            total_bytes: 0,
            last_line: Instant::now(),
        }
    }

    fn tell(&mut self, event: &FetchEvent<'_>) {
        match event {
            FetchEvent::Waiting { name } => {
                self.line(&format!(
                    "{name}: being fetched by another process; waiting for it"
                ));
            }
            FetchEvent::AlreadyHere { name } => {
                self.line(&format!("{name}: is here, as published"));
            }
            FetchEvent::Started {
                name,
                url,
                total_bytes,
                there_bytes,
            } => self.start(name, url, *total_bytes, *there_bytes),
            FetchEvent::Received { name, done_bytes } => self.advance(name, *done_bytes),
            FetchEvent::Interrupted { name, why, pause } => self.line(&format!(
                "{name}: {}; trying again in {} s",
                in_short(why),
                pause.as_secs()
            )),
            FetchEvent::Discarded { name } => self.line(&format!(
                "{name}: what an earlier fetch had left was damaged; beginning anew"
            )),
            FetchEvent::Installed { name } => {
                self.end();
                self.line(&format!("{name}: installed"));
            }
            _ => {}
        }
    }

    fn start(&mut self, name: &str, url: &str, total_bytes: u64, there_bytes: u64) {
        self.end();
        let there = match there_bytes {
            0 => String::new(),
            bytes => format!(", {} are here", size(bytes)),
        };
        let total = size(total_bytes);
        self.line(&format!("{name}: {total} from {url}{there}"));
        self.total_bytes = total_bytes;
        self.last_line = Instant::now();
        if self.on_terminal {
            let bar =
                ProgressBar::with_draw_target(Some(total_bytes), ProgressDrawTarget::hidden());
            let style = ProgressStyle::with_template(
                "{percent:>3} % [{bar:30}] {decimal_bytes} of {decimal_total_bytes}, {decimal_bytes_per_sec}, {eta} left",
            );
            bar.set_style(style.expect("the template is valid").progress_chars("=> "));
            // What was here already says nothing of the rate: counted, then forgotten, then shown.
            bar.set_position(there_bytes);
            bar.tick();
            bar.reset_eta();
            bar.set_draw_target(ProgressDrawTarget::stderr());
            self.bar = Some(bar);
        }
    }

    fn advance(&mut self, name: &str, done_bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done_bytes);
        } else if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            let (done, total) = (size(done_bytes), size(self.total_bytes));
            let percent = done_bytes * 100 / self.total_bytes.max(1);
            self.line(&format!("{name}: {done} of {total}, {percent} %"));
        }
    }

    fn line(&self, text: &str) {
        let print = || anstream::eprintln!("{text}");
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
