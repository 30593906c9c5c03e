//! What one frame costs each voice activity detector.

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sidetone_codecs::SampleCount;
use sidetone_speech::vad::VadProvider;

fn frame(c: &mut Criterion) {
    let mut group = c.benchmark_group("vad");
    for provider in VadProvider::ALL {
        let mut vad = provider.build();
        // The cost hardly depends on what is heard: a voice-like buzz under noise will do.
        let mut random = fastrand::Rng::with_seed(1);
        let second: Vec<i16> = (0..vad.rate().hz())
            .map(|i| {
                let buzz = (i % (vad.rate().hz() / 120)) as i16 * 40;
                buzz + random.i16(-300..=300)
            })
            .collect();
        let mut frames = second.chunks_exact(vad.frame_len()).cycle();
        let heard: Duration = SampleCount(vad.frame_len() as u64).duration(vad.rate());
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("{provider} ({} ms)", heard.as_millis()), |b| {
            b.iter(|| {
                let frame = frames.next().expect("the cycle never ends");
                vad.push(black_box(frame))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, frame);
criterion_main!(benches);
