//! What a recording is, by its first bytes.

use std::path::Path;

use super::{RecordingError, container::Container, mpeg, raw::Law, source::Source};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Wav,
    Raw(Law),
    Packets(Container),
}

/// Finds out what `source` holds, and leaves out a tag before it.
pub(super) fn kind(source: &mut Source, name: &Path) -> Result<Kind, RecordingError> {
    if source.peek(1).is_empty() {
        return Err(match source.take_failure() {
            Some(failure) => RecordingError::Io(failure),
            None => RecordingError::Empty,
        });
    }
    if is_wav(source.peek(12)) {
        return Ok(Kind::Wav);
    }
    if let Some(law) = law_of(name) {
        return Ok(Kind::Raw(law));
    }
    let tagged = skip_id3(source)?;
    let start = source.peek(mpeg::WINDOW);
    if start.starts_with(b"OggS") && start.get(28..36) == Some(b"Speex   ") {
        return Err(RecordingError::Codec {
            container: Container::Ogg.name(),
            codec: "Speex".to_owned(),
        });
    }
    let found = match start {
        [b'f', b'L', b'a', b'C', ..] => Some(Container::Flac),
        [b'O', b'g', b'g', b'S', ..] => Some(Container::Ogg),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some(Container::Mp4),
        _ if is_wav(start) => return Ok(Kind::Wav),
        _ => mpeg::find(start, tagged),
    };
    if let Some(failure) = source.take_failure() {
        return Err(RecordingError::Io(failure));
    }
    match found {
        Some(Container::MpegLayer12) => Err(RecordingError::Codec {
            container: "MPEG",
            codec: "MPEG audio of layer 1 or 2".to_owned(),
        }),
        Some(container) => Ok(Kind::Packets(container)),
        None if tagged && source.peek(1).is_empty() => Err(RecordingError::HeaderCutShort {
            container: Container::Mp3.name(),
        }),
        None => Err(RecordingError::NotAudio {
            looks_like: looks_like(source.peek(mpeg::WINDOW)),
        }),
    }
}

fn is_wav(start: &[u8]) -> bool {
    matches!(start.get(..4), Some(b"RIFF" | b"RF64" | b"BW64")) && start.get(8..12) == Some(b"WAVE")
}

fn law_of(name: &Path) -> Option<Law> {
    let extension = name.extension()?.to_str()?.to_ascii_lowercase();
    match extension.as_str() {
        "ulaw" | "ul" | "mulaw" => Some(Law::Mu),
        "alaw" | "al" => Some(Law::A),
        _ => None,
    }
}

/// Leaves out tags (ID3, version 2), whatever their size, and says whether there were any.
fn skip_id3(source: &mut Source) -> Result<bool, RecordingError> {
    let mut tagged = false;
    while let &[b'I', b'D', b'3', 2..=4, _, flags, a, b, c, d] = source.peek(10) {
        let size = [a, b, c, d]
            .iter()
            .fold(0, |size, &byte| size << 7 | u64::from(byte & 0x7F));
        let footer = if flags & 0x10 == 0 { 0 } else { 10 };
        if !source.skip(10 + size + footer) {
            return Err(match source.take_failure() {
                Some(failure) => RecordingError::Io(failure),
                None => RecordingError::HeaderCutShort {
                    container: Container::Mp3.name(),
                },
            });
        }
        tagged = true;
    }
    Ok(tagged)
}

/// For a person who wonders what is in the file.
fn looks_like(start: &[u8]) -> &'static str {
    match start {
        [0x1A, 0x45, 0xDF, 0xA3, ..] => "Matroska or WebM",
        [0x30, 0x26, 0xB2, 0x75, ..] => "Windows Media (WMA)",
        [b'#', b'!', b'A', b'M', b'R', ..] => "AMR",
        [b'F', b'O', b'R', b'M', ..] => "AIFF",
        [b'c', b'a', b'f', b'f', ..] => "Apple's Core Audio Format",
        [b'.', b's', b'n', b'd', ..] => "Sun's AU",
        [b'R', b'I', b'F', b'X', ..] => "a WAV of the other byte order (RIFX)",
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'A',
            b'V',
            b'I',
            b' ',
            ..,
        ] => "AVI",
        [b'R', b'I', b'F', b'F', ..] => "the beginning of a WAV that is cut off",
        [b'M', b'T', b'h', b'd', ..] => "MIDI",
        [b'w', b'v', b'p', b'k', ..] => "WavPack",
        [b'P', b'K', 3, 4, ..] => "a ZIP archive",
        [0x1F, 0x8B, ..] => "a gzip archive",
        [b'%', b'P', b'D', b'F', ..] => "a PDF",
        [0x89, b'P', b'N', b'G', ..] | [0xFF, 0xD8, 0xFF, ..] => "a picture",
        [0x7F, b'E', b'L', b'F', ..] => "a program",
        _ if start.iter().all(|&byte| byte == 0) => "nothing but zeros",
        _ => looks_like_text(start),
    }
}

fn looks_like_text(start: &[u8]) -> &'static str {
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        // The window may cut a character.
        Err(error) if start.len() - error.valid_up_to() < 4 => {
            std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return "data of no known kind",
    };
    if text
        .chars()
        .any(|c| c.is_control() && !matches!(c, '\t' | '\r' | '\n'))
    {
        return "data of no known kind";
    }
    let text = text.trim_start().to_ascii_lowercase();
    if text.starts_with("<!doctype html") || text.starts_with("<html") {
        "a web page (HTML), such as of a download that failed"
    } else if text.starts_with("<?xml") {
        "XML text, such as of a download that failed"
    } else if text.starts_with(['{', '[']) {
        "JSON text, such as of a download that failed"
    } else {
        "text"
    }
}
