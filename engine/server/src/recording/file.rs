//! A file that a call's audio is appended to.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use sidetone::{CallId, TappedAudio};
use sidetone_codecs::SampleRate;

use super::{
    RecordingError, Settings,
    crypt::Sink,
    ogg::OpusFile,
    recorder::interleave,
    wav::{self, HEADER, WavFile},
};
use crate::store::{RecordingFile, RecordingFormat};

/// A recording in the making. All of it blocks.
pub(super) struct Writing {
    pub(super) path: PathBuf,
    format: RecordingFormat,
    state: State,
    /// Left and right in turn.
    samples: Vec<i16>,
}

enum State {
    /// The first frame's rate makes the header.
    Empty(Sink),
    Wav(SampleRate, WavFile),
    Opus(SampleRate, Box<OpusFile>),
    /// Writing failed.
    Broken,
}

impl Writing {
    pub(super) fn create(settings: &Settings, call_id: &CallId) -> Result<Self, RecordingError> {
        let format = settings.format;
        let suffix = if settings.recipients.is_empty() {
            ""
        } else {
            ".age"
        };
        // The id is of letters, digits and a hyphen where this program made it.
        let id: String = call_id
            .as_str()
            .chars()
            .map(|char| {
                if char.is_ascii_alphanumeric() {
                    char
                } else {
                    '-'
                }
            })
            .collect();
        let name = format!("{id}.{}{suffix}", format.as_str());
        let path = settings.folder.join(name);
        let created = create(&path).and_then(|file| {
            Ok(if settings.recipients.is_empty() {
                Sink::Plain(file)
            } else {
                Sink::Encrypted(settings.recipients.encrypt(file)?)
            })
        });
        match created {
            Ok(sink) => Ok(Self {
                path,
                format,
                state: State::Empty(sink),
                samples: Vec::new(),
            }),
            Err(source) => Err(RecordingError::Create { path, source }),
        }
    }

    /// What there is of it now.
    pub(super) fn file(&self) -> RecordingFile {
        RecordingFile {
            path: self.path.clone(),
            format: self.format,
            encrypted: self
                .path
                .extension()
                .is_some_and(|extension| extension == "age"),
            bytes: self.path.metadata().map_or(0, |metadata| metadata.len()),
        }
    }

    /// Appends frames; says how many were of another rate than the first, and left out.
    pub(super) fn append(&mut self, frames: &[TappedAudio]) -> Result<u64, RecordingError> {
        let Some(rate) = frames.first().map(|frame| frame.rate) else {
            return Ok(0);
        };
        if let State::Empty(_) = self.state {
            self.begin(rate)?;
        }
        let rate = match &self.state {
            State::Wav(rate, _) | State::Opus(rate, _) => *rate,
            State::Empty(_) | State::Broken => return Ok(0),
        };
        self.samples.clear();
        let mut refused = 0;
        for frame in frames {
            if frame.rate == rate {
                interleave(frame, &mut self.samples);
            } else {
                refused += 1;
            }
        }
        let written = match &mut self.state {
            State::Wav(_, file) => file.append(&self.samples),
            State::Opus(_, file) => file.append(&self.samples),
            State::Empty(_) | State::Broken => Ok(()),
        };
        if let Err(source) = written {
            self.state = State::Broken;
            return Err(self.cannot_write(source));
        }
        Ok(refused)
    }

    /// Completes the file. One that nothing was written to holds no audio.
    pub(super) fn finish(mut self) -> Result<RecordingFile, RecordingError> {
        if let State::Empty(_) = self.state {
            self.begin(SampleRate::HZ_8000)?;
        }
        let finished = match std::mem::replace(&mut self.state, State::Broken) {
            State::Wav(_, file) => file.finish(),
            State::Opus(_, file) => file.finish(),
            State::Empty(_) | State::Broken => Ok(()),
        };
        match finished {
            Ok(()) => Ok(self.file()),
            Err(source) => Err(self.cannot_write(source)),
        }
    }

    fn begin(&mut self, rate: SampleRate) -> Result<(), RecordingError> {
        let State::Empty(sink) = std::mem::replace(&mut self.state, State::Broken) else {
            return Ok(());
        };
        self.state = match self.format {
            RecordingFormat::Wav => {
                let file =
                    WavFile::begin(sink, rate).map_err(|source| self.cannot_write(source))?;
                State::Wav(rate, file)
            }
            RecordingFormat::Opus => {
                let encoder = OpusFile::encoder(rate)
                    .map_err(|source| RecordingError::Rate { rate, source })?;
                let file = OpusFile::begin(sink, encoder, rate)
                    .map_err(|source| self.cannot_write(source))?;
                State::Opus(rate, Box::new(file))
            }
        };
        Ok(())
    }

    fn cannot_write(&self, source: io::Error) -> RecordingError {
        RecordingError::Write {
            path: self.path.clone(),
            source,
        }
    }
}

/// Corrects the header of a WAV file whose writer was killed, and says how long the file is. The other
/// formats need no correction, or take none.
pub(super) fn complete(file: &RecordingFile) -> io::Result<u64> {
    let mut on_disk = OpenOptions::new().read(true).write(true).open(&file.path)?;
    let len = on_disk.metadata()?.len();
    if file.format == RecordingFormat::Wav && !file.encrypted && len >= HEADER as u64 {
        let mut header = [0; HEADER];
        on_disk.read_exact(&mut header)?;
        wav::correct_lengths(&mut header, len);
        on_disk.rewind()?;
        on_disk.write_all(&header)?;
    }
    Ok(len)
}

/// A new file, for its owner alone.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
