//! A script's TOML, checked so that a conversation cannot get stuck in it.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use serde::Deserialize;
use sidetone_core::job::Expect;
use toml::Spanned;

use super::{
    Script, ScriptError,
    pattern::{Pattern, Slot, Slots, alternative, list},
    words::Numbers,
};

/// One place in the conversation.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) rules: Vec<Rule>,
    pub(super) otherwise: Option<Variants>,
    /// What kind of answer the agent waits for here.
    pub(super) expect: Option<Expect>,
}

/// What to do when the caller says something.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) when: Vec<Pattern>,
    pub(super) needs: Vec<String>,
    pub(super) answer: Answer,
}

/// What the agent does then.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// `None`: what was said last, once more.
    pub(super) say: Option<Variants>,
    pub(super) goto: Option<String>,
    pub(super) hang_up: bool,
    pub(super) interruptible: bool,
}

/// Ways to say a thing, taken in turn; at least one.
#[derive(Clone, Debug)]
pub(super) struct Variants {
    /// Which of the script's, to count how often it was used.
    pub(super) id: usize,
    pub(super) lines: Vec<Template>,
}

/// Text with slots in it.
#[derive(Clone, Debug)]
pub(super) struct Template(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Slot(String),
}

impl Template {
    pub(super) fn fill(&self, values: &BTreeMap<&str, String>, slots: &Slots) -> String {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Slot(name) => {
                    let value = values
                        .get(name.as_str())
                        .map(String::as_str)
                        .unwrap_or_default();
                    match slots.named.get(name) {
                        Some(Slot::Digits { .. }) => text.push_str(&slots.numbers.say(value)),
                        _ => text.push_str(value),
                    }
                }
            }
        }
        text
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScript {
    language: Option<Spanned<String>>,
    start: Spanned<String>,
    opening: Spanned<String>,
    otherwise: Spanned<Lines>,
    max_misses: Option<Spanned<u32>>,
    give_up: Option<Spanned<RawAnswer>>,
    #[serde(default)]
    slots: BTreeMap<String, Spanned<RawSlot>>,
    #[serde(default)]
    always: Vec<Spanned<RawRule>>,
    states: BTreeMap<String, Spanned<RawState>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSlot {
    kind: Spanned<String>,
    min: Option<usize>,
    max: Option<usize>,
    #[serde(default)]
    options: BTreeMap<String, Vec<Spanned<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawState {
    expect: Option<Spanned<String>>,
    otherwise: Option<Spanned<Lines>>,
    #[serde(default)]
    rules: Vec<Spanned<RawRule>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    when: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    needs: Vec<Spanned<String>>,
    say: Option<Spanned<Lines>>,
    #[serde(default)]
    repeat: bool,
    goto: Option<Spanned<String>>,
    #[serde(default)]
    hang_up: bool,
    #[serde(default = "yes")]
    interruptible: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAnswer {
    say: Spanned<Lines>,
    goto: Option<Spanned<String>>,
    #[serde(default)]
    hang_up: bool,
    #[serde(default = "yes")]
    interruptible: bool,
}

fn yes() -> bool {
    true
}

/// One line, or variants of it.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a text or a list of texts")]
enum Lines {
    One(String),
    Many(Vec<String>),
}

/// Where in the file, and under which key, something is wrong.
struct Check<'a> {
    source: &'a str,
    /// How many lists of variants were numbered.
    numbered: Cell<usize>,
}

type Checked<T> = Result<T, ScriptError>;

impl Script {
    pub(super) fn from_toml(source: &str) -> Checked<Self> {
        let numbered = Cell::new(0);
        let check = Check { source, numbered };
        let raw: RawScript = toml::from_str(source).map_err(|error| {
            let at = error.span().unwrap_or_default();
            check.error(&at, "", error.message().replace('\n', " "))
        })?;
        check.script(raw)
    }
}

impl Check<'_> {
    fn script(&self, raw: RawScript) -> Checked<Script> {
        let language = raw
            .language
            .as_ref()
            .map_or("en", |language| language.as_ref());
        if let Some(given) = &raw.language
            && !(language.len() == 2 && language.bytes().all(|byte| byte.is_ascii_lowercase()))
        {
            let problem = "must be an ISO 639-1 code such as \"en\", \"es\" or \"pt\"";
            return Err(self.error(&given.span(), "language", problem));
        }
        let mut named = BTreeMap::new();
        for (name, slot) in &raw.slots {
            named.insert(name.clone(), self.slot(name, slot)?);
        }
        let slots = Slots {
            named,
            numbers: Numbers::of(language),
        };
        let names: BTreeSet<String> = raw.states.keys().cloned().collect();
        let known = Known {
            states: &names,
            slots: &slots,
        };

        let mut states = BTreeMap::new();
        for (name, state) in &raw.states {
            let key = format!("states.{name}");
            let rules = self.rules(&format!("{key}.rules"), &state.get_ref().rules, &known)?;
            let otherwise = state.get_ref().otherwise.as_ref();
            let otherwise = otherwise
                .map(|lines| self.variants(&format!("{key}.otherwise"), lines, &[]))
                .transpose()?;
            let expect = state.get_ref().expect.as_ref();
            let expect = expect
                .map(|expect| self.expect(&format!("{key}.expect"), expect, &slots))
                .transpose()?;
            let state = State {
                rules,
                otherwise,
                expect,
            };
            states.insert(name.clone(), state);
        }
        let always = self.rules("always", &raw.always, &known)?;
        let give_up = raw.give_up.as_ref().map(|answer| {
            let answer = answer.get_ref();
            Ok(Answer {
                say: Some(self.variants("give_up.say", &answer.say, &[])?),
                goto: self.goto("give_up.goto", answer.goto.as_ref(), &known)?,
                hang_up: answer.hang_up,
                interruptible: answer.interruptible,
            })
        });
        let give_up = give_up.transpose()?;
        let max_misses = raw
            .max_misses
            .as_ref()
            .map_or(3, |misses| *misses.get_ref());
        if let Some(given) = raw.max_misses.filter(|_| max_misses == 0) {
            return Err(self.error(&given.span(), "max_misses", "must be at least 1"));
        }
        let start = self
            .goto("start", Some(&raw.start), &known)?
            .unwrap_or_default();
        let opening = self.text("opening", &raw.opening)?;
        let otherwise = self.variants("otherwise", &raw.otherwise, &[])?;
        let script = Script {
            start,
            opening,
            otherwise,
            max_misses,
            give_up,
            slots,
            always,
            states,
        };
        self.captured(&script, &raw.slots)?;
        self.reachable(&script, &raw.states)?;
        Ok(script)
    }

    fn slot(&self, name: &str, slot: &Spanned<RawSlot>) -> Checked<Slot> {
        let key = format!("slots.{name}");
        let raw = slot.get_ref();
        let bad = |problem: &str| Err(self.error(&slot.span(), &key, problem));
        let (min, max) = (raw.min, raw.max);
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(is_name) {
            return bad("a slot's name is letters, digits and `_`");
        }
        match raw.kind.as_ref().as_str() {
            _ if !raw.options.is_empty() && raw.kind.as_ref() != "choice" => {
                bad("only a slot of the kind \"choice\" has `options`")
            }
            "digits" => {
                let (min, max) = (min.unwrap_or(1), max.unwrap_or(20));
                if min == 0 || min > max {
                    return bad("`min` must be at least 1 and not above `max`");
                }
                Ok(Slot::Digits { min, max })
            }
            "words" => {
                let max = max.unwrap_or(8);
                if max == 0 || min.is_some() {
                    return bad("`max` must be at least 1, and there is no `min`");
                }
                Ok(Slot::Words { max })
            }
            "choice" => {
                if raw.options.is_empty() || min.is_some() || max.is_some() {
                    return bad("a choice has `options`, and neither `min` nor `max`");
                }
                let mut options = Vec::new();
                for (option, ways) in &raw.options {
                    let key = format!("{key}.options.{option}");
                    let ways: Checked<Vec<_>> = ways
                        .iter()
                        .map(|way| {
                            alternative(way.as_ref())
                                .map_err(|problem| self.error(&way.span(), &key, problem))
                        })
                        .collect();
                    options.push((option.clone(), ways?));
                }
                Ok(Slot::Choice(options))
            }
            _ => {
                let problem = "must be \"digits\", \"words\" or \"choice\"";
                Err(self.error(&raw.kind.span(), &format!("{key}.kind"), problem))
            }
        }
    }

    fn rules(
        &self,
        key: &str,
        rules: &[Spanned<RawRule>],
        known: &Known<'_>,
    ) -> Checked<Vec<Rule>> {
        let mut checked = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            // People count from one.
            checked.push(self.rule(&format!("{key}[{}]", index + 1), rule, known)?);
        }
        Ok(checked)
    }

    fn rule(&self, key: &str, rule: &Spanned<RawRule>, known: &Known<'_>) -> Checked<Rule> {
        let raw = rule.get_ref();
        let patterns = raw.when.get_ref();
        if patterns.is_empty() {
            let problem = "must hold at least one thing the caller may say";
            return Err(self.error(&raw.when.span(), &format!("{key}.when"), problem));
        }
        let mut when = Vec::new();
        for pattern in patterns {
            let parsed = Pattern::parse(pattern.as_ref(), known.slots);
            when.push(
                parsed.map_err(|problem| {
                    self.error(&pattern.span(), &format!("{key}.when"), problem)
                })?,
            );
        }
        for need in &raw.needs {
            if !known.slots.named.contains_key(need.as_ref()) {
                let slots = list(known.slots.named.keys());
                let problem = format!("no slot `{}`; the slots are {slots}", need.as_ref());
                return Err(self.error(&need.span(), &format!("{key}.needs"), problem));
            }
        }
        let needs: Vec<String> = raw.needs.iter().map(|need| need.as_ref().clone()).collect();
        let say = match (&raw.say, raw.repeat) {
            (Some(lines), false) => {
                // A reply never has a hole: each of its slots is filled whenever the rule applies.
                let taken =
                    |slot: &&String| when.iter().all(|w| w.slots().contains(&slot.as_str()));
                let mut filled: Vec<&str> = needs.iter().map(String::as_str).collect();
                filled.extend(known.slots.named.keys().filter(taken).map(String::as_str));
                Some(self.variants(&format!("{key}.say"), lines, &filled)?)
            }
            (None, true) => None,
            _ => {
                let problem = "must have either `say` or `repeat = true`";
                return Err(self.error(&rule.span(), key, problem));
            }
        };
        let goto = self.goto(&format!("{key}.goto"), raw.goto.as_ref(), known)?;
        let answer = Answer {
            say,
            goto,
            hang_up: raw.hang_up,
            interruptible: raw.interruptible,
        };
        Ok(Rule {
            when,
            needs,
            answer,
        })
    }

    fn goto(
        &self,
        key: &str,
        state: Option<&Spanned<String>>,
        known: &Known<'_>,
    ) -> Checked<Option<String>> {
        let Some(state) = state else {
            return Ok(None);
        };
        let name = state.as_ref();
        if !known.states.contains(name) {
            let states = list(known.states.iter());
            let problem = format!("no state `{name}`; the states are {states}");
            return Err(self.error(&state.span(), key, problem));
        }
        Ok(Some(name.clone()))
    }

    fn expect(&self, key: &str, expect: &Spanned<String>, slots: &Slots) -> Checked<Expect> {
        match (expect.as_ref().as_str(), slots.named.get(expect.as_ref())) {
            ("yes_no", _) => Ok(Expect::YesNo),
            ("date", _) => Ok(Expect::Date),
            ("spelling", _) => Ok(Expect::Spelling),
            (_, Some(Slot::Digits { min, max })) => {
                let digits = |n: usize| u8::try_from(n).unwrap_or(u8::MAX);
                Ok(Expect::Digits {
                    min: digits(*min),
                    max: digits(*max),
                })
            }
            _ => {
                let problem = "must be \"yes_no\", \"date\", \"spelling\", or the name of a slot of the \
                               kind \"digits\"";
                Err(self.error(&expect.span(), key, problem))
            }
        }
    }

    fn text(&self, key: &str, text: &Spanned<String>) -> Checked<String> {
        let trimmed = text.as_ref().trim();
        if !trimmed.chars().any(char::is_alphanumeric) {
            return Err(self.error(&text.span(), key, "must hold something to say"));
        }
        Ok(trimmed.to_owned())
    }

    /// Lines to say, of which the slots are among those `filled`.
    fn variants(&self, key: &str, lines: &Spanned<Lines>, filled: &[&str]) -> Checked<Variants> {
        let texts = match lines.get_ref() {
            Lines::One(text) => std::slice::from_ref(text),
            Lines::Many(texts) => texts,
        };
        if texts.is_empty() {
            return Err(self.error(&lines.span(), key, "must hold something to say"));
        }
        let mut ways = Vec::new();
        for text in texts {
            let text = self.text(key, &Spanned::new(lines.span(), text.clone()))?;
            let template = template(&text, filled);
            ways.push(template.map_err(|problem| self.error(&lines.span(), key, problem))?);
        }
        let id = self.numbered.replace(self.numbered.get() + 1);
        Ok(Variants { id, lines: ways })
    }

    /// Every slot is taken from something a caller may say.
    fn captured(&self, script: &Script, raw: &BTreeMap<String, Spanned<RawSlot>>) -> Checked<()> {
        let rules = script
            .states
            .values()
            .flat_map(|state| &state.rules)
            .chain(&script.always);
        let patterns = rules.flat_map(|rule| &rule.when);
        let taken: BTreeSet<&str> = patterns.flat_map(Pattern::slots).collect();
        for (name, slot) in raw {
            if !taken.contains(name.as_str()) {
                let problem = format!("no `when` takes it with `{{{name}}}`");
                return Err(self.error(&slot.span(), &format!("slots.{name}"), problem));
            }
        }
        Ok(())
    }

    /// The conversation can get to every state.
    fn reachable(&self, script: &Script, raw: &BTreeMap<String, Spanned<RawState>>) -> Checked<()> {
        let anywhere = script
            .always
            .iter()
            .map(|rule| &rule.answer)
            .chain(&script.give_up);
        let mut open: Vec<&String> = anywhere.filter_map(|answer| answer.goto.as_ref()).collect();
        open.push(&script.start);
        let mut reached = BTreeSet::new();
        while let Some(state) = open.pop() {
            if reached.insert(state) {
                let rules = script.states[state].rules.iter();
                open.extend(rules.filter_map(|rule| rule.answer.goto.as_ref()));
            }
        }
        for (name, state) in raw {
            if !reached.contains(name) {
                let problem = "no `goto` leads here from the start";
                return Err(self.error(&state.span(), &format!("states.{name}"), problem));
            }
        }
        Ok(())
    }

    fn error(&self, at: &Range<usize>, key: &str, problem: impl Into<String>) -> ScriptError {
        let before = self.source.get(..at.start).unwrap_or_default();
        ScriptError::Invalid {
            line: before.matches('\n').count() + 1,
            key: key.to_owned(),
            problem: problem.into(),
        }
    }
}

/// The names a rule may use.
struct Known<'a> {
    states: &'a BTreeSet<String>,
    slots: &'a Slots,
}

fn template(text: &str, filled: &[&str]) -> Result<Template, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        parts.push(Part::Text(before.to_owned()));
        let (name, after) = after.split_once('}').ok_or("a `{` without its `}`")?;
        let name = name.trim();
        if !filled.contains(&name) {
            return Err(format!(
                "the slot `{name}` may be empty here: take it in every `when` of this rule, or \
                 add `needs = [\"{name}\"]`"
            ));
        }
        parts.push(Part::Slot(name.to_owned()));
        rest = after;
    }
    parts.push(Part::Text(rest.to_owned()));
    Ok(Template(parts))
}
