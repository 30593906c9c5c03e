//! Segments as lines of JSON, as they come.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::offline::{Damage, Segment, Source, Timings, Transcript, transcript};

/// Writes segments as they come, one JSON object a line.
///
/// A segment's line has `"event": "segment"`, `file`, and the fields of a [`Segment`]. The last line
/// has `"event": "transcript"`, `file`, and the fields of a [`Transcript`] but for `segments`, of which
/// it has the number. Each line is flushed.
#[derive(Debug)]
pub struct NdjsonWriter<W> {
    out: W,
    file: PathBuf,
    segments: u64,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line<'a> {
    Segment {
        #[serde(serialize_with = "transcript::path_as_text")]
        file: &'a Path,
        #[serde(flatten)]
        segment: &'a Segment,
    },
    Transcript {
        #[serde(serialize_with = "transcript::path_as_text")]
        file: &'a Path,
        source: &'a Source,
        model: &'a str,
        language: Option<&'a str>,
        speakers: &'a [String],
        segments: u64,
        timings: Timings,
        damage: Option<&'a Damage>,
        stopped: bool,
    },
}

impl<W: Write> NdjsonWriter<W> {
    /// `file` names the recording on every line.
    pub fn new(out: W, file: &Path) -> Self {
        Self {
            out,
            file: file.to_owned(),
            segments: 0,
        }
    }

    /// Writes a segment's line.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn segment(&mut self, segment: &Segment) -> io::Result<()> {
        self.segments += 1;
        let file = &*self.file;
        write_line(&mut self.out, &Line::Segment { file, segment })
    }

    /// Writes the last line and returns the writer.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn finish(mut self, transcript: &Transcript) -> io::Result<W> {
        let line = Line::Transcript {
            file: &self.file,
            source: &transcript.source,
            model: &transcript.model,
            language: transcript.language.as_deref(),
            speakers: &transcript.speakers,
            segments: self.segments,
            timings: transcript.timings,
            damage: transcript.damage.as_ref(),
            stopped: transcript.stopped,
        };
        write_line(&mut self.out, &line)?;
        Ok(self.out)
    }
}

/// In one piece: whoever reads along sees whole lines.
fn write_line(out: &mut impl Write, line: &Line<'_>) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    out.write_all(&bytes)?;
    out.flush()
}
