//! The recordings that are transcribed, with what is said in them.

use std::{
    fs::File,
    io::{self, BufWriter},
    path::{Path, PathBuf},
    time::Duration,
};

use fastrand::Rng;
use hound::{SampleFormat, WavSpec, WavWriter};
use sidetone_codecs::{Resampler, SampleCount, SampleRate, g711::mulaw};

use crate::speech::{LINE, Speech};

/// What Whisper hears.
const WHISPER: SampleRate = SampleRate::HZ_16000;

/// White noise of -60 dB as a root mean square: evenly distributed up to this.
const ROOM: i16 = 57;

/// What a live call adds to a turn before it is decoded: the silence that ended it, 300 ms.
const ENDPOINTING: usize = 2_400;

/// Which recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// One speaker after the other, with pauses as between sentences.
    Dense,
    /// Two speakers who take turns, each on a channel.
    Call,
    /// A speaker and long pauses.
    Long,
}

/// A recording on disk.
#[derive(Clone)]
pub(crate) struct Recording {
    pub(crate) kind: Kind,
    /// For Sidetone: with all channels.
    pub(crate) file: PathBuf,
    /// For whisper.cpp: each channel at 16 kHz.
    pub(crate) channels: Vec<PathBuf>,
    /// What is said on each channel.
    pub(crate) texts: Vec<String>,
    pub(crate) duration: Duration,
    /// How much of each channel is speech, on average.
    pub(crate) share: f64,
    /// The utterances as a live call hears them, at 8 kHz; kept for dense speech only.
    pub(crate) turns: Vec<(String, Vec<i16>)>,
}

impl Recording {
    /// Writes it into `folder`.
    pub(crate) fn make(
        kind: Kind,
        minutes: f64,
        speech: &Speech,
        folder: &Path,
    ) -> io::Result<Self> {
        let name = match kind {
            Kind::Dense => "dense",
            Kind::Call => "call",
            Kind::Long => "long",
        };
        let mut tape = Tape::new(folder, name, if kind == Kind::Call { 2 } else { 1 })?;
        let mut rng = Rng::with_seed(2);
        let end = (minutes * 60.0 * f64::from(LINE.hz())) as u64;
        let (mut speaker, mut turns) = (0, Vec::new());
        while tape.len < end {
            let said = speech.any(&mut rng);
            let line = tape.speak(speaker, &said.text, &said.samples)?;
            let ms = match kind {
                Kind::Dense => 150..400,
                Kind::Call => 200..600,
                Kind::Long => 8_000..30_000,
            };
            if kind == Kind::Dense {
                turns.push((said.text.clone(), line));
            }
            let pause = LINE.samples_in(Duration::from_millis(rng.u64(ms))).0;
            tape.pause(pause as usize)?;
            if kind == Kind::Call && rng.u8(..) < 170 {
                speaker = 1 - speaker;
            }
        }
        let mut recording = tape.finish(kind)?;
        for (text, mut line) in turns {
            line.extend(std::iter::repeat_with(|| rng.i16(-ROOM..=ROOM)).take(ENDPOINTING));
            recording.turns.push((text, line));
        }
        Ok(recording)
    }
}

/// Some channels that are written at the same pace.
struct Tape {
    channels: Vec<Channel>,
    /// All channels at the telephone's rate, where there are several.
    together: Option<(PathBuf, WavWriter<BufWriter<File>>)>,
    rng: Rng,
    len: u64,
    speech: u64,
}

struct Channel {
    path: PathBuf,
    file: WavWriter<BufWriter<File>>,
    resampler: Resampler,
    text: String,
}

impl Tape {
    fn new(folder: &Path, name: &str, channels: u16) -> io::Result<Self> {
        let together = (channels > 1).then(|| {
            let path = folder.join(format!("{name}.wav"));
            let file = create(&path, LINE, channels)?;
            io::Result::Ok((path, file))
        });
        let channels = (0..channels).map(|n| {
            let path = folder.join(format!("{name}-{n}.wav"));
            Ok(Channel {
                file: create(&path, WHISPER, 1)?,
                path,
                resampler: Resampler::new(LINE, WHISPER).map_err(io::Error::other)?,
                text: String::new(),
            })
        });
        Ok(Self {
            channels: channels.collect::<io::Result<_>>()?,
            together: together.transpose()?,
            rng: Rng::with_seed(3),
            len: 0,
            speech: 0,
        })
    }

    /// One speaks, the others listen. What the line makes of it.
    fn speak(&mut self, speaker: usize, text: &str, samples: &[i16]) -> io::Result<Vec<i16>> {
        let channel = &mut self.channels[speaker];
        channel.text.push_str(text);
        channel.text.push(' ');
        self.speech += samples.len() as u64;
        let mut lines = self.write(Some(speaker), samples)?;
        Ok(lines.swap_remove(speaker))
    }

    fn pause(&mut self, mut len: usize) -> io::Result<()> {
        while len > 0 {
            let silence = vec![0; len.min(8_000)];
            self.write(None, &silence)?;
            len -= silence.len();
        }
        Ok(())
    }

    fn write(&mut self, speaker: Option<usize>, samples: &[i16]) -> io::Result<Vec<Vec<i16>>> {
        let mut lines = Vec::new();
        for (n, channel) in self.channels.iter_mut().enumerate() {
            // A quiet room, and the telephone network's 8 bits.
            let heard = samples.iter().map(|sample| {
                let room = self.rng.i16(-ROOM..=ROOM);
                let said = if speaker == Some(n) { *sample } else { 0 };
                said.saturating_add(room)
            });
            let heard: Vec<i16> = heard.collect();
            let (mut codes, mut line) = (Vec::new(), Vec::new());
            mulaw::encode_append(&heard, &mut codes);
            mulaw::decode_append(&codes, &mut line);
            let mut wide = Vec::new();
            channel.resampler.process(&line, &mut wide);
            put(&mut channel.file, &wide)?;
            lines.push(line);
        }
        if let Some((_, file)) = &mut self.together {
            for instant in 0..samples.len() {
                let frame: Vec<i16> = lines.iter().map(|line| line[instant]).collect();
                put(file, &frame)?;
            }
        }
        self.len += samples.len() as u64;
        Ok(lines)
    }

    fn finish(self, kind: Kind) -> io::Result<Recording> {
        let count = self.channels.len();
        let (mut channels, mut texts) = (Vec::new(), Vec::new());
        for mut channel in self.channels {
            let mut rest = Vec::new();
            channel.resampler.finish(&mut rest);
            put(&mut channel.file, &rest)?;
            channel.file.finalize().map_err(io::Error::other)?;
            channels.push(channel.path);
            texts.push(channel.text);
        }
        let file = match self.together {
            Some((path, file)) => {
                file.finalize().map_err(io::Error::other)?;
                path
            }
            None => channels[0].clone(),
        };
        Ok(Recording {
            kind,
            file,
            channels,
            texts,
            duration: SampleCount(self.len).duration(LINE),
            share: self.speech as f64 / (self.len * count as u64) as f64,
            turns: Vec::new(),
        })
    }
}

fn create(path: &Path, rate: SampleRate, channels: u16) -> io::Result<WavWriter<BufWriter<File>>> {
    let spec = WavSpec {
        channels,
        sample_rate: rate.hz(),
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    WavWriter::create(path, spec).map_err(io::Error::other)
}

fn put(file: &mut WavWriter<BufWriter<File>>, samples: &[i16]) -> io::Result<()> {
    for sample in samples {
        file.write_sample(*sample).map_err(io::Error::other)?;
    }
    Ok(())
}
