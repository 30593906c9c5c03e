//! whisper.cpp's own program, where there is one.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// The variable that names the program.
const PROGRAM_VAR: &str = "SIDETONE_WHISPER_CPP";

pub(crate) struct WhisperCpp {
    program: PathBuf,
}

/// How it is to decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Search {
    /// As Sidetone does: the likeliest token each time, each window on its own, and no flash attention, which is the
    /// slower one on CPUs.
    Greedy,
    /// The same, and each word's time is found, which Sidetone always does.
    Aligned,
    /// Its defaults: a beam of 5, flash attention, and the text so far as a prompt.
    Default,
}

/// What is asked of it.
pub(crate) struct Job<'a> {
    pub(crate) model: &'a Path,
    pub(crate) threads: usize,
    pub(crate) search: Search,
    pub(crate) timestamps: bool,
    /// Whether the text means anything: what is doubtful is then decoded again at higher temperatures,
    /// and may be a prompt.
    pub(crate) understands: bool,
    /// What [`Search::Aligned`] calls the model.
    pub(crate) shape: Option<&'a str>,
    pub(crate) files: &'a [PathBuf],
}

impl WhisperCpp {
    /// The program, or why there is none.
    pub(crate) fn find() -> Result<Self, String> {
        let Some(program) = std::env::var_os(PROGRAM_VAR) else {
            return Err(format!(
                "set {PROGRAM_VAR} to the path of whisper.cpp's whisper-cli to compare with it; nothing is built here"
            ));
        };
        let program = PathBuf::from(program);
        if program.is_file() {
            Ok(Self { program })
        } else {
            Err(format!("{PROGRAM_VAR}={}: no such file", program.display()))
        }
    }

    pub(crate) fn command(&self, job: &Job<'_>) -> Command {
        let mut command = Command::new(&self.program);
        let threads = job.threads.to_string();
        command.args(["--threads", &threads, "--language", "en", "--no-prints"]);
        command.arg("--model").arg(job.model);
        if job.search != Search::Default {
            command.args(["--beam-size", "1", "--best-of", "1", "--no-flash-attn"]);
        }
        if job.search != Search::Default || !job.understands {
            command.args(["--max-context", "0"]);
        }
        if let (Search::Aligned, Some(shape)) = (job.search, job.shape) {
            command.args(["--dtw", shape]);
        }
        if !job.timestamps {
            command.arg("--no-timestamps");
        }
        if !job.understands {
            command.arg("--no-fallback");
        }
        command.arg("--output-txt");
        for file in job.files {
            // It adds the ending of its own.
            command.arg("--file").arg(file);
            command
                .arg("--output-file")
                .arg(file.with_extension("whisper"));
        }
        command
    }

    /// What it wrote for each file.
    pub(crate) fn texts(files: &[PathBuf]) -> io::Result<Vec<String>> {
        let written = files.iter().map(|file| {
            let bytes = fs::read(file.with_extension("whisper.txt"))?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        });
        written.collect()
    }
}
