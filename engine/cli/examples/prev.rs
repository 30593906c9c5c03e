use sidetone_cli::{phone::*, timeline::*};
use sidetone_core::time::CallTime;
use std::time::Duration;
fn at(ms: u64) -> CallTime {
    CallTime::from_millis(ms)
}
fn main() {
    let s = load_scenario(std::path::Path::new("fixtures/demo/scenario.toml")).unwrap();
    let mut c = vec![0i16; 34 * 8000];
    let mut a = vec![0i16; 34 * 8000];
    let put = |v: &mut Vec<i16>, ms: usize, x: &[i16]| {
        for (i, s) in x.iter().enumerate() {
            if ms * 8 + i < v.len() {
                v[ms * 8 + i] = *s;
            }
        }
    };
    let sp = |f: &str| {
        std::process::Command::new("sh")
            .arg("-c")
            .arg(format!(
                "espeak-ng --stdout '{f}' | sox -t wav - -r 8000 -c 1 -b 16 /tmp/p.wav"
            ))
            .status()
            .unwrap();
        load_audio(std::path::Path::new("/tmp/p.wav")).unwrap()
    };
    let mut t = Timeline { title: "sidetone demo".into(), subtitle: "34.0 s  ·  5 caller's turns  ·  median response 430 ms at the ear  ·  barge-in 164 ms  ·  0 underruns".into(), ..Timeline::default() };
    let times = [1000usize, 5600, 11800, 17000, 24000];
    let ag = [
        ("Sure. What is your order number?", ""),
        (
            "Your order four two seven one left our warehouse this morning and",
            "it is now on its way to you, you can track it online, or I can send you a message when it is close",
        ),
        ("Of course, take your time.", ""),
        (
            "It will arrive tomorrow between nine and eleven in the morning.",
            "",
        ),
        ("You're welcome. Goodbye!", ""),
    ];
    for (i, l) in s.lines.iter().enumerate() {
        put(&mut c, times[i], &l.audio);
        let b = times[i] + l.speech.start / 8;
        let e = times[i] + l.speech.end / 8;
        t.captions.push(Caption {
            lane: Lane::Caller,
            from: at(b as u64),
            said: l.text.clone(),
            unheard: String::new(),
        });
        let u = e + 430;
        t.answers.push(Answer {
            from: at(e as u64),
            until: at(u as u64),
            parts: vec![
                (Part::Endpointing, Duration::from_millis(300)),
                (Part::Stt, Duration::from_millis(95)),
                (Part::Tts, Duration::from_millis(12)),
            ],
        });
        let mut x = sp(&format!("{} {}", ag[i].0, ag[i].1)).to_vec();
        if i == 1 {
            x.truncate((times[2] + 270 - u) * 8);
        }
        put(&mut a, u, &x);
        t.captions.push(Caption {
            lane: Lane::Agent,
            from: at(u as u64),
            said: ag[i].0.into(),
            unheard: ag[i].1.into(),
        });
        if i == 2 {
            t.barge_ins.push(BargeIn {
                from: at(b as u64),
                cleared: at(b as u64 + 164),
            });
        }
    }
    t.caller = c;
    t.agent = a;
    std::fs::write("/tmp/x.svg", draw(&t)).unwrap();
}
