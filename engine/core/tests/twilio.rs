//! Twilio's messages as Twilio sends them, and everything that can be wrong with them.

#![allow(
    clippy::unwrap_used,
    reason = "a helper's failure is the test's failure"
)]

use std::{borrow::Cow, collections::BTreeMap};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use serde_json::{Value, json};
use sidetone_core::dialect::{
    Dialect, DialectError, FrameKind, Inbound, LegFormat, LegMessage, Media, Outbound, Start,
    Track,
    twilio::{MAX_PAYLOAD_BYTES, MAX_STREAM_ID_BYTES, Twilio},
};

const STREAM: &str = "MZ00000000000000000000000000000001";

const START: &str = r#"{"event":"start","sequenceNumber":"1","start":{"accountSid":"AC00000000000000000000000000000002","streamSid":"MZ00000000000000000000000000000001","callSid":"CA00000000000000000000000000000003","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{"token":"t0k3n","language":"pt-BR"}},"streamSid":"MZ00000000000000000000000000000001"}"#;

fn parsed(twilio: &mut Twilio, message: &str) -> LegMessage<'static> {
    twilio.parse(message.as_bytes()).unwrap().into_owned()
}

fn parse(message: &str) -> LegMessage<'static> {
    parsed(&mut Twilio::new(), message)
}

fn error(message: impl AsRef<[u8]>) -> DialectError {
    Twilio::new().parse(message.as_ref()).unwrap_err()
}

fn field(event: &str, field: &str) -> DialectError {
    DialectError::Field {
        event: event.to_owned(),
        field: field.to_owned(),
    }
}

fn in_stream(sequence: u64, body: Inbound<'static>) -> LegMessage<'static> {
    LegMessage {
        stream_id: Some(STREAM.into()),
        sequence: Some(sequence),
        body,
    }
}

fn media(payload: &[u8]) -> String {
    json!({
        "event": "media",
        "sequenceNumber": "3",
        "media": {"track": "inbound", "chunk": "2", "timestamp": "25", "payload": STANDARD.encode(payload)},
        "streamSid": STREAM,
    })
    .to_string()
}

/// `START` with one of its values replaced; `None` removes it.
fn start_with(path: &str, value: Option<Value>) -> String {
    let mut start: Value = serde_json::from_str(START).unwrap();
    let (parent, key) = path.rsplit_once('/').unwrap();
    let parent = start.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => parent.insert(key.to_owned(), value),
        None => parent.remove(key),
    };
    start.to_string()
}

#[test]
fn connected() {
    assert_eq!(
        parse(r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#),
        LegMessage {
            stream_id: None,
            sequence: None,
            body: Inbound::Connected,
        }
    );
}

#[test]
fn start() {
    let start = Start {
        stream_id: STREAM.to_owned(),
        call_id: Some("CA00000000000000000000000000000003".to_owned()),
        account_id: Some("AC00000000000000000000000000000002".to_owned()),
        parameters: BTreeMap::from([
            ("language".to_owned(), "pt-BR".to_owned()),
            ("token".to_owned(), "t0k3n".to_owned()),
        ]),
        format: LegFormat::MULAW_8000,
    };
    assert_eq!(parse(START), in_stream(1, Inbound::Start(start)));
}

#[test]
fn media_of_the_caller() {
    assert_eq!(
        parse(
            r#"{"event":"media","sequenceNumber":"3","media":{"track":"inbound","chunk":"1","timestamp":"5","payload":"no+JhoaJjpz/"},"streamSid":"MZ00000000000000000000000000000001"}"#
        ),
        in_stream(
            3,
            Inbound::Media(Media {
                track: Track::Inbound,
                chunk: Some(1),
                timestamp_ms: Some(5),
                payload: Cow::Borrowed(&[0x9e, 0x8f, 0x89, 0x86, 0x86, 0x89, 0x8e, 0x9c, 0xff]),
            })
        )
    );
}

#[test]
fn media_of_the_other_side() {
    let message = parse(
        r#"{"event":"media","sequenceNumber":"4","media":{"track":"outbound","chunk":"2","timestamp":"25","payload":""},"streamSid":"MZ00000000000000000000000000000001"}"#,
    );
    let Inbound::Media(media) = message.body else {
        panic!("{message:?}");
    };
    assert_eq!(media.track, Track::Outbound);
    assert!(media.payload.is_empty());
}

#[test]
fn dtmf() {
    let dtmf = |digit: &str| {
        let message = r#"{"event":"dtmf","streamSid":"MZ00000000000000000000000000000001","sequenceNumber":"5","dtmf":{"track":"inbound_track","digit":"DIGIT"}}"#;
        Twilio::new()
            .parse(message.replace("DIGIT", digit).as_bytes())
            .map(|message| message.body.into_owned())
    };
    for digit in "0123456789*#ABCD".chars() {
        assert_eq!(dtmf(&digit.to_string()), Ok(Inbound::Dtmf { digit }));
    }
    assert_eq!(dtmf("d"), Ok(Inbound::Dtmf { digit: 'D' }));
    for no_key in ["", "E", "12", " ", "é", "\\u0000"] {
        assert_eq!(dtmf(no_key), Err(field("dtmf", "dtmf.digit")), "{no_key:?}");
    }
}

#[test]
fn mark() {
    let message = r#"{"event":"mark","sequenceNumber":"4","streamSid":"MZ00000000000000000000000000000001","mark":{"name":"my \"label\" \u00e9"}}"#;
    let name = "my \"label\" é".into();
    assert_eq!(parse(message), in_stream(4, Inbound::Mark { name }));
}

#[test]
fn stop() {
    assert_eq!(
        parse(
            r#"{"event":"stop","sequenceNumber":"5","streamSid":"MZ00000000000000000000000000000001","stop":{"accountSid":"AC00000000000000000000000000000002","callSid":"CA00000000000000000000000000000003"}}"#
        ),
        in_stream(5, Inbound::Stop)
    );
    assert_eq!(parse(r#"{"event":"stop"}"#).body, Inbound::Stop);
}

#[test]
fn unknown_events_and_fields_are_ignored() {
    assert_eq!(
        parse(
            r#"{"event":"dance","sequenceNumber":"6","streamSid":"MZ00000000000000000000000000000001","media":7}"#
        ),
        in_stream(6, Inbound::Unknown)
    );
    assert_eq!(
        parse(r#"{"event":"dance","sequenceNumber":[],"streamSid":{}}"#).body,
        Inbound::Unknown
    );
    let start = start_with("/start/new", Some(json!({"deep": [{"deeper": null}]})));
    assert!(matches!(parse(&start).body, Inbound::Start(_)));
}

#[test]
fn numbers_may_be_strings_or_numbers() {
    let start = start_with("/start/mediaFormat/sampleRate", Some(json!("8000")));
    let start = start.replace(r#""channels":1"#, r#""channels":"1""#);
    assert!(matches!(parse(&start).body, Inbound::Start(_)));

    let message = parse(
        r#"{"event":"media","sequenceNumber":18446744073709551615,"media":{"chunk":2,"timestamp":40,"payload":"/w"}}"#,
    );
    assert_eq!(message.sequence, Some(u64::MAX));
    let Inbound::Media(media) = message.body else {
        panic!("{message:?}");
    };
    assert_eq!((media.chunk, media.timestamp_ms), (Some(2), Some(40)));
    assert_eq!(media.track, Track::Inbound, "where no track is named");
    assert_eq!(*media.payload, [0xff], "missing padding is forgiven");
}

#[test]
fn numbers_that_are_none_are_named() {
    for number in [
        r#""""#,
        r#""abc""#,
        r#""-1""#,
        r#""+1""#,
        r#"" 1""#,
        "-1",
        "1.5",
        "1e3",
        "true",
        "[1]",
        "{}",
        r#""18446744073709551616""#,
        "18446744073709551616",
    ] {
        for (name, message) in [
            (
                "sequenceNumber",
                r#"{"event":"media","sequenceNumber":NUMBER,"media":{"payload":""}}"#,
            ),
            (
                "media.chunk",
                r#"{"event":"media","media":{"chunk":NUMBER,"payload":""}}"#,
            ),
            (
                "media.timestamp",
                r#"{"event":"media","media":{"timestamp":NUMBER,"payload":""}}"#,
            ),
        ] {
            assert_eq!(
                error(message.replace("NUMBER", number)),
                field("media", name),
                "{number}"
            );
        }
    }
}

#[test]
fn parameters_of_any_type_become_text() {
    let parameters = json!({"a": "text", "b": 7, "c": 1.5, "d": true, "e": null, "f": {"g": [1]}});
    let start = start_with("/start/customParameters", Some(parameters));
    let Inbound::Start(start) = parse(&start).body else {
        panic!("no start");
    };
    let rendered: Vec<_> = start.parameters.values().map(String::as_str).collect();
    assert_eq!(rendered, ["text", "7", "1.5", "true", "", r#"{"g":[1]}"#]);

    for none in [None, Some(Value::Null), Some(json!({}))] {
        let Inbound::Start(start) = parse(&start_with("/start/customParameters", none)).body else {
            panic!("no start");
        };
        assert!(start.parameters.is_empty());
    }
}

#[test]
fn a_start_needs_a_stream_and_a_format() {
    let missing_or_wrong = [None, Some(Value::Null), Some(json!(true)), Some(json!([]))];
    for value in missing_or_wrong {
        for path in [
            "/start",
            "/start/mediaFormat",
            "/start/mediaFormat/encoding",
            "/start/mediaFormat/sampleRate",
            "/start/mediaFormat/channels",
        ] {
            assert_eq!(
                error(start_with(path, value.clone())),
                field("start", &path[1..].replace('/', "."))
            );
        }
    }
    for path in [
        "/start/accountSid",
        "/start/callSid",
        "/start/streamSid",
        "/start/customParameters",
        "/sequenceNumber",
        "/streamSid",
    ] {
        assert_eq!(
            error(start_with(path, Some(json!([])))),
            field("start", &path[1..].replace('/', "."))
        );
    }
    for id in ["".to_owned(), "x".repeat(MAX_STREAM_ID_BYTES + 1)] {
        let start = start_with("/streamSid", Some(json!(id)));
        assert_eq!(error(start), field("start", "streamSid"));
    }
    let neither = START.replace("streamSid", "noSid");
    assert_eq!(error(neither), field("start", "streamSid"));
}

#[test]
fn a_start_may_name_its_stream_in_either_place() {
    for path in ["/streamSid", "/start/streamSid"] {
        let Inbound::Start(start) = parse(&start_with(path, None)).body else {
            panic!("no start");
        };
        assert_eq!(start.stream_id, STREAM);
    }
}

#[test]
fn other_formats_are_refused_by_name() {
    for (path, value, says) in [
        (
            "sampleRate",
            json!(16_000),
            "audio/x-mulaw at 16000 Hz with 1 channels",
        ),
        (
            "channels",
            json!(2),
            "audio/x-mulaw at 8000 Hz with 2 channels",
        ),
        (
            "encoding",
            json!("audio/x-l16"),
            "audio/x-l16 at 8000 Hz with 1 channels",
        ),
        (
            "encoding",
            json!("my <secret>"),
            "of a name of 11 bytes at 8000 Hz with 1 channels",
        ),
        (
            "encoding",
            json!(""),
            "of a name of 0 bytes at 8000 Hz with 1 channels",
        ),
    ] {
        let start = start_with(&format!("/start/mediaFormat/{path}"), Some(value));
        let format = says.to_owned();
        assert_eq!(error(start), DialectError::Format { format });
    }
}

#[test]
fn what_is_no_message_says_where() {
    let syntax = |message: &str| match error(message) {
        DialectError::Syntax { reason, offset } => (reason, offset),
        other => panic!("{message:?}: {other:?}"),
    };
    for (message, reason, offset) in [
        ("[]", "not an object", 0),
        (r#""media""#, "not an object", 0),
        ("null", "not an object", 0),
        (r#"["media",1,2]"#, "not an object", 0),
        ("{}", "no `event`", 0),
        (r#"{"event":7}"#, "no `event`", 0),
        (r#"{"event":null}"#, "no `event`", 0),
        ("hello", "expected value", 0),
        ("{\"event\":\n\n  oops}", "expected value", 13),
        (r#"{"event":"stop"} x"#, "trailing characters", 17),
        (
            r#"{"event":"stop","event":"stop"}"#,
            "duplicate field `event`",
            22,
        ),
    ] {
        assert_eq!(syntax(message), (reason.to_owned(), offset), "{message}");
    }
    assert_eq!(syntax("").0, "EOF while parsing a value");
    assert!(
        syntax(r#"{"event":"med"#)
            .0
            .starts_with("EOF while parsing")
    );
    let deep = "[".repeat(100_000);
    let ignored = syntax(&format!(r#"{{"event":{deep}"#));
    assert_eq!(ignored.0, "EOF while parsing a list");
    let kept = syntax(&format!(r#"{{"start":{{"customParameters":{{"a":{deep}"#));
    assert_eq!(kept.0, "recursion limit exceeded");
    assert!(matches!(
        error(b"{\"event\":\"\xff\xfe\"}"),
        DialectError::Syntax {
            offset: 10..=12,
            ..
        }
    ));
}

#[test]
fn media_without_audio_is_named() {
    for (message, name) in [
        (r#"{"event":"media"}"#, "media"),
        (r#"{"event":"media","media":null}"#, "media"),
        (r#"{"event":"media","media":"abc"}"#, "media"),
        (r#"{"event":"media","media":[1,[2]]}"#, "media"),
        (r#"{"event":"media","media":{}}"#, "media.payload"),
        (
            r#"{"event":"media","media":{"payload":17}}"#,
            "media.payload",
        ),
        (
            r#"{"event":"media","media":{"payload":{"a":1}}}"#,
            "media.payload",
        ),
        (
            r#"{"event":"media","media":{"track":"both","payload":""}}"#,
            "media.track",
        ),
        (
            r#"{"event":"media","media":{"track":1,"payload":""}}"#,
            "media.track",
        ),
        (
            r#"{"event":"media","streamSid":1,"media":{"payload":""}}"#,
            "streamSid",
        ),
    ] {
        assert_eq!(error(message), field("media", name), "{message}");
    }
    for (event, name) in [("dtmf", "digit"), ("mark", "name")] {
        let bare = json!({"event": event}).to_string();
        assert_eq!(error(bare), field(event, event));
        let empty = json!({"event": event, event: {}}).to_string();
        assert_eq!(error(empty), field(event, &format!("{event}.{name}")));
        let wrong = json!({"event": event, event: {name: 5}}).to_string();
        assert_eq!(error(wrong), field(event, &format!("{event}.{name}")));
    }
}

#[test]
fn bad_base64_is_told() {
    for payload in ["A", "AA=A", "AB-_", "AA A", "====", "é", "AAA=="] {
        let message = json!({"event": "media", "media": {"payload": payload}}).to_string();
        assert_eq!(error(message), DialectError::Base64, "{payload}");
    }
}

#[test]
fn audio_of_any_length_up_to_the_limit() {
    for len in [0, 1, 2, 3, 159, 160, 161, 1_600, MAX_PAYLOAD_BYTES] {
        let Inbound::Media(media) = parse(&media(&vec![0x55; len])).body else {
            panic!("no media");
        };
        assert_eq!(*media.payload, vec![0x55; len]);
    }
    for len in [MAX_PAYLOAD_BYTES + 1, 1 << 20] {
        assert_eq!(
            error(media(&vec![0; len])),
            DialectError::PayloadTooLong {
                len,
                max: MAX_PAYLOAD_BYTES
            }
        );
    }
}

#[test]
fn escaped_slashes_are_the_same_audio() {
    let audio = [0xff; 160];
    let message = media(&audio).replace('/', r"\/");
    let Inbound::Media(media) = parse(&message).body else {
        panic!("no media");
    };
    assert_eq!(*media.payload, audio);
}

#[test]
fn an_error_leaves_the_leg_usable() {
    let mut twilio = Twilio::new();
    parsed(&mut twilio, START);
    for bad in ["{", "[]", r#"{"event":"media","media":{"payload":"?"}}"#] {
        assert!(twilio.parse(bad.as_bytes()).is_err());
        assert_eq!(
            parsed(&mut twilio, &media(&[7; 160])),
            parse(&media(&[7; 160]))
        );
    }
}

#[test]
fn media_after_the_first_allocates_nothing() {
    let mut twilio = Twilio::new();
    let message = media(&[0x7f; 160]);
    twilio.parse(START.as_bytes()).unwrap();
    twilio.parse(message.as_bytes()).unwrap();
    let allocations = allocation_counter::measure(|| {
        for _ in 0..10 {
            assert!(twilio.parse(message.as_bytes()).is_ok());
        }
    });
    assert_eq!(allocations.count_total, 0);
}

#[test]
fn writing_into_a_used_buffer_allocates_nothing() {
    let mut twilio = Twilio::new();
    twilio.parse(START.as_bytes()).unwrap();
    let messages = [
        Outbound::Media {
            payload: vec![0x7f; 1_600],
        },
        Outbound::Mark {
            name: "12".to_owned(),
        },
        Outbound::Clear,
    ];
    let mut out = Vec::with_capacity(4_096);
    let allocations = allocation_counter::measure(|| {
        for message in &messages {
            out.clear();
            twilio.write(message, &mut out);
        }
    });
    assert_eq!(allocations.count_total, 0);
}

fn written(twilio: &mut Twilio, message: &Outbound) -> Value {
    let mut out = b"before".to_vec();
    assert_eq!(twilio.write(message, &mut out), FrameKind::Text);
    assert_eq!(&out[..6], b"before");
    serde_json::from_slice(&out[6..]).unwrap()
}

#[test]
fn writes_what_twilio_reads() {
    let mut twilio = Twilio::new();
    parsed(&mut twilio, START);
    let payload = vec![0xfe, 0xff, 0x00, 0x7f];
    assert_eq!(
        written(&mut twilio, &Outbound::Media { payload }),
        json!({"event": "media", "streamSid": STREAM, "media": {"payload": "/v8Afw=="}})
    );
    let name = "a \"mark\"\n\u{1}é".to_owned();
    assert_eq!(
        written(&mut twilio, &Outbound::Mark { name: name.clone() }),
        json!({"event": "mark", "streamSid": STREAM, "mark": {"name": name}})
    );
    assert_eq!(
        written(&mut twilio, &Outbound::Clear),
        json!({"event": "clear", "streamSid": STREAM})
    );
}

#[test]
fn names_the_first_stream_that_started() {
    let mut twilio = Twilio::new();
    assert_eq!(
        written(&mut twilio, &Outbound::Clear),
        json!({"event": "clear"})
    );
    let refused = start_with("/start/mediaFormat/channels", Some(json!(2)));
    assert!(twilio.parse(refused.as_bytes()).is_err());
    assert_eq!(
        written(&mut twilio, &Outbound::Clear),
        json!({"event": "clear"})
    );
    let odd = "MZ\"}\\\u{7}";
    parsed(&mut twilio, &start_with("/streamSid", Some(json!(odd))));
    parsed(&mut twilio, START);
    assert_eq!(
        written(&mut twilio, &Outbound::Clear),
        json!({"event": "clear", "streamSid": odd})
    );
}

const SECRET: &str = "whatthecallersaid";

/// A valid message of each event, with a secret in every place that holds free text.
fn messages() -> Vec<String> {
    vec![
        json!({"event": "connected", "protocol": SECRET}).to_string(),
        start_with(
            "/start/customParameters",
            Some(json!({SECRET: SECRET, "b": [SECRET]})),
        ),
        media(SECRET.as_bytes()).replace("inbound", SECRET),
        json!({"event": "media", "media": {"payload": SECRET}}).to_string(),
        json!({"event": "mark", "mark": {"name": SECRET}}).to_string(),
        json!({"event": "dtmf", "dtmf": {"digit": SECRET}}).to_string(),
        json!({"event": "stop", "sequenceNumber": SECRET}).to_string(),
        json!({"event": SECRET, SECRET: SECRET}).to_string(),
        json!(SECRET).to_string(),
        SECRET.to_owned(),
    ]
}

/// One edit of a message's bytes.
#[derive(Clone, Debug)]
enum Edit {
    Replace(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Cut(prop::sample::Index),
    Repeat(prop::sample::Index, prop::sample::Index),
    Insert(prop::sample::Index, &'static str),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<prop::sample::Index>;
    let piece = prop::sample::select(vec![
        "\"",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\\",
        "\\u",
        "\\ud800",
        "null",
        "1e999",
        "-",
        "\0",
        "\u{feff}",
        "\"event\":\"media\",",
        "\"payload\":",
    ]);
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Edit::Replace(at, byte)),
        at().prop_map(Edit::Remove),
        at().prop_map(Edit::Cut),
        (at(), at()).prop_map(|(from, to)| Edit::Repeat(from, to)),
        (at(), piece).prop_map(|(at, piece)| Edit::Insert(at, piece)),
    ]
}

fn edited(mut bytes: Vec<u8>, edits: &[Edit]) -> Vec<u8> {
    for edit in edits {
        if bytes.is_empty() {
            break;
        }
        let len = bytes.len();
        match edit {
            Edit::Replace(at, byte) => bytes[at.index(len)] = *byte,
            Edit::Remove(at) => drop(bytes.remove(at.index(len))),
            Edit::Cut(at) => bytes.truncate(at.index(len)),
            Edit::Repeat(from, to) => {
                let (from, to) = (from.index(len), to.index(len));
                bytes.extend_from_within(from.min(to)..from.max(to));
            }
            Edit::Insert(at, piece) => {
                let at = at.index(len);
                bytes.splice(at..at, piece.bytes());
            }
        }
    }
    bytes
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Twilio::new().parse(&bytes);
    }

    /// Mutations of valid messages reach deeper than noise. Errors name an offset inside the
    /// message and nothing of what it said.
    #[test]
    fn mutated_messages_never_panic_nor_leak(
        message in prop::sample::select(messages()),
        edits in proptest::collection::vec(edit(), 0..4),
    ) {
        let bytes = edited(message.into_bytes(), &edits);
        if let Err(error) = Twilio::new().parse(&bytes) {
            let told = format!("{error} {error:?}");
            prop_assert!(!told.contains(SECRET) && !told.contains("caller"), "{told}");
            prop_assert!(told.len() < 400, "{told}");
            if let DialectError::Syntax { offset, .. } = error {
                prop_assert!(offset <= bytes.len());
            }
        }
    }

    #[test]
    fn any_audio_survives(audio in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let mut twilio = Twilio::new();
        let message = written(&mut twilio, &Outbound::Media { payload: audio.clone() });
        let Inbound::Media(media) = parsed(&mut twilio, &message.to_string()).body else {
            return Err(TestCaseError::fail("no media"));
        };
        prop_assert_eq!(&*media.payload, &audio[..]);
    }

    #[test]
    fn any_mark_survives(name in any::<String>()) {
        let mut twilio = Twilio::new();
        let message = written(&mut twilio, &Outbound::Mark { name: name.clone() });
        let back = parsed(&mut twilio, &message.to_string()).body;
        prop_assert_eq!(back, Inbound::Mark { name: name.into() });
    }
}
