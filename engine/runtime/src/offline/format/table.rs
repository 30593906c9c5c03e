//! A table: RFC 4180.

use std::io::{self, Write};

use csv::{Terminator, WriterBuilder};

use crate::offline::Transcript;

const HEADER: [&str; 8] = [
    "file",
    "start_ms",
    "end_ms",
    "speaker",
    "channel",
    "language",
    "probability",
    "text",
];

pub(super) fn write(transcript: &Transcript, out: &mut dyn Write) -> io::Result<()> {
    let mut table = WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .from_writer(out);
    table.write_record(HEADER)?;
    let file = harmless(&transcript.source.name.to_string_lossy());
    for segment in &transcript.segments {
        table.write_record([
            &file,
            &segment.start_ms.to_string(),
            &segment.end_ms.to_string(),
            &harmless(segment.speaker.as_deref().unwrap_or_default()),
            &segment.channel.to_string(),
            &segment.language,
            &format!("{:.3}", segment.probability),
            &harmless(&segment.text),
        ])?;
    }
    table.flush()
}

/// Spreadsheets run a cell that begins like a formula, and what was said or named comes from
/// strangers.
fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}
