//! `sidetone models list`.

use std::{error::Error, path::Path};

use clap::{Args, ValueEnum};
use indicatif::DecimalBytes;
use owo_colors::OwoColorize as _;
use serde_json::{Value, json};
use sidetone_models::{Entry, Languages, Manifest, ModelFile, ModelKind, Presence, demo};

#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// Only models whose name has one of these in it.
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// Only models of this kind.
    #[arg(long)]
    kind: Option<Kind>,
    /// Only models that know this language, such as `es` or `pt-BR`.
    #[arg(long, value_name = "TAG")]
    language: Option<String>,
    /// Only models that are here.
    #[arg(long)]
    here: bool,
    /// The builds for other platforms, too.
    #[arg(long)]
    all_platforms: bool,
    /// As JSON, with addresses, digests and paths, of all that can be fetched.
    #[arg(long)]
    json: bool,
}

/// The kinds, as arguments.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Speech to text.
    Whisper,
    /// Voice activity detection.
    Vad,
    /// Turn detection.
    Turn,
    /// Voices.
    PiperVoice,
    /// What runs ONNX models.
    Runtime,
}

/// A line of the table.
struct Row {
    name: String,
    kind: &'static str,
    size: String,
    licence: String,
    languages: String,
    presence: String,
}

pub(super) fn run(args: &ListArgs) -> Result<(), Box<dyn Error>> {
    let dir = sidetone_models::models_dir()?;
    let entries = Manifest::embedded().entries().iter();
    let entries: Vec<_> = entries
        .filter(|entry| args.wants(entry, &dir))
        .map(|entry| (entry, sidetone_models::presence_in(&dir, entry)))
        .collect();
    if args.json {
        let list: Vec<_> = entries
            .iter()
            .map(|(entry, presence)| in_json(entry, *presence, &dir))
            .collect();
        anstream::println!("{:#}", Value::from(list));
        return Ok(());
    }
    let mut rows: Vec<_> = entries.iter().map(|(entry, p)| row(entry, *p)).collect();
    if args.wants_demo() {
        rows.insert(0, demo_row());
    }
    if rows.is_empty() {
        anstream::println!("no such models; `sidetone models list` shows all");
        return Ok(());
    }
    anstream::print!("{}", table(&rows));
    anstream::println!("{}", format!("\nin {}", dir.display()).dimmed());
    Ok(())
}

/// A size as a person reads it: `148 MB`.
pub(super) fn size(bytes: u64) -> String {
    DecimalBytes(bytes).to_string()
}

impl ListArgs {
    fn wants(&self, entry: &Entry, dir: &Path) -> bool {
        self.wants_name(&entry.name)
            && self.kind.is_none_or(|kind| kind.wanted() == entry.kind)
            && self
                .language
                .as_ref()
                .is_none_or(|tag| entry.languages.include(tag))
            && (self.all_platforms || entry.is_for_here())
            && (!self.here || sidetone_models::presence_in(dir, entry) == Presence::Here)
    }

    /// The manifest does not have it: it needs no fetching.
    fn wants_demo(&self) -> bool {
        self.wants_name(demo::NAME)
            && self
                .kind
                .is_none_or(|kind| kind.wanted() == ModelKind::Whisper)
            && self
                .language
                .as_ref()
                .is_none_or(|tag| demo_languages().include(tag))
    }

    fn wants_name(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        let mut texts = self.texts.iter();
        self.texts.is_empty() || texts.any(|text| name.contains(&text.to_ascii_lowercase()))
    }
}

impl Kind {
    fn wanted(self) -> ModelKind {
        match self {
            Self::Whisper => ModelKind::Whisper,
            Self::Vad => ModelKind::Vad,
            Self::Turn => ModelKind::Turn,
            Self::PiperVoice => ModelKind::PiperVoice,
            Self::Runtime => ModelKind::Runtime,
        }
    }
}

fn demo_languages() -> Languages {
    Languages::Tags(demo::LANGUAGES.map(str::to_owned).to_vec())
}

fn languages_in_words(languages: &Languages) -> String {
    match languages {
        Languages::English => "English".to_owned(),
        Languages::Multilingual => "many".to_owned(),
        Languages::Tags(tags) if tags.len() <= 3 => tags.join(", "),
        Languages::Tags(tags) => format!("{} languages", tags.len()),
        _ => "any".to_owned(),
    }
}

fn row(entry: &Entry, presence: Presence) -> Row {
    let presence = match presence {
        Presence::Here => "yes".to_owned(),
        Presence::Partial { bytes } => {
            let all = transfer_bytes(entry).max(bytes);
            format!("{} %", bytes * 100 / all)
        }
        Presence::Damaged => "damaged".to_owned(),
        _ => "no".to_owned(),
    };
    Row {
        name: entry.name_here().to_owned(),
        kind: entry.kind.name(),
        size: size(entry.size_bytes()),
        licence: entry.licence.clone(),
        languages: languages_in_words(&entry.languages),
        presence,
    }
}

fn demo_row() -> Row {
    Row {
        name: demo::NAME.to_owned(),
        kind: ModelKind::Whisper.name(),
        size: size(demo::SIZE_BYTES as u64),
        licence: env!("CARGO_PKG_LICENSE").to_owned(),
        languages: languages_in_words(&demo_languages()),
        presence: "bundled".to_owned(),
    }
}

/// How much a fetch transfers.
fn transfer_bytes(entry: &Entry) -> u64 {
    let bytes = |file: &ModelFile| {
        let archive = file.archive.as_ref();
        archive.map_or(file.size_bytes, |archive| archive.size_bytes)
    };
    entry.files.iter().map(bytes).sum()
}

fn table(rows: &[Row]) -> String {
    let head = Row {
        name: "NAME".to_owned(),
        kind: "KIND",
        size: "SIZE".to_owned(),
        licence: "LICENCE".to_owned(),
        languages: "LANGUAGES".to_owned(),
        presence: "HERE".to_owned(),
    };
    let width = |cell: fn(&Row) -> &str| {
        let cells = rows.iter().chain([&head]).map(cell);
        cells.map(|text| text.chars().count()).max().unwrap_or(0)
    };
    let (name, kind, size) = (
        width(|row| &row.name),
        width(|row| row.kind),
        width(|row| &row.size),
    );
    let (licence, languages) = (width(|row| &row.licence), width(|row| &row.languages));
    let line = |row: &Row| {
        format!(
            "{:name$}  {:kind$}  {:>size$}  {:licence$}  {:languages$}  {}",
            row.name, row.kind, row.size, row.licence, row.languages, row.presence
        )
    };
    let mut text = format!("{}\n", line(&head).bold());
    for row in rows {
        let line = line(row);
        let line = match row.presence.as_str() {
            "yes" | "bundled" => line.green().to_string(),
            "damaged" => line.red().to_string(),
            _ => line,
        };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

fn in_json(entry: &Entry, presence: Presence, dir: &Path) -> Value {
    let languages = match &entry.languages {
        Languages::English => json!("english"),
        Languages::Multilingual => json!("multilingual"),
        Languages::Tags(tags) => json!(tags),
        _ => json!("any"),
    };
    let (presence, there_bytes) = match presence {
        Presence::Here => ("here", entry.size_bytes()),
        Presence::Partial { bytes } => ("partial", bytes),
        Presence::Damaged => ("damaged", 0),
        _ => ("absent", 0),
    };
    let file = |file: &ModelFile| {
        json!({
            "name": file.name,
            "path": dir.join(&file.name),
            "url": file.url,
            "size_bytes": file.size_bytes,
            "sha256": file.sha256.to_string(),
            "archive": file.archive.as_ref().map(|archive| json!({
                "member": archive.member,
                "size_bytes": archive.size_bytes,
                "sha256": archive.sha256.to_string(),
            })),
        })
    };
    json!({
        "name": entry.name_here(),
        "kind": entry.kind.name(),
        "platform": entry.platform,
        "size_bytes": entry.size_bytes(),
        "transfer_bytes": transfer_bytes(entry),
        "licence": entry.licence,
        "languages": languages,
        "presence": presence,
        "there_bytes": there_bytes,
        "files": entry.files.iter().map(file).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_asked_for_as_it_is_shown() {
        for entry in Manifest::embedded().entries() {
            let kind = Kind::from_str(entry.kind.name(), false).unwrap();
            assert_eq!(kind.wanted(), entry.kind);
        }
    }
}
