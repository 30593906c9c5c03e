use proptest::prelude::*;
use sidetone_core::{
    conversation::Message,
    job::{Expect, JobEvent},
};

use super::*;

fn says(script: &Script, caller: &[&str]) -> String {
    script.reply(caller.iter().copied()).text
}

const SMALL: &str = r#"start = "open"
opening = "Hello."
otherwise = ["Sorry?", "What?"]
max_misses = 3
give_up = { say = "Bye.", hang_up = true }
[slots]
order = { kind = "digits", min = 3 }
[[always]]
when = ["again"]
repeat = true
[[always]]
when = ["bye"]
say = "Goodbye."
hang_up = true
[[states.open.rules]]
when = ["{order}"]
say = ["It is {order}.", "Still {order}."]
goto = "done"
[[states.done.rules]]
when = ["it"]
needs = ["order"]
say = "{order}, again."
[states.done]
otherwise = "Done."
"#;

/// `SMALL` with `from` replaced must fail, and say this.
#[track_caller]
fn fails(from: &str, to: &str, says: &str) {
    assert!(SMALL.contains(from), "{from}");
    let error = Script::parse(&SMALL.replace(from, to))
        .unwrap_err()
        .to_string();
    assert_eq!(error, says);
}

#[test]
fn the_embedded_script_holds_the_demo() {
    let script = Script::embedded();
    let caller = [
        "where is my order",
        "my order number is four two seven one",
        "hold on a second",
        "when will it arrive",
        "thank you goodbye",
    ];
    let replies: Vec<Reply> = (0..=caller.len())
        .map(|turns| script.reply(caller[..turns].iter().copied()))
        .collect();
    let texts: Vec<&str> = replies.iter().map(|reply| reply.text.as_str()).collect();
    assert_eq!(
        texts[0],
        "Hello, this is the Sidetone help line. How can I help you?"
    );
    assert_eq!(texts[1], "I can look that up. What is your order number?");
    // Long enough to be interrupted, and the number is said digit by digit.
    assert!(texts[2].starts_with("Thank you. I found order four two seven one. "));
    assert!(sentences(texts[2]).count() >= 4 && texts[2].len() > 200);
    assert_eq!(
        texts[3],
        "Of course. Take your time. I can go on whenever you like."
    );
    assert_eq!(texts[4], "It arrives on Friday, before noon.");
    assert_eq!(texts[5], "Thank you for calling. Goodbye.");
    let hang_ups: Vec<bool> = replies.iter().map(|reply| reply.hang_up).collect();
    assert_eq!(hang_ups, [false, false, false, false, false, true]);
}

#[test]
fn a_state_says_what_kind_of_answer_it_waits_for() {
    let script = Script::embedded();
    let expect = |caller: &[&str]| script.reply(caller.iter().copied()).expect;
    assert_eq!(expect(&[]), None);
    let order = Some(Expect::Digits { min: 3, max: 8 });
    assert_eq!(expect(&["where is my order"]), order);
    assert_eq!(expect(&["where is my order", "pardon"]), order);
    assert_eq!(expect(&["where is my order", "four two"]), order);
    assert_eq!(expect(&["where is my order", "four two seven one"]), None);
    assert_eq!(expect(&["cancel order 4271"]), Some(Expect::YesNo));
    fails(
        "otherwise = \"Done.\"",
        "otherwise = \"Done.\"\nexpect = \"number\"",
        "line 25 of the script, `states.done.expect`: must be \"yes_no\", \"date\", \
         \"spelling\", or the name of a slot of the kind \"digits\"",
    );
}

#[test]
fn a_rule_says_what_is_heard_to_its_end() {
    let notice = SMALL.replace("goto = \"done\"", "goto = \"done\"\ninterruptible = false");
    let script = Script::parse(&notice).unwrap();
    let is_uninterruptible =
        |caller: &[&str]| script.reply(caller.iter().copied()).is_uninterruptible;
    assert!(!is_uninterruptible(&[]));
    assert!(is_uninterruptible(&["1 2 3"]));
    assert!(is_uninterruptible(&["1 2 3", "again"]), "said once more");
    assert!(!is_uninterruptible(&["1 2 3", "it"]));
    assert!(!is_uninterruptible(&["1 2 3", "it", "again"]));
    assert!(!is_uninterruptible(&["hm"; 3]));
    let farewell = SMALL.replace(
        "hang_up = true }",
        "hang_up = true, interruptible = false }",
    );
    let script = Script::parse(&farewell).unwrap();
    assert!(script.reply(["hm"; 3]).is_uninterruptible);
}

#[tokio::test]
async fn what_is_heard_to_its_end_is_told_before_its_words() {
    let script = SMALL.replace(
        "say = \"Goodbye.\"",
        "say = \"Goodbye.\"\ninterruptible = false",
    );
    let llm = ScriptLlm::new(Script::parse(&script).unwrap());
    let (updates, mut news) = tokio::sync::mpsc::channel(8);
    let id = sidetone_core::job::JobId(1);
    let job = LlmJob {
        id,
        messages: [Message::new(Role::Caller, "bye")].into(),
        language: "en".into(),
        eager: false,
    };
    let _handle = llm.start(job, Sink::new(id, updates));
    let mut events = Vec::new();
    while let Some(update) = news.recv().await {
        events.push(update.event);
    }
    let text = "Goodbye.".into();
    let expected = [
        LlmEvent::Uninterruptible,
        LlmEvent::Delta { text },
        LlmEvent::Done { hang_up: true },
    ];
    assert_eq!(events, expected.map(JobEvent::from));
}

#[test]
fn the_embedded_script_understands_its_subjects() {
    let script = Script::embedded();
    for (caller, says_so) in [
        (
            &["four two seven one"][..],
            "I found order four two seven one.",
        ),
        (
            &["Hi, it's about order 4271."],
            "I found order four two seven one.",
        ),
        (
            &["where's my parcel", "4-2-7-1"],
            "I found order four two seven one.",
        ),
        (&["where is my order", "um"], "I need your order number."),
        (&["where is my order", "i don't know"], "No problem."),
        (
            &["when will my order arrive", "123"],
            "Order one two three arrives on Friday",
        ),
        (
            &["123", "can you repeat that"],
            "I found order one two three.",
        ),
        (
            &["what are your opening hours"],
            "We are open from nine to five",
        ),
        (
            &["can i speak to a person"],
            "Nobody is free to talk right now",
        ),
        (
            &["cancel order 555"],
            "Shall I cancel order five five five?",
        ),
        (
            &["cancel my order", "five five five", "yes please"],
            "Order five five five is cancelled",
        ),
        (&["555", "cancel it", "no"], "your order stays as it is"),
        (&["thank you", "no thanks that's all"], "Goodbye."),
        (&["thank you"], "You are welcome."),
        (&["goodbye"], "Goodbye."),
        (&["bananas"], "I can find an order"),
        (&["bananas", "apples"], "Ask me where your order is"),
        (&["bananas", "apples", "pears"], "Goodbye."),
    ] {
        let reply = says(&script, caller);
        assert!(reply.contains(says_so), "{caller:?}: {reply}");
    }
}

#[test]
fn variants_rotate_and_misses_in_a_row_are_counted() {
    let script = Script::parse(SMALL).unwrap();
    assert_eq!(says(&script, &[]), "Hello.");
    assert_eq!(says(&script, &["hm"]), "Sorry?");
    assert_eq!(says(&script, &["hm", "hm"]), "What?");
    assert_eq!(
        script.reply(["hm"; 3]),
        Reply {
            text: "Bye.".into(),
            hang_up: true,
            ..Reply::default()
        }
    );
    assert_eq!(says(&script, &["hm", "hm", "again", "hm"]), "Sorry?");
    assert_eq!(says(&script, &["again"]), "Hello.");
    assert_eq!(says(&script, &["1 2 3", "hm"]), "Done.");
    assert_eq!(says(&script, &["1 2 3", "again"]), "It is one two three.");
    assert_eq!(says(&script, &["1 2 3", "it"]), "one two three, again.");
}

#[test]
fn an_error_names_the_line_the_key_and_what_is_allowed() {
    fails(
        "goto = \"done\"",
        "goto = \"end\"",
        "line 18 of the script, `states.open.rules[1].goto`: no state `end`; the states are `done`, `open`",
    );
    fails(
        "start = \"open\"",
        "start = \"\"",
        "line 1 of the script, `start`: no state ``; the states are `done`, `open`",
    );
    fails(
        "say = \"Goodbye.\"",
        "say = []",
        "line 13 of the script, `always[2].say`: must hold something to say",
    );
    fails(
        "say = \"Goodbye.\"",
        "say = \" … \"",
        "line 13 of the script, `always[2].say`: must hold something to say",
    );
    fails(
        "when = [\"bye\"]",
        "when = [\"/by(e/\"]",
        "line 12 of the script, `always[2].when`: a bad regular expression: error: unclosed group",
    );
    fails(
        "when = [\"bye\"]",
        "when = []",
        "line 12 of the script, `always[2].when`: must hold at least one thing the caller may say",
    );
    fails(
        "goto = \"done\"\n",
        "",
        "line 22 of the script, `states.done`: no `goto` leads here from the start",
    );
    fails(
        "needs = [\"order\"]\n",
        "",
        "line 21 of the script, `states.done.rules[1].say`: the slot `order` may be empty here: \
         take it in every `when` of this rule, or add `needs = [\"order\"]`",
    );
    fails(
        "when = [\"{order}\"]\nsay = [\"It is {order}.\", \"Still {order}.\"]",
        "when = [\"order\"]\nsay = \"Fine.\"",
        "line 7 of the script, `slots.order`: no `when` takes it with `{order}`",
    );
    fails(
        "kind = \"digits\"",
        "kind = \"number\"",
        "line 7 of the script, `slots.order.kind`: must be \"digits\", \"words\" or \"choice\"",
    );
    fails(
        "repeat = true",
        "say = \"Again.\"\nrepeat = true",
        "line 8 of the script, `always[1]`: must have either `say` or `repeat = true`",
    );
    fails(
        "max_misses = 3",
        "max_misses = 0",
        "line 4 of the script, `max_misses`: must be at least 1",
    );
}

#[test]
fn bad_toml_has_a_line_too() {
    let unknown = SMALL.replace("hang_up = true\n[[states", "hangup = true\n[[states");
    let error = Script::parse(&unknown).unwrap_err().to_string();
    assert!(error.starts_with("line 14 of the script: unknown field `hangup`, expected one of"));
    let error = Script::parse("start = \nopening = 1")
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("line 1 of the script: "), "{error}");
    let error = Script::load("/no/such/script.toml")
        .unwrap_err()
        .to_string();
    assert_eq!(error, "cannot read the script /no/such/script.toml");
}

#[test]
fn sentences_lose_nothing() {
    let text = "Yes. It is 3.5 km! Is it? Yes";
    let cut: Vec<&str> = sentences(text).collect();
    assert_eq!(cut, ["Yes. ", "It is 3.5 km! ", "Is it? ", "Yes"]);
}

proptest! {
    #[test]
    fn hostile_scripts_never_panic(
        at in 0..SMALL.len(),
        length in 0usize..12,
        noise in "[ -~\n\u{e9}]{0,8}",
    ) {
        let end = (at + length).min(SMALL.len());
        let _ = Script::parse(&format!("{}{noise}{}", &SMALL[..at], &SMALL[end..]));
        let _ = Script::parse(&noise);
    }

    #[test]
    fn hostile_callers_never_panic(caller in proptest::collection::vec("\\PC{0,30}", 0..6)) {
        let reply = Script::embedded().reply(caller.iter().map(String::as_str));
        prop_assert!(!reply.text.is_empty());
    }
}
