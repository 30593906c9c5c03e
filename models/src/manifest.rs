//! The manifest: every model that can be fetched, with what it takes to fetch and verify it.

use std::collections::HashSet;
use std::fmt;
use std::sync::OnceLock;

use serde::Deserialize;

use crate::{Languages, Sha256Digest, demo};

/// The models that can be fetched. [`Manifest::embedded`] is the one that ships with the program.
#[derive(Debug, Clone)]
pub struct Manifest {
    entries: Vec<Entry>,
}

/// One model that can be fetched: one file, or a few that belong together.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The name to use in the configuration, such as `base.en-q5_1`. Unique in the manifest.
    pub name: String,
    /// Which program part can load it.
    pub kind: ModelKind,
    /// The only platform it is for, in the words of [`PLATFORM`]; most models are for all.
    pub platform: Option<String>,
    /// The licence as its publisher states it: an SPDX identifier, or `public domain`.
    pub licence: String,
    /// The languages that the model knows.
    pub languages: Languages,
    /// The files, at least one. The first is the one to load, which looks for the others beside it.
    pub files: Vec<ModelFile>,
}

/// A file in the models directory, and where it is from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// The file's name in the models directory. Unique in the manifest, without a directory.
    pub name: String,
    /// Where it is fetched from; an `https:` URL at a fixed revision.
    pub url: String,
    /// The file's size in bytes.
    pub size_bytes: u64,
    /// The file's digest.
    pub sha256: Sha256Digest,
    /// Set where the URL is that of a ZIP archive which holds the file.
    pub archive: Option<Archive>,
}

/// A ZIP archive of which one file is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// The wanted file's path in the archive.
    pub member: String,
    /// The archive's size in bytes.
    pub size_bytes: u64,
    /// The archive's digest.
    pub sha256: Sha256Digest,
}

/// Which program part can load a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ModelKind {
    /// Speech to text by whisper.cpp (a ggml file).
    Whisper,
    /// Voice activity detection (ONNX).
    Vad,
    /// Turn detection: does a pause end the turn? (ONNX)
    Turn,
    /// A voice for Piper: an ONNX file and its description, `.onnx.json`, beside it.
    PiperVoice,
    /// The shared library that runs ONNX models.
    Runtime,
}

impl ModelKind {
    /// As the manifest writes it, such as `piper-voice`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Whisper => "whisper",
            Self::Vad => "vad",
            Self::Turn => "turn",
            Self::PiperVoice => "piper-voice",
            Self::Runtime => "runtime",
        }
    }
}

impl fmt::Display for ModelKind {
    /// With its article, for use in a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whisper => "a Whisper model",
            Self::Vad => "a voice activity detector",
            Self::Turn => "a turn detector",
            Self::PiperVoice => "a Piper voice",
            Self::Runtime => "a runtime library",
        })
    }
}

/// The platform that this program was built for, such as `linux-x64`, `macos-aarch64`. Empty where
/// no published library can be loaded (a static musl program).
pub const PLATFORM: &str = if cfg!(target_env = "musl") {
    ""
} else if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
    "linux-x64"
} else if cfg!(all(target_os = "linux", target_arch = "aarch64")) {
    "linux-aarch64"
} else if cfg!(all(target_os = "macos", target_arch = "aarch64")) {
    "macos-aarch64"
} else if cfg!(all(target_os = "windows", target_arch = "x86_64")) {
    "windows-x64"
} else if cfg!(all(target_os = "windows", target_arch = "aarch64")) {
    "windows-aarch64"
} else {
    ""
};

/// Why a text is not a manifest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Not TOML, or not of the manifest's shape.
    #[error("the model manifest cannot be read")]
    Syntax(#[from] toml::de::Error),
    /// Two entries share a name or a file.
    #[error("the model manifest states {0:?} twice")]
    Duplicate(String),
    /// An entry's field has a value that it cannot have.
    #[error("the model manifest's entry {name:?}: {field} {problem}")]
    Field {
        /// The entry.
        name: String,
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl Manifest {
    /// The manifest that ships with the program. Parsed at the first call.
    #[must_use]
    pub fn embedded() -> &'static Self {
        static EMBEDDED: OnceLock<Manifest> = OnceLock::new();
        EMBEDDED.get_or_init(|| {
            Self::parse(include_str!("../manifest.toml"))
                .expect("a test parses the embedded manifest")
        })
    }

    /// Reads and checks a manifest.
    ///
    /// # Errors
    ///
    /// [`ManifestError`] when the text is not TOML of the manifest's shape, when a name or a file
    /// comes twice, when a file is no plain file name, a URL not `https:`, a size zero, or a member's path
    /// leads out of its archive.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Document {
            model: Vec<Entry>,
        }

        let entries = toml::from_str::<Document>(text)?.model;
        let mut seen = HashSet::from([demo::NAME]);
        for entry in &entries {
            entry.check()?;
            let files = entry.files.iter().map(|file| &file.name);
            for unique in files.chain([&entry.name]) {
                if !seen.insert(unique) {
                    return Err(ManifestError::Duplicate(unique.clone()));
                }
            }
        }
        Ok(Self { entries })
    }

    /// Every model, in the order in which to list them.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The model of that name. A model that comes in builds, such as `onnxruntime-linux-x64`, answers
    /// to its name without the platform as well: `onnxruntime` is the build for [`PLATFORM`].
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Entry> {
        let by_name = self.entries.iter().find(|entry| entry.name == name);
        by_name.or_else(|| self.builds(name).find(|entry| entry.is_for_here()))
    }

    /// The builds of `name` for every platform; none for a model that is for all.
    pub(crate) fn builds(&self, name: &str) -> impl Iterator<Item = &Entry> {
        self.entries
            .iter()
            .filter(move |entry| entry.platform.is_some() && entry.short_name() == name)
    }
}

impl Entry {
    /// The name without the platform: `onnxruntime` of `onnxruntime-linux-x64`.
    fn short_name(&self) -> &str {
        let platform = self.platform.as_deref();
        platform
            .and_then(|platform| self.name.strip_suffix(platform)?.strip_suffix('-'))
            .unwrap_or(&self.name)
    }

    /// The shortest name that finds it on this platform.
    #[must_use]
    pub fn name_here(&self) -> &str {
        if self.is_for_here() {
            self.short_name()
        } else {
            &self.name
        }
    }

    /// Whether this program can use it, as far as the platform goes.
    #[must_use]
    pub fn is_for_here(&self) -> bool {
        self.platform.as_deref().is_none_or(|p| p == PLATFORM)
    }

    /// The size of all its files in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }

    /// The file to load.
    #[must_use]
    pub fn main_file(&self) -> &ModelFile {
        self.files
            .first()
            .expect("a manifest's entry has at least one file")
    }

    fn check(&self) -> Result<(), ManifestError> {
        let wrong = |field, problem| ManifestError::Field {
            name: self.name.clone(),
            field,
            problem,
        };
        if !is_plain(&self.name) {
            return Err(wrong("name", ONLY_PLAIN));
        }
        if self.licence.is_empty() {
            return Err(wrong("licence", "must not be empty"));
        }
        if self.platform.is_some() && self.short_name() == self.name {
            return Err(wrong(
                "platform",
                "must be the end of the name, after a '-'",
            ));
        }
        if self.files.is_empty() {
            return Err(wrong("files", "must not be empty"));
        }
        for file in &self.files {
            file.check()
                .map_err(|(field, problem)| wrong(field, problem))?;
        }
        Ok(())
    }
}

impl ModelFile {
    fn check(&self) -> Result<(), (&'static str, &'static str)> {
        if !is_plain(&self.name) {
            return Err(("file", ONLY_PLAIN));
        }
        if !self.url.starts_with("https://")
            || self.url.contains(|c: char| c.is_whitespace() || c == '\'')
        {
            return Err(("url", "must be an https URL without spaces or quotes"));
        }
        let sizes = [
            Some(self.size_bytes),
            self.archive.as_ref().map(|a| a.size_bytes),
        ];
        if sizes.contains(&Some(0)) {
            return Err(("size_bytes", "must not be zero"));
        }
        if let Some(Archive { member, .. }) = &self.archive
            && !member.split('/').all(is_plain)
        {
            return Err(("member", "must be a plain path within the archive"));
        }
        Ok(())
    }
}

const ONLY_PLAIN: &str = "may hold letters, digits, '.', '_' and '-' only";

/// Whether `text` can stand in paths and commands as it is.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(['.', '-'])
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = r#"
        [[model]]
        name = "tiny"
        kind = "whisper"
        licence = "MIT"
        languages = "multilingual"
        [[model.files]]
        name = "ggml-tiny.bin"
        url = "https://example.com/ggml-tiny.bin"
        size_bytes = 77691713
        sha256 = "be07e048e1e599ad46341c8d2a135645097a538221678b7acdd1b1919c6e1b21"
    "#;

    const BUILD: &str = r#"
        [[model]]
        name = "engine-some-os"
        kind = "runtime"
        platform = "some-os"
        licence = "MIT"
        languages = "any"
        [[model.files]]
        name = "engine.so"
        url = "https://example.com/engine.zip"
        size_bytes = 3
        sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        archive = { member = "lib/engine.so", size_bytes = 77, sha256 = "be07e048e1e599ad46341c8d2a135645097a538221678b7acdd1b1919c6e1b21" }
    "#;

    fn whispers() -> impl Iterator<Item = &'static Entry> {
        let entries = Manifest::embedded().entries().iter();
        entries.filter(|entry| entry.kind == ModelKind::Whisper)
    }

    #[test]
    fn the_embedded_manifest_holds_every_published_whisper() {
        let manifest = Manifest::embedded();
        let sizes = [
            "tiny",
            "tiny.en",
            "base",
            "base.en",
            "small",
            "small.en",
            "medium",
            "medium.en",
        ];
        let large = ["large-v1", "large-v2", "large-v3", "large-v3-turbo"];
        for name in sizes.iter().chain(&large) {
            assert!(manifest.get(name).is_some(), "{name}");
        }
        for name in sizes {
            let five_bit = if name.starts_with("medium") {
                "q5_0"
            } else {
                "q5_1"
            };
            assert!(
                manifest.get(&format!("{name}-{five_bit}")).is_some(),
                "{name}-{five_bit}"
            );
            assert!(
                manifest.get(&format!("{name}-q8_0")).is_some(),
                "{name}-q8_0"
            );
        }
        assert_eq!(whispers().count(), 33);
    }

    #[test]
    fn the_whispers_agree_with_their_own_names() {
        for entry in whispers() {
            assert_eq!(entry.files.len(), 1);
            assert_eq!(entry.main_file().name, format!("ggml-{}.bin", entry.name));
            assert_eq!(
                entry.languages == Languages::English,
                entry.name.contains(".en"),
                "{}",
                entry.name
            );
            // A quantised form is smaller than the model that it is made from.
            if let Some((full, _)) = entry.name.rsplit_once("-q") {
                let full = Manifest::embedded()
                    .get(full)
                    .expect("the full model is listed as well");
                assert!(entry.size_bytes() < full.size_bytes(), "{}", entry.name);
            }
        }
    }

    #[test]
    fn every_file_has_its_own_digest_at_a_fixed_revision() {
        let mut digests = HashSet::new();
        let entries = Manifest::embedded().entries().iter();
        for file in entries.flat_map(|entry| &entry.files) {
            assert!(
                digests.insert(file.sha256),
                "{} shares its digest with another",
                file.name
            );
            // A branch or a tag can move under the digest.
            let is_hash =
                |part: &str| part.len() >= 40 && part.bytes().all(|b| b.is_ascii_hexdigit());
            let hash_in_path = file.url.split('/').any(is_hash);
            let content_addressed = file
                .url
                .starts_with("https://files.pythonhosted.org/packages/");
            assert!(hash_in_path || content_addressed, "{}", file.url);
            if file.archive.is_none() {
                assert_eq!(
                    file.name,
                    file.url.rsplit('/').next().unwrap(),
                    "or a mirror's copy has another name"
                );
            }
        }
    }

    #[test]
    fn voices_come_with_their_description() {
        let mut languages = HashSet::new();
        let entries = Manifest::embedded().entries().iter();
        for entry in entries.filter(|entry| entry.kind == ModelKind::PiperVoice) {
            let [voice, description] = &entry.files[..] else {
                panic!("{}: {} files", entry.name, entry.files.len())
            };
            assert_eq!(
                format!("piper-{}", voice.name),
                entry.name.clone() + ".onnx"
            );
            assert_eq!(description.name, voice.name.clone() + ".json");
            languages.insert(&entry.name["piper-".len()..][..2]);
        }
        assert_eq!(languages, HashSet::from(["en", "es", "pt"]));
    }

    #[test]
    fn the_runtime_answers_to_its_short_name_where_it_runs() {
        let manifest = Manifest::embedded();
        assert_eq!(manifest.builds("onnxruntime").count(), 5);
        assert_eq!(manifest.builds("silero-vad").count(), 0);
        match manifest.get("onnxruntime") {
            Some(entry) => assert_eq!(entry.name, format!("onnxruntime-{PLATFORM}")),
            None => assert!(!manifest.builds("onnxruntime").any(Entry::is_for_here)),
        }
        assert!(manifest.get("onnxruntime-windows-x64").is_some());
    }

    #[test]
    fn an_entry_reads_as_written() {
        let manifest = Manifest::parse(ENTRY).unwrap();
        let entry = manifest.get("tiny").unwrap();
        assert_eq!(
            (entry.size_bytes(), entry.kind, entry.is_for_here()),
            (77_691_713, ModelKind::Whisper, true)
        );
        assert!(manifest.get("base").is_none());

        let manifest = Manifest::parse(BUILD).unwrap();
        assert!(
            manifest.get("engine").is_none(),
            "a build for another platform"
        );
        let entry = manifest.get("engine-some-os").unwrap();
        assert_eq!((entry.short_name(), entry.is_for_here()), ("engine", false));
        let file = entry.main_file();
        assert_eq!(file.url.rsplit('/').next().unwrap(), "engine.zip");
        assert_eq!(file.archive.as_ref().unwrap().member, "lib/engine.so");
    }

    #[test]
    fn a_wrong_manifest_is_refused_with_its_reason() {
        let refused_in = |entry: &str, from: &str, to: &str| {
            let text = entry.replace(from, to);
            assert_ne!(text, entry);
            Manifest::parse(&text).unwrap_err().to_string()
        };
        let refused = |from: &str, to: &str| refused_in(ENTRY, from, to);
        for bad in [
            "../ggml-tiny.bin",
            ".hidden",
            "-rf",
            "a/b",
            "a\\\\b",
            "",
            "nul\\u0000",
        ] {
            assert!(refused("\"ggml-tiny.bin\"", &format!("\"{bad}\"")).contains("file may hold"));
        }
        assert!(refused("https://", "http://").contains("url must be"));
        assert!(refused("size_bytes = 77691713", "size_bytes = 0").contains("size_bytes must not"));
        assert!(refused(r#"name = "tiny""#, r#"name = "demo""#).contains("\"demo\" twice"));
        assert!(refused(r#"name = "tiny""#, r#"name = "ti ny""#).contains("name may hold"));
        assert!(refused(r#""MIT""#, r#""""#).contains("licence must not"));
        refused("be07e048", "be07");
        refused("whisper", "parrot");
        refused("licence =", "license =");
        assert!(
            Manifest::parse(&ENTRY.repeat(2))
                .unwrap_err()
                .to_string()
                .contains("twice")
        );
        assert!(Manifest::parse("not a manifest").is_err());
        let no_files = &ENTRY[..ENTRY.find("[[model.files]]").unwrap()];
        assert!(Manifest::parse(no_files).is_err());
        assert!(
            Manifest::parse(&format!("{no_files}\nfiles = []"))
                .unwrap_err()
                .to_string()
                .contains("files must not be empty")
        );

        for bad in [
            "../engine.so",
            "/lib/engine.so",
            "lib//engine.so",
            "lib/../../x",
            "",
        ] {
            let error = refused_in(BUILD, "lib/engine.so", bad);
            assert!(error.contains("member must be"), "{bad}: {error}");
        }
        let error = refused_in(BUILD, r#"platform = "some-os""#, r#"platform = "other""#);
        assert!(error.contains("platform must be"), "{error}");
        let error = refused_in(BUILD, "size_bytes = 77,", "size_bytes = 0,");
        assert!(error.contains("size_bytes must not"), "{error}");
    }
}
