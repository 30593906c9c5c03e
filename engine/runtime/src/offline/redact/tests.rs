use super::*;
use crate::offline::{Source, Timings};

fn segment(language: &str, text: &str) -> Segment {
    let mut at_ms = 0;
    let words = text.split_whitespace().map(|word| {
        at_ms += 100;
        Word {
            text: word.to_owned(),
            start_ms: at_ms - 100,
            end_ms: at_ms - 10,
            probability: 1.0 - at_ms as f32 / 10_000.0,
        }
    });
    let words: Vec<Word> = words.collect();
    Segment {
        start_ms: 0,
        end_ms: at_ms,
        speaker: None,
        channel: 0,
        language: language.to_owned(),
        text: text.to_owned(),
        probability: 0.9,
        words,
    }
}

fn at(mut segment: Segment, start_ms: u64, channel: u16) -> Segment {
    segment.start_ms += start_ms;
    segment.end_ms += start_ms;
    segment.channel = channel;
    segment
}

/// The text that is left, after a look whether the words say the same.
fn redacted(what: &[Redaction], language: &str, text: &str) -> String {
    let mut redactor = Redactor::new(what);
    let mut segments = redactor.push(segment(language, text));
    segments.extend(redactor.finish());
    let [segment] = &segments[..] else {
        panic!("{segments:?}")
    };
    let words: Vec<&str> = segment.words.iter().map(|word| &*word.text).collect();
    assert_eq!(words.join(" "), segment.text);
    segment.text.clone()
}

fn check(what: Redaction, language: &str, cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(redacted(&[what], language, text), *expected, "{text}");
    }
}

#[test]
fn digits_spoken_and_written() {
    check(
        Redaction::Digits,
        "en",
        &[
            (
                "my order number is four two seven one",
                "my order number is [digits]",
            ),
            ("It's Four, two, seven... one.", "It's [digits]."),
            ("oh double seven triple three please", "[digits] please"),
            ("forty two seventy one it is", "[digits] it is"),
            ("two hundred and five", "[digits]"),
            ("order #4271, please", "order #[digits], please"),
            ("4 2 7 1", "[digits]"),
            ("card 4111-1111 1111.1111!", "card [digits]!"),
            ("1,200 dollars", "[digits] dollars"),
            ("A4271b", "A[digits]b"),
            ("four two uh seven one", "[digits]"),
            ("١٢٣٤", "[digits]"),
            // What is no identifier stays.
            ("two apples", "two apples"),
            ("at 10:30 or eleven", "at 10:30 or eleven"),
            ("twenty two of them", "twenty two of them"),
            ("a hundred times", "a hundred times"),
            ("one or the other or two", "one or the other or two"),
            ("someone tends to weight", "someone tends to weight"),
            ("", ""),
        ],
    );
    check(
        Redaction::Digits,
        "es",
        &[
            (
                "es el cuatro dos siete uno gracias",
                "es el [digits] gracias",
            ),
            ("Cuarenta y dos, setenta y uno.", "[digits]."),
            ("dieciséis veintitrés", "[digits]"),
            ("mil gracias, dos cafés", "mil gracias, dos cafés"),
            ("treinta y dos años", "treinta y dos años"),
        ],
    );
    check(
        Redaction::Digits,
        "pt",
        &[
            ("é quatro dois sete um", "é [digits]"),
            ("nove oito meia três", "[digits]"),
            ("vinte e dois anos", "vinte e dois anos"),
            ("um café e uma água", "um café e uma água"),
        ],
    );
    // Words are known in three languages, figures in all.
    check(
        Redaction::Digits,
        "de",
        &[("eins zwei drei vier 1234", "eins zwei drei vier [digits]")],
    );
}

#[test]
fn phone_numbers_are_told_from_other_numbers() {
    let cases = [
        ("call (202) 555-0143 now", "call [phone] now"),
        ("+1 202 555 0143", "[phone]"),
        ("plus forty four twenty seven nine four six zero", "[phone]"),
        ("two oh two five five five oh one four three", "[phone]"),
        ("order 4271", "order 4271"),
        ("4111 1111 1111 1111", "4111 1111 1111 1111"),
    ];
    check(Redaction::Phone, "en", &cases);
    let both = [Redaction::Digits, Redaction::Phone];
    assert_eq!(
        redacted(
            &both,
            "en",
            "order 4271, phone 202-555-0143 or 4111 1111 1111 1111"
        ),
        "order [digits], phone [phone] or [digits]"
    );
}

#[test]
fn email_addresses_spoken_and_written() {
    check(
        Redaction::Email,
        "en",
        &[
            ("it's john at example dot com", "it's [email]"),
            ("Write to john.smith@example.co.uk.", "Write to [email]."),
            (
                "my email is john smith at example dot com okay",
                "my email is [email] okay",
            ),
            ("j o h n underscore four two at g mail dot com", "[email]"),
            ("John at example.com, please", "[email], please"),
            ("john dot smith at my company dot co dot uk", "[email]"),
            ("<john@example.com>", "<[email]>"),
            ("root@localhost", "[email]"),
            (
                "we met at the station. Come soon",
                "we met at the station. Come soon",
            ),
            ("reach me at example dot com", "reach me at example dot com"),
            ("at ten", "at ten"),
            ("come at six. It is late", "come at six. It is late"),
        ],
    );
    check(
        Redaction::Email,
        "es",
        &[
            (
                "mi correo es juan arroba ejemplo punto com",
                "mi correo es [email]",
            ),
            (
                "juan guion bajo pérez arroba ejemplo punto com punto mx",
                "[email]",
            ),
            ("un punto de vista", "un punto de vista"),
        ],
    );
    check(
        Redaction::Email,
        "pt",
        &[
            (
                "meu e-mail é joão arroba exemplo ponto com ponto br",
                "meu e-mail é [email]",
            ),
            ("joão@exemplo.com.br", "[email]"),
        ],
    );
}

#[test]
fn swearing_is_known_by_language() {
    check(
        Redaction::Profanity,
        "en",
        &[
            (
                "What the Fucking hell, you bastards!",
                "What the [profanity] hell, you [profanity]!",
            ),
            (
                "Scunthorpe, a class act with a cocktail",
                "Scunthorpe, a class act with a cocktail",
            ),
        ],
    );
    check(
        Redaction::Profanity,
        "es",
        &[(
            "¡Coño, qué mierda de cono!",
            "¡[profanity], qué [profanity] de cono!",
        )],
    );
    check(
        Redaction::Profanity,
        "pt",
        &[("que porra, cuzão", "que [profanity], [profanity]")],
    );
}

#[test]
fn a_word_that_was_taken_out_keeps_the_times_of_all() {
    let mut redactor = Redactor::new(&[Redaction::Digits]);
    let mut segments = redactor.push(segment("en", "it is four two seven, right?"));
    segments.extend(redactor.finish());
    let words: Vec<_> = segments[0]
        .words
        .iter()
        .map(|word| (&*word.text, word.start_ms, word.end_ms))
        .collect();
    assert_eq!(
        words,
        [
            ("it", 0, 90),
            ("is", 100, 190),
            ("[digits],", 200, 490),
            ("right?", 500, 590),
        ]
    );
    assert_eq!(segments[0].words[2].probability, 0.95);
}

#[test]
fn words_that_do_not_spell_the_text_are_dropped_rather_than_leaked() {
    let mut odd = segment("en", "four two seven one");
    odd.words[1].text = "to".to_owned();
    let mut redactor = Redactor::new(&[Redaction::Digits]);
    let mut segments = redactor.push(odd);
    segments.extend(redactor.finish());
    assert_eq!(segments[0].text, "[digits]");
    assert!(segments[0].words.is_empty());
}

#[test]
fn words_may_be_cut_otherwise_than_at_spaces() {
    let mut odd = segment("en", "call 555-0143 now");
    let word = |text: &str| Word {
        text: text.to_owned(),
        ..odd.words[0].clone()
    };
    odd.words = vec![word("call"), word("555"), word("-0143"), word("now")];
    let mut redactor = Redactor::new(&[Redaction::Phone]);
    let segments = redactor.push(odd);
    assert_eq!(segments[0].text, "call [phone] now");
    let words: Vec<&str> = segments[0].words.iter().map(|word| &*word.text).collect();
    assert_eq!(words, ["call", "[phone]", "now"]);
}

#[test]
fn a_number_goes_on_over_a_pause_and_an_interjection() {
    let mut redactor = Redactor::new(&[Redaction::Digits]);
    let mut came: Vec<Vec<String>> = Vec::new();
    let parts = [
        at(segment("en", "it is four two"), 0, 0),
        at(segment("en", "mm-hm"), 1_000, 1),
        at(segment("en", "seven"), 2_000, 0),
        at(segment("en", "one that is all"), 4_000, 0),
        at(segment("en", "I have one"), 6_000, 0),
        at(segment("en", "thanks"), 7_000, 1),
        at(segment("en", "two would be better"), 60_000, 0),
    ];
    for part in parts {
        let settled = redactor.push(part).into_iter();
        came.push(settled.map(|segment| segment.text).collect());
    }
    assert!(redactor.finish().is_empty());
    let expected: [&[&str]; 7] = [
        &[],
        &[],
        &[],
        &[
            "it is [digits]",
            "mm-hm",
            "[digits]",
            "[digits] that is all",
        ],
        &[],
        &[],
        &["I have one", "thanks", "two would be better"],
    ];
    assert_eq!(came, expected);
}

#[test]
fn without_numbers_nothing_is_held_back() {
    let mut redactor = Redactor::new(&[Redaction::Profanity, Redaction::Email]);
    assert_eq!(redactor.push(segment("en", "four two")).len(), 1);
}

#[test]
fn a_whole_transcript() {
    let transcript = Transcript {
        source: Source {
            name: "a.wav".into(),
            format: String::new(),
            rate_hz: 8_000,
            channels: 1,
            duration_ms: 9_000,
            call: None,
        },
        model: "demo".to_owned(),
        language: None,
        speakers: Vec::new(),
        segments: vec![
            segment("en", "four two"),
            at(segment("en", "seven"), 1_000, 0),
        ],
        timings: Timings::default(),
        damage: None,
        stopped: false,
    };
    let transcript = Redactor::redact(&[Redaction::Digits], transcript);
    let texts: Vec<_> = transcript
        .segments
        .iter()
        .map(|segment| &*segment.text)
        .collect();
    assert_eq!(texts, ["[digits]", "[digits]"]);
}

#[test]
fn a_redaction_is_known_by_its_name() {
    for what in Redaction::ALL {
        assert_eq!(what.to_string().parse(), Ok(what));
    }
    let error = "names".parse::<Redaction>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown redaction \"names\": digits, email, phone or profanity"
    );
}
