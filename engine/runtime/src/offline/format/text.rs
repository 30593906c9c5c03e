//! The words alone.

use std::io::{self, Write};

use super::one_line;
use crate::offline::Transcript;

/// A pause that begins a new paragraph.
const PARAGRAPH_MS: u64 = 2_000;

pub(super) fn write(transcript: &Transcript, out: &mut dyn Write) -> io::Result<()> {
    let mut before: Option<(Option<&str>, u64)> = None;
    for segment in &transcript.segments {
        let text = one_line(&segment.text);
        if text.is_empty() {
            continue;
        }
        let speaker = segment.speaker.as_deref();
        match before {
            Some((who, end_ms))
                if who == speaker && segment.start_ms < end_ms.saturating_add(PARAGRAPH_MS) =>
            {
                write!(out, " {text}")?;
            }
            _ => {
                if before.is_some() {
                    out.write_all(b"\n")?;
                }
                if let Some(speaker) = speaker {
                    write!(out, "{}: ", one_line(speaker))?;
                }
                out.write_all(text.as_bytes())?;
            }
        }
        before = Some((speaker, segment.end_ms));
    }
    if before.is_some() {
        out.write_all(b"\n")?;
    }
    Ok(())
}
