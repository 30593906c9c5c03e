//! Noise suppression: what hears the caller without noise, and what does not.

use std::collections::VecDeque;

use crate::sim::{Run, World, says};
use sidetone_codecs::{SampleCount, SampleRate};
use sidetone_core::{event::CallEvent, io::Command, suppression::NoiseSuppressor};

/// Passes everything on that `passes`, and what comes within 50 ms of it, `delay` samples late, in
/// frames of 10 ms. A voice is softer for 40 ms at a time.
struct Gate {
    rate: SampleRate,
    passes: fn(i16) -> bool,
    /// For how many samples it stays open.
    open: usize,
    held: VecDeque<i16>,
}

impl Gate {
    fn boxed(rate: SampleRate, delay: usize, passes: fn(i16) -> bool) -> Box<dyn NoiseSuppressor> {
        Box::new(Self {
            rate,
            passes,
            open: 0,
            held: vec![0; delay].into(),
        })
    }
}

impl NoiseSuppressor for Gate {
    fn rate(&self) -> SampleRate {
        self.rate
    }
    fn frame_len(&self) -> usize {
        self.rate.hz() as usize / 100
    }
    fn delay(&self) -> SampleCount {
        SampleCount(self.held.len() as u64)
    }
    fn suppress(&mut self, frame: &mut [i16]) {
        for sample in frame {
            if (self.passes)(*sample) {
                self.open = self.rate.hz() as usize / 20;
            }
            let passed = if self.open > 0 { *sample } else { 0 };
            self.open = self.open.saturating_sub(1);
            self.held.push_back(passed);
            *sample = self.held.pop_front().expect("one was pushed");
        }
    }
}

/// Passes everything on at once, at the telephone's rate.
fn identity() -> Box<dyn NoiseSuppressor> {
    Gate::boxed(SampleRate::HZ_8000, 0, |_| true)
}

/// The same as late as RNNoise, and at its rate.
fn late() -> Box<dyn NoiseSuppressor> {
    Gate::boxed(SampleRate::HZ_48000, 480, |_| true)
}

/// Passes on what is louder than the television.
fn gate() -> Box<dyn NoiseSuppressor> {
    Gate::boxed(SampleRate::HZ_8000, 80, |sample| {
        sample.unsigned_abs() > 8_000
    })
}

/// Passes on nothing.
fn mute() -> Box<dyn NoiseSuppressor> {
    Gate::boxed(SampleRate::HZ_8000, 80, |_| false)
}

/// Loud, and of every level between a whisper and a shout: nothing that its level gives away.
fn television(at_ms: u64) -> i16 {
    [600, 7_000, 2_400, 900, 5_000, 1_300][(at_ms / 40 % 6) as usize]
}

/// A caller who asks a question while the agent is silent, and interrupts the answer.
fn caller() -> World {
    World {
        sounds: vec![
            says(1_000, 800, "where is my order"),
            says(4_000, 800, "no stop please"),
        ],
        answer: Box::new(|_| {
            let story = "it left this morning and will be with you in two or three days from now";
            (story.into(), false)
        }),
        ..World::default()
    }
}

fn words(run: &Run) -> Vec<String> {
    run.transcripts()
        .into_iter()
        .map(|(_, words)| words)
        .collect()
}

/// From the caller's first sound over the agent to `clear`, in ms.
fn stopped_after(run: &Run) -> u64 {
    let clear = run.clears().into_iter().find(|at| *at >= 4_000);
    clear.expect("the agent is stopped") - 4_000
}

#[test]
fn a_caller_in_front_of_a_television_is_heard() {
    let noisy = |suppressor| World {
        background: television,
        suppressor,
        ..caller()
    };
    let without = noisy(None).run();
    let answered = |run: &Run| {
        let spans = run.audible();
        spans.first().is_some_and(|(start, _)| *start < 2_300)
    };
    assert!(!answered(&without), "the noise is one that matters");
    let with = noisy(Some(gate)).run();
    assert!(answered(&with), "{:?}", with.audible());
    assert_eq!(words(&with), ["where is my order", "no stop please"]);
    let stopped = stopped_after(&with);
    assert!(stopped <= 150, "{stopped} ms");
}

#[test]
fn what_changes_nothing_changes_nothing() {
    let off = caller().run();
    let on = World {
        suppressor: Some(identity),
        ..caller()
    };
    assert!(off.log == on.run().log, "to the last bit");
}

#[test]
fn the_delay_is_not_counted_as_the_callers() {
    let off = caller().run();
    let on = World {
        suppressor: Some(late),
        ..caller()
    }
    .run();
    assert_eq!(words(&on), words(&off));
    // What is heard 14 ms later is decided a frame of the leg later, at most.
    let (sooner, later) = (stopped_after(&off), stopped_after(&on));
    assert!((sooner..=sooner + 20).contains(&later), "{sooner}, {later}");
    let told = |run: &Run| {
        let onset = run.all(|event| match event {
            CallEvent::AgentInterrupted {
                onset_to_clear_ms, ..
            } => Some(*onset_to_clear_ms),
            _ => None,
        });
        onset[0].1
    };
    // The clear is later, and so is told: not the sound.
    assert!(told(&on).abs_diff(later) <= 20, "{} of {later}", told(&on));
    for (off, on) in off.metrics().iter().zip(on.metrics()) {
        assert!(on.total_ms.abs_diff(off.total_ms) <= 20, "{off:?} {on:?}");
    }
}

#[test]
fn the_recogniser_hears_the_line_as_it_is_from_before_the_first_sound() {
    let noisy = |suppressor| {
        let world = World {
            background: |_| 64,
            suppressor,
            ..caller()
        };
        world.run()
    };
    let (off, on) = (noisy(None), noisy(Some(gate)));
    for ((_, off), (_, on)) in off.stt_jobs.iter().zip(&on.stt_jobs) {
        assert_eq!(on.rate, off.rate);
        let before = |audio: &[i16]| audio.iter().position(|sample| sample.unsigned_abs() > 100);
        let (off, on) = (before(&off.audio), before(&on.audio));
        let (off, on) = (off.expect("there is speech"), on.expect("there is speech"));
        assert!(on + 80 >= off, "a pre-roll of {on} samples, not {off}");
    }
    let audio = &on.stt_jobs[0].1.audio;
    let noise = audio[..80].iter().filter(|sample| **sample == 64).count();
    assert_eq!(noise, 80, "with its noise");
}

#[test]
fn recordings_have_everything() {
    let run = World {
        suppressor: Some(mute),
        commands: vec![(0, Command::Record { on: true })],
        ..caller()
    }
    .run();
    assert_eq!(words(&run), [""; 0], "nobody was heard");
    let loudest = run.recorded.iter().map(|(caller, _)| *caller).max();
    assert!(loudest > Some(20_000), "the caller's voice: {loudest:?}");
}
