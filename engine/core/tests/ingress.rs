//! The order and identity of what a leg sends, rule by rule.

use std::{borrow::Cow, collections::BTreeMap};

use proptest::prelude::*;
use sidetone_core::{
    dialect::{Encoding, Inbound, LegFormat, LegMessage, Media, Start, Track},
    event::{Counters, LegFault},
    ingress::{Accepted, Ingress},
};

/// An ingress with everything its caller keeps.
#[derive(Default)]
struct Leg {
    ingress: Ingress,
    pcm: Vec<i16>,
    counters: Counters,
    fault: Option<(LegFault, String)>,
}

impl Leg {
    fn started() -> Self {
        let mut leg = Self::default();
        assert!(matches!(
            leg.take(Some(1), start("MZ1")),
            Accepted::Started(_)
        ));
        leg
    }

    fn take<'a>(&mut self, sequence: Option<u64>, body: Inbound<'a>) -> Accepted<'a> {
        self.take_for("MZ1", sequence, body)
    }

    fn take_for<'a>(
        &mut self,
        stream: &'a str,
        sequence: Option<u64>,
        body: Inbound<'a>,
    ) -> Accepted<'a> {
        self.fault = None;
        let message = LegMessage {
            stream_id: Some(Cow::Borrowed(stream)),
            sequence,
            body,
        };
        self.ingress
            .accept(message, &mut self.pcm, &mut self.counters, &mut self.fault)
    }

    fn faults(&self, fault: LegFault) -> u64 {
        self.counters.leg_faults.get(&fault).copied().unwrap_or(0)
    }
}

fn start(stream: &str) -> Inbound<'static> {
    Inbound::Start(Start {
        stream_id: stream.to_owned(),
        call_id: None,
        account_id: None,
        parameters: BTreeMap::new(),
        format: LegFormat::MULAW_8000,
    })
}

fn media(timestamp_ms: Option<u64>, payload: &[u8]) -> Inbound<'_> {
    Inbound::Media(Media {
        track: Track::Inbound,
        chunk: None,
        timestamp_ms,
        payload: Cow::Borrowed(payload),
    })
}

fn key(digit: char) -> Inbound<'static> {
    Inbound::Dtmf { digit }
}

fn mark(name: &'static str) -> Inbound<'static> {
    Inbound::Mark { name: name.into() }
}

const FRAME: [u8; 160] = [0x80; 160];

#[test]
fn a_stream_from_start_to_stop() {
    let mut leg = Leg::default();
    assert_eq!(leg.take(None, Inbound::Connected), Accepted::Nothing);
    assert_eq!(leg.ingress.stream_id(), None);
    assert_eq!(leg.ingress.format(), None);
    assert!(
        matches!(leg.take(Some(1), start("MZ1")), Accepted::Started(s) if s.stream_id == "MZ1")
    );
    assert_eq!(leg.ingress.stream_id(), Some("MZ1"));
    assert_eq!(leg.ingress.format(), Some(LegFormat::MULAW_8000));
    assert_eq!(leg.take(Some(2), media(Some(0), &FRAME)), Accepted::Audio);
    assert_eq!(leg.pcm, [32_124; 160]);
    assert_eq!(leg.take(Some(3), key('#')), Accepted::Dtmf { digit: '#' });
    assert_eq!(
        leg.take(Some(4), mark("m")),
        Accepted::Mark { name: "m".into() }
    );
    assert_eq!(leg.take(Some(5), Inbound::Stop), Accepted::Stopped);
    assert_eq!(leg.ingress.stream_id(), Some("MZ1"));
    assert_eq!(leg.counters.frames_in, 1);
    assert_eq!(leg.counters.leg_faults, BTreeMap::new());
    assert_eq!(leg.fault, None);
}

#[test]
fn each_audio_message_replaces_the_buffer() {
    let mut leg = Leg::started();
    leg.take(Some(2), media(None, &[0xff, 0x7f]));
    assert_eq!(leg.pcm, [0, 0]);
    leg.take(Some(3), media(None, &[0x00]));
    assert_eq!(leg.pcm, [-32_124]);
    leg.take(Some(4), media(None, &vec![0xff; 65_536]));
    assert_eq!(leg.pcm.len(), 65_536);
}

#[test]
fn alaw_legs_are_decoded_as_such() {
    let mut leg = Leg::default();
    let Inbound::Start(mut start) = start("MZ1") else {
        unreachable!()
    };
    start.format.encoding = Encoding::Alaw;
    leg.take(None, Inbound::Start(start));
    leg.take(None, media(None, &[0xd5, 0x55, 0xaa, 0x2a]));
    assert_eq!(leg.pcm, [8, -8, 32_256, -32_256]);
}

#[test]
fn an_empty_payload_is_nothing() {
    let mut leg = Leg::started();
    leg.take(Some(2), media(Some(0), &FRAME));
    assert_eq!(leg.take(Some(3), media(Some(20), &[])), Accepted::Nothing);
    assert_eq!(leg.take(Some(4), media(Some(20), &FRAME)), Accepted::Audio);
    assert_eq!((leg.pcm.len(), leg.counters.frames_in), (160, 2));
    assert!(leg.counters.leg_faults.is_empty());
}

#[test]
fn nothing_is_used_before_the_start() {
    let mut leg = Leg::default();
    assert_eq!(leg.take(Some(1), media(None, &FRAME)), Accepted::Nothing);
    assert_eq!(
        leg.fault.clone(),
        Some((
            LegFault::BeforeStart,
            "audio before the stream started".to_owned()
        ))
    );
    assert_eq!(leg.take(Some(2), key('1')), Accepted::Nothing);
    assert_eq!(leg.take(Some(3), mark("m")), Accepted::Nothing);
    assert_eq!(leg.fault, None, "the first of a kind is told, once");
    assert_eq!(leg.faults(LegFault::BeforeStart), 3);
    assert!(matches!(
        leg.take(Some(1), start("MZ1")),
        Accepted::Started(_)
    ));
    assert_eq!(leg.take(Some(2), media(None, &FRAME)), Accepted::Audio);
    assert!(leg.pcm.len() == 160 && leg.counters.frames_in == 1);
}

#[test]
fn the_first_start_counts() {
    let mut leg = Leg::started();
    assert_eq!(
        leg.take_for("MZ2", Some(2), start("MZ2")),
        Accepted::Nothing
    );
    assert_eq!(leg.take(Some(2), start("MZ1")), Accepted::Nothing);
    assert_eq!(leg.faults(LegFault::SecondStart), 2);
    assert_eq!(leg.ingress.stream_id(), Some("MZ1"));
}

#[test]
fn foreign_streams_are_ignored_with_their_numbers() {
    let mut leg = Leg::started();
    for body in [
        media(None, &FRAME),
        key('1'),
        mark("m"),
        Inbound::Stop,
        Inbound::Unknown,
    ] {
        assert_eq!(leg.take_for("MZ2", Some(50), body), Accepted::Nothing);
    }
    assert_eq!(leg.faults(LegFault::ForeignStream), 5);
    assert_eq!(leg.take(Some(2), media(None, &FRAME)), Accepted::Audio);
    assert_eq!(leg.faults(LegFault::Gap), 0);
}

#[test]
fn a_message_without_a_stream_id_belongs_to_the_stream() {
    let mut leg = Leg::started();
    let message = LegMessage {
        stream_id: None,
        sequence: None,
        body: media(None, &FRAME),
    };
    assert_eq!(
        leg.ingress
            .accept(message, &mut leg.pcm, &mut leg.counters, &mut leg.fault),
        Accepted::Audio
    );
}

#[test]
fn what_the_caller_hears_is_not_what_the_caller_says() {
    let mut leg = Leg::started();
    let Inbound::Media(mut outbound) = media(Some(400), &FRAME) else {
        unreachable!()
    };
    outbound.track = Track::Outbound;
    leg.take(Some(2), media(Some(0), &FRAME));
    assert_eq!(
        leg.take(Some(3), Inbound::Media(outbound)),
        Accepted::Nothing
    );
    assert_eq!(leg.take(Some(4), media(Some(20), &FRAME)), Accepted::Audio);
    assert_eq!(leg.pcm.len(), 160);
    assert!(leg.counters.leg_faults.is_empty());
}

#[test]
fn repeats_stragglers_and_gaps_are_counted() {
    let mut leg = Leg::started();
    assert_eq!(leg.take(Some(2), media(None, &FRAME)), Accepted::Audio);
    assert_eq!(leg.take(Some(2), media(None, &FRAME)), Accepted::Nothing);
    assert_eq!(leg.faults(LegFault::Duplicate), 1);
    assert_eq!(leg.take(Some(6), media(None, &FRAME)), Accepted::Audio);
    assert_eq!(
        leg.fault.clone(),
        Some((LegFault::Gap, "3 missing before audio".to_owned()))
    );
    assert_eq!(leg.take(Some(4), media(None, &FRAME)), Accepted::Nothing);
    assert_eq!(leg.take(Some(4), media(None, &FRAME)), Accepted::Nothing);
    assert_eq!(leg.faults(LegFault::Gap), 3, "a straggler leaves the gap");
    assert_eq!(leg.faults(LegFault::Late), 1);
    assert_eq!(leg.faults(LegFault::Duplicate), 2);
    assert_eq!(leg.counters.frames_in, 2);
}

#[test]
fn a_key_that_comes_late_counts_and_its_repeat_does_not() {
    let mut leg = Leg::started();
    leg.take(Some(4), media(None, &FRAME));
    assert_eq!(leg.take(Some(3), key('5')), Accepted::Dtmf { digit: '5' });
    assert_eq!(leg.take(Some(3), key('5')), Accepted::Nothing);
    assert_eq!(
        leg.take(Some(2), mark("m")),
        Accepted::Mark { name: "m".into() }
    );
    assert_eq!(leg.faults(LegFault::Late), 2);
    assert_eq!(leg.faults(LegFault::Duplicate), 1);
}

#[test]
fn the_end_is_believed_whatever_its_number() {
    for number in [None, Some(0), Some(1), Some(2), Some(u64::MAX)] {
        assert_eq!(
            Leg::started().take(number, Inbound::Stop),
            Accepted::Stopped
        );
    }
    let mut leg = Leg::default();
    assert_eq!(leg.take(None, Inbound::Stop), Accepted::Stopped);
}

#[test]
fn nothing_comes_after_the_end() {
    let mut leg = Leg::started();
    leg.take(Some(2), Inbound::Stop);
    for body in [
        Inbound::Stop,
        start("MZ1"),
        media(None, &FRAME),
        key('1'),
        Inbound::Unknown,
    ] {
        assert_eq!(leg.take(Some(3), body), Accepted::Nothing);
    }
    assert_eq!(leg.faults(LegFault::Late), 5);
}

#[test]
fn unknown_events_have_their_place_in_the_order() {
    let mut leg = Leg::started();
    assert_eq!(leg.take(Some(2), Inbound::Unknown), Accepted::Nothing);
    assert_eq!(leg.take(Some(3), media(None, &FRAME)), Accepted::Audio);
    assert_eq!(leg.faults(LegFault::Unknown), 1);
    assert_eq!(leg.faults(LegFault::Gap), 0);
}

#[test]
fn two_new_faults_at_once_are_told_one_after_the_other() {
    let mut leg = Leg::started();
    leg.take(Some(5), Inbound::Unknown);
    assert!(matches!(leg.fault, Some((LegFault::Gap, _))));
    leg.take(Some(6), Inbound::Unknown);
    assert!(matches!(leg.fault, Some((LegFault::Unknown, _))));
    leg.take(Some(9), Inbound::Unknown);
    assert_eq!(leg.fault, None);
    assert_eq!(leg.faults(LegFault::Unknown), 3);
    assert_eq!(leg.faults(LegFault::Gap), 5);
}

#[test]
fn absurd_numbers_do_not_poison_the_call() {
    let mut leg = Leg::started();
    leg.take(Some(u64::MAX), media(None, &FRAME));
    for number in 2..100 {
        let body = media(None, &FRAME);
        assert_eq!(leg.take(Some(number), body), Accepted::Audio);
    }
    leg.take(Some(1_000), key('1'));
    let audio = (1..10)
        .filter(|&n| leg.take(Some(n), media(None, &FRAME)) == Accepted::Audio)
        .count();
    assert_eq!(
        audio, 7,
        "a leg that counts anew is heard from its third message on"
    );
}

#[test]
fn holes_in_time_are_filled_with_silence() {
    let mut leg = Leg::started();
    leg.take(Some(2), media(Some(100), &FRAME));
    assert_eq!(leg.pcm.len(), 160, "nothing before the first frame");
    leg.take(Some(4), media(Some(140), &FRAME));
    assert_eq!(leg.pcm.len(), 320);
    assert_eq!(leg.pcm[..160], [0; 160]);
    assert_eq!(leg.pcm[160..], [32_124; 160]);
    leg.take(Some(5), media(Some(160), &FRAME));
    assert_eq!(leg.pcm.len(), 160);
    leg.take(Some(6), media(Some(189), &FRAME));
    assert_eq!(leg.pcm.len(), 160, "9 ms is jitter");
    leg.take(Some(7), media(Some(60_000), &FRAME));
    assert_eq!(leg.pcm.len(), 1_600 + 160, "bounded");
    leg.take(Some(8), media(Some(60_020), &FRAME));
    assert_eq!(leg.pcm.len(), 160);
    leg.take(Some(9), media(Some(3), &FRAME));
    assert_eq!(leg.pcm.len(), 160, "time that runs backwards fills nothing");
    leg.take(Some(10), media(None, &FRAME));
    leg.take(Some(11), media(Some(900), &FRAME));
    assert_eq!(leg.pcm.len(), 160, "unknown since the last");
    leg.take(Some(12), media(Some(u64::MAX), &FRAME));
    leg.take(Some(13), media(Some(u64::MAX), &FRAME));
    assert_eq!(leg.pcm.len(), 160);
}

#[test]
fn details_hold_nothing_of_the_message() {
    let mut leg = Leg::started();
    leg.take_for("a secret id", Some(2), mark("a secret name"));
    let (_, detail) = leg.fault.take().unwrap();
    assert!(!detail.contains("secret"), "{detail}");
}

#[test]
fn a_frame_after_the_first_allocates_nothing() {
    let mut leg = Leg::started();
    leg.take(Some(2), media(Some(0), &FRAME));
    leg.take(Some(2), media(Some(0), &FRAME));
    leg.take(Some(4), media(Some(40), &FRAME));
    let allocations = allocation_counter::measure(|| {
        for sequence in 5..100 {
            leg.take(Some(sequence), media(Some((sequence - 2) * 20), &FRAME));
            leg.take(Some(sequence), media(Some((sequence - 2) * 20), &FRAME));
        }
    });
    assert_eq!(allocations.count_total, 0);
}

fn any_body() -> impl Strategy<Value = Inbound<'static>> {
    let payload = prop_oneof![
        Just(0usize),
        Just(1),
        Just(160),
        0usize..2_000,
        Just(65_536)
    ];
    let timestamp = proptest::option::of(prop_oneof![0..2_000u64, any::<u64>()]);
    prop_oneof![
        Just(Inbound::Connected),
        prop_oneof![Just("MZ1"), Just("MZ2")].prop_map(start),
        (any::<bool>(), timestamp, payload).prop_map(|(inbound, timestamp_ms, len)| {
            Inbound::Media(Media {
                track: if inbound {
                    Track::Inbound
                } else {
                    Track::Outbound
                },
                chunk: None,
                timestamp_ms,
                payload: vec![0x80; len].into(),
            })
        }),
        Just(key('0')),
        Just(mark("m")),
        Just(Inbound::Stop),
        Just(Inbound::Unknown),
    ]
}

proptest! {
    /// Any messages in any order: no panic, bounded audio, each kind of fault told at most
    /// once, and what is counted is what was seen.
    #[test]
    fn any_messages_in_any_order(
        messages in proptest::collection::vec(
            (
                proptest::option::of(prop_oneof![Just("MZ1"), Just("MZ2")]),
                proptest::option::of(prop_oneof![0..40u64, any::<u64>()]),
                any_body(),
            ),
            0..60,
        ),
    ) {
        let mut leg = Leg::default();
        let mut told = Vec::new();
        let (mut started, mut stopped, mut audio) = (0, 0, 0);
        for (stream, sequence, body) in messages {
            let payload = match &body {
                Inbound::Media(media) => media.payload.len(),
                _ => 0,
            };
            leg.fault = None;
            let message = LegMessage { stream_id: stream.map(Cow::Borrowed), sequence, body };
            let accepted = leg.ingress.accept(
                message, &mut leg.pcm, &mut leg.counters, &mut leg.fault,
            );
            match accepted {
                Accepted::Started(_) => started += 1,
                Accepted::Stopped => stopped += 1,
                Accepted::Audio => {
                    audio += 1;
                    prop_assert_eq!((started, stopped), (1, 0));
                    prop_assert!(payload > 0);
                    prop_assert!((payload..=payload + 1_600).contains(&leg.pcm.len()));
                }
                Accepted::Dtmf { .. } | Accepted::Mark { .. } => {
                    prop_assert_eq!((started, stopped), (1, 0));
                }
                Accepted::Nothing => {}
            }
            if let Some((fault, _)) = &leg.fault {
                prop_assert!(!told.contains(fault));
                prop_assert!(leg.faults(*fault) > 0);
                told.push(*fault);
            }
        }
        prop_assert!(started <= 1 && stopped <= 1);
        prop_assert_eq!(leg.counters.frames_in, audio);
    }
}
