//! The manifest: every model that can be fetched, with what it takes to fetch and verify it.

use std::collections::HashSet;
use std::sync::OnceLock;

use serde::Deserialize;

use crate::{Sha256Digest, demo};

/// The models that can be fetched. [`Manifest::embedded`] is the one that ships with the program.
#[derive(Debug, Clone)]
pub struct Manifest {
    entries: Vec<Entry>,
}

/// One model that can be fetched: one file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The name to use in the configuration, such as `base.en-q5_1`. Unique in the manifest.
    pub name: String,
    /// Which program part can load it.
    pub kind: ModelKind,
    /// The file's name in the models directory. Unique in the manifest, without a directory.
    pub file: String,
    /// Where the file is fetched from; an `https:` URL at a fixed revision.
    pub url: String,
    /// The file's size in bytes.
    pub size_bytes: u64,
    /// The file's digest, as the publisher states it.
    pub sha256: Sha256Digest,
    /// The licence of the weights, as an SPDX identifier.
    pub licence: String,
    /// The languages that the model knows.
    pub languages: Languages,
}

/// Which program part can load a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ModelKind {
    /// Speech to text by whisper.cpp (a ggml file).
    Whisper,
}

/// The languages that a model knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Languages {
    /// English alone: the language cannot be chosen or detected.
    English,
    /// The 99 languages of Whisper (100 from large-v3 on), chosen or detected.
    Multilingual,
}

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
    /// comes twice, when a file is no plain file name, a URL not `https:`, or a size zero.
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
            for unique in [&entry.name, &entry.file] {
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

    /// The model of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }
}

impl Entry {
    fn check(&self) -> Result<(), ManifestError> {
        let wrong = |field, problem| ManifestError::Field {
            name: self.name.clone(),
            field,
            problem,
        };
        // Both become part of paths and of a shell command.
        let plain = |text: &str| {
            !text.is_empty()
                && !text.starts_with('.')
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        };
        if !plain(&self.name) {
            return Err(wrong(
                "name",
                "may hold letters, digits, '.', '_' and '-' only",
            ));
        }
        if !plain(&self.file) {
            return Err(wrong(
                "file",
                "may hold letters, digits, '.', '_' and '-' only",
            ));
        }
        if !self.url.starts_with("https://")
            || self.url.contains(|c: char| c.is_whitespace() || c == '\'')
        {
            return Err(wrong(
                "url",
                "must be an https URL without spaces or quotes",
            ));
        }
        if self.size_bytes == 0 {
            return Err(wrong("size_bytes", "must not be zero"));
        }
        if self.licence.is_empty() {
            return Err(wrong("licence", "must not be empty"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = r#"
        [[model]]
        name = "tiny"
        kind = "whisper"
        file = "ggml-tiny.bin"
        url = "https://example.com/ggml-tiny.bin"
        size_bytes = 77691713
        sha256 = "be07e048e1e599ad46341c8d2a135645097a538221678b7acdd1b1919c6e1b21"
        licence = "MIT"
        languages = "multilingual"
    "#;

    #[test]
    fn the_embedded_manifest_holds_every_published_model() {
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
        assert_eq!(manifest.entries().len(), 33);
    }

    #[test]
    fn the_embedded_manifest_agrees_with_its_own_names() {
        let mut digests = HashSet::new();
        for entry in Manifest::embedded().entries() {
            assert_eq!(entry.file, format!("ggml-{}.bin", entry.name));
            assert!(
                entry.url.ends_with(&format!("/{}", entry.file)),
                "{}",
                entry.url
            );
            assert!(
                !entry.url.contains("/main/"),
                "a branch can move under the digest: {}",
                entry.url
            );
            assert_eq!(
                entry.languages == Languages::English,
                entry.name.contains(".en"),
                "{}",
                entry.name
            );
            assert!(
                digests.insert(entry.sha256),
                "{} shares its digest with another",
                entry.name
            );
            // A quantised form is smaller than the model that it is made from.
            if let Some((full, _)) = entry.name.rsplit_once("-q") {
                let full = Manifest::embedded()
                    .get(full)
                    .expect("the full model is listed as well");
                assert!(entry.size_bytes < full.size_bytes, "{}", entry.name);
            }
        }
    }

    #[test]
    fn an_entry_reads_as_written() {
        let manifest = Manifest::parse(ENTRY).unwrap();
        let entry = manifest.get("tiny").unwrap();
        assert_eq!(
            (entry.size_bytes, entry.kind),
            (77_691_713, ModelKind::Whisper)
        );
        assert!(manifest.get("base").is_none());
    }

    #[test]
    fn a_wrong_manifest_is_refused_with_its_reason() {
        let refused = |from: &str, to: &str| {
            let text = ENTRY.replace(from, to);
            assert_ne!(text, ENTRY);
            Manifest::parse(&text).unwrap_err().to_string()
        };
        assert!(refused(r#""ggml-tiny.bin""#, r#""../ggml-tiny.bin""#).contains("file may hold"));
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
    }
}
