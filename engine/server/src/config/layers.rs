//! Where settings come from: the file, and the environment over it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use figment::{
    Figment, Metadata, Profile, Provider,
    providers::Serialized,
    value::{Dict, Map, Value},
};
use serde::Deserialize as _;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::{Config, ConfigError, error::Origin};

/// A variable with this prefix sets the key that follows: `SIDETONE_SERVER__LISTEN` is
/// `server.listen`.
const PREFIX: &str = "SIDETONE_";

/// Between section and key; a key may hold a single underscore. Variables with the prefix and
/// without it are other parts' business, unless they look like a key all the same.
const SEPARATOR: &str = "__";

/// Variables with names of their own, and their keys.
const NAMED: [(&str, &str); 2] = [
    ("TWILIO_ACCOUNT_SID", "twilio.account_sid"),
    ("TWILIO_AUTH_TOKEN", "twilio.auth_token"),
];

/// The layers, merged, and what is needed to say where a setting came from.
pub(super) struct Layers {
    figment: Figment,
    file: Option<File>,
}

/// A configuration file that is valid TOML.
struct File {
    path: PathBuf,
    text: String,
}

impl Layers {
    pub(super) fn read(
        path: Option<&Path>,
        variables: &BTreeMap<String, String>,
    ) -> Result<Self, ConfigError> {
        let mut figment = Figment::from(Serialized::defaults(Config::default()));
        let shape = figment
            .find_value("")
            .expect("the defaults are a table of tables");

        let file = path.map(File::read).transpose()?;
        if let Some(file) = &file {
            figment = figment.merge(file);
        }
        for (variable, key) in NAMED {
            if let Some(text) = variables.get(variable) {
                figment = figment.merge(Variable::new(variable, key, text, &shape));
            }
        }
        for (variable, text) in variables {
            let Some(name) = variable.strip_prefix(PREFIX) else {
                continue;
            };
            if name.contains(SEPARATOR) {
                let key = name.to_ascii_lowercase().replace(SEPARATOR, ".");
                figment = figment.merge(Variable::new(variable, &key, text, &shape));
            } else if let Some(meant) = with_separator(name, &shape) {
                return Err(ConfigError::Variable {
                    name: variable.clone(),
                    meant,
                });
            }
        }
        Ok(Self { figment, file })
    }

    pub(super) fn extract(&self) -> Result<Config, ConfigError> {
        self.figment
            .extract()
            .map_err(|error| ConfigError::from_figment(&error, |key| self.origin(key)))
    }

    /// Where the value of `key` (`section.key`) was set.
    pub(super) fn origin(&self, key: &str) -> Origin {
        match self.figment.find_metadata(key) {
            Some(layer) if layer.name.starts_with(VARIABLE) => {
                Origin::Variable(layer.name[VARIABLE.len()..].to_owned())
            }
            Some(layer) if layer.name == FILE => {
                let file = self.file.as_ref().expect("the layer is there");
                Origin::File {
                    path: file.path.clone(),
                    line: file.line_of(key),
                }
            }
            _ => Origin::Default,
        }
    }
}

/// The variable that was meant, where `name` is a section and a key with one underscore between.
fn with_separator(name: &str, shape: &Value) -> Option<String> {
    let key = name.to_ascii_lowercase();
    let sections = shape.as_dict()?.iter();
    let (section, key) = sections
        .filter_map(|(section, keys)| {
            let key = key.strip_prefix(section.as_str())?.strip_prefix('_')?;
            keys.as_dict()?.contains_key(key).then_some((section, key))
        })
        .next()?;
    Some(format!("{PREFIX}{section}{SEPARATOR}{key}").to_ascii_uppercase())
}

const FILE: &str = "file";
const VARIABLE: &str = "variable ";

impl File {
    fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let file = Self {
            path: path.to_owned(),
            text,
        };
        match DeTable::parse(&file.text) {
            Ok(_) => Ok(file),
            // The parser's own rendering quotes the line, which may hold a secret.
            Err(error) => Err(ConfigError::Syntax {
                line: error.span().map_or(1, |span| file.line_at(span.start)),
                path: file.path,
                problem: error.message().to_owned(),
            }),
        }
    }

    /// The line of `key`, or of the innermost table around it that is there.
    fn line_of(&self, key: &str) -> usize {
        let Ok(root) = DeTable::parse(&self.text) else {
            return 1;
        };
        let mut table = root.get_ref();
        let mut offset = 0;
        for part in key.split('.') {
            let Some((name, value)) = table.iter().find(|(name, _)| name.get_ref() == part) else {
                break;
            };
            offset = name.span().start;
            match value.get_ref() {
                DeValue::Table(inner) => table = inner,
                _ => break,
            }
        }
        self.line_at(offset)
    }

    fn line_at(&self, offset: usize) -> usize {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }
}

impl Provider for &File {
    fn metadata(&self) -> Metadata {
        Metadata::named(FILE)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let table: toml::Table =
            toml::from_str(&self.text).map_err(|error| error.message().to_owned())?;
        Serialized::defaults(table).data()
    }
}

/// One environment variable.
struct Variable {
    name: String,
    key: String,
    value: Value,
}

impl Variable {
    /// A text where `shape` has a text, so that a key of digits stays what it is; otherwise
    /// whatever TOML would read.
    fn new(name: &str, key: &str, text: &str, shape: &Value) -> Self {
        let value = match shape.find_ref(key) {
            Some(Value::String(..)) | None => Value::from(text),
            Some(_) => read_value(text),
        };
        Self {
            name: name.to_owned(),
            key: key.to_owned(),
            value,
        }
    }
}

impl Provider for Variable {
    fn metadata(&self) -> Metadata {
        Metadata::named(format!("{VARIABLE}{}", self.name))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Serialized::default(&self.key, &self.value).data()
    }
}

/// What TOML would read; a bare word is a text.
fn read_value(text: &str) -> Value {
    ValueDeserializer::parse(text)
        .and_then(toml::Value::deserialize)
        .ok()
        .and_then(|value| Value::serialize(value).ok())
        .unwrap_or_else(|| Value::from(text))
}
