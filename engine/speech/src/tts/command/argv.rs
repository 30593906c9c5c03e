//! A program's arguments with places for what is said.

use std::{env, ffi::OsStr, path::Path};

use sidetone_core::job::Service;
use tokio::process::Command;

use super::TextOn;
use crate::error::ProviderError;

/// A program that was there when it was looked for, and its arguments.
#[derive(Debug)]
pub(super) struct Argv {
    program: String,
    arguments: Vec<Vec<Part>>,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Text,
    Voice,
    Language,
}

impl Argv {
    pub(super) fn parse(command: &[String], text_on: TextOn) -> Result<Self, ProviderError> {
        let bad = |value: &str, expected: &str| ProviderError::Config {
            service: Service::Tts,
            key: "command",
            value: Some(value.to_owned()),
            expected: expected.to_owned(),
        };
        let [program, arguments @ ..] = command else {
            return Err(bad("", "must name a program"));
        };
        let mut parsed = Vec::new();
        for argument in arguments {
            parsed.push(parse_argument(argument).map_err(|()| {
                bad(
                    argument,
                    "may hold {text}, {voice} and {language}, and no other {word}",
                )
            })?);
        }
        let takes_text = parsed.iter().flatten().any(|part| *part == Part::Text);
        let shown = command.join(" ");
        match (text_on, takes_text) {
            (TextOn::Argument, false) => {
                return Err(bad(&shown, "must have {text} in one of its arguments"));
            }
            (TextOn::Stdin, true) => {
                return Err(bad(
                    &shown,
                    "must not have {text}: the text goes to its input",
                ));
            }
            _ => {}
        }
        look_for(program)?;
        Ok(Self {
            program: program.clone(),
            arguments: parsed,
        })
    }

    pub(super) fn program(&self) -> &str {
        &self.program
    }

    pub(super) fn fill(&self, text: &str, voice: &str, language: &str) -> Command {
        let mut command = Command::new(&self.program);
        for argument in &self.arguments {
            let mut filled = String::new();
            for part in argument {
                match part {
                    Part::Literal(literal) => filled.push_str(literal),
                    // At the start of an argument, a dash would make an option of it.
                    Part::Text if filled.is_empty() && text.starts_with('-') => {
                        filled.push(' ');
                        filled.push_str(text);
                    }
                    Part::Text => filled.push_str(text),
                    Part::Voice => filled.push_str(voice),
                    Part::Language => filled.push_str(language),
                }
            }
            command.arg(filled);
        }
        command
    }
}

fn parse_argument(argument: &str) -> Result<Vec<Part>, ()> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = argument;
    while let Some((before, after)) = rest.split_once('{') {
        literal.push_str(before);
        let name = after.split_once('}');
        let name = name.filter(|(name, _)| name.chars().all(|c| c.is_ascii_lowercase()));
        let Some((name, after)) = name.filter(|(name, _)| !name.is_empty()) else {
            // Any other brace is just a brace.
            literal.push('{');
            rest = after;
            continue;
        };
        let part = match name {
            "text" => Part::Text,
            "voice" => Part::Voice,
            "language" => Part::Language,
            _ => return Err(()),
        };
        if !literal.is_empty() {
            parts.push(Part::Literal(std::mem::take(&mut literal)));
        }
        parts.push(part);
        rest = after;
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    Ok(parts)
}

/// Whether `program` can be run, as the system would look for it.
fn look_for(program: &str) -> Result<(), ProviderError> {
    let missing = |problem| ProviderError::Program {
        service: Service::Tts,
        program: program.to_owned(),
        problem,
        hint: match Path::new(program).file_name().and_then(OsStr::to_str) {
            Some("espeak-ng") => {
                "; install it: `apt-get install espeak-ng`, or `brew install espeak-ng`"
            }
            _ => "",
        },
    };
    if program.contains(std::path::MAIN_SEPARATOR) {
        let found = is_executable(Path::new(program));
        return found
            .then_some(())
            .ok_or_else(|| missing("is no executable file"));
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let found = !program.is_empty()
        && env::split_paths(&path).any(|folder| is_executable(&folder.join(program)));
    found
        .then_some(())
        .ok_or_else(|| missing("is in no folder of PATH"))
}

#[cfg(unix)]
fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(file: &Path) -> bool {
    let name = |extension| file.with_extension(extension);
    file.is_file() || name("exe").is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(command: &[&str], text_on: TextOn) -> Result<Argv, String> {
        let command: Vec<String> = command.iter().map(|part| (*part).into()).collect();
        Argv::parse(&command, text_on).map_err(|error| error.to_string())
    }

    fn filled(arguments: &[&str], text: &str) -> Vec<String> {
        let argv = parse(&[&["sh"], arguments].concat(), TextOn::Argument).unwrap();
        let command = argv.fill(text, "slt", "en");
        let arguments = command.as_std().get_args();
        arguments
            .map(|argument| argument.to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn places_are_filled_once() {
        let arguments = filled(
            &["-v={voice}_{language}", "{\"a\": {}}", "{text}"],
            "say {voice}",
        );
        assert_eq!(arguments, ["-v=slt_en", "{\"a\": {}}", "say {voice}"]);
    }

    #[test]
    fn text_never_becomes_an_option() {
        assert_eq!(filled(&["{text}"], "--help"), [" --help"]);
        assert_eq!(
            filled(&["--text={text}"], "-5 degrees"),
            ["--text=-5 degrees"]
        );
    }

    #[test]
    fn a_bad_command_is_named() {
        for (command, text_on, says) in [
            (
                &[][..],
                TextOn::Stdin,
                "`tts.command` = \"\": must name a program",
            ),
            (
                &["sh", "{txt}"],
                TextOn::Stdin,
                "= \"{txt}\": may hold {text}, {voice}",
            ),
            (&["sh", "-c"], TextOn::Argument, "must have {text}"),
            (&["sh", "{text}"], TextOn::Stdin, "must not have {text}"),
            (
                &["no-such-voice"],
                TextOn::Stdin,
                "\"no-such-voice\" is in no folder of PATH",
            ),
            (
                &["/no/espeak-ng"],
                TextOn::Stdin,
                "is no executable file; install it: `apt-get",
            ),
        ] {
            let error = parse(command, text_on).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
