//! Shows a call on the terminal while it happens.

use std::time::Duration;

use owo_colors::OwoColorize as _;
use sidetone_core::time::CallTime;

use crate::phone::{CallReport, Ending, Script, Sight};

/// Prints a line for each thing that happens.
pub(crate) struct View<'a> {
    script: &'a Script,
    /// Marks too: they are many.
    marks: bool,
}

impl<'a> View<'a> {
    pub(crate) fn new(script: &'a Script, marks: bool) -> Self {
        Self { script, marks }
    }

    /// Shows what the phone saw.
    pub(crate) fn sight(&self, at: CallTime, sight: &Sight) {
        match sight {
            Sight::CallerBegan { turn } => {
                let text = self.script.lines.get(*turn).map_or("", |line| &line.text);
                line(at, &"caller".blue().bold(), &format!("“{text}”"));
            }
            Sight::AgentBegan { answers } => {
                let text = match answers {
                    Some((_, took)) => format!("is heard {} after the caller", ms(*took)),
                    None => "is heard".to_owned(),
                };
                line(at, &"agent ".green().bold(), &text);
            }
            Sight::AgentStopped => line(at, &"agent ".green().bold(), &"is silent".dimmed()),
            Sight::Cleared { barge_in } => {
                let text = match barge_in {
                    Some(took) => format!("the agent stopped {} after the caller began", ms(*took)),
                    None => "what the agent had not said yet".to_owned(),
                };
                line(at, &"clear ".red().bold(), &text);
            }
            Sight::MarkReturned { name, flushed } if self.marks => {
                let how = if *flushed { "flushed" } else { "played" };
                let name = printable(name);
                line(at, &"mark  ".dimmed(), &format!("{name} {how}").dimmed());
            }
            Sight::Unanswered { .. } => {
                line(at, &"caller".blue().bold(), &"got no answer".red().bold());
            }
            Sight::Refused { reason } => {
                let text = format!("Twilio would refuse: {}", printable(reason));
                line(at, &"engine".yellow().bold(), &text);
            }
            Sight::CallerFinished { .. } | Sight::MarkReturned { .. } => {}
        }
    }
}

/// Prints one line: when, who, what.
pub(crate) fn line(at: CallTime, who: &dyn std::fmt::Display, what: &dyn std::fmt::Display) {
    let seconds = at.as_micros() as f64 / 1e6;
    anstream::println!("{} {who} {what}", format!("{seconds:7.2}").dimmed());
}

/// Prints how the call went, turn by turn.
pub(crate) fn summary(report: &CallReport) {
    let who = match report.ending {
        Some(Ending::Agent) => "the agent hung up",
        Some(Ending::Lost) => "the connection broke",
        Some(Ending::Caller) | None => "the caller hung up",
    };
    let seconds = report.duration.as_secs_f64();
    anstream::println!("\n{who} after {seconds:.1} s; at the caller's ear:\n");
    anstream::println!(
        "  {:>4}  {:>9}  {:>9}  said",
        "turn",
        "response",
        "barge-in"
    );
    for (n, turn) in report.turns.iter().enumerate() {
        let figure = |took: Option<Duration>| took.map_or_else(|| "-".to_owned(), ms);
        let verdict = match turn.failure() {
            None => String::new(),
            Some(failure) => format!("  {}", failure.red().bold()),
        };
        anstream::println!(
            "  {:>4}  {:>9}  {:>9}  {}{verdict}",
            n + 1,
            figure(turn.response()),
            figure(turn.barge_in()),
            turn.text,
        );
    }
    if report.underruns > 0 {
        anstream::println!("\n  the agent's voice ran dry {} times", report.underruns);
    }
    if let Some(first) = &report.first_refusal {
        anstream::println!(
            "\n  {} messages that Twilio would refuse; the first: {}",
            report.refused_messages,
            printable(first)
        );
    }
}

pub(crate) fn ms(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}

/// What came over the network, without what a terminal would obey.
pub(crate) fn printable(text: &str) -> String {
    let text = text.chars();
    text.map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
