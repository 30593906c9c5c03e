//! Opus there and back, with losses and with bytes that are not Opus.

use std::sync::LazyLock;

use proptest::prelude::*;
use sidetone_codecs::{OpusDecoder, OpusEncoder, OpusError, OpusSettings, SampleRate};

const RATES: [SampleRate; 4] = [
    SampleRate::HZ_8000,
    SampleRate::HZ_16000,
    SampleRate::HZ_24000,
    SampleRate::HZ_48000,
];

fn encoder(rate: SampleRate, settings: OpusSettings) -> OpusEncoder {
    OpusEncoder::new(rate, settings).expect("a rate of Opus")
}

fn decoder(rate: SampleRate) -> OpusDecoder {
    OpusDecoder::new(rate).expect("a rate of Opus")
}

/// A second of something like a voice: harmonics of a gliding pitch, four syllables a
/// second. `lowest` is the lowest harmonic.
fn voice_from(lowest: u32, rate: SampleRate) -> Vec<i16> {
    let mut phase = 0.0_f64;
    (0..rate.hz())
        .map(|n| {
            let t = f64::from(n) / f64::from(rate.hz());
            phase +=
                std::f64::consts::TAU * (130.0 + 30.0 * (3.0 * t).sin()) / f64::from(rate.hz());
            let harmonics: f64 = (lowest..=20)
                .map(|k| (phase * f64::from(k)).sin() / f64::from(k))
                .sum();
            let syllables = (std::f64::consts::PI * 4.0 * t).sin().abs();
            (8_000.0 * syllables * harmonics) as i16
        })
        .collect()
}

fn voice(rate: SampleRate) -> Vec<i16> {
    voice_from(1, rate)
}

fn encode_all(encoder: &mut OpusEncoder, samples: &[i16]) -> Vec<Vec<u8>> {
    samples
        .chunks_exact(encoder.frame_len())
        .map(|frame| {
            let mut packet = Vec::new();
            let len = encoder
                .encode_append(frame, &mut packet)
                .expect("a whole frame");
            assert_eq!(len, packet.len());
            packet
        })
        .collect()
}

fn correlation(a: &[i16], b: &[i16]) -> f64 {
    let dot = |a: &[i16], b: &[i16]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(&a, &b)| f64::from(a) * f64::from(b))
            .sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn energy(samples: &[i16]) -> f64 {
    samples.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / samples.len() as f64
}

#[test]
fn what_comes_back_is_what_went_in() {
    for rate in RATES {
        // Under 300 Hz the encoder's high-pass filter turns the phase.
        let samples = voice_from(3, rate);
        let settings = OpusSettings {
            bitrate_bps: 64_000,
            complexity: 10,
        };
        let mut encoder = encoder(rate, settings);
        let mut decoder = decoder(rate);
        let mut decoded = Vec::new();
        for packet in encode_all(&mut encoder, &samples) {
            let count = decoder
                .decode_append(Some(&packet), &mut decoded)
                .expect("our own packet");
            assert_eq!(count.0 as usize, encoder.frame_len());
        }
        assert_eq!(decoded.len(), samples.len());
        let delay = encoder.delay().0 as usize;
        // The delay is a whole number of samples, the resampling inside Opus is not.
        let likeness = (delay - 4..=delay)
            .map(|late| correlation(&decoded[late..], &samples[..samples.len() - late]))
            .fold(0.0, f64::max);
        assert!(likeness > 0.97, "{rate}: correlation {likeness:.3}");
    }
}

#[test]
fn the_bit_rate_is_an_upper_target() {
    let rate = SampleRate::HZ_16000;
    let bits = |bitrate_bps| {
        let settings = OpusSettings {
            bitrate_bps,
            ..OpusSettings::default()
        };
        let packets = encode_all(&mut encoder(rate, settings), &voice(rate));
        8 * packets.iter().map(Vec::len).sum::<usize>() as u32
    };
    let targets = [8_000, 16_000, 24_000, 48_000];
    let spent = targets.map(bits);
    assert!(
        spent.is_sorted_by(|a, b| a < b),
        "{spent:?} for {targets:?} bit/s"
    );
    for (target, spent) in targets.into_iter().zip(spent) {
        assert!(spent < target * 11 / 10, "{spent} for {target} bit/s");
    }
}

#[test]
fn complexity_reaches_the_encoder() {
    let rate = SampleRate::HZ_16000;
    let at = |complexity| {
        let settings = OpusSettings {
            complexity,
            ..OpusSettings::default()
        };
        encode_all(&mut encoder(rate, settings), &voice(rate))
    };
    assert_ne!(at(0), at(10));
    assert_eq!(at(5), at(5));
}

#[test]
fn one_lost_packet_is_concealed_and_many_fade_out() {
    for rate in RATES {
        let samples = voice(rate);
        let mut encoder = encoder(rate, OpusSettings::default());
        let packets = encode_all(&mut encoder, &samples);
        let frame = encoder.frame_len();
        let decode = |lost: std::ops::Range<usize>| {
            let (mut decoder, mut decoded) = (decoder(rate), Vec::new());
            for (n, packet) in packets.iter().enumerate() {
                let packet = (!lost.contains(&n)).then_some(packet.as_slice());
                decoder
                    .decode_append(packet, &mut decoded)
                    .expect("our own packet");
            }
            decoded
        };
        let whole = decode(0..0);
        // The loudest part of a syllable.
        let lost = 6;
        let at = lost * frame..(lost + 1) * frame;
        let concealed = decode(lost..lost + 1);
        assert_eq!(concealed.len(), whole.len(), "time is kept");
        let likeness = correlation(&concealed[at.clone()], &whole[at.clone()]);
        assert!(
            likeness > 0.5,
            "{rate}: concealment correlates {likeness:.2}"
        );

        let silenced = decode(lost..packets.len());
        let end = silenced.len() - frame..silenced.len();
        let (fade, voice) = (energy(&silenced[end]), energy(&whole[at]));
        assert!(
            fade < voice / 1_000.0,
            "{rate}: {fade:.0} is left of {voice:.0}"
        );
    }
}

#[test]
fn reset_forgets_the_stream() {
    let rate = SampleRate::HZ_16000;
    let samples = voice(rate);
    let mut encoder = encoder(rate, OpusSettings::default());
    let first = encode_all(&mut encoder, &samples);
    encoder.reset().unwrap();
    assert_eq!(encode_all(&mut encoder, &samples), first);

    let mut decoder = decoder(rate);
    let run = |decoder: &mut OpusDecoder| {
        let mut out = Vec::new();
        for packet in &first {
            decoder.decode_append(Some(packet), &mut out).unwrap();
        }
        out
    };
    let once = run(&mut decoder);
    decoder.reset().unwrap();
    assert_eq!(run(&mut decoder), once);
}

#[test]
fn no_allocation_where_there_is_room() {
    let rate = SampleRate::HZ_16000;
    let (mut encoder, mut decoder) = (encoder(rate, OpusSettings::default()), decoder(rate));
    let (mut packet, mut out) = (Vec::with_capacity(2_000), Vec::with_capacity(2_000));
    for frame in voice(rate).chunks_exact(320) {
        packet.clear();
        out.clear();
        let allocations = allocation_counter::measure(|| {
            encoder.encode_append(frame, &mut packet).unwrap();
            decoder.decode_append(Some(&packet), &mut out).unwrap();
            decoder.decode_append(None, &mut out).unwrap();
        });
        assert_eq!(allocations.count_total, 0);
    }
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let new = |rate, bitrate_bps, complexity| {
        OpusEncoder::new(
            rate,
            OpusSettings {
                bitrate_bps,
                complexity,
            },
        )
        .map(drop)
        .map_err(|error| error.to_string())
    };
    let rate = SampleRate::HZ_16000;
    assert_eq!(
        new(SampleRate::HZ_22050, 24_000, 5),
        Err("Opus runs at 8000, 12000, 16000, 24000 or 48000 Hz, not at 22050 Hz".into())
    );
    assert_eq!(
        new(rate, 5_999, 5),
        Err("an Opus bit rate is from 6000 to 510000 bit/s, not 5999".into())
    );
    assert_eq!(
        new(rate, 24_000, 11),
        Err("an Opus complexity is from 0 to 10, not 11".into())
    );
    assert!(matches!(
        OpusDecoder::new(SampleRate::HZ_44100),
        Err(OpusError::Rate(_))
    ));

    let error = encoder(rate, OpusSettings::default()).encode_append(&[0; 160], &mut Vec::new());
    assert!(matches!(
        error,
        Err(OpusError::FrameLength {
            expected: 320,
            given: 160
        })
    ));
}

#[test]
fn a_bad_packet_is_an_error_and_the_stream_goes_on() {
    let rate = SampleRate::HZ_16000;
    let packets = encode_all(&mut encoder(rate, OpusSettings::default()), &voice(rate));
    let mut decoder = decoder(rate);
    let mut out = vec![1, 2, 3];
    assert!(matches!(
        decoder.decode_append(Some(&[]), &mut out),
        Err(OpusError::EmptyPacket)
    ));
    // Code 3, which is "any number of frames", with a count of none.
    let error = decoder
        .decode_append(Some(&[0xFF, 0x00]), &mut out)
        .unwrap_err();
    assert!(
        matches!(error, OpusError::InvalidPacket { len: 2, .. }),
        "{error:?}"
    );
    // 63 frames of 20 ms are longer than a packet may be.
    assert!(
        decoder
            .decode_append(Some(&[0xFF, 0x3F, 0, 0]), &mut out)
            .is_err()
    );
    assert_eq!(out, [1, 2, 3], "nothing is appended");
    assert_eq!(
        decoder
            .decode_append(Some(&packets[0]), &mut out)
            .unwrap()
            .0,
        320
    );
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn hostile_bytes_never_panic(
        rate in prop::sample::select(&RATES[..]),
        packets in prop::collection::vec(
            prop::option::of(prop::collection::vec(any::<u8>(), 0..400)), 1..8),
    ) {
        let mut decoder = decoder(rate);
        let mut out = Vec::new();
        for packet in packets {
            let before = out.len();
            match decoder.decode_append(packet.as_deref(), &mut out) {
                Ok(count) => {
                    prop_assert_eq!(out.len() - before, count.0 as usize);
                    prop_assert!(count.0 <= u64::from(rate.hz()) * 120 / 1_000);
                }
                Err(_) => prop_assert_eq!(out.len(), before),
            }
        }
    }

    #[test]
    fn damaged_packets_never_panic(
        flips in prop::collection::vec((0_usize..50, any::<prop::sample::Index>(), any::<u8>()), 1..40),
        cut in any::<prop::sample::Index>(),
    ) {
        let rate = SampleRate::HZ_16000;
        static PACKETS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
            let rate = SampleRate::HZ_16000;
            encode_all(&mut encoder(rate, OpusSettings::default()), &voice(rate))
        });
        let mut packets = PACKETS.clone();
        for (packet, at, bits) in flips {
            let packet = &mut packets[packet];
            let at = at.index(packet.len());
            packet[at] ^= bits;
        }
        let len = cut.index(packets[7].len());
        packets[7].truncate(len);
        let (mut decoder, mut out) = (decoder(rate), Vec::new());
        for packet in &packets {
            // Either answer is right; a crash is not.
            let _ = decoder.decode_append(Some(packet), &mut out);
        }
        prop_assert!(out.len() <= packets.len() * 1_920);
    }
}
