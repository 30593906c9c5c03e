//! Keys that the caller presses, collected into one message.

use std::time::Duration;

use crate::{event::TurnId, time::CallTime};

/// The caller has finished when no key follows for this long.
const PAUSE: Duration = Duration::from_millis(2_000);
/// More keys than this are a message of their own.
const LONGEST: usize = 64;

/// The keys pressed so far.
#[derive(Debug, Default)]
pub(crate) struct Keypad(Option<Entry>);

/// A message of keys.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) turn: TurnId,
    pub(crate) keys: String,
    /// When the latest key was pressed.
    pub(crate) latest: CallTime,
}

impl Keypad {
    /// A key was pressed; `next` names the turn if it is the first. Returns that turn, and
    /// whether it began with this key.
    pub(crate) fn press(&mut self, now: CallTime, key: char, next: TurnId) -> (TurnId, bool) {
        let began = self.0.is_none();
        let entry = self.0.get_or_insert(Entry {
            turn: next,
            keys: String::new(),
            latest: now,
        });
        entry.keys.push(key);
        entry.latest = now;
        (entry.turn, began)
    }

    /// The caller is in the middle of pressing keys.
    pub(crate) fn is_pressing(&self) -> bool {
        self.0.is_some()
    }

    /// When the caller has finished if no further key comes.
    pub(crate) fn deadline(&self) -> Option<CallTime> {
        self.0.as_ref().map(|entry| entry.latest + PAUSE)
    }

    /// The message, once the caller has finished: by `#`, a pause, or too many keys.
    pub(crate) fn finished(&mut self, now: CallTime) -> Option<Entry> {
        let entry = self.0.as_ref()?;
        let over =
            entry.keys.ends_with('#') || entry.keys.len() >= LONGEST || entry.latest + PAUSE <= now;
        if !over {
            return None;
        }
        let mut entry = self.0.take()?;
        if entry.keys.len() > 1 && entry.keys.ends_with('#') {
            entry.keys.pop();
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(keypad: &mut Keypad, keys: &str) {
        for (n, key) in keys.chars().enumerate() {
            keypad.press(CallTime::from_millis(n as u64 * 300), key, TurnId(1));
        }
    }

    #[test]
    fn a_pause_ends_the_message() {
        let mut keypad = Keypad::default();
        press(&mut keypad, "4271");
        assert_eq!(keypad.finished(CallTime::from_millis(2_899)), None);
        assert_eq!(keypad.deadline(), Some(CallTime::from_millis(2_900)));
        let message = keypad.finished(CallTime::from_millis(2_900));
        let expected = Entry {
            turn: TurnId(1),
            keys: "4271".into(),
            latest: CallTime::from_millis(900),
        };
        assert_eq!(message, Some(expected));
        assert!(!keypad.is_pressing());
    }

    #[test]
    fn hash_ends_it_at_once_and_is_no_part_of_it() {
        for (keys, message) in [("42#", "42"), ("#", "#"), ("*9#", "*9")] {
            let mut keypad = Keypad::default();
            press(&mut keypad, keys);
            assert_eq!(
                keypad.finished(CallTime::ZERO).map(|m| m.keys),
                Some(message.into())
            );
        }
    }
}
