//! SubRip and WebVTT.

use std::io::{self, Write};

use super::{cues::cues, one_line};
use crate::offline::Transcript;

pub(super) fn srt(transcript: &Transcript, out: &mut dyn Write) -> io::Result<()> {
    let cues = cues(transcript, |speaker| format!("{speaker}: "));
    for (n, cue) in cues.iter().enumerate() {
        // An arrow between words would be taken for the line of times.
        let text = cue.lines.join("\n").replace("-->", "->");
        let (start, end) = (time(cue.start_ms, ','), time(cue.end_ms, ','));
        let blank = if n == 0 { "" } else { "\n" };
        write!(out, "{blank}{}\n{start} --> {end}\n{text}\n", n + 1)?;
    }
    Ok(())
}

pub(super) fn vtt(transcript: &Transcript, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"WEBVTT\n")?;
    // The voice is not shown as text: it takes no room.
    for cue in cues(transcript, |_| String::new()) {
        let (start, end) = (time(cue.start_ms, '.'), time(cue.end_ms, '.'));
        let voice = match &cue.speaker {
            Some(speaker) => format!("<v {}>", escaped(&one_line(speaker))),
            None => String::new(),
        };
        let text = escaped(&cue.lines.join("\n"));
        write!(out, "\n{start} --> {end}\n{voice}{text}\n")?;
    }
    Ok(())
}

/// Hours, minutes, seconds and ms; more than two digits of hours where it needs them.
fn time(ms: u64, point: char) -> String {
    let (seconds, ms) = (ms / 1_000, ms % 1_000);
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    let (hours, minutes) = (minutes / 60, minutes % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}{point}{ms:03}")
}

/// WebVTT 3.3: `&`, `<` and `>` are written as character references.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
