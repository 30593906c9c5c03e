//! The codecs' stages, each on one 20 ms frame of noise-like speech.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sidetone_codecs::{
    OpusDecoder, OpusEncoder, OpusSettings, Resampler, SampleRate,
    g711::{alaw, mulaw},
};

/// 20 ms.
fn frame(rate: SampleRate) -> Vec<i16> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..rate.hz() / 50)
        .map(|n| {
            let tone = (f64::from(n) * 0.11).sin() * 9_000.0;
            tone as i16 + random.i16(-500..500)
        })
        .collect()
}

fn g711(c: &mut Criterion) {
    let samples = frame(SampleRate::HZ_8000);
    let codes: Vec<u8> = samples
        .iter()
        .map(|&sample| mulaw::encode(sample))
        .collect();
    let (mut encoded, mut decoded) = (vec![0; samples.len()], vec![0; codes.len()]);

    let mut group = c.benchmark_group("g711");
    group.throughput(Throughput::Elements(samples.len() as u64));
    group.bench_function("mulaw_encode", |b| {
        b.iter(|| mulaw::encode_into(black_box(&samples), black_box(&mut encoded)));
    });
    group.bench_function("mulaw_decode", |b| {
        b.iter(|| mulaw::decode_into(black_box(&codes), black_box(&mut decoded)));
    });
    group.bench_function("alaw_encode", |b| {
        b.iter(|| alaw::encode_into(black_box(&samples), black_box(&mut encoded)));
    });
    group.bench_function("alaw_decode", |b| {
        b.iter(|| alaw::decode_into(black_box(&codes), black_box(&mut decoded)));
    });
    group.finish();
}

fn resample(c: &mut Criterion) {
    const PAIRS: [(SampleRate, SampleRate); 5] = [
        // What the caller says, to the speech models.
        (SampleRate::HZ_8000, SampleRate::HZ_16000),
        // Speech services, espeak-ng, and browsers, to the phone.
        (SampleRate::HZ_24000, SampleRate::HZ_8000),
        (SampleRate::HZ_22050, SampleRate::HZ_8000),
        (SampleRate::HZ_48000, SampleRate::HZ_8000),
        (SampleRate::HZ_8000, SampleRate::HZ_48000),
    ];
    let mut group = c.benchmark_group("resample");
    for (from, to) in PAIRS {
        let samples = frame(from);
        let mut resampler = Resampler::new(from, to).expect("a supported pair");
        let mut out = Vec::with_capacity(resampler.max_output(samples.len()));
        group.bench_function(format!("{}_to_{}", from.hz(), to.hz()), |b| {
            b.iter(|| {
                out.clear();
                resampler.process(black_box(&samples), black_box(&mut out));
            });
        });
    }
    group.finish();
}

fn opus(c: &mut Criterion) {
    let mut group = c.benchmark_group("opus");
    for rate in [SampleRate::HZ_16000, SampleRate::HZ_48000] {
        let samples = frame(rate);
        let mut encoder =
            OpusEncoder::new(rate, OpusSettings::default()).expect("the defaults are in range");
        let mut decoder = OpusDecoder::new(rate).expect("a rate of Opus");
        let mut packet = Vec::with_capacity(2_000);
        let mut out = Vec::with_capacity(samples.len());
        group.bench_function(format!("encode_{}", rate.hz()), |b| {
            b.iter(|| {
                packet.clear();
                encoder
                    .encode_append(black_box(&samples), &mut packet)
                    .expect("one whole frame")
            });
        });
        group.bench_function(format!("decode_{}", rate.hz()), |b| {
            b.iter(|| {
                out.clear();
                decoder
                    .decode_append(black_box(Some(&packet)), &mut out)
                    .expect("our own packet")
            });
        });
    }
    group.finish();
}

criterion_group!(codecs, g711, resample, opus);
criterion_main!(codecs);
