//! What `sidetone transcribe` is told.

use std::{
    error::Error,
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    thread,
};

use clap::{Args, ValueEnum};
use sidetone::offline::{Channels, Format, LanguageChoice, Redaction, TranscribeOptions};
use sidetone_models::demo;

/// What `sidetone transcribe` is told.
#[derive(Args, Debug)]
#[command(after_long_help = AFTER_HELP)]
pub struct TranscribeArgs {
    /// Files, folders (with the folders in them), patterns such as 'calls/*.wav', or - for standard
    /// input.
    ///
    /// Read are WAV (PCM, float, μ-law, A-law), MP3, FLAC, Ogg (Vorbis, Opus), M4A and MP4 (AAC), AAC, and
    /// raw G.711 named .ulaw or .alaw; what a file holds is found by its content. In folders, files
    /// with other extensions and hidden ones are passed over.
    #[arg(required = true, value_name = "RECORDING")]
    pub(super) recordings: Vec<PathBuf>,

    /// How to write it: txt, json, ndjson, srt, vtt, csv; several by commas.
    #[arg(
        long,
        short,
        value_name = "FORMAT",
        value_delimiter = ',',
        default_value = "txt",
        help_heading = OUTPUT
    )]
    pub(super) format: Vec<Format>,
    /// Write to this file, or - for standard output; for one recording and one format.
    ///
    /// Without this and --output-dir, transcripts go to standard output.
    #[arg(long, short, value_name = "FILE", conflicts_with = "output_dir", help_heading = OUTPUT)]
    pub(super) output: Option<PathBuf>,
    /// Write a file for each recording and format into this folder, which is made if it is not there.
    ///
    /// A file is called as its recording, with the format's extension; where two recordings differ only
    /// in theirs, it is added to the whole name. Until a file is complete its name has ".partial"
    /// before the extension.
    #[arg(long, short = 'd', value_name = "DIR", help_heading = OUTPUT)]
    pub(super) output_dir: Option<PathBuf>,
    /// Find each word's times and probability (json, ndjson); subtitles are cut by them.
    #[arg(long, help_heading = OUTPUT)]
    pub(super) words: bool,
    /// Take these out: digits, email, phone, profanity; several by commas.
    ///
    /// By rules, written in any language and spoken in English, Spanish and Portuguese: rather a
    /// word too many than one too few, but no guarantee, and no names.
    #[arg(long, value_name = "WHAT", value_delimiter = ',', help_heading = OUTPUT)]
    pub(super) redact: Vec<Redaction>,

    /// A model by name, or the path of a file in whisper.cpp's ggml format.
    #[arg(long, short, value_name = "MODEL", default_value = demo::NAME, help_heading = RECOGNITION)]
    pub(super) model: String,
    /// The language spoken (en, es, …), auto to detect it once for each recording, or each to detect
    /// it for each stretch of speech.
    #[arg(long, short, value_name = "CODE", default_value = "auto", help_heading = RECOGNITION)]
    pub(super) language: String,
    /// Write English, whatever is spoken.
    #[arg(long, help_heading = RECOGNITION)]
    pub(super) translate: bool,
    /// What came before, or text in the style that is wanted.
    #[arg(long, value_name = "TEXT", help_heading = RECOGNITION)]
    pub(super) prompt: Option<String>,
    /// Names and terms to expect: a file with one on each line, or a list by commas.
    #[arg(long, value_name = "FILE|LIST", help_heading = RECOGNITION)]
    pub(super) vocabulary: Option<String>,
    /// How many threads recognise speech. Default: one for each core.
    #[arg(long, value_name = "N", help_heading = RECOGNITION)]
    pub(super) threads: Option<NonZeroUsize>,

    /// What the channels are: a speaker each (split), one mix (mix), or found by listening (auto).
    #[arg(long, value_enum, default_value_t = ChannelsArg::Auto, help_heading = SPEAKERS)]
    pub(super) channels: ChannelsArg,
    /// The speakers' names, channel by channel. Default: caller, agent for two channels.
    ///
    /// Where a recording has one channel, several names are passed over: nobody knows who speaks.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', help_heading = SPEAKERS)]
    pub(super) speakers: Vec<String>,
    /// The engine's events (NDJSON) of the recorded calls: they give the speakers and the calls' ids.
    ///
    /// Without this, a file events.ndjson beside a recording of two channels is taken, where it tells
    /// which call it is: of several, the one whose id is in the recording's name, or in the
    /// report.json that `sidetone call` left beside it.
    #[arg(long, value_name = "FILE", help_heading = SPEAKERS)]
    pub(super) events: Option<PathBuf>,

    /// The recordings are raw G.711 of this law, 8 kHz and mono, whatever their names.
    #[arg(long, value_enum, value_name = "LAW", help_heading = RUN)]
    pub(super) input_format: Option<RawFormat>,
    /// Do not go into folders within folders.
    #[arg(long, help_heading = RUN)]
    pub(super) flat: bool,
    /// Pass over what was finished before, with the same model and options, into the same folder.
    ///
    /// It goes by a list in that folder, .sidetone-transcribe.ndjson: the recording's size and time,
    /// the options, and the sizes of the files written must still be the same.
    #[arg(long, help_heading = RUN)]
    pub(super) resume: bool,
    /// Tell what happens as lines of JSON on standard error.
    #[arg(long, help_heading = RUN)]
    pub(super) json_progress: bool,
    /// Tell nothing but errors.
    #[arg(long, short, conflicts_with = "json_progress", help_heading = RUN)]
    pub(super) quiet: bool,
}

const OUTPUT: &str = "Output";
const RECOGNITION: &str = "Recognition";
const SPEAKERS: &str = "Speakers";
const RUN: &str = "Run";

const AFTER_HELP: &str = "\
Exit status:
  0    every recording was transcribed
  1    none was
  2    the command line is wrong
  3    some were not, or not to their end: standard error says which and why
  130  ended by Ctrl-C: what was finished is there, --resume goes on

Examples:
  sidetone transcribe call.wav
  sidetone transcribe calls/ -d out -f txt,json,srt --model base.en
  sidetone transcribe 'calls/*.mp3' -d out --redact digits,email --resume
  ffmpeg -i film.mkv -f wav - | sidetone transcribe - -f vtt > film.vtt";

/// What the channels of a recording are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ChannelsArg {
    /// Found by listening.
    Auto,
    /// A speaker each.
    Split,
    /// One mix.
    Mix,
}

/// What has no header to be known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum RawFormat {
    /// μ-law.
    Ulaw,
    /// A-law.
    Alaw,
}

impl RawFormat {
    /// The name of a file whose content is known by it.
    pub(super) fn file_name(self) -> &'static str {
        match self {
            Self::Ulaw => "raw.ulaw",
            Self::Alaw => "raw.alaw",
        }
    }
}

impl TranscribeArgs {
    /// The options of the transcription itself.
    pub(super) fn options(&self) -> Result<TranscribeOptions, Box<dyn Error>> {
        Ok(TranscribeOptions {
            language: match self.language.to_ascii_lowercase().as_str() {
                "auto" => LanguageChoice::DetectOnce,
                "each" => LanguageChoice::DetectEach,
                code => LanguageChoice::Is(code.to_owned()),
            },
            translate: self.translate,
            prompt: self.prompt.clone(),
            vocabulary: match &self.vocabulary {
                Some(given) => vocabulary(given)?,
                None => Vec::new(),
            },
            channels: match self.channels {
                ChannelsArg::Auto => Channels::Auto,
                ChannelsArg::Split => Channels::Split,
                ChannelsArg::Mix => Channels::Mix,
            },
            speakers: self
                .speakers
                .iter()
                .map(|name| name.trim().to_owned())
                .collect(),
            words: self.words,
        })
    }

    pub(super) fn threads(&self) -> usize {
        let cores = || thread::available_parallelism().map_or(1, NonZeroUsize::get);
        self.threads.map_or_else(cores, NonZeroUsize::get)
    }

    /// The formats, each once.
    pub(super) fn formats(&self) -> Vec<Format> {
        let mut formats = Vec::new();
        for format in &self.format {
            if !formats.contains(format) {
                formats.push(*format);
            }
        }
        formats
    }
}

/// The terms in a file, one a line, or in the list itself.
fn vocabulary(given: &str) -> Result<Vec<String>, String> {
    let terms = |parts: &mut dyn Iterator<Item = &str>| {
        let terms = parts.map(str::trim).filter(|term| !term.is_empty());
        terms.map(str::to_owned).collect::<Vec<_>>()
    };
    let path = Path::new(given);
    let is_path = path.components().nth(1).is_some() || path.extension().is_some();
    if path.is_file() {
        let text = fs::read_to_string(path)
            .map_err(|error| format!("cannot read the vocabulary {given}: {error}"))?;
        Ok(terms(&mut text.lines()))
    } else if is_path && !given.contains(',') {
        Err(format!("the vocabulary {given}: there is no such file"))
    } else {
        Ok(terms(&mut given.split(',')))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: TranscribeArgs,
    }

    fn parse(args: &[&str]) -> Result<TranscribeArgs, clap::Error> {
        let args = std::iter::once("transcribe").chain(args.iter().copied());
        Cli::try_parse_from(args).map(|cli| cli.args)
    }

    #[test]
    fn lists_may_be_given_with_commas_and_several_times() {
        let args = [
            "a.wav",
            "-f",
            "txt,json",
            "-f",
            "srt,txt",
            "--redact",
            "digits,email",
        ];
        let args = parse(&args).unwrap();
        assert_eq!(args.formats(), [Format::Txt, Format::Json, Format::Srt]);
        assert_eq!(args.redact, [Redaction::Digits, Redaction::Email]);
        assert_eq!(parse(&["a.wav"]).unwrap().formats(), [Format::Txt]);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for args in [
            &[][..],
            &["a", "-f", "docx"],
            &["a", "--redact", "names"],
            &["a", "--threads", "0"],
            &["a", "-o", "b", "-d", "c"],
            &["a", "--channels", "left"],
            &["a", "--json-progress", "--quiet"],
        ] {
            assert!(parse(args).is_err(), "{args:?}");
        }
    }

    #[test]
    fn the_language_may_be_detected_once_or_each_time() {
        let language = |given: &str| {
            let args = parse(&["a", "--language", given]).unwrap();
            args.options().unwrap().language
        };
        assert_eq!(language("auto"), LanguageChoice::DetectOnce);
        assert_eq!(language("each"), LanguageChoice::DetectEach);
        assert_eq!(language("ES"), LanguageChoice::Is("es".to_owned()));
    }

    #[test]
    fn the_vocabulary_is_a_list_or_a_file() {
        assert_eq!(
            vocabulary("Sidetone, barge-in,,").unwrap(),
            ["Sidetone", "barge-in"]
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "Sidetone\n\n barge-in \r\n").unwrap();
        assert_eq!(
            vocabulary(file.path().to_str().unwrap()).unwrap(),
            ["Sidetone", "barge-in"]
        );
        let error = vocabulary("lists/none.txt").unwrap_err();
        assert_eq!(
            error,
            "the vocabulary lists/none.txt: there is no such file"
        );
    }
}
