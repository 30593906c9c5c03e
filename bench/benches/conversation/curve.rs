//! The curve: false cut-offs against latency, as SVG.

use std::fmt::Write as _;

use crate::endpointing::{Outcome, Strategy};

// Lengths in user units; one is a pixel at the picture's own size.
const WIDTH: f64 = 1_120.0;
const HEIGHT: f64 = 560.0;
const TOP: f64 = 96.0;
const PANEL_HEIGHT: f64 = 340.0;
const PANEL_WIDTH: f64 = 470.0;
const LEFTS: [f64; 2] = [62.0, 606.0];
/// The axes end here, in ms and percent.
const MOST_MS: f64 = 1_400.0;
const MOST_PERCENT: f64 = 100.0;
/// What is to be reached, in ms and percent.
const GOAL: (f64, f64) = (350.0, 5.0);

const COLOURS: [&str; 7] = [
    "#9ca3af", "#2563eb", "#d97706", "#059669", "#84cc16", "#db2777", "#7c3aed",
];

const STYLE: &str = "text{font-family:Inter,'Helvetica Neue',Arial,'Liberation Sans',sans-serif;\
font-size:12px;fill:#1f2937}.t{font-size:18px;font-weight:600}.s{fill:#6b7280}\
.v{font-size:9.5px;fill:#6b7280}";

/// The picture, a complete SVG document: on the left the median of the response, on the right the
/// time within which nine of ten turns are answered.
pub(crate) fn draw(strategies: &[Strategy], defaults: &Outcome) -> String {
    let mut body = String::new();
    text(
        &mut body,
        28.0,
        38.0,
        "t",
        "Callers cut off in mid-sentence, against how long they wait",
    );
    text(
        &mut body,
        28.0,
        60.0,
        "s",
        "Each line is a way to decide that a turn has ended, each point a setting of it. Pauses up to \
         700 ms, quiet line, services at once. Green: to be reached. Ring: the defaults.",
    );
    for (left, name, share) in [
        (LEFTS[0], "median response, ms", 0.5),
        (LEFTS[1], "90th percentile of the response, ms", 0.9),
    ] {
        axes(&mut body, left, name, share);
        for (strategy, colour) in strategies.iter().zip(COLOURS.iter().cycle()) {
            line(&mut body, left, strategy, colour, share);
        }
        let (x, y) = place(left, defaults, share);
        let _ = writeln!(
            body,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"8\" fill=\"none\" stroke=\"#111827\" \
             stroke-width=\"2\"><title>the defaults</title></circle>"
        );
    }
    key(&mut body, strategies);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"False cut-offs against response \
         latency\">\n<style>{STYLE}</style>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"12\" fill=\"#ffffff\"/>\n{body}</svg>\n"
    )
}

fn axes(out: &mut String, left: f64, name: &str, share: f64) {
    let (goal_x, goal_y) = (x(left, GOAL.0), y(GOAL.1));
    if share == 0.5 {
        let _ = writeln!(
            out,
            "<rect x=\"{left}\" y=\"{goal_y:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"#d1fae5\"/>",
            goal_x - left,
            y(0.0) - goal_y
        );
    }
    for percent in (0..=MOST_PERCENT as u32).step_by(20) {
        let y = y(f64::from(percent));
        let right = left + PANEL_WIDTH;
        rule(out, (left, y), (right, y));
        anchored(out, left - 6.0, y + 4.0, "end", &format!("{percent} %"));
    }
    for ms in (0..=MOST_MS as u32).step_by(200) {
        let x = x(left, f64::from(ms));
        rule(out, (x, y(0.0)), (x, y(0.0) + 5.0));
        anchored(out, x, y(0.0) + 19.0, "middle", &ms.to_string());
    }
    anchored(out, left + PANEL_WIDTH / 2.0, y(0.0) + 38.0, "middle", name);
    text(out, left - 34.0, TOP - 12.0, "s", "callers cut off");
}

fn line(out: &mut String, left: f64, strategy: &Strategy, colour: &str, share: f64) {
    let mut path = String::new();
    for (n, (_, outcome)) in strategy.points.iter().enumerate() {
        let (x, y) = place(left, outcome, share);
        let command = if n == 0 { 'M' } else { 'L' };
        let _ = write!(path, "{command}{x:.1} {y:.1}");
    }
    let _ = writeln!(
        out,
        "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
    );
    for (value, outcome) in &strategy.points {
        let (x, y) = place(left, outcome, share);
        let _ = writeln!(
            out,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"><title>{}: {value}\
             </title></circle>",
            escape(strategy.name)
        );
        text(out, x + 5.0, y - 5.0, "v", value);
    }
}

/// Where an outcome lies.
fn place(left: f64, outcome: &Outcome, share: f64) -> (f64, f64) {
    let ms = outcome.response.quantile(share) as f64;
    (x(left, ms.min(MOST_MS)), y(outcome.short().percent()))
}

fn key(out: &mut String, strategies: &[Strategy]) {
    for (n, (strategy, colour)) in strategies.iter().zip(COLOURS.iter().cycle()).enumerate() {
        let (x, y) = (
            62.0 + 262.0 * (n % 4) as f64,
            TOP + PANEL_HEIGHT + 70.0 + 22.0 * (n / 4) as f64,
        );
        let _ = writeln!(
            out,
            "<circle cx=\"{x}\" cy=\"{:.1}\" r=\"5\" fill=\"{colour}\"/>",
            y - 4.0
        );
        let name = format!("{}; {}", strategy.name, strategy.value);
        text(out, x + 11.0, y, "", &name);
    }
}

fn x(left: f64, ms: f64) -> f64 {
    left + PANEL_WIDTH * ms / MOST_MS
}

fn y(percent: f64) -> f64 {
    TOP + PANEL_HEIGHT * (1.0 - percent / MOST_PERCENT)
}

fn text(out: &mut String, x: f64, y: f64, class: &str, text: &str) {
    let text = escape(text);
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{text}</text>"
    );
}

fn anchored(out: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"s\" text-anchor=\"{anchor}\">{}</text>",
        escape(text)
    );
}

fn rule(out: &mut String, from: (f64, f64), to: (f64, f64)) {
    let _ = writeln!(
        out,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"#e5e7eb\"/>",
        from.0, from.1, to.0, to.1
    );
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
