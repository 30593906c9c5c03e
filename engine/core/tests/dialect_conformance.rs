//! What every dialect must do, whatever its provider's format. A new dialect adds a [`Provider`]
//! and a test that runs [`conforms`] over it.

#![allow(
    clippy::unwrap_used,
    reason = "a helper's failure is the test's failure"
)]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use sidetone_core::dialect::{
    Dialect, FrameKind, Inbound, LegFormat, Outbound, Track, twilio::Twilio,
};

/// One provider's messages, as it sends them.
struct Provider {
    dialect: fn() -> Box<dyn Dialect>,
    format: LegFormat,
    frame: FrameKind,
    /// The stream's start.
    start: fn(stream: &str) -> Vec<u8>,
    /// The caller's audio.
    media: fn(stream: &str, audio: &[u8]) -> Vec<u8>,
    dtmf: fn(stream: &str, digit: char) -> Vec<u8>,
    /// The reply to a mark, if the provider has marks.
    mark: Option<fn(stream: &str, name: &str) -> Vec<u8>>,
    stop: fn(stream: &str) -> Vec<u8>,
    /// An event that the provider may invent tomorrow.
    novelty: fn(stream: &str) -> Vec<u8>,
    /// The audio of a message that the dialect wrote.
    played: fn(written: &[u8]) -> Vec<u8>,
}

const STREAM: &str = "stream-1";
const NAME: &str = "agent \"7\" \\ é";

fn frame() -> Vec<u8> {
    (0..160).collect()
}

fn conforms(provider: &Provider) {
    understands(provider);
    takes_any_length(provider);
    writes(provider);
    survives_bad_input(provider);
    hears_without_allocating(provider);
}

fn understands(provider: &Provider) {
    let mut dialect = (provider.dialect)();
    assert!(dialect.takes(provider.frame));
    let mut hear = |bytes: Vec<u8>| dialect.parse(&bytes).unwrap().into_owned();
    let message = hear((provider.start)(STREAM));
    let Inbound::Start(start) = message.body else {
        panic!("no start: {message:?}");
    };
    assert_eq!(
        (start.stream_id.as_str(), start.format),
        (STREAM, provider.format)
    );

    let message = hear((provider.media)(STREAM, &frame()));
    assert!(message.stream_id.is_none_or(|id| id == STREAM));
    let Inbound::Media(media) = message.body else {
        panic!("no media: {:?}", message.body);
    };
    assert_eq!((media.track, &*media.payload), (Track::Inbound, &*frame()));

    for digit in "0123456789*#".chars() {
        let message = hear((provider.dtmf)(STREAM, digit));
        assert_eq!(message.body, Inbound::Dtmf { digit });
    }
    if let Some(mark) = provider.mark {
        let name = NAME.into();
        assert_eq!(hear(mark(STREAM, NAME)).body, Inbound::Mark { name });
    }
    assert_eq!(hear((provider.novelty)(STREAM)).body, Inbound::Unknown);
    assert_eq!(hear((provider.stop)(STREAM)).body, Inbound::Stop);
}

fn takes_any_length(provider: &Provider) {
    let mut dialect = (provider.dialect)();
    for len in [0, 1, 159, 161, 8_000, 64 * 1024] {
        let audio = vec![0x2a; len];
        let bytes = (provider.media)(STREAM, &audio);
        let Inbound::Media(media) = dialect.parse(&bytes).unwrap().body else {
            panic!("no media of {len} bytes");
        };
        assert_eq!(*media.payload, audio);
    }
    let endless = (provider.media)(STREAM, &vec![0x2a; 8 << 20]);
    assert!(dialect.parse(&endless).is_err(), "audio must be bounded");
}

fn writes(provider: &Provider) {
    let messages = [
        Outbound::Media { payload: frame() },
        Outbound::Media { payload: vec![] },
        Outbound::Mark {
            name: NAME.to_owned(),
        },
        Outbound::Clear,
    ];
    let mut dialect = (provider.dialect)();
    for message in &messages {
        dialect.write(message, &mut Vec::new());
    }
    dialect.parse(&(provider.start)(STREAM)).unwrap();
    for message in &messages {
        let mut out = b"kept".to_vec();
        let kind = dialect.write(message, &mut out);
        let written = out.strip_prefix(b"kept").unwrap();
        if kind == FrameKind::Text {
            std::str::from_utf8(written).unwrap();
        }
        if let Outbound::Media { payload } = message {
            assert_eq!(kind, provider.frame);
            assert_eq!((provider.played)(written), *payload);
        }
    }
}

/// Every byte of every message is cut, changed and doubled in turn.
fn survives_bad_input(provider: &Provider) {
    let mut dialect = (provider.dialect)();
    let media = (provider.media)(STREAM, &frame());
    let mut samples = vec![
        (provider.start)(STREAM),
        (provider.media)(STREAM, b"spoken"),
        (provider.dtmf)(STREAM, '5'),
        (provider.stop)(STREAM),
        (provider.novelty)(STREAM),
    ];
    samples.extend(provider.mark.map(|mark| mark(STREAM, NAME)));
    for sample in samples {
        for at in 0..=sample.len() {
            let _ = dialect.parse(&sample[..at]);
            let _ = dialect.parse(&sample[at..]);
            for byte in [0, b'"', b'{', b'[', b'9', 0x80, 0xff] {
                let mut changed = sample.clone();
                if let Some(old) = changed.get_mut(at) {
                    *old = byte;
                }
                let _ = dialect.parse(&changed);
                changed.insert(at, byte);
                let _ = dialect.parse(&changed);
            }
        }
        let heard = dialect.parse(&media).unwrap();
        assert!(matches!(heard.body, Inbound::Media(_)), "still usable");
    }
}

fn hears_without_allocating(provider: &Provider) {
    let mut dialect = (provider.dialect)();
    dialect.parse(&(provider.start)(STREAM)).unwrap();
    let media = (provider.media)(STREAM, &frame());
    dialect.parse(&media).unwrap();
    let allocations = allocation_counter::measure(|| assert!(dialect.parse(&media).is_ok()));
    assert_eq!(allocations.count_total, 0);
}

#[test]
fn twilio() {
    fn text(message: &serde_json::Value) -> Vec<u8> {
        message.to_string().into_bytes()
    }
    conforms(&Provider {
        dialect: || Box::new(Twilio::new()),
        format: LegFormat::MULAW_8000,
        frame: FrameKind::Text,
        start: |stream| {
            let format = json!({"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1});
            let start = json!({
                "accountSid": "AC1", "callSid": "CA1", "streamSid": stream,
                "tracks": ["inbound"], "customParameters": {}, "mediaFormat": format,
            });
            text(&json!({
                "event": "start", "sequenceNumber": "1", "start": start, "streamSid": stream,
            }))
        },
        media: |stream, audio| {
            let media = json!({
                "track": "inbound", "chunk": "1", "timestamp": "5",
                "payload": STANDARD.encode(audio),
            });
            text(&json!({
                "event": "media", "sequenceNumber": "2", "media": media, "streamSid": stream,
            }))
        },
        dtmf: |stream, digit| {
            let dtmf = json!({"track": "inbound_track", "digit": digit});
            text(&json!({
                "event": "dtmf", "streamSid": stream, "sequenceNumber": "3", "dtmf": dtmf,
            }))
        },
        mark: Some(|stream, name| {
            text(&json!({
                "event": "mark", "sequenceNumber": "4", "streamSid": stream,
                "mark": {"name": name},
            }))
        }),
        stop: |stream| {
            let stop = json!({"accountSid": "AC1", "callSid": "CA1"});
            text(&json!({
                "event": "stop", "sequenceNumber": "5", "streamSid": stream, "stop": stop,
            }))
        },
        novelty: |stream| {
            text(&json!({"event": "novelty", "sequenceNumber": "6", "streamSid": stream}))
        },
        played: |written| {
            let message: serde_json::Value = serde_json::from_slice(written).unwrap();
            assert_eq!(
                (&message["event"], &message["streamSid"]),
                (&json!("media"), &json!(STREAM))
            );
            STANDARD
                .decode(message["media"]["payload"].as_str().unwrap())
                .unwrap()
        },
    });
}
