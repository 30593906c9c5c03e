//! The agent's own words in the caller's transcript.
//!
//! The second guard against echo, for lines on which the audio has been changed too much to be
//! recognised: what was transcribed while the agent spoke and is a part of what it was saying was
//! not said by the caller.

/// Fewer words than this may be the caller's who repeats what they were offered, unless the line
/// is known to have an echo.
const WORDS: usize = 4;
const WORDS_WITH_ECHO: usize = 2;
/// So many in ten of the words have to be the agent's, in the agent's order.
const TENTHS: usize = 8;
/// Only so many of the agent's latest words can be heard.
const LATEST: usize = 40;

/// Whether `text` is a part of what the agent was `saying`, as badly as it may have been
/// understood.
pub(crate) fn is_of(text: &str, saying: &str, line_has_echo: bool) -> bool {
    let heard = words_of(text);
    let enough = if line_has_echo {
        WORDS_WITH_ECHO
    } else {
        WORDS
    };
    if heard.len() < enough {
        return false;
    }
    let said = words_of(saying);
    let said = &said[said.len().saturating_sub(LATEST)..];
    longest_common(&heard, said) * 10 >= heard.len() * TENTHS
}

fn words_of(text: &str) -> Vec<Vec<char>> {
    text.split(|c: char| !c.is_alphanumeric() && c != '\'')
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().flat_map(char::to_lowercase).collect())
        .collect()
}

/// How many words both have in the same order, with no more than a word or two of `said` left out
/// in between.
fn longest_common(heard: &[Vec<char>], said: &[Vec<char>]) -> usize {
    (0..said.len())
        .map(|start| {
            let window = &said[start..said.len().min(start + heard.len() + 2)];
            in_order(heard, window)
        })
        .max()
        .unwrap_or(0)
}

/// The longest common subsequence.
fn in_order(heard: &[Vec<char>], said: &[Vec<char>]) -> usize {
    let mut row = vec![0; said.len() + 1];
    for word in heard {
        let mut diagonal = 0;
        for (n, other) in said.iter().enumerate() {
            let above = row[n + 1];
            row[n + 1] = if are_alike(word, other) {
                diagonal + 1
            } else {
                above.max(row[n])
            };
            diagonal = above;
        }
    }
    row[said.len()]
}

/// Equal, or of four letters and more with one of them wrong, missing or too many.
fn are_alike(a: &[char], b: &[char]) -> bool {
    let same_start = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[same_start..], &b[same_start..]);
    let same_end = a
        .iter()
        .rev()
        .zip(b.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let different = (a.len() - same_end).max(b.len() - same_end);
    different == 0 || (different == 1 && same_start + same_end >= 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAYING: &str = "Your order has left our house. Would you like the red or the blue one delivered on Monday?";

    #[test]
    fn a_part_of_what_the_agent_says_is_its_echo() {
        for text in [
            "order has left our house",
            "has left our house would you like",
            "Would you like the red order blue one delivered?",
            "the blue won delivered on Mondays",
        ] {
            assert!(is_of(text, SAYING, false), "{text}");
        }
    }

    #[test]
    fn what_the_caller_says_is_not() {
        for text in [
            "",
            "the blue one",
            "no I would like the green one please",
            "where is my order",
            "when was it that it left your house",
            "Monday on delivered one blue the or red",
        ] {
            assert!(!is_of(text, SAYING, false), "{text}");
        }
    }

    #[test]
    fn on_a_line_with_an_echo_a_few_words_are_enough() {
        assert!(is_of("on Monday", SAYING, true));
        assert!(!is_of("Monday", SAYING, true));
        assert!(!is_of("on Friday", SAYING, true));
    }
}
