//! What can be wrong with a configuration, said so that it can be put right.

use std::{fmt, path::PathBuf};

use figment::error::{Actual, Kind};
use thiserror::Error;

/// A configuration that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration file {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{}:{line}: not valid TOML: {problem}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What the parser met.
        problem: String,
    },
    /// A key that does not exist.
    #[error(
        "{origin}unknown key `{key}`{}; {}",
        did_you_mean(key, allowed),
        known(key, allowed)
    )]
    UnknownKey {
        /// Where it was set.
        origin: Origin,
        /// The key as written, `section.key`.
        key: String,
        /// The keys that exist there.
        allowed: &'static [&'static str],
    },
    /// A variable that names a key with one underscore after the section, in place of two.
    #[error("environment variable {name}: did you mean {meant}, with two underscores?")]
    Variable {
        /// The variable.
        name: String,
        /// The one that would set the key.
        meant: String,
    },
    /// A value that is not allowed.
    #[error("{origin}`{key}`{}: {expected}", shown(value))]
    Value {
        /// Where it was set.
        origin: Origin,
        /// The key, `section.key`.
        key: String,
        /// The value given; `None` for a secret, or where there is none.
        value: Option<String>,
        /// What is allowed.
        expected: String,
    },
}

/// Where a setting was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// In the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// In an environment variable of this name.
    Variable(String),
    /// Nowhere: the default.
    Default,
}

/// As an error begins with it.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}: ", path.display()),
            Self::Variable(name) => write!(f, "environment variable {name}: "),
            Self::Default => Ok(()),
        }
    }
}

impl ConfigError {
    /// A value that is not allowed; says `value` unless `key` is a secret.
    pub(super) fn value(origin: Origin, key: &str, value: &str, expected: &str) -> Self {
        Self::Value {
            origin,
            key: key.to_owned(),
            value: (!is_secret(key)).then(|| value.to_owned()),
            expected: expected.to_owned(),
        }
    }

    pub(super) fn from_figment(error: &figment::Error, origin: impl Fn(&str) -> Origin) -> Self {
        let path = error.path.join(".");
        match &error.kind {
            Kind::UnknownField(name, allowed) => {
                // The path ends with the key where figment knows it, and else with its section.
                let key = match error.path.last() {
                    Some(last) if last == name => path,
                    Some(_) => format!("{path}.{name}"),
                    None => name.clone(),
                };
                Self::UnknownKey {
                    origin: origin(&key),
                    key,
                    allowed,
                }
            }
            Kind::UnknownVariant(value, allowed) => {
                let expected = format!("must be {}", one_of(allowed));
                Self::value(origin(&path), &path, &format!("{value:?}"), &expected)
            }
            Kind::InvalidType(value, expected) | Kind::InvalidValue(value, expected) => {
                let expected = if path.contains('.') {
                    format!("must be {}", plain(expected))
                } else {
                    format!("is a section: write [{path}] and its keys below it")
                };
                Self::value(origin(&path), &path, &actual(value), &expected)
            }
            // What is left comes from a type's own parser.
            kind => {
                let expected = match expectation(&path) {
                    Some(expected) => expected.to_owned(),
                    None => kind.to_string(),
                };
                Self::Value {
                    origin: origin(&path),
                    key: path,
                    value: None,
                    expected,
                }
            }
        }
    }
}

/// What is allowed where the type's own parser does not say it.
fn expectation(key: &str) -> Option<&'static str> {
    (key == "server.listen")
        .then_some("must be an IP address and a port, such as \"127.0.0.1:8080\" or \"[::]:8080\"")
}

/// The name of a Rust type as its reader would say it.
fn plain(expected: &str) -> &str {
    match expected {
        "usize" | "u64" | "u32" => "a whole number, 0 or more",
        "f32" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list of strings",
        other => other,
    }
}

fn is_secret(key: &str) -> bool {
    [".auth_token", ".api_key", "_secret", ".secret"]
        .iter()
        .any(|end| key.ends_with(end))
        || key == "store.url"
}

fn actual(value: &Actual) -> String {
    match value {
        Actual::Bool(value) => value.to_string(),
        Actual::Unsigned(value) => value.to_string(),
        Actual::Signed(value) => value.to_string(),
        Actual::Float(value) => value.to_string(),
        Actual::Str(value) => format!("{value:?}"),
        Actual::Seq => "an array".to_owned(),
        Actual::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}

fn shown(value: &Option<String>) -> String {
    value
        .as_ref()
        .map_or_else(String::new, |value| format!(" = {value}"))
}

fn did_you_mean(key: &str, allowed: &[&str]) -> String {
    let written = key.rsplit('.').next().unwrap_or(key);
    let nearest = allowed
        .iter()
        .map(|name| (strsim::damerau_levenshtein(written, name), name))
        .min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((distance, name)) if distance <= written.len().max(3) / 3 => {
            format!(", did you mean `{name}`?")
        }
        _ => String::new(),
    }
}

fn known(key: &str, allowed: &[&str]) -> String {
    let keys = allowed.join(", ");
    match key.rsplit_once('.') {
        Some((section, _)) => format!("[{section}] has {keys}"),
        None => format!("the sections are {keys}"),
    }
}

fn one_of(values: &[&str]) -> String {
    let quoted: Vec<_> = values.iter().map(|value| format!("{value:?}")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}
