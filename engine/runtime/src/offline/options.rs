//! What can be chosen about a transcription.

/// How a recording is transcribed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TranscribeOptions {
    /// The language spoken. Default: detected once for the file.
    pub language: LanguageChoice,
    /// Write English whatever is spoken. Default: no.
    pub translate: bool,
    /// What came before, or text in the style that is wanted: it biases the model. Default: none.
    pub prompt: Option<String>,
    /// Names and terms that are spoken, which biases the model towards their spelling. Default:
    /// none.
    pub vocabulary: Vec<String>,
    /// What the channels are. Default: `Auto`.
    pub channels: Channels,
    /// The speakers' names, channel by channel. Default: `caller`, `agent` for two channels, else
    /// `speaker 1` and so on; none for one channel.
    pub speakers: Vec<String>,
    /// Give each word's times and probability. Default: no.
    pub words: bool,
}

/// Which language is spoken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LanguageChoice {
    /// Detected once, from the first speech of the file.
    #[default]
    DetectOnce,
    /// Detected for each segment.
    DetectEach,
    /// This one, an ISO 639-1 code.
    Is(String),
}

/// What the channels of a recording are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Channels {
    /// A speaker each, if they differ; one mix if they hold the same.
    #[default]
    Auto,
    /// A speaker each.
    Split,
    /// Parts of one mix.
    Mix,
}
