//! A conversation, followed through a script.

use std::collections::BTreeMap;

use sidetone_core::job::Expect;

use super::{
    Script,
    parse::{Answer, Rule, State, Variants},
    words::words,
};

/// What the agent says, whether it hangs up then, what kind of answer it waits for, and whether the
/// caller is to hear it to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) text: String,
    pub(super) hang_up: bool,
    pub(super) expect: Option<Expect>,
    pub(super) is_uninterruptible: bool,
}

/// Where a conversation stands.
struct Standing<'a> {
    script: &'a Script,
    state: &'a str,
    slots: BTreeMap<&'a str, String>,
    /// How often the caller was not understood in a row.
    misses: u32,
    /// How often each list of variants was used, by its id.
    used: BTreeMap<usize, usize>,
    last: String,
    last_is_uninterruptible: bool,
}

impl Script {
    /// The reply to the last of what the caller said, oldest first. Only the caller's words
    /// count: what the agent said may have been cut.
    pub(super) fn reply<'a>(&self, caller: impl IntoIterator<Item = &'a str>) -> Reply {
        let mut standing = Standing {
            script: self,
            state: &self.start,
            slots: BTreeMap::new(),
            misses: 0,
            used: BTreeMap::new(),
            last: self.opening.clone(),
            last_is_uninterruptible: false,
        };
        let mut reply = Reply {
            text: self.opening.clone(),
            hang_up: false,
            expect: self.states[&self.start].expect,
            is_uninterruptible: false,
        };
        for said in caller {
            reply = standing.hear(said);
        }
        reply
    }
}

impl<'a> Standing<'a> {
    fn hear(&mut self, said: &str) -> Reply {
        let said = words(said);
        let script = self.script;
        let state: &'a State = &script.states[self.state];
        let rules = state.rules.iter().chain(&script.always);
        let found = rules
            .into_iter()
            .find_map(|rule| Some((rule, self.matches(rule, &said)?)));
        let reply = match found {
            Some((rule, captures)) => {
                self.misses = 0;
                self.slots.extend(captures);
                self.follow(&rule.answer)
            }
            None => {
                self.misses += 1;
                match &script.give_up {
                    Some(answer) if self.misses >= script.max_misses => {
                        self.misses = 0;
                        self.follow(answer)
                    }
                    _ => Reply {
                        text: self.variant(state.otherwise.as_ref().unwrap_or(&script.otherwise)),
                        hang_up: false,
                        expect: state.expect,
                        is_uninterruptible: false,
                    },
                }
            }
        };
        self.last.clone_from(&reply.text);
        self.last_is_uninterruptible = reply.is_uninterruptible;
        reply
    }

    /// What the rule takes from what was said; `None`: it does not apply.
    fn matches(&self, rule: &'a Rule, said: &[String]) -> Option<Vec<(&'a str, String)>> {
        if !rule
            .needs
            .iter()
            .all(|slot| self.slots.contains_key(slot.as_str()))
        {
            return None;
        }
        let slots = &self.script.slots;
        let captures = rule
            .when
            .iter()
            .find_map(|pattern| pattern.find(said, slots))?;
        // The names outlive the captures in the script.
        let named = captures.into_iter().filter_map(|(name, value)| {
            let (name, _) = slots.named.get_key_value(&name)?;
            Some((name.as_str(), value))
        });
        Some(named.collect())
    }

    fn follow(&mut self, answer: &'a Answer) -> Reply {
        if let Some(goto) = &answer.goto {
            self.state = goto;
        }
        let (text, was_uninterruptible) = match &answer.say {
            Some(variants) => (self.variant(variants), false),
            None => (self.last.clone(), self.last_is_uninterruptible),
        };
        Reply {
            text,
            hang_up: answer.hang_up,
            expect: self.script.states[self.state].expect,
            is_uninterruptible: was_uninterruptible || !answer.interruptible,
        }
    }

    /// The next of `variants` in turn, with its slots filled.
    fn variant(&mut self, variants: &'a Variants) -> String {
        let used = self.used.entry(variants.id).or_default();
        let template = &variants.lines[*used % variants.lines.len()];
        *used += 1;
        template.fill(&self.slots, &self.script.slots)
    }
}
