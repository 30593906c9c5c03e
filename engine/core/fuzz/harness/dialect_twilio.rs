//! One Twilio leg: each line of the input is a message it sends.

use sidetone_core::{
    dialect::{Dialect, DialectError, FrameKind, Inbound, Outbound, twilio::Twilio},
    event::Counters,
    ingress::{Accepted, Ingress},
};

/// The most silence that one message may add, at 8 kHz.
const MOST_SILENCE: usize = 1_600;

/// # Panics
///
/// Something that must hold for all input does not.
pub(crate) fn run(session: &[u8]) {
    let mut twilio = Twilio::new();
    let mut ingress = Ingress::new();
    let mut counters = Counters::default();
    let mut pcm = Vec::new();
    let mut told = Vec::new();
    let (mut started, mut stopped) = (false, false);
    for line in session.split(|&byte| byte == b'\n') {
        let message = match twilio.parse(line) {
            Ok(message) => message,
            Err(error) => {
                assert!(error.to_string().len() < 300, "quotes the message: {error}");
                if let DialectError::Syntax { offset, .. } = error {
                    assert!(offset <= line.len(), "outside the message: {offset}");
                }
                continue;
            }
        };
        let payload = match &message.body {
            Inbound::Media(media) => media.payload.to_vec(),
            _ => Vec::new(),
        };
        let mut fault = None;
        let answer = match ingress.accept(message, &mut pcm, &mut counters, &mut fault) {
            Accepted::Nothing => None,
            Accepted::Started(start) => {
                assert!(!started && !stopped, "a second start");
                assert_eq!(ingress.stream_id(), Some(start.stream_id.as_str()));
                started = true;
                Some(Outbound::Clear)
            }
            Accepted::Stopped => {
                assert!(!stopped, "a second end");
                stopped = true;
                None
            }
            Accepted::Audio => {
                assert!(started && !stopped, "audio outside the stream");
                assert!((1..=payload.len() + MOST_SILENCE).contains(&pcm.len()));
                Some(Outbound::Media { payload })
            }
            Accepted::Mark { name } => Some(Outbound::Mark {
                name: name.into_owned(),
            }),
            Accepted::Dtmf { digit } => {
                assert!("0123456789*#ABCD".contains(digit), "no key: {digit:?}");
                None
            }
        };
        if let Some((fault, _)) = fault {
            assert!(!told.contains(&fault), "told twice: {fault:?}");
            assert!(counters.leg_faults[&fault] > 0, "told, not counted");
            told.push(fault);
        }
        if let Some(answer) = answer {
            comes_back(&mut twilio, &answer, ingress.stream_id());
        }
    }
}

/// What is written can be read, says the same, and names the call's stream.
fn comes_back(twilio: &mut Twilio, message: &Outbound, stream: Option<&str>) {
    let mut out = Vec::new();
    assert_eq!(twilio.write(message, &mut out), FrameKind::Text);
    let json: serde_json::Value = serde_json::from_slice(&out).expect("valid JSON");
    assert_eq!(json["streamSid"].as_str(), stream);
    let back = twilio.parse(&out).expect("a message of the dialect").body;
    let is_same = match (message, &back) {
        (Outbound::Media { payload }, Inbound::Media(media)) => *payload == *media.payload,
        (Outbound::Mark { name }, Inbound::Mark { name: back }) => name == back,
        (Outbound::Clear, Inbound::Unknown) => true,
        _ => false,
    };
    assert!(is_same, "changed on the way");
}
