//! The engine's side of the demo: shown while it happens, and kept for the picture.

use std::{sync::Arc, time::Duration};

use owo_colors::OwoColorize as _;
use sidetone::{EventRecord, EventStream};
use sidetone_core::{
    event::{CallEvent, TurnId, TurnMetrics},
    time::CallTime,
};
use tokio::{sync::oneshot, time::timeout};

use crate::{
    phone::{CallReport, CallerTurn},
    timeline::{Caption, Lane, Note, Part, Parts, Timeline},
    view::{line, printable},
};

/// How long the call's last event may come after the caller hung up.
const LAST_EVENT: Duration = Duration::from_secs(3);

/// What the engine told about the call, in order.
#[derive(Default)]
pub(super) struct Account {
    records: Vec<Arc<EventRecord>>,
}

impl Account {
    /// Shows and keeps what happens until the call has ended.
    pub(super) async fn keep(mut events: EventStream, over: oneshot::Receiver<()>) -> Self {
        let mut account = Self::default();
        tokio::select! {
            () = account.follow(&mut events) => return account,
            _ = over => {}
        }
        // The phone is down; whatever the engine does not say by now it will not say.
        let _ = timeout(LAST_EVENT, account.follow(&mut events)).await;
        account
    }

    async fn follow(&mut self, events: &mut EventStream) {
        while let Some(record) = events.recv().await {
            let Ok(record) = record else {
                continue;
            };
            show(&record);
            let last = matches!(record.event, CallEvent::CallEnded { .. });
            self.records.push(record);
            if last {
                return;
            }
        }
    }

    /// Prints what the caller said beside what the engine understood.
    pub(super) fn print_transcripts(&self, report: &CallReport) {
        anstream::println!("\nwhat the engine understood:\n");
        for (n, turn) in report.turns.iter().enumerate() {
            let heard = self.understood(report, n);
            let verdict = if heard == turn.text {
                "✓".green().to_string()
            } else {
                "✗".red().to_string()
            };
            anstream::println!("  {verdict} {:<40}  {}", turn.text, printable(&heard));
        }
    }

    /// The call as a picture, with the words and with where the time went.
    pub(super) fn timeline(&self, report: &CallReport) -> Timeline {
        let mut picture = Timeline::of("One call with sidetone", report);
        for (n, caption) in picture.captions.iter_mut().enumerate() {
            caption.note = Note::HeardAs(self.understood(report, n));
        }
        for answer in &mut picture.answers {
            answer.parts = self.parts(answer.from, answer.until);
        }
        picture.captions.extend(self.agent_captions(report));
        picture.captions.sort_by_key(|caption| caption.from);
        picture
    }

    /// The final transcripts between the beginning of the caller's turn `n` and the next one's.
    fn understood(&self, report: &CallReport, n: usize) -> String {
        let began = |turn: &CallerTurn| turn.speech_began;
        let from = report.turns.get(n).map(began);
        let until = report.turns.get(n + 1).map(began);
        let texts: Vec<&str> = self
            .records
            .iter()
            .filter(|record| {
                let at = at(record);
                from.is_some_and(|from| at >= from) && until.is_none_or(|until| at < until)
            })
            .filter_map(|record| match &record.event {
                CallEvent::TranscriptFinal { text, .. } if !text.is_empty() => Some(text.as_str()),
                _ => None,
            })
            .collect();
        texts.join(" ")
    }

    /// Where the time went before the answer to the speech that ended at `from` was heard.
    fn parts(&self, from: CallTime, until: CallTime) -> Option<Parts> {
        self.records.iter().find_map(|record| match &record.event {
            CallEvent::TurnMetrics(metrics)
                if (from..=until + CLOCK_SLACK).contains(&at(record)) =>
            {
                let total = Duration::from_millis(metrics.total_ms);
                Some(Parts {
                    // The event comes with the answer's first audio.
                    from: at(record).saturating_sub(total),
                    took: parts(metrics),
                })
            }
            _ => None,
        })
    }

    /// What the agent said, turn by turn, where it was heard.
    fn agent_captions(&self, report: &CallReport) -> Vec<Caption> {
        let spoke = self
            .records
            .iter()
            .filter_map(|record| match &record.event {
                CallEvent::AgentSpeaking { turn } => Some((*turn, at(record))),
                _ => None,
            });
        spoke
            .map(|(turn, sent)| {
                // Heard a little after it was sent: the first sound from then on.
                let mut sounds = report.agent_speech.iter().map(|&(from, _)| from);
                let from = sounds.find(|from| *from + CLOCK_SLACK >= sent);
                let sentences = self.sentences(turn);
                let heard = self.heard(turn).unwrap_or_else(|| sentences.clone());
                let rest = sentences.strip_prefix(heard.as_str()).unwrap_or_default();
                let note = match rest.trim() {
                    "" => Note::None,
                    rest => Note::CutOff(rest.to_owned()),
                };
                Caption {
                    lane: Lane::Agent,
                    from: from.unwrap_or(sent),
                    said: heard,
                    note,
                }
            })
            .collect()
    }

    fn sentences(&self, agents: TurnId) -> String {
        let sentences: Vec<&str> = self
            .records
            .iter()
            .filter_map(|record| match &record.event {
                CallEvent::AgentSentence { turn, text } if *turn == agents => Some(text.as_str()),
                _ => None,
            })
            .collect();
        sentences.join(" ")
    }

    fn heard(&self, agents: TurnId) -> Option<String> {
        self.records.iter().find_map(|record| match &record.event {
            CallEvent::AgentFinished { turn, heard }
            | CallEvent::AgentInterrupted { turn, heard, .. }
                if *turn == agents =>
            {
                Some(heard.clone())
            }
            _ => None,
        })
    }
}

/// How much the clocks of both ends may differ: each begins when its end of the socket opens.
const CLOCK_SLACK: Duration = Duration::from_millis(50);

fn at(record: &EventRecord) -> CallTime {
    CallTime::from_millis(record.at_ms)
}

fn parts(metrics: &TurnMetrics) -> Vec<(Part, Duration)> {
    let llm = metrics.llm_first_token_ms + metrics.llm_first_sentence_ms;
    [
        (Part::Endpointing, metrics.endpointing_ms),
        (Part::Stt, metrics.stt_ms),
        (Part::Llm, llm),
        (Part::Tts, metrics.tts_first_byte_ms),
    ]
    .map(|(part, ms)| (part, Duration::from_millis(ms)))
    .to_vec()
}

/// Prints what is worth showing while it happens.
fn show(record: &EventRecord) {
    let at = at(record);
    match &record.event {
        CallEvent::TranscriptFinal { text, .. } => {
            let text = format!("understood “{}”", printable(text));
            line(at, &"engine".magenta().bold(), &text);
        }
        CallEvent::AgentSentence { text, .. } => {
            line(at, &"agent ".green().bold(), &printable(text));
        }
        CallEvent::AgentInterrupted { heard, .. } => {
            let text = format!("interrupted; the caller heard “{}”", printable(heard));
            line(at, &"agent ".green().bold(), &text);
        }
        CallEvent::TurnMetrics(metrics) => {
            let text = format!(
                "answered in {} ms: endpointing {}, stt {}, llm {}, tts {}",
                metrics.total_ms,
                metrics.endpointing_ms,
                metrics.stt_ms,
                metrics.llm_first_token_ms + metrics.llm_first_sentence_ms,
                metrics.tts_first_byte_ms,
            );
            line(at, &"      ", &text.dimmed());
        }
        CallEvent::Error { error } => {
            line(at, &"error ".red().bold(), &format!("{error:?}"));
        }
        _ => {}
    }
}
