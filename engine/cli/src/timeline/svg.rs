//! Draws a timeline as SVG.

use std::{fmt::Write as _, ops::Range, time::Duration};

use sidetone_core::time::CallTime;

use super::{
    Caption, Lane, Note, Part, Parts, Timeline,
    rows::{RATE, ROW_SECONDS, rows, wrap},
};

// Lengths in user units; one is a pixel at the picture's own size.
const WIDTH: f64 = 1_280.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 28.0;
const HEADER: f64 = 104.0;
const FOOTER: f64 = 20.0;
const LANE: f64 = 48.0;
const LINE: f64 = 16.0;
const STRIP: f64 = 7.0;
/// One bar of the envelope with the gap after it.
const BAR: f64 = 3.0;
/// Characters of a caption in 100 units.
const CHARACTERS: f64 = 15.5;
/// A caption is broken into lines no shorter than this.
const NARROWEST: f64 = 130.0;

const INK: &str = "#1f2937";
const FAINT: &str = "#9ca3af";
const GRID: &str = "#e5e7eb";
const CALLER: &str = "#2563eb";
const AGENT: &str = "#059669";
const ALARM: &str = "#dc2626";
const WAIT: &str = "#fef3c7";

const STYLE: &str = "text{font-family:Inter,'Helvetica Neue',Arial,'Liberation Sans',sans-serif;\
font-size:12.5px;fill:#1f2937}.t{font-size:19px;font-weight:600}.s{fill:#6b7280}\
.n{font-size:11px;fill:#6b7280}.l{font-weight:600}.m{font-size:11px;font-weight:600}";

/// The picture, a complete SVG document.
#[must_use]
pub fn draw(timeline: &Timeline) -> String {
    let mut body = String::new();
    header(&mut body, timeline);
    let mut top = HEADER;
    let waits: Vec<_> = timeline
        .answers
        .iter()
        .map(|answer| seconds(answer.from)..seconds(answer.until))
        .collect();
    for seconds in rows(&timeline.caller, &timeline.agent, &waits) {
        top += Row {
            timeline,
            top,
            seconds,
        }
        .draw(&mut body);
    }
    let height = top + FOOTER;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{}\">\n\
         <style>{STYLE}</style>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"12\" fill=\"#ffffff\"/>\n{body}</svg>\n",
        escape(&timeline.title)
    )
}

impl Part {
    const ALL: [Self; 4] = [Self::Endpointing, Self::Stt, Self::Llm, Self::Tts];

    fn name(self) -> &'static str {
        match self {
            Self::Endpointing => "endpointing",
            Self::Stt => "stt",
            Self::Llm => "llm",
            Self::Tts => "tts",
        }
    }

    fn colour(self) -> &'static str {
        match self {
            Self::Endpointing => "#94a3b8",
            Self::Stt => "#8b5cf6",
            Self::Llm => "#ec4899",
            Self::Tts => "#f59e0b",
        }
    }
}

fn header(out: &mut String, timeline: &Timeline) {
    text(out, 28.0, 38.0, "t", &timeline.title);
    text(out, 28.0, 61.0, "s", &timeline.subtitle);
    let mut x = 28.0;
    let mut key = |colour: &str, name: &str| {
        rect(out, x, 76.0, 12.0, 10.0, colour);
        text(out, x + 17.0, 85.0, "n", name);
        x += 32.0 + 6.4 * name.len() as f64;
    };
    key(WAIT, "wait for the answer, as heard");
    if timeline.answers.iter().any(|a| a.parts.is_some()) {
        for part in Part::ALL {
            key(part.colour(), part.name());
        }
    }
    if !timeline.barge_ins.is_empty() {
        key(
            ALARM,
            "barge-in: from the caller's first sound to the clear",
        );
    }
}

/// One row of the picture.
struct Row<'a> {
    timeline: &'a Timeline,
    top: f64,
    seconds: Range<f64>,
}

/// A caption with its place and lines.
struct Placed<'a> {
    caption: &'a Caption,
    x: f64,
    /// The words, then the note's.
    lines: Vec<(String, Words)>,
}

/// How words are drawn.
#[derive(Clone, Copy)]
enum Words {
    Said,
    CutOff,
    HeardRight,
    HeardWrong,
}

impl Row<'_> {
    /// Draws the row and says how high it is.
    fn draw(&self, out: &mut String) -> f64 {
        let caller = self.place(Lane::Caller);
        let agent = self.place(Lane::Agent);
        let lines = |placed: &[Placed<'_>]| placed.iter().map(|p| p.lines.len()).max().unwrap_or(0);

        let caller_top = self.top + 18.0;
        let caller_words = caller_top + LANE + 3.0;
        let strip = caller_words + LINE * lines(&caller).max(1) as f64 + 8.0;
        let agent_top = strip + STRIP + 5.0;
        let agent_words = agent_top + LANE + 3.0;
        let axis = agent_words + LINE * lines(&agent).max(1) as f64 + 10.0;

        self.waits(out, caller_top, strip, agent_top + LANE);
        self.ticks(out, caller_top, axis);
        self.lane(out, Lane::Caller, caller_top);
        self.lane(out, Lane::Agent, agent_top);
        self.barge_ins(out, caller_top, agent_top + LANE);
        words(out, &caller, caller_words);
        words(out, &agent, agent_words);
        axis + 30.0 - self.top
    }

    fn x(&self, seconds: f64) -> f64 {
        LEFT + (seconds - self.seconds.start) * scale()
    }

    fn right(&self) -> f64 {
        self.x(self.seconds.end)
    }

    /// The part of a span that lies in this row, as x from and to.
    fn clip(&self, from: CallTime, until: CallTime) -> Option<(f64, f64)> {
        let (from, until) = (seconds(from), seconds(until));
        (until >= self.seconds.start && from < self.seconds.end).then(|| {
            let start = from.max(self.seconds.start);
            (self.x(start), self.x(until.min(self.seconds.end)))
        })
    }

    fn ticks(&self, out: &mut String, top: f64, axis: f64) {
        line(out, LEFT, axis, self.right(), axis, GRID, 1.0);
        let first = self.seconds.start.ceil() as u64;
        for second in (first..).take_while(|s| *s as f64 <= self.seconds.end) {
            let x = self.x(second as f64);
            line(out, x, top, x, axis + 4.0, GRID, 0.7);
            let _ = writeln!(
                out,
                "<text x=\"{x:.1}\" y=\"{:.1}\" class=\"n\" text-anchor=\"middle\">{second} s</text>",
                axis + 16.0
            );
        }
    }

    fn lane(&self, out: &mut String, lane: Lane, top: f64) {
        let (audio, colour, name) = match lane {
            Lane::Caller => (&self.timeline.caller, CALLER, "caller"),
            Lane::Agent => (&self.timeline.agent, AGENT, "agent"),
        };
        let middle = top + LANE / 2.0;
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" class=\"l\" text-anchor=\"end\" \
             style=\"fill:{colour}\">{name}</text>",
            LEFT - 14.0,
            middle + 4.0
        );
        line(out, LEFT, middle, self.right(), middle, GRID, 1.0);
        let mut path = String::new();
        let bars = ((self.right() - LEFT) / BAR) as usize;
        let at = |bar: usize| {
            let at = self.seconds.start + bar as f64 * BAR / scale();
            ((at * RATE) as usize).min(audio.len())
        };
        for bar in 0..bars {
            let peak = audio[at(bar)..at(bar + 1)]
                .iter()
                .map(|s| f64::from(s.unsigned_abs()) / 32_768.0)
                .fold(0.0, f64::max);
            // Loudness is heard roughly as a root; the room's noise is not drawn.
            let half = (peak.sqrt() * LANE / 2.0).min(LANE / 2.0 - 1.0);
            if peak > 0.012 {
                let x = LEFT + (bar as f64 + 0.5) * BAR;
                let _ = write!(path, "M{x:.1} {:.1}v{:.1}", middle - half, 2.0 * half);
            }
        }
        let _ = writeln!(
            out,
            "<path d=\"{path}\" stroke=\"{colour}\" stroke-width=\"2\" stroke-linecap=\"round\"/>"
        );
    }

    fn waits(&self, out: &mut String, top: f64, strip: f64, bottom: f64) {
        for answer in &self.timeline.answers {
            let Some((from, until)) = self.clip(answer.from, answer.until) else {
                continue;
            };
            rect(out, from, top - 2.0, until - from, bottom - top + 2.0, WAIT);
            if seconds(answer.from) >= self.seconds.start {
                let took = answer.until.since(answer.from).as_millis();
                let middle = f64::midpoint(from, until);
                centred(out, middle, top - 6.0, "m", &format!("{took} ms"), INK);
            }
            if let Some(parts) = &answer.parts {
                self.strip(out, parts, strip);
            }
        }
    }

    /// Where the time went, as a strip of the parts' colours.
    fn strip(&self, out: &mut String, parts: &Parts, y: f64) {
        let mut from = parts.from;
        for &(part, took) in &parts.took {
            let until = from + took;
            if let Some((x, end)) = self.clip(from, until)
                && took > Duration::ZERO
            {
                rect(out, x, y, (end - x).max(0.8), STRIP, part.colour());
            }
            from = until;
        }
    }

    fn barge_ins(&self, out: &mut String, top: f64, bottom: f64) {
        for barge_in in &self.timeline.barge_ins {
            let Some((from, cleared)) = self.clip(barge_in.from, barge_in.cleared) else {
                continue;
            };
            let _ = writeln!(
                out,
                "<rect x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" \
                 fill=\"{ALARM}\" opacity=\"0.18\"/>",
                top - 2.0,
                cleared - from,
                bottom - top + 4.0
            );
            line(out, cleared, top - 2.0, cleared, bottom + 2.0, ALARM, 1.6);
            let took = barge_in.cleared.since(barge_in.from).as_millis();
            let label = format!("barge-in {took} ms");
            centred(
                out,
                f64::midpoint(from, cleared),
                top - 6.0,
                "m",
                &label,
                ALARM,
            );
        }
    }

    /// The lane's captions that begin in this row, broken into lines that do not run into the
    /// next caption.
    fn place(&self, lane: Lane) -> Vec<Placed<'_>> {
        let here: Vec<_> = self
            .timeline
            .captions
            .iter()
            .filter(|c| c.lane == lane && self.seconds.contains(&seconds(c.from)))
            .collect();
        let mut placed = Vec::new();
        for (n, caption) in here.iter().enumerate() {
            let x = self.x(seconds(caption.from)).min(WIDTH - RIGHT - NARROWEST);
            let end = here
                .get(n + 1)
                .map_or(WIDTH - RIGHT, |next| self.x(seconds(next.from)) - 12.0);
            // At the end of the words' own sound, if there is room for that.
            let width = (end - x).max(NARROWEST);
            let characters = (width * CHARACTERS / 100.0) as usize;
            let (note, style) = match &caption.note {
                Note::None => (String::new(), Words::Said),
                Note::CutOff(text) => (text.clone(), Words::CutOff),
                Note::HeardAs(text) if *text == caption.said => {
                    (format!("✓ {text}"), Words::HeardRight)
                }
                Note::HeardAs(text) => (format!("✗ {text}"), Words::HeardWrong),
            };
            let said = wrap(&caption.said, characters).into_iter();
            let note = wrap(&note, characters).into_iter();
            let lines = said
                .map(|line| (line, Words::Said))
                .chain(note.map(|line| (line, style)));
            placed.push(Placed {
                caption,
                x,
                lines: lines.collect(),
            });
        }
        placed
    }
}

fn words(out: &mut String, placed: &[Placed<'_>], top: f64) {
    for Placed { caption, x, lines } in placed {
        for (n, (words, style)) in lines.iter().enumerate() {
            let y = top + LINE * (n as f64 + 0.8);
            let style = match (style, caption.lane) {
                (Words::Said, Lane::Caller) => format!("fill:{CALLER}"),
                (Words::Said, Lane::Agent) => format!("fill:{INK}"),
                (Words::CutOff, _) => format!("fill:{FAINT};text-decoration:line-through"),
                (Words::HeardRight, _) => format!("fill:{FAINT}"),
                (Words::HeardWrong, _) => format!("fill:{ALARM}"),
            };
            let _ = writeln!(
                out,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" style=\"{style}\">{}</text>",
                escape(words)
            );
        }
    }
}

/// Units per second.
fn scale() -> f64 {
    (WIDTH - LEFT - RIGHT) / ROW_SECONDS
}

fn seconds(time: CallTime) -> f64 {
    time.as_micros() as f64 / 1e6
}

fn rect(out: &mut String, x: f64, y: f64, width: f64, height: f64, fill: &str) {
    let _ = writeln!(
        out,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{fill}\"/>"
    );
}

fn line(out: &mut String, x1: f64, y1: f64, x2: f64, y2: f64, colour: &str, width: f64) {
    let _ = writeln!(
        out,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{colour}\" \
         stroke-width=\"{width}\"/>"
    );
}

fn text(out: &mut String, x: f64, y: f64, class: &str, text: &str) {
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{}</text>",
        escape(text)
    );
}

fn centred(out: &mut String, x: f64, y: f64, class: &str, text: &str, colour: &str) {
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\" text-anchor=\"middle\" \
         style=\"fill:{colour}\">{}</text>",
        escape(text)
    );
}

fn escape(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .map(|c| match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            c => c.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::{Answer, BargeIn};

    fn at(ms: u64) -> CallTime {
        CallTime::from_millis(ms)
    }

    fn timeline() -> Timeline {
        let tone = |from: usize, until: usize| {
            let mut audio = vec![0i16; 20 * 8_000];
            audio[from * 8..until * 8].fill(9_000);
            audio
        };
        Timeline {
            title: "a <call> & \"more\"".into(),
            subtitle: String::new(),
            caller: tone(1_000, 2_000),
            agent: tone(2_400, 6_000),
            captions: vec![
                Caption {
                    lane: Lane::Caller,
                    from: at(1_000),
                    said: "who's <there>?".into(),
                    note: Note::HeardAs("who is there".into()),
                },
                Caption {
                    lane: Lane::Agent,
                    from: at(2_400),
                    said: "I am".into(),
                    note: Note::CutOff("the agent".into()),
                },
            ],
            answers: vec![Answer {
                from: at(2_000),
                until: at(2_400),
                parts: Some(Parts {
                    from: at(2_050),
                    took: vec![(Part::Stt, Duration::from_millis(100))],
                }),
            }],
            barge_ins: vec![BargeIn {
                from: at(5_800),
                cleared: at(5_964),
            }],
        }
    }

    #[test]
    fn the_picture_is_well_formed_and_holds_what_happened() {
        let svg = draw(&timeline());
        let document = roxmltree::Document::parse(&svg).unwrap();
        let texts: Vec<_> = document.descendants().filter_map(|n| n.text()).collect();
        for expected in [
            "a <call> & \"more\"",
            "who's <there>?",
            "I am",
            "the agent",
            "✗ who is there",
            "400 ms",
            "barge-in 164 ms",
            "stt",
        ] {
            assert!(texts.contains(&expected), "{expected} is not in {texts:?}");
        }
    }

    #[test]
    fn a_call_without_sound_is_a_picture_too() {
        roxmltree::Document::parse(&draw(&Timeline::default())).unwrap();
    }

    #[test]
    fn control_characters_do_not_break_the_picture() {
        let mut timeline = timeline();
        timeline.captions[0].said = "a\u{0}b\u{1b}[31m".into();
        roxmltree::Document::parse(&draw(&timeline)).unwrap();
    }
}
