//! All figures, and the tables of them.

use std::{error::Error, fmt::Write as _};

use sidetone_bench::scenario::ServiceBehaviours;
use sidetone_core::config::CallConfig;

use crate::{
    corpus::{Corpus, PAUSES_MS},
    endpointing::{self, Outcome, SERVICES_MS, SHORT_PAUSE_MS, Strategy},
    figures::{Share, Times, Words},
    interruptions::{self, Disturbed, Interrupted, OnEcho, OnLine},
    lines,
    models::{Detector, Models},
    play::Stage,
    suite::{self, Suite},
    table::Table,
    words::{self, Understood},
};

/// Everything that was measured.
pub(crate) struct Figures {
    /// How many pauses and ends the corpus has.
    corpus: (usize, usize),
    pub(crate) strategies: Vec<Strategy>,
    /// The corpus with the default settings on each line, the quiet one first.
    by_line: Vec<(String, Outcome)>,
    /// The same with Silero, if it is here.
    by_line_silero: Vec<(String, Outcome)>,
    /// The same without noise, and interruptions there.
    suppressed: (Vec<(String, Outcome)>, Vec<OnLine>),
    understood: Vec<Understood>,
    eager: Vec<(&'static str, Outcome)>,
    noise: Vec<OnLine>,
    echo: Vec<OnEcho>,
    suite: Suite,
}

/// Measures everything; tells each table, as Markdown, when its figures are there.
pub(crate) fn measure(
    stage: &Stage,
    corpus: &Corpus,
    mut tell: impl FnMut(&str),
) -> Result<Figures, Box<dyn Error>> {
    let mut section = |title: &str, body: &str| tell(&format!("### {title}\n\n{body}"));
    let mut figures = Figures {
        corpus: corpus.counts(),
        strategies: Vec::new(),
        by_line: over_lines(stage, corpus, Detector::Default)?,
        by_line_silero: Vec::new(),
        suppressed: (Vec::new(), Vec::new()),
        understood: Vec::new(),
        eager: Vec::new(),
        noise: Vec::new(),
        echo: Vec::new(),
        suite: Suite::default(),
    };
    let defaults = pauses(figures.defaults());
    section("The defaults, by length of pause", &defaults);
    figures.noise = interruptions::over_noise(stage, Detector::Default)?;
    section("Interruptions, and what is none", &noise(&figures.noise));
    figures.suite = suite::play(stage, &stage.fixtures.join("scenarios"), Detector::Default)?;
    section("The scenario suite", &suite(&figures.suite));
    section("Reached and missed", &reached(&figures));
    figures.strategies = endpointing::compare(stage, corpus)?;
    let compared = curve(&figures, &stage.models);
    section("Cut-offs against latency", &compared);
    figures.echo = interruptions::over_echo(stage, Detector::Default)?;
    section("Echo", &echo(&figures.echo));
    figures.eager = endpointing::eager(stage, corpus)?;
    section("Eager work", &eager(&figures.eager));
    if stage.models.no_silero().is_none() {
        figures.by_line_silero = over_lines(stage, corpus, Detector::Silero)?;
    }
    let lines = by_line(&figures, &stage.models);
    section("The defaults, by line", &lines);
    figures.suppressed = (
        over_lines(stage, corpus, Detector::Suppressed)?,
        interruptions::over_noise(stage, Detector::Suppressed)?,
    );
    figures.understood = words::over_lines(stage)?;
    section("Noise suppression", &suppression(&figures));
    Ok(figures)
}

fn over_lines(
    stage: &Stage,
    corpus: &Corpus,
    detector: Detector,
) -> Result<Vec<(String, Outcome)>, Box<dyn Error>> {
    let (config, services) = (CallConfig::default(), ServiceBehaviours::default());
    let over = |(name, line)| {
        let outcome = endpointing::over(stage, corpus, &config, &line, &services, detector)?;
        Ok((name, outcome))
    };
    lines::noisy().into_iter().map(over).collect()
}

impl Figures {
    /// The corpus with the default settings on the quiet line.
    pub(crate) fn defaults(&self) -> &Outcome {
        &self.by_line[0].1
    }
}

/// The figures that the project set out to reach.
fn reached(figures: &Figures) -> String {
    let mut table = Table::new(&["default settings, quiet line", "to reach", "here", ""]);
    let mut row = |what: &str, goal: &str, here: String, met: bool| {
        let verdict = if met { "met" } else { "missed" };
        table.row(vec![what.into(), goal.into(), here, verdict.into()]);
    };
    let response = &figures.defaults().response;
    row(
        "end of speech → first audio, p50 / p99",
        "≤ 350 / 500 ms",
        middle_and_tail(response),
        response.quantile(0.5) <= 350 && response.quantile(0.99) <= 500,
    );
    let short = figures.defaults().short();
    row(
        &format!("false cut-offs in pauses up to {SHORT_PAUSE_MS} ms"),
        "≤ 5 %",
        share(short),
        short.percent() <= 5.0,
    );
    let quiet = &figures.noise[0];
    let barge_in = &quiet.interrupted.barge_in;
    row(
        "speech onset → clear, p50 / p99",
        "≤ 150 / 250 ms",
        middle_and_tail(barge_in),
        barge_in.quantile(0.5) <= 150 && barge_in.quantile(0.99) <= 250,
    );
    let silenced = quiet.noises.silenced.some + quiet.backchannels.silenced.some;
    let of = quiet.noises.silenced.of + quiet.backchannels.silenced.of;
    row(
        "agent silenced for good by cough, noise or backchannel",
        "0 of 100",
        format!("{silenced} of {of}"),
        silenced == 0,
    );
    let mut resume = quiet.noises.resume.clone();
    resume.extend(&quiet.backchannels.resume);
    row(
        "the agent goes on after such a sound, p50 / p99",
        "≤ 500 ms",
        middle_and_tail(&resume),
        resume.quantile(0.99) <= 500,
    );
    let mut callers = figures.defaults().callers_words;
    callers.add(quiet.interrupted.callers_words);
    row(
        "caller's words lost",
        "0",
        format!("{} of {}", callers.lost, callers.said),
        callers.lost == 0,
    );
    table.to_string()
}

fn curve(figures: &Figures, models: &Models) -> String {
    let (pauses, ends) = figures.corpus;
    let mut table = Table::new(&[
        "what decides",
        "changed",
        "cut off ≤ 700 ms, %",
        "1000 ms, %",
        "1500 ms, %",
        "response p50, ms",
        "p90",
        "p99",
        "mean",
    ]);
    for strategy in &figures.strategies {
        for (value, outcome) in &strategy.points {
            let [.., second, third] = outcome.cut_off;
            let response = &outcome.response;
            table.row(vec![
                strategy.name.into(),
                format!("{} = {value}", strategy.value),
                percent(outcome.short()),
                percent(second),
                percent(third),
                response.quantile(0.5).to_string(),
                response.quantile(0.9).to_string(),
                response.quantile(0.99).to_string(),
                format!("{:.0}", response.mean()),
            ]);
        }
    }
    let mut text = format!(
        "{pauses} pauses and {ends} ends of turns, quiet line, services at once, all other \
         settings as by default.\n\n{table}"
    );
    if let Some(why) = models.no_smart_turn() {
        let _ = write!(text, "\nWithout Smart Turn: {why}\n");
    }
    text
}

fn pauses(outcome: &Outcome) -> String {
    let mut table = Table::new(&["pause, ms", "agent heard in it", "%", "turn ended in it"]);
    let shares = outcome.cut_off.into_iter().zip(outcome.ended);
    for (pause, (cut_off, ended)) in PAUSES_MS.iter().zip(shares) {
        let heard = count(cut_off);
        table.row(vec![
            pause.to_string(),
            heard,
            percent(cut_off),
            count(ended),
        ]);
    }
    format!(
        "Cut off is who hears the agent before having gone on to the end of the next part. A turn that \
         ended unheard is put together again, and costs nothing.\n\n{table}"
    )
}

fn by_line(figures: &Figures, models: &Models) -> String {
    let mut table = Table::new(&[
        "line",
        "detector",
        "cut off ≤ 700 ms, %",
        "response p50, ms",
        "p99",
        "unanswered",
        "caller's words lost",
        "repeated",
        "agent's words lost",
        "repeated",
    ]);
    let detectors = [
        ("earshot", &figures.by_line),
        ("Silero", &figures.by_line_silero),
    ];
    for (detector, lines) in detectors {
        for (line, outcome) in lines {
            let (callers, agents) = (outcome.callers_words, outcome.agents_words);
            table.row(vec![
                line.clone(),
                detector.into(),
                percent(outcome.short()),
                outcome.response.quantile(0.5).to_string(),
                outcome.response.quantile(0.99).to_string(),
                outcome.unanswered.to_string(),
                format!("{} of {}", callers.lost, callers.said),
                callers.repeated.to_string(),
                format!("{} of {}", agents.lost, agents.said),
                agents.repeated.to_string(),
            ]);
        }
    }
    let mut text = table.to_string();
    if let Some(why) = models.no_silero() {
        let _ = write!(text, "\nWithout Silero: {why}\n");
    }
    text
}

/// Lines with noise, heard as they are and without it.
fn suppression(figures: &Figures) -> String {
    let mut turns = Table::new(&[
        "line",
        "noise suppression",
        "cut off ≤ 700 ms, %",
        "response p50, ms",
        "p99",
        "unanswered",
        "caller's words lost",
    ]);
    let (outcomes, on_lines) = &figures.suppressed;
    for ((line, off), (_, on)) in figures.by_line.iter().zip(outcomes) {
        for (what, outcome) in [("off", off), ("RNNoise", on)] {
            turns.row(vec![
                line.clone(),
                what.into(),
                percent(outcome.short()),
                outcome.response.quantile(0.5).to_string(),
                outcome.response.quantile(0.99).to_string(),
                outcome.unanswered.to_string(),
                lost(outcome.callers_words),
            ]);
        }
    }
    let mut over = Table::new(&[
        "line",
        "noise suppression",
        "onset → clear p50 / p99, ms",
        "missed",
        "caller's words lost",
        "stopped by coughs, doors",
        "by the line alone",
        "gave up the floor to either",
    ]);
    for (off, on) in figures.noise.iter().zip(on_lines) {
        for (what, line) in [("off", off), ("RNNoise", on)] {
            let interrupted = &line.interrupted;
            let mut yielded = line.noises.yielded;
            yielded.some += line.line_alone.yielded.some;
            yielded.of += line.line_alone.yielded.of;
            over.row(vec![
                line.name.clone(),
                what.into(),
                middle_and_tail(&interrupted.barge_in),
                count(interrupted.missed),
                lost(interrupted.callers_words),
                count(line.noises.stopped),
                count(line.line_alone.stopped),
                count(yielded),
            ]);
        }
    }
    let mut words = Table::new(&["line", "word errors, %", "without noise"]);
    for line in &figures.understood {
        words.row(vec![
            line.line.clone(),
            format!("{:.1}", 100.0 * line.as_it_is.rate()),
            format!("{:.1}", 100.0 * line.suppressed.rate()),
        ]);
    }
    format!(
        "`vad.noise_suppression`, with the detector earshot.\n\n{turns}\n{over}\n\
         What the bundled model makes of {CALLERS} callers when it is given the line as it is, as \
         calls do, and when it is given the same without its noise.\n\n{words}",
        CALLERS = words::CALLERS.len(),
    )
}

fn eager(outcomes: &[(&'static str, Outcome)]) -> String {
    let mut table = Table::new(&[
        "eager work",
        "response p50, ms",
        "p90",
        "p99",
        "cut off ≤ 700 ms, %",
    ]);
    for (name, outcome) in outcomes {
        table.row(vec![
            (*name).into(),
            outcome.response.quantile(0.5).to_string(),
            outcome.response.quantile(0.9).to_string(),
            outcome.response.quantile(0.99).to_string(),
            percent(outcome.short()),
        ]);
    }
    let [stt, llm, tts] = SERVICES_MS;
    format!(
        "With services that take {stt} ms for a transcript, {llm} ms to the answer and {tts} ms to \
         its audio.\n\n{table}"
    )
}

fn noise(lines: &[OnLine]) -> String {
    let mut table = Table::new(&[
        "line",
        "question never answered",
        "onset → clear p50 / p99, ms",
        "missed",
        "caller's words lost",
        "repeated",
        "answer p50 / p99, ms",
    ]);
    for line in lines {
        let interrupted = &line.interrupted;
        table.row(vec![
            line.name.clone(),
            count(interrupted.unanswered),
            middle_and_tail(&interrupted.barge_in),
            count(interrupted.missed),
            lost(interrupted.callers_words),
            interrupted.callers_words.repeated.to_string(),
            middle_and_tail(&interrupted.response),
        ]);
    }
    let mut others = Table::new(&[
        "line",
        "sound",
        "question never answered",
        "stopped for a moment",
        "gave up the floor",
        "silenced for good",
        "goes on after, p50 / p99, ms",
        "agent's words lost",
        "repeated",
    ]);
    for line in lines {
        for (sound, disturbed) in [
            ("coughs, doors", &line.noises),
            ("backchannels", &line.backchannels),
            ("the line alone", &line.line_alone),
        ] {
            others.row(disturbed_row(&line.name, sound, disturbed));
        }
    }
    format!("{table}\n{others}")
}

fn disturbed_row(line: &str, sound: &str, disturbed: &Disturbed) -> Vec<String> {
    vec![
        line.to_owned(),
        sound.to_owned(),
        count(disturbed.unanswered),
        count(disturbed.stopped),
        count(disturbed.yielded),
        count(disturbed.silenced),
        middle_and_tail(&disturbed.resume),
        lost(disturbed.agents_words),
        disturbed.agents_words.repeated.to_string(),
    ]
}

fn echo(all: &[OnEcho]) -> String {
    let mut table = Table::new(&[
        "echo lower by",
        "stopped by it",
        "gave up the floor",
        "interruptions: onset → clear p50 / p99, ms",
        "missed",
        "caller's words lost",
    ]);
    for on_echo in all {
        let Interrupted {
            barge_in,
            missed,
            callers_words,
            ..
        } = &on_echo.interrupted;
        table.row(vec![
            format!("{} dB", on_echo.loss_db),
            count(on_echo.echo_alone.stopped),
            count(on_echo.echo_alone.yielded),
            middle_and_tail(barge_in),
            count(*missed),
            lost(*callers_words),
        ]);
    }
    format!("Delays of 40, 100, 200 and 300 ms together.\n\n{table}")
}

fn suite(suite: &Suite) -> String {
    let passed = suite.scenarios - suite.failed.len();
    let mut text = format!(
        "{passed} of {} scenarios went as expected.",
        suite.scenarios
    );
    if !suite.failed.is_empty() {
        let _ = write!(text, " Otherwise went: {}.", suite.failed.join(", "));
    }
    let mut table = Table::new(&["where expected", "p50 / p99, ms", "of"]);
    for (what, times) in [
        ("end of speech → first audio", &suite.response),
        ("speech onset → clear", &suite.barge_in),
        ("end of the sound → the agent goes on", &suite.resume),
    ] {
        table.row(vec![
            what.into(),
            middle_and_tail(times),
            times.len().to_string(),
        ]);
    }
    let words = suite.agents_words;
    format!(
        "{text} Of the agent's {} words that were heard, {} were heard twice, and {} skipped.\n\n\
         {table}",
        words.said, words.repeated, words.lost
    )
}

fn middle_and_tail(times: &Times) -> String {
    match times.len() {
        0 => "–".into(),
        _ => format!("{} / {}", times.quantile(0.5), times.quantile(0.99)),
    }
}

fn percent(share: Share) -> String {
    format!("{:.1}", share.percent())
}

fn count(share: Share) -> String {
    format!("{} of {}", share.some, share.of)
}

fn share(share: Share) -> String {
    format!("{:.1} % ({})", share.percent(), count(share))
}

fn lost(words: Words) -> String {
    format!("{} of {}", words.lost, words.said)
}
