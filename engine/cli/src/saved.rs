//! What a call leaves behind on disk.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sidetone_codecs::wav::{self, WavError};
use thiserror::Error;

use crate::{
    phone::{CallReport, RATE, session_ndjson},
    timeline::{self, Timeline},
};

/// Why a call could not be saved.
#[derive(Debug, Error)]
pub(crate) enum SaveError {
    #[error("cannot write {}", .path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot save the recording")]
    Audio(#[from] WavError),
}

/// Leaves `call.wav` (left the caller, right the agent), `report.json`, `session.ndjson` and
/// `timeline.svg` in `folder`.
pub(crate) fn save(
    folder: &Path,
    report: &CallReport,
    picture: &Timeline,
) -> Result<(), SaveError> {
    make_folder(folder)?;
    if let Some(audio) = &report.audio {
        wav::write_stereo(folder.join("call.wav"), RATE, &audio.caller, &audio.agent)?;
    }
    let json = serde_json::to_string_pretty(report).expect("a report is numbers and texts");
    write(folder.join("report.json"), json + "\n")?;
    write(
        folder.join("session.ndjson"),
        session_ndjson(&report.messages),
    )?;
    write(folder.join("timeline.svg"), timeline::draw(picture))
}

/// Makes `folder`, unless it is there.
pub(crate) fn make_folder(folder: &Path) -> Result<(), SaveError> {
    fs::create_dir_all(folder).map_err(|source| SaveError::Write {
        path: folder.to_owned(),
        source,
    })
}

fn write(path: PathBuf, text: String) -> Result<(), SaveError> {
    fs::write(&path, text).map_err(|source| SaveError::Write { path, source })
}
