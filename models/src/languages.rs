//! The languages that a model knows.

use serde::Deserialize;

/// The languages that a model knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "Text")]
#[non_exhaustive]
pub enum Languages {
    /// English alone: the language cannot be chosen or detected.
    English,
    /// The 99 languages of Whisper (100 from large-v3 on), chosen or detected.
    Multilingual,
    /// It does not depend on the language.
    Any,
    /// These, as BCP 47 tags such as `pt-BR`. Not empty.
    Tags(Vec<String>),
}

impl Languages {
    /// Whether the model is of use for the language with the BCP 47 tag `tag`. `es` asks for any
    /// Spanish, `es-MX` for the Mexican or one without a region.
    #[must_use]
    pub fn include(&self, tag: &str) -> bool {
        match self {
            Self::English => primary(tag) == "en",
            Self::Multilingual | Self::Any => true,
            Self::Tags(tags) => tags.iter().any(|known| {
                let general = !tag.contains('-') || !known.contains('-');
                known.eq_ignore_ascii_case(tag) || (general && primary(known) == primary(tag))
            }),
        }
    }
}

/// As the manifest writes it: a word, or a list of tags.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Word(String),
    Tags(Vec<String>),
}

impl TryFrom<Text> for Languages {
    type Error = String;

    fn try_from(text: Text) -> Result<Self, String> {
        match text {
            Text::Word(word) => match word.as_str() {
                "english" => Ok(Self::English),
                "multilingual" => Ok(Self::Multilingual),
                "any" => Ok(Self::Any),
                _ => Err(format!(
                    "languages = {word:?}: english, multilingual, any or a list of tags is wanted"
                )),
            },
            Text::Tags(tags) if tags.is_empty() => Err("languages must not be empty".to_owned()),
            Text::Tags(tags) => Ok(Self::Tags(tags)),
        }
    }
}

fn primary(tag: &str) -> String {
    tag.split('-').next().unwrap_or(tag).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_finds_the_models_that_know_it() {
        let mexican = Languages::Tags(vec!["es-MX".to_owned()]);
        assert!(mexican.include("es") && mexican.include("ES-mx"));
        assert!(!mexican.include("es-ES") && !mexican.include("e") && !mexican.include("pt"));
        let spanish = Languages::Tags(vec!["de".to_owned(), "es".to_owned()]);
        assert!(spanish.include("es-MX") && !spanish.include("en"));
        assert!(Languages::English.include("en-GB") && !Languages::English.include("es"));
        assert!(Languages::Any.include("tlh") && Languages::Multilingual.include("cy"));
        assert!(!mexican.include(""));
    }

    #[test]
    fn it_reads_as_the_manifest_writes_it() {
        #[derive(Deserialize)]
        struct Line {
            languages: Languages,
        }
        let read = |text: &str| {
            toml::from_str::<Line>(&format!("languages = {text}")).map(|line| line.languages)
        };
        assert_eq!(read("\"english\"").unwrap(), Languages::English);
        assert_eq!(
            read("[\"pt-BR\"]").unwrap(),
            Languages::Tags(vec!["pt-BR".to_owned()])
        );
        assert!(
            read("\"klingon\"")
                .unwrap_err()
                .to_string()
                .contains("klingon")
        );
        assert!(read("[]").is_err() && read("3").is_err());
    }
}
