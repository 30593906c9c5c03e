//! A transcript as text, JSON, subtitles or a table.

use std::{
    fmt,
    io::{self, Write},
    str::FromStr,
};

use super::Transcript;

mod cues;
mod ndjson;
mod subtitles;
mod table;
mod text;

pub use ndjson::NdjsonWriter;

/// How a transcript is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Format {
    /// The words alone. Where channels are speakers, each paragraph begins with the speaker's name
    /// and a colon; a pause of two seconds begins a new paragraph.
    Txt,
    /// The [`Transcript`] as one JSON object.
    Json,
    /// A JSON object for each segment, a line each, and a last line about the recording: see
    /// [`NdjsonWriter`].
    Ndjson,
    /// SubRip subtitles: at most two lines of 42 columns and seven seconds each; the speaker's name
    /// stands before the words.
    Srt,
    /// WebVTT subtitles (W3C WebVTT, 2019), cut as for `Srt`; the speaker is a voice (`<v caller>`).
    Vtt,
    /// A table with a header line, as RFC 4180 has it. What a spreadsheet would take for a formula is
    /// preceded by an apostrophe.
    Csv,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 6] = [
        Self::Txt,
        Self::Json,
        Self::Ndjson,
        Self::Srt,
        Self::Vtt,
        Self::Csv,
    ];

    /// The extension of its files, which is its name too.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Txt => "txt",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Srt => "srt",
            Self::Vtt => "vtt",
            Self::Csv => "csv",
        }
    }

    /// Writes a whole transcript.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write(self, transcript: &Transcript, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Txt => text::write(transcript, out),
            Self::Json => {
                serde_json::to_writer_pretty(&mut *out, transcript)?;
                out.write_all(b"\n")
            }
            Self::Ndjson => {
                let mut lines = NdjsonWriter::new(out, &transcript.source.name);
                for segment in &transcript.segments {
                    lines.segment(segment)?;
                }
                lines.finish(transcript).map(drop)
            }
            Self::Srt => subtitles::srt(transcript, out),
            Self::Vtt => subtitles::vtt(transcript, out),
            Self::Csv => table::write(transcript, out),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.extension())
    }
}

/// A name that is no format's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown format {0:?}: txt, json, ndjson, srt, vtt or csv")]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Self::ALL
            .into_iter()
            .find(|format| format.extension() == name)
            .ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

/// Words as one line: any white space is one space, and nothing is left that a terminal or a
/// subtitle parser would obey.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if !word.is_empty() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    line
}

#[cfg(test)]
mod tests;
