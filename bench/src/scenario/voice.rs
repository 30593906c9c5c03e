//! The agent's voice, and an ear that knows it: which words of which sentence were heard, and when.

use std::{collections::HashMap, ops::Range, sync::Arc};

use fastrand::Rng;
use sidetone_cli::phone::RATE;
use sidetone_codecs::g711::mulaw;

use super::{clips::Clips, file::ScenarioError};

/// How long the voice takes for a character, in samples: 60 ms.
const SAMPLES_PER_CHAR: usize = 480;
/// What the ear knows a place in a sentence by, in samples.
const KEY_LEN: usize = 12;
/// It knows one place in so many.
const KEY_DISTANCE: usize = 80;

/// What the agent says sounds like this: a recorded speaker without pauses, for as long as the
/// text takes to say. A soft noise of its own makes each sentence unmistakable.
#[derive(Debug)]
pub struct AgentVoice {
    speech: Arc<[i16]>,
    sentences: Vec<Sentence>,
    /// Where in which sentence these codes are.
    places: HashMap<[u8; KEY_LEN], (usize, usize)>,
    /// Samples heard since the call began.
    heard: usize,
    /// The newest codes that were not recognised.
    strange: Vec<u8>,
    /// The newest stretch goes on.
    is_known: bool,
    stretches: Vec<Stretch>,
}

#[derive(Debug)]
struct Sentence {
    text: String,
    codes: Vec<u8>,
}

/// Part of a sentence, heard without a break.
#[derive(Debug)]
struct Stretch {
    sentence: usize,
    /// Of the sentence, in samples.
    part: Range<usize>,
    /// When it began to be heard, in samples since the call began.
    heard: usize,
}

/// A word of the agent's that the caller heard, or part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeardWord {
    /// The word, punctuation included.
    pub word: String,
    /// The sentence it is in, counted in the order the voice was given them.
    pub sentence: usize,
    /// Which word of the sentence it is, from 0.
    pub index: usize,
    /// From when to when it was heard, in ms since the call began.
    pub heard_ms: Range<u64>,
    /// How much of it was heard, in percent.
    pub percent: u64,
}

impl AgentVoice {
    /// The voice of a recorded speaker.
    ///
    /// # Errors
    ///
    /// The recordings cannot be read.
    pub fn new(clips: &mut Clips) -> Result<Self, ScenarioError> {
        let clip = clips.get("agent/speech")?;
        // Half as loud as it was recorded.
        let speech = clip.audio[clip.loud.clone()].iter();
        Ok(Self {
            speech: speech.map(|sample| sample / 2).collect(),
            sentences: Vec::new(),
            places: HashMap::new(),
            heard: 0,
            strange: Vec::new(),
            is_known: false,
            stretches: Vec::new(),
        })
    }

    /// `text` in this voice, mono at 8 kHz; the ear will know it.
    pub fn speak(&mut self, text: &str) -> Vec<i16> {
        let sentence = self.sentences.len();
        let mut random = Rng::with_seed(sentence as u64);
        let start = random.usize(..self.speech.len());
        let len = text.chars().count() * SAMPLES_PER_CHAR;
        let speech = self.speech.iter().cycle().skip(start).take(len);
        let samples: Vec<i16> = speech.map(|sample| sample + random.i16(-60..=60)).collect();
        let mut codes = Vec::with_capacity(len);
        mulaw::encode_append(&samples, &mut codes);
        for place in (0..len.saturating_sub(KEY_LEN)).step_by(KEY_DISTANCE) {
            self.places.insert(key(&codes[place..]), (sentence, place));
        }
        let text = text.to_owned();
        self.sentences.push(Sentence { text, codes });
        samples
    }

    /// The caller hears this, in order, sample by sample since the call began.
    pub fn hear(&mut self, samples: &[i16]) {
        for &sample in samples {
            self.heard += 1;
            let code = mulaw::encode(sample);
            if self.is_known
                && let Some(stretch) = self.stretches.last_mut()
            {
                let codes = &self.sentences[stretch.sentence].codes;
                self.is_known = codes.get(stretch.part.end) == Some(&code);
                if self.is_known {
                    stretch.part.end += 1;
                    continue;
                }
                self.strange.clear();
            }
            if sample == 0 && self.strange.is_empty() {
                continue;
            }
            self.strange.push(code);
            self.recognise();
        }
    }

    /// Looks whether the newest codes are a place in a sentence.
    fn recognise(&mut self) {
        let Some(before) = self.strange.len().checked_sub(KEY_LEN) else {
            return;
        };
        if let Some(&(sentence, place)) = self.places.get(&key(&self.strange[before..])) {
            let codes = &self.sentences[sentence].codes[..place];
            // It began somewhat before the place that is known.
            let earlier = codes.iter().rev().zip(self.strange[..before].iter().rev());
            let earlier = earlier.take_while(|(code, heard)| code == heard).count();
            self.stretches.push(Stretch {
                sentence,
                part: place - earlier..place + KEY_LEN,
                heard: self.heard - KEY_LEN - earlier,
            });
            self.is_known = true;
        } else if self.strange.len() > 2 * KEY_DISTANCE {
            self.strange.drain(..KEY_DISTANCE);
        }
    }

    /// The words heard so far, in the order they were heard in. One that was heard again is there
    /// again.
    #[must_use]
    pub fn words(&self) -> Vec<HeardWord> {
        let mut words: Vec<HeardWord> = Vec::new();
        for stretch in &self.stretches {
            let text = &self.sentences[stretch.sentence].text;
            let mut from = 0;
            for (index, word) in text.split(' ').enumerate() {
                // The gap after a word belongs to it.
                let to = from + (word.chars().count() + 1) * SAMPLES_PER_CHAR;
                let part = stretch.part.start.max(from)..stretch.part.end.min(to);
                if !part.is_empty() {
                    let ms = |place: usize| {
                        let heard = stretch.heard + place - stretch.part.start;
                        heard as u64 * 1_000 / u64::from(RATE.hz())
                    };
                    let heard_ms = ms(part.start)..ms(part.end);
                    let percent = (100 * part.len() / (to - from)) as u64;
                    match words.last_mut() {
                        // A click in the middle of it.
                        Some(last)
                            if (last.sentence, last.index) == (stretch.sentence, index)
                                && heard_ms.start < last.heard_ms.end + 50 =>
                        {
                            last.heard_ms.end = heard_ms.end;
                            last.percent += percent;
                        }
                        _ => words.push(HeardWord {
                            word: word.to_owned(),
                            sentence: stretch.sentence,
                            index,
                            heard_ms,
                            percent,
                        }),
                    }
                }
                from = to;
            }
        }
        words
    }

    /// The words of which the caller heard half at least, between these times.
    #[must_use]
    pub fn words_within(&self, ms: Range<u64>) -> String {
        let words = self.words().into_iter();
        let words = words.filter(|word| {
            word.percent >= 50 && word.heard_ms.end > ms.start && word.heard_ms.start < ms.end
        });
        words.map(|word| word.word).collect::<Vec<_>>().join(" ")
    }

    /// What was given to the voice, in order.
    #[must_use]
    pub fn sentences(&self) -> Vec<&str> {
        self.sentences.iter().map(|s| s.text.as_str()).collect()
    }
}

fn key(codes: &[u8]) -> [u8; KEY_LEN] {
    codes[..KEY_LEN].try_into().expect("it has this length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ear_knows_what_was_heard_of_what_was_said() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures");
        let mut voice = AgentVoice::new(&mut Clips::new(folder).unwrap()).unwrap();
        let line = |samples: &[i16]| -> Vec<i16> {
            samples
                .iter()
                .map(|s| mulaw::decode(mulaw::encode(*s)))
                .collect()
        };
        let order = line(&voice.speak("Your order is on its way."));
        let goodbye = line(&voice.speak("Goodbye."));
        voice.hear(&[0; 8_000]);
        voice.hear(&order[..order.len() / 2]);
        voice.hear(&[0; 4_000]);
        voice.hear(&order[10 * SAMPLES_PER_CHAR..]);
        voice.hear(&goodbye);
        assert_eq!(
            voice.words_within(0..u64::MAX),
            "Your order is is on its way. Goodbye."
        );
        assert_eq!(voice.words_within(0..2_000), "Your order is");
        let words = voice.words();
        assert_eq!((words[0].percent, words[0].heard_ms.start), (100, 1_000));
    }
}
