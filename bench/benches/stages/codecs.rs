//! The codecs' stages, each on one 20 ms frame.

use std::hint::black_box;

use sidetone_codecs::{
    OpusDecoder, OpusEncoder, OpusSettings, Resampler, SampleRate,
    g711::{alaw, mulaw},
};

use crate::{
    audio::{FRAME, buzz},
    stage::{Pace, Stage, Stages},
};

pub(crate) fn time(stages: &mut Stages) {
    g711(stages);
    resample(stages);
    opus(stages);
}

fn stage<'a>(group: &'a str, name: &'a str, iteration: &'a str) -> Stage<'a> {
    Stage {
        group,
        name,
        iteration,
        audio: Some(FRAME),
        pace: Pace::Fast,
    }
}

fn g711(stages: &mut Stages) {
    const FRAME_OF_160: &str = "20 ms at 8 kHz";
    type Encode = fn(&[i16], &mut [u8]);
    type Decode = fn(&[u8], &mut [i16]);
    let laws: [(&str, Encode, &str, Decode); 2] = [
        (
            "mulaw encode",
            mulaw::encode_into,
            "mulaw decode",
            mulaw::decode_into,
        ),
        (
            "alaw encode",
            alaw::encode_into,
            "alaw decode",
            alaw::decode_into,
        ),
    ];
    for (encode_name, encode, decode_name, decode) in laws {
        let samples = buzz(SampleRate::HZ_8000, FRAME);
        let mut codes = vec![0; samples.len()];
        encode(&samples, &mut codes);
        stages.time(
            stage("g711", encode_name, FRAME_OF_160),
            || vec![0; samples.len()],
            |encoded| encode(black_box(&samples), black_box(encoded)),
        );
        stages.time(
            stage("g711", decode_name, FRAME_OF_160),
            || vec![0; codes.len()],
            |decoded| decode(black_box(&codes), black_box(decoded)),
        );
    }
}

fn resample(stages: &mut Stages) {
    const PAIRS: [(SampleRate, SampleRate, &str); 5] = [
        (
            SampleRate::HZ_8000,
            SampleRate::HZ_16000,
            "20 ms of the caller, for the models",
        ),
        (
            SampleRate::HZ_24000,
            SampleRate::HZ_8000,
            "20 ms of a speech service, for the phone",
        ),
        (
            SampleRate::HZ_22050,
            SampleRate::HZ_8000,
            "20 ms of espeak-ng, for the phone",
        ),
        (
            SampleRate::HZ_48000,
            SampleRate::HZ_8000,
            "20 ms of a browser, for the phone",
        ),
        (
            SampleRate::HZ_8000,
            SampleRate::HZ_48000,
            "20 ms of the phone, for a browser",
        ),
    ];
    for (from, to, iteration) in PAIRS {
        let name = format!("{} to {}", from.hz(), to.hz());
        let samples = buzz(from, FRAME);
        stages.time(
            stage("resample", &name, iteration),
            || {
                let resampler = Resampler::new(from, to).expect("a supported pair");
                let out = Vec::with_capacity(resampler.max_output(samples.len()));
                (resampler, out)
            },
            |(resampler, out)| {
                out.clear();
                resampler.process(black_box(&samples), black_box(out));
            },
        );
    }
}

fn opus(stages: &mut Stages) {
    for (rate, encode, decode, iteration) in [
        (
            SampleRate::HZ_16000,
            "encode 16000",
            "decode 16000",
            "20 ms at 16 kHz",
        ),
        (
            SampleRate::HZ_48000,
            "encode 48000",
            "decode 48000",
            "20 ms at 48 kHz",
        ),
    ] {
        let samples = buzz(rate, FRAME);
        let encoder =
            || OpusEncoder::new(rate, OpusSettings::default()).expect("the defaults are in range");
        stages.time(
            stage("opus", encode, iteration),
            || (encoder(), Vec::with_capacity(2_000)),
            |(encoder, packet)| {
                packet.clear();
                encoder
                    .encode_append(black_box(&samples), packet)
                    .expect("one whole frame")
            },
        );
        stages.time(
            stage("opus", decode, iteration),
            || {
                let mut packet = Vec::new();
                encoder()
                    .encode_append(&samples, &mut packet)
                    .expect("one whole frame");
                let decoder = OpusDecoder::new(rate).expect("a rate of Opus");
                (decoder, packet, Vec::with_capacity(samples.len()))
            },
            |(decoder, packet, out)| {
                out.clear();
                decoder
                    .decode_append(black_box(Some(packet)), out)
                    .expect("our own packet")
            },
        );
    }
}
