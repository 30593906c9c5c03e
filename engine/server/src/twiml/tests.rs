use proptest::prelude::*;
use roxmltree::{Document, Node};

use super::*;
use crate::twilio::PhoneNumber;

fn number(text: &str) -> PhoneNumber {
    text.parse().unwrap()
}

/// The verbs alone.
fn verbs(document: &Twiml) -> String {
    let text = document.to_string();
    let (_, rest) = text.split_once("<Response>").unwrap();
    rest.strip_suffix("</Response>\n").unwrap().to_owned()
}

#[test]
fn a_stream_passes_its_parameters() {
    let stream = Stream::new("wss://voice.example/twilio/media")
        .parameter("token", "t")
        .unwrap()
        .parameter("role", "supervisor")
        .unwrap();
    assert_eq!(
        verbs(&Twiml::new().connect(&stream)),
        "<Connect><Stream url=\"wss://voice.example/twilio/media\">\
         <Parameter name=\"token\" value=\"t\"/>\
         <Parameter name=\"role\" value=\"supervisor\"/></Stream></Connect>"
    );
}

#[test]
fn a_parameter_that_twilio_would_cut_is_refused() {
    let fits = "x".repeat(499 - "token".len());
    assert!(Stream::new("wss://a").parameter("token", &fits).is_ok());
    let error = Stream::new("wss://a")
        .parameter("token", fits + "x")
        .unwrap_err();
    assert_eq!(error.chars, 500);
    assert!(error.to_string().contains("`token`"), "{error}");
    // Characters count, not bytes.
    assert!(
        Stream::new("wss://a")
            .parameter("n", "é".repeat(498))
            .is_ok()
    );
}

#[test]
fn a_warm_transfer_screens_whoever_answers() {
    let dial = Dial::number(Number::new(number("+12025550143")).screen("https://a/screen"))
        .caller_id(number("+12025550199"))
        .ring_seconds(20)
        .action("https://a/dialled?call=1&x=2")
        .answer_on_bridge();
    assert_eq!(
        verbs(&Twiml::new().dial(&dial)),
        "<Dial action=\"https://a/dialled?call=1&amp;x=2\" callerId=\"+12025550199\" timeout=\"20\" \
         answerOnBridge=\"true\"><Number url=\"https://a/screen\">+12025550143</Number></Dial>"
    );
    let reported = Dial::number(Number::new(number("+12025550143")).status_callback("https://a/s"));
    assert_eq!(
        verbs(&Twiml::new().dial(&reported)),
        "<Dial><Number statusCallback=\"https://a/s\" \
         statusCallbackEvent=\"initiated ringing answered completed\">+12025550143</Number></Dial>"
    );
}

#[test]
fn a_conference_says_only_what_is_not_twilios_default() {
    let plain = Twiml::new().dial(&Dial::conference(Conference::new("room 1")));
    assert_eq!(
        verbs(&plain),
        "<Dial><Conference>room 1</Conference></Dial>"
    );
    let guarded = Conference::new("room <1>")
        .start_on_enter(false)
        .end_on_exit(true)
        .muted(true)
        .beep(false)
        .wait_url("");
    assert_eq!(
        verbs(&Twiml::new().dial(&Dial::conference(guarded))),
        "<Dial><Conference startConferenceOnEnter=\"false\" endConferenceOnExit=\"true\" \
         muted=\"true\" beep=\"false\" waitUrl=\"\">room &lt;1&gt;</Conference></Dial>"
    );
}

#[test]
fn a_key_is_asked_for_and_what_follows_is_for_no_key() {
    let gather = Gather::one_key("https://a/accept")
        .wait_seconds(8)
        .say(Say::new("A caller asks about an invoice."))
        .say(Say::new("Press 1 to accept.").voice("Polly.Joanna"));
    assert_eq!(
        verbs(&Twiml::new().gather(&gather).hangup()),
        "<Gather input=\"dtmf\" numDigits=\"1\" action=\"https://a/accept\" timeout=\"8\">\
         <Say>A caller asks about an invoice.</Say>\
         <Say voice=\"Polly.Joanna\">Press 1 to accept.</Say></Gather><Hangup/>"
    );
}

#[test]
fn a_queue_a_pause_and_another_document() {
    let document = Twiml::new()
        .pause(2)
        .enqueue(
            &Enqueue::new("billing")
                .action("https://a/left")
                .wait_url("https://a/wait"),
        )
        .redirect("https://a/next?x=1&y=2");
    assert_eq!(
        verbs(&document),
        "<Pause length=\"2\"/><Enqueue action=\"https://a/left\" waitUrl=\"https://a/wait\">\
         billing</Enqueue><Redirect>https://a/next?x=1&amp;y=2</Redirect>"
    );
}

#[test]
fn ringing_stays_within_what_twilio_takes() {
    for (asked, written) in [(0, "5"), (5, "5"), (600, "600"), (u16::MAX, "600")] {
        let dial = Dial::number(number("+12025550143")).ring_seconds(asked);
        let xml = verbs(&Twiml::new().dial(&dial));
        assert!(xml.contains(&format!("timeout=\"{written}\"")), "{xml}");
    }
}

#[test]
fn nothing_that_is_private_is_in_debug() {
    let stream = Stream::new("wss://a").parameter("token", "hush").unwrap();
    let dial = Dial::number(number("+12025550143"));
    let document = Twiml::new().connect(&stream).dial(&dial);
    let debug = format!("{stream:?} {dial:?} {document:?}");
    assert!(
        !debug.contains("hush") && !debug.contains("0143"),
        "{debug}"
    );
}

/// What XML can carry of a text.
fn carried(text: &str) -> String {
    let is_lost = |c: char| {
        (c < ' ' && !['\t', '\n', '\r'].contains(&c)) || ['\u{fffe}', '\u{ffff}'].contains(&c)
    };
    text.chars()
        .map(|c| if is_lost(c) { '\u{fffd}' } else { c })
        .collect()
}

fn find<'a>(document: &'a Document<'a>, tag: &str) -> Node<'a, 'a> {
    document
        .descendants()
        .find(|node| node.has_tag_name(tag))
        .unwrap()
}

/// Any characters, with those that mean something in XML more often than chance has them.
fn any_text() -> impl Strategy<Value = String> {
    let special = prop::sample::select(vec![
        '<', '>', '&', '"', '\'', ']', '\n', '\r', '\t', '\0', '\u{1b}', '\u{fffe}', ' ', 'é',
    ]);
    prop::collection::vec(prop_oneof![special, any::<char>()], 0..40)
        .prop_map(|characters| characters.into_iter().collect())
}

proptest! {
    /// Whatever is said, named or linked comes out of an XML parser as it went in, and brings no
    /// element of its own.
    #[test]
    fn any_text_survives_and_adds_nothing(text in any_text(), more in any_text()) {
        let stream = Stream::new(&*text)
            .status_callback(&*more)
            .parameter(&*text, &*more)
            .unwrap();
        let document = Twiml::new()
            .connect(&stream)
            .dial(&Dial::conference(Conference::new(&*text).wait_url(&*more)).action(&*text))
            .enqueue(&Enqueue::new(&*more).action(&*text))
            .gather(&Gather::one_key(&*text).say(Say::new(&*more).language(&*text)))
            .redirect(&text)
            .to_string();
        let parsed = Document::parse(&document).unwrap();
        let names: Vec<_> = parsed
            .descendants()
            .filter(Node::is_element)
            .map(|node| node.tag_name().name())
            .collect();
        prop_assert_eq!(
            names,
            ["Response", "Connect", "Stream", "Parameter", "Dial", "Conference", "Enqueue",
             "Gather", "Say", "Redirect"]
        );
        let (text, more) = (carried(&text), carried(&more));
        let stream = find(&parsed, "Stream");
        prop_assert_eq!(stream.attribute("url"), Some(&*text));
        prop_assert_eq!(stream.attribute("statusCallback"), Some(&*more));
        let parameter = find(&parsed, "Parameter");
        prop_assert_eq!(parameter.attribute("name"), Some(&*text));
        prop_assert_eq!(parameter.attribute("value"), Some(&*more));
        prop_assert_eq!(find(&parsed, "Dial").attribute("action"), Some(&*text));
        prop_assert_eq!(find(&parsed, "Conference").text().unwrap_or_default(), &text);
        prop_assert_eq!(find(&parsed, "Enqueue").text().unwrap_or_default(), &more);
        prop_assert_eq!(find(&parsed, "Say").text().unwrap_or_default(), &more);
        prop_assert_eq!(find(&parsed, "Redirect").text().unwrap_or_default(), &text);
    }
}
