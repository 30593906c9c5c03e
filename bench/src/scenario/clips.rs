//! The sounds that a caller can make.

use std::{collections::BTreeMap, fs, ops::Range, path::PathBuf, sync::Arc};

use sidetone_cli::phone::{ScenarioFileError, load_audio, speech_span};

use super::{file::ScenarioError, sounds};

/// A sound, mono at 8 kHz.
#[derive(Clone, Debug)]
pub struct Clip {
    /// The samples.
    pub audio: Arc<[i16]>,
    /// Where in `audio` there is something to be heard, in samples.
    pub loud: Range<usize>,
    /// The words in it; empty: it is no speech.
    pub words: String,
}

impl Clip {
    /// The root mean square of its loud part.
    #[must_use]
    pub fn rms(&self) -> f32 {
        let loud = &self.audio[self.loud.clone()];
        let energy: f32 = loud.iter().map(|&s| f32::from(s) * f32::from(s)).sum();
        (energy / loud.len().max(1) as f32).sqrt()
    }
}

/// The recordings in a folder, read when they are first asked for.
#[derive(Clone, Debug)]
pub struct Clips {
    folder: PathBuf,
    words: BTreeMap<String, String>,
    read: BTreeMap<String, Clip>,
}

impl Clips {
    /// Those in `folder` and the folders in it: `fixtures` of the repository.
    ///
    /// # Errors
    ///
    /// `callers/words.toml`, which says what is said in them, cannot be read.
    pub fn new(folder: impl Into<PathBuf>) -> Result<Self, ScenarioError> {
        let folder = folder.into();
        let path = folder.join("callers/words.toml");
        let text = fs::read_to_string(&path).map_err(|source| ScenarioFileError::Read {
            path: path.clone(),
            source,
        })?;
        let words = toml::from_str(&text).map_err(|error| ScenarioError::Value {
            file: path.display().to_string(),
            problem: error.message().to_owned(),
        })?;
        Ok(Self {
            folder,
            words,
            read: BTreeMap::new(),
        })
    }

    /// The sound called `name`: the path of a WAV file within the folder without its ending, such
    /// as `callers/paul/yes`; or `cough-N` or `door-slam-N` for any
    /// number N; or `silence-N` for as many ms.
    ///
    /// # Errors
    ///
    /// There is no such recording, or it is no WAV file.
    pub fn get(&mut self, name: &str) -> Result<Clip, ScenarioError> {
        if let Some(clip) = self.read.get(name) {
            return Ok(clip.clone());
        }
        let clip = self.make(name)?;
        self.read.insert(name.to_owned(), clip.clone());
        Ok(clip)
    }

    fn make(&self, name: &str) -> Result<Clip, ScenarioError> {
        let number = |prefix: &str| name.strip_prefix(prefix)?.parse().ok();
        let computed = |audio: Vec<i16>| Clip {
            loud: speech_span(&audio),
            audio: audio.into(),
            words: String::new(),
        };
        if let Some(seed) = number("cough-") {
            return Ok(computed(sounds::cough(seed)));
        }
        if let Some(seed) = number("door-slam-") {
            return Ok(computed(sounds::door_slam(seed)));
        }
        if let Some(ms) = number("silence-") {
            return Ok(computed(vec![0; ms as usize * 8]));
        }
        let path = self.folder.join(format!("{name}.wav"));
        let no_sound = |reason: String| ScenarioError::NoSound {
            name: name.to_owned(),
            reason,
        };
        let audio = load_audio(&path).map_err(|error| {
            let source = std::error::Error::source(&error);
            no_sound(source.map_or_else(|| error.to_string(), |s| format!("{error}: {s}")))
        })?;
        let stem = name.rsplit('/').next().unwrap_or(name);
        let words = self.words.get(stem).cloned();
        Ok(Clip {
            loud: speech_span(&audio),
            audio,
            words: words.unwrap_or_else(|| stem.replace('-', " ")),
        })
    }
}
