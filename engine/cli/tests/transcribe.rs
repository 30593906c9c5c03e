//! `sidetone transcribe`, the program itself, with the bundled model.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use sidetone::offline::Transcript;
use sidetone_codecs::{SampleRate, wav};

fn fixtures(path: &str) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/");
    format!("{root}{path}")
}

/// `sidetone transcribe`, to be run in `dir`.
fn program(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidetone"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SIDETONE_") {
            command.env_remove(name);
        }
    }
    command.current_dir(dir).arg("transcribe").args(args);
    command
}

struct Ran {
    status: i32,
    out: String,
    err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

fn run(dir: &Path, args: &[&str]) -> Ran {
    program(dir, args)
        .stdin(Stdio::null())
        .output()
        .unwrap()
        .into()
}

fn run_with_input(dir: &Path, args: &[&str], input: &[u8]) -> Ran {
    let mut command = program(dir, args);
    let command = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may refuse before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap().into()
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}

/// The names of what lies in a folder, sorted, hidden ones apart.
fn names(dir: impl AsRef<Path>) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}

/// The samples of recordings of one channel, with a second of silence after each.
fn samples(files: &[&str]) -> Vec<i16> {
    let mut samples = Vec::new();
    for file in files {
        samples.extend(wav::read_file(fixtures(file)).unwrap().samples);
        samples.extend([0; 8_000]);
    }
    samples
}

/// A recording of minutes.
fn long_recording(dir: &Path) -> PathBuf {
    let path = dir.join("long.wav");
    let line = samples(&["demo/2-number.wav"]).repeat(60);
    wav::write_mono(&path, SampleRate::HZ_8000, &line).unwrap();
    path
}

#[test]
fn a_recording_becomes_text() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(dir.path(), &[&fixtures("demo/2-number.wav")]);
    assert_eq!(ran.out, "my order number is four two seven one\n");
    assert_eq!(ran.status, 0);
    assert!(ran.err.contains("sidetone models fetch"), "{}", ran.err);
    assert!(ran.err.contains("1 done; 2.4 s of audio"), "{}", ran.err);
    for line in ran.err.lines().filter(|line| !line.contains("order line")) {
        assert!(line.chars().count() <= 120, "{line}");
    }
    assert!(names(dir.path()).is_empty());
}

#[test]
fn a_folder_becomes_files_of_every_format() {
    let dir = tempfile::tempdir().unwrap();
    let args = [
        "--output-dir",
        "out",
        "-f",
        "txt,json",
        "-f",
        "ndjson,srt,vtt,csv",
        "-q",
        "--words",
    ];
    let callers = fixtures("callers");
    let ran = run(dir.path(), &[&[&*callers][..], &args].concat());
    assert_eq!((ran.status, &*ran.out, &*ran.err), (0, "", ""));
    for caller in ["annie", "max", "paul"] {
        let folder = dir.path().join("out").join(caller);
        let recordings = names(Path::new(&callers).join(caller));
        assert_eq!(names(&folder).len(), recordings.len() * 6);
        for said in [
            "where-is-my-order",
            "four-two-seven-one",
            "hello",
            "yes",
            "no",
        ] {
            let words = said.replace('-', " ");
            let file = |extension: &str| read(folder.join(format!("{said}.{extension}")));
            assert_eq!(file("txt"), format!("{words}\n"));
            let transcript: Transcript = serde_json::from_str(&file("json")).unwrap();
            let [segment] = &transcript.segments[..] else {
                panic!("{transcript:?}")
            };
            let spoken: Vec<&str> = segment.words.iter().map(|word| &*word.text).collect();
            assert_eq!(spoken.join(" "), words);
            assert_eq!(transcript.model, "demo");
            let ndjson = file("ndjson");
            let lines: Vec<Value> = ndjson
                .lines()
                .map(|l| serde_json::from_str(l).unwrap())
                .collect();
            assert_eq!((lines.len(), &lines[0]["text"]), (2, &Value::from(&*words)));
            assert!(
                file("srt").starts_with("1\n00:00:00,")
                    && file("srt").ends_with(&format!("\n{words}\n"))
            );
            assert!(
                file("vtt").starts_with("WEBVTT\n\n00:00:00.")
                    && file("vtt").ends_with(&format!("\n{words}\n"))
            );
            let csv = file("csv");
            assert!(
                csv.lines().nth(1).unwrap().ends_with(&format!(",{words}")),
                "{csv}"
            );
        }
    }
}

#[test]
fn the_fixtures_are_transcribed() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(dir.path(), &[&fixtures("")]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    for said in [
        "my order number is four two seven one",
        "thank you goodbye",
        "caller: where",
    ] {
        assert!(ran.out.contains(said), "{said}: {}", ran.out);
    }
    assert!(ran.err.contains("other files passed over"), "{}", ran.err);
}

#[test]
fn every_kind_of_recording_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let recordings = [
        fixtures("recordings"),
        fixtures("../codecs/tests/data/unread"),
    ];
    let [read_ones, unread_ones] = &recordings;
    let line = [read_ones, unread_ones, "-d", "out", "--json-progress"];
    let ran = run(dir.path(), &line);
    let events: Vec<Value> = ran
        .err
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let unread = ["adpcm.wav", "alac.m4a", "no-audio.mp4", "six-channels.opus"];
    let finished: Vec<&Value> = events.iter().filter(|e| e["event"] == "finished").collect();
    assert!(finished.len() > 25, "{}", ran.err);
    for event in &finished {
        let file = Path::new(event["file"].as_str().unwrap());
        let name = file.file_name().unwrap().to_str().unwrap();
        let expected = if unread.contains(&name) {
            "failed"
        } else {
            "done"
        };
        assert_eq!(event["state"], expected, "{event}");
    }
    let summary = events.last().unwrap();
    assert_eq!(
        (&summary["event"], &summary["failed"]),
        (&"summary".into(), &4.into())
    );
    assert_eq!((ran.status, &summary["exit_status"]), (3, &3.into()));
    for kind in ["mp3", "flac", "vorbis", "m4a", "aac"] {
        let text = dir.path().join("out").join(match kind {
            "vorbis" => "mono-16000.vorbis.txt".to_owned(),
            kind => format!("mono-16000.{kind}.txt"),
        });
        assert!(read(&text).contains("order"), "{kind}: {}", read(&text));
    }
    let two_sides = read(dir.path().join("out/twilio-dual-channel.txt"));
    let speakers: Vec<&str> = two_sides
        .lines()
        .filter_map(|line| line.split(": ").next())
        .collect();
    assert!(
        speakers.contains(&"caller") && speakers.contains(&"agent"),
        "{two_sides}"
    );
}

#[test]
fn standard_input_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let ulaw = fs::read(fixtures("recordings/raw.ulaw")).unwrap();
    let ran = run_with_input(
        dir.path(),
        &["-", "--input-format", "ulaw", "-f", "csv"],
        &ulaw,
    );
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(
        ran.out.contains("\r\n-,") || ran.out.contains("\r\n'-,"),
        "{}",
        ran.out
    );
    let wav = fs::read(fixtures("demo/1-where.wav")).unwrap();
    let ran = run_with_input(dir.path(), &["-", "-d", "."], &wav);
    assert_eq!(read(dir.path().join("stdin.txt")), "where is my order\n");
    assert_eq!((ran.status, &*ran.out), (0, ""));
    let ran = run_with_input(dir.path(), &["-", "-q"], b"");
    assert_eq!(
        (ran.status, &*ran.err),
        (1, "error: -: it is empty: it has no byte\n")
    );
}

#[test]
fn patterns_and_repeated_names_give_each_recording_once() {
    let dir = tempfile::tempdir().unwrap();
    let (pattern, file) = (fixtures("demo/[12]-*.wav"), fixtures("demo/2-number.wav"));
    let ran = run(dir.path(), &[&file, &pattern, "-q"]);
    let headings: Vec<&str> = ran
        .out
        .lines()
        .filter(|line| line.starts_with("==>"))
        .collect();
    assert_eq!(headings.len(), 2, "{}", ran.out);
    assert!(headings[0].contains("2-number") && headings[1].contains("1-where"));
}

#[test]
fn what_was_finished_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let demo = fixtures("demo");
    let line = ["-d", "out", "--json-progress", "--resume"];
    let states = |more: &[&str]| {
        let args = [&[&*demo][..], &line, more].concat();
        let ran = run(dir.path(), &args);
        assert_eq!(ran.status, 0, "{}", ran.err);
        let summary: Value = serde_json::from_str(ran.err.lines().last().unwrap()).unwrap();
        (
            summary["done"].as_u64().unwrap(),
            summary["done_before"].as_u64().unwrap(),
        )
    };
    assert_eq!(states(&[]), (5, 0));
    assert_eq!(states(&[]), (0, 5));
    fs::write(dir.path().join("out/1-where.txt"), "cut").unwrap();
    fs::remove_file(dir.path().join("out/4-when.txt")).unwrap();
    assert_eq!(states(&[]), (2, 3));
    assert_eq!(
        read(dir.path().join("out/1-where.txt")),
        "where is my order\n"
    );
    // Another format, other options: the work is another.
    assert_eq!(states(&["-f", "txt,srt"]), (5, 0));
    assert_eq!(states(&["--redact", "digits"]), (5, 0));
    assert_eq!(states(&["--redact", "digits"]), (0, 5));
}

#[test]
fn what_is_broken_is_told_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).unwrap();
    put("a-empty.wav", b"");
    put("b-text.wav", b"Dear Sir or Madam,\nthis is no recording.\n");
    let mp3 = fs::read(fixtures("recordings/mono-16000.mp3")).unwrap();
    put("c-cut.mp3", &mp3[..mp3.len() * 3 / 4]);
    let mut one_sample = fs::read(fixtures("demo/1-where.wav")).unwrap();
    put("d-good.wav", &one_sample);
    // Its header still announces more.
    one_sample.truncate(46);
    put("e-one-sample.wav", &one_sample);
    let args = [
        ".",
        "gone.wav",
        "-d",
        "out",
        "-f",
        "txt,json",
        "--speakers",
        "you,me",
    ];
    let ran = run(dir.path(), &args);
    assert_eq!(ran.status, 3, "{}", ran.err);
    let errors: Vec<&str> = ran
        .err
        .lines()
        .filter(|line| line.starts_with("error: "))
        .collect();
    let about = |name: &str| {
        let mut about = errors.iter().filter(|line| line.contains(name));
        let line = about
            .next()
            .unwrap_or_else(|| panic!("{name}: {}", ran.err));
        assert!(about.next().is_none(), "{}", ran.err);
        *line
    };
    assert!(about("gone.wav").ends_with("there is no such file or folder"));
    assert!(about("a-empty.wav").contains("it is empty"));
    assert!(about("b-text.wav").contains("it looks like text"));
    assert!(about("c-cut.mp3").contains("cut off at 0:00."));
    assert!(about("e-one-sample.wav").contains("cut off"));
    assert_eq!(errors.len(), 5, "{}", ran.err);
    assert!(
        ran.err.contains("1 done, 2 damaged, 3 failed"),
        "{}",
        ran.err
    );
    let written = [
        "c-cut.json",
        "c-cut.txt",
        "d-good.json",
        "d-good.txt",
        "e-one-sample.json",
        "e-one-sample.txt",
    ];
    assert_eq!(names(dir.path().join("out")), written);
    let cut: Transcript = serde_json::from_str(&read(dir.path().join("out/c-cut.json"))).unwrap();
    let damage = cut.damage.unwrap();
    assert!((300..800).contains(&damage.at_ms), "{damage:?}");
    // Once more: what is damaged is not transcribed again, and is told again.
    let args: Vec<&str> = args.into_iter().chain(["--resume"]).collect();
    let again = run(dir.path(), &args);
    assert_eq!(again.status, 3);
    assert!(
        again.err.contains("1 done before, 2 damaged, 3 failed"),
        "{}",
        again.err
    );
    assert!(
        again.err.contains("c-cut.mp3: it is cut off at 0:00."),
        "{}",
        again.err
    );
}

#[test]
fn what_is_wrong_with_all_is_told_once() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("model.bin"), "no model").unwrap();
    let demo = fixtures("demo");
    let told = |args: &[&str]| {
        let ran = run(dir.path(), &[&[&*demo, "-q"][..], args].concat());
        assert_eq!((ran.status, &*ran.out), (1, ""), "{args:?}: {}", ran.err);
        let first = ran.err.strip_prefix("error: ").unwrap();
        assert!(!first.contains("error: "), "{}", ran.err);
        first.trim_end().to_owned()
    };
    let language = told(&["--language", "xx"]);
    assert!(
        language.starts_with("language = \"xx\": demo understands en, es, pt only"),
        "{language}"
    );
    let model = told(&["--model", "model.bin"]);
    assert!(
        model.starts_with("model.bin cannot be used as a Whisper model"),
        "{model}"
    );
    assert!(told(&["--model", "bse.en"]).contains("no model `bse.en`"));
    assert!(told(&["--resume"]).contains("--output-dir"));
    assert!(told(&["-f", "srt"]).contains("--output-dir"));
    assert!(told(&["--events", "none.ndjson"]).contains("none.ndjson: cannot read it"));
    assert!(told(&["-d", "model.bin"]).starts_with("cannot write model.bin"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    for format in ["txt", "ndjson"] {
        let mut command = program(dir.path(), &[&fixtures("demo"), "-q", "-f", format]);
        let ran = command.stdout(full()).output().unwrap();
        assert_eq!(ran.status.code(), Some(1));
        let errors = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert!(
            errors.starts_with("error: cannot write to standard output: No space left on device"),
            "{errors}"
        );
    }
    let ran = run(
        dir.path(),
        &[&fixtures("demo/1-where.wav"), "-q", "-o", "/dev/full"],
    );
    assert_eq!(ran.status, 1);
    assert!(
        ran.err
            .starts_with("error: cannot write /dev/full: No space left"),
        "{}",
        ran.err
    );
}

/// A limit on files' lengths stands for the disk: the text fits, the JSON does not.
#[cfg(target_os = "linux")]
#[test]
fn what_does_not_fit_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let recording = fixtures("recordings/twilio-dual-channel.wav");
    let sidetone = program(
        dir.path(),
        &[&recording, "-q", "-d", "out", "-f", "txt,json"],
    );
    let limited = |blocks: &str| {
        let mut shell = Command::new("sh");
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        shell.args(["-c", &script]).arg(sidetone.get_program());
        shell.args(sidetone.get_args()).current_dir(dir.path());
        Ran::from(shell.output().unwrap())
    };
    let left = || -> Vec<_> {
        let entries = fs::read_dir(dir.path().join("out")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        names
    };
    let ran = limited("1");
    assert_eq!(ran.status, 1);
    assert!(
        ran.err
            .contains("cannot write out/twilio-dual-channel.json"),
        "{}",
        ran.err
    );
    assert_eq!(left(), [""; 0]);
    assert_eq!(limited("unlimited").status, 0);
    assert_eq!(
        left(),
        ["twilio-dual-channel.json", "twilio-dual-channel.txt"]
    );
}

#[test]
fn numbers_are_in_no_output() {
    let dir = tempfile::tempdir().unwrap();
    let number = fixtures("demo/2-number.wav");
    let line = [
        "-d",
        "out",
        "-f",
        "txt,json,ndjson,srt,vtt,csv",
        "--words",
        "--redact",
        "digits",
    ];
    let ran = run(dir.path(), &[&[&*number][..], &line].concat());
    assert_eq!(ran.status, 0, "{}", ran.err);
    for file in names(dir.path().join("out")) {
        // The folder in which all of this lies may have a number in its name.
        let text = read(dir.path().join("out").join(&file)).replace(&number, "");
        assert!(text.contains("[digits]"), "{file}: {text}");
        for digit in ["four", "two", "seven", "one"] {
            assert!(!text.contains(digit), "{file}: {text}");
        }
    }
    let json: Transcript =
        serde_json::from_str(&read(dir.path().join("out/2-number.json"))).unwrap();
    let words: Vec<&str> = json.segments[0]
        .words
        .iter()
        .map(|word| &*word.text)
        .collect();
    assert_eq!(words, ["my", "order", "number", "is", "[digits]"]);
}

#[test]
fn nothing_that_was_said_is_logged() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = program(
        dir.path(),
        &[&fixtures("demo"), "-d", "out", "--json-progress"],
    );
    let ran: Ran = command
        .env("SIDETONE_LOG", "trace")
        .env("RUST_LOG", "trace")
        .output()
        .unwrap()
        .into();
    assert_eq!((ran.status, &*ran.out), (0, ""));
    for said in ["where is", "four two", "hold on", "arrive", "thank you"] {
        assert!(!ran.err.contains(said), "{said}: {}", ran.err);
    }
}

/// A call as the engine records it: the caller on the left, the agent on the right.
fn recorded_call(dir: &Path) {
    let caller = samples(&["demo/1-where.wav", "demo/5-goodbye.wav"]);
    let mut agent = vec![0; samples(&["demo/1-where.wav"]).len()];
    agent.extend(samples(&["callers/paul/yes.wav"]));
    let len = caller.len().max(agent.len());
    let long = |mut samples: Vec<i16>| {
        samples.resize(len, 0);
        samples
    };
    let (caller, agent) = (long(caller), long(agent));
    wav::write_stereo(dir.join("call.wav"), SampleRate::HZ_8000, &caller, &agent).unwrap();
    let started = |call: &str, sid: &str| {
        format!(
            "{{\"call_id\":\"{call}\",\"at_ms\":0,\"seq\":1,\"event\":\"call.started\",\
             \"stream_id\":\"MZ1\",\"provider_call_id\":\"{sid}\"}}\n"
        )
    };
    let events = started("call-00000000000a", "CA0a") + &started("call-00000000000b", "CA0b");
    fs::write(dir.join("events.ndjson"), events).unwrap();
}

#[test]
fn a_call_of_the_engine_keeps_its_speakers_and_its_ids() {
    let dir = tempfile::tempdir().unwrap();
    recorded_call(dir.path());
    fs::write(dir.path().join("report.json"), "{\"call_sid\":\"CA0b\"}").unwrap();
    let ran = run(dir.path(), &["call.wav", "-q", "-f", "json"]);
    let transcript: Transcript = serde_json::from_str(&ran.out).unwrap();
    let call = transcript.source.call.unwrap();
    assert_eq!(call.call_id.as_str(), "call-00000000000b");
    assert_eq!(call.provider_call_id.as_deref(), Some("CA0b"));
    assert_eq!(transcript.speakers, ["caller", "agent"]);
    let ran = run(dir.path(), &["call.wav", "-q"]);
    assert_eq!(
        ran.out,
        "caller: where is my order\nagent: yes\ncaller: thank you goodbye\n"
    );

    fs::remove_file(dir.path().join("report.json")).unwrap();
    let ran = run(dir.path(), &["call.wav", "-q", "--events", "events.ndjson"]);
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("it tells of 2 calls"), "{}", ran.err);
    fs::rename(dir.path().join("call.wav"), dir.path().join("CA0a.wav")).unwrap();
    let named = [
        "CA0a.wav",
        "-q",
        "-f",
        "ndjson",
        "--events",
        "events.ndjson",
        "--speakers",
        "you,me",
    ];
    let ran = run(dir.path(), &named);
    let last: Value = serde_json::from_str(ran.out.lines().last().unwrap()).unwrap();
    assert_eq!(last["source"]["call"]["call_id"], "call-00000000000a");
    assert_eq!(last["speakers"], serde_json::json!(["you", "me"]));
}

#[cfg(unix)]
fn interrupt(child: &std::process::Child) {
    let id = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_what_is_done() {
    let dir = tempfile::tempdir().unwrap();
    long_recording(dir.path());
    let good = fixtures("demo/1-where.wav");
    let line = [
        "long.wav",
        &good,
        "-d",
        "out",
        "-f",
        "txt,ndjson",
        "--json-progress",
        "--threads",
        "2",
    ];
    let mut child = program(dir.path(), &line)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut events = BufReader::new(child.stderr.take().unwrap()).lines();
    let (mut other_done, mut under_way) = (false, false);
    while !(other_done && under_way) {
        let event: Value = serde_json::from_str(&events.next().unwrap().unwrap()).unwrap();
        other_done |= event["event"] == "finished";
        under_way |= event["file"] == "long.wav" && event["done_ms"].as_u64() > Some(0);
    }
    interrupt(&child);
    let rest: Vec<Value> = events
        .map(|l| serde_json::from_str(&l.unwrap()).unwrap())
        .collect();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let summary = rest.last().unwrap();
    assert_eq!(
        (&summary["done"], &summary["stopped"]),
        (&1.into(), &1.into())
    );
    assert_eq!(
        names(dir.path().join("out")),
        [
            "1-where.ndjson",
            "1-where.txt",
            "long.partial.ndjson",
            "long.partial.txt"
        ]
    );
    let partial = read(dir.path().join("out/long.partial.ndjson"));
    let last: Value = serde_json::from_str(partial.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["event"], &last["stopped"]),
        (&"transcript".into(), &true.into())
    );
    assert!(partial.lines().count() > 1);
}

#[cfg(unix)]
#[test]
fn ctrl_c_says_how_to_go_on() {
    let dir = tempfile::tempdir().unwrap();
    long_recording(dir.path());
    let good = fixtures("demo/1-where.wav");
    let line = [&*good, "long.wav", "-d", "my out", "--threads", "2"];
    let mut child = program(dir.path(), &line)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut told = String::new();
    while !told.contains("1-where.wav: ") {
        assert_ne!(stderr.read_line(&mut told).unwrap(), 0, "{told}");
    }
    interrupt(&child);
    stderr.read_to_string(&mut told).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(told.contains("1 done, 1 stopped"), "{told}");
    let command = told.lines().last().unwrap();
    assert!(
        command.ends_with("long.wav -d 'my out' --threads 2 --resume"),
        "{told}"
    );
}

#[cfg(unix)]
#[test]
fn ctrl_c_on_standard_input_keeps_what_had_come_and_says_that_the_rest_is_lost() {
    let wav = fs::read(fixtures("demo/1-where.wav")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    // As from a recorder that goes on: the text of a first line, then silence without end.
    let mut first = wav.clone();
    first[4..8].fill(0xFF);
    first[40..44].fill(0xFF);
    first.extend([0; 8_000 * 2 * 5]);
    for (line, file) in [
        (&["-"][..], None),
        (&["-", "-d", "out"], Some("out/stdin.partial.txt")),
    ] {
        let mut child = program(dir.path(), line)
            .args(["--language", "en", "--json-progress"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(&first).unwrap();
        let mut events = BufReader::new(child.stderr.take().unwrap()).lines();
        loop {
            let event: Value = serde_json::from_str(&events.next().unwrap().unwrap()).unwrap();
            if event["done_ms"].as_u64() > Some(2_000) {
                break;
            }
        }
        interrupt(&child);
        let rest: Vec<String> = events.map(Result::unwrap).collect();
        let ran: Ran = child.wait_with_output().unwrap().into();
        assert_eq!(ran.status, 130, "{rest:?}");
        drop(input);
        let text = file.map_or(ran.out, |file| read(dir.path().join(file)));
        assert_eq!(text, "where is my order\n");
        assert!(
            rest.iter().any(|line| line.contains("\"stopped\":1")),
            "{rest:?}"
        );
    }
    let mut child = program(dir.path(), &["-", "--language", "en", "-f", "ndjson"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&first).unwrap();
    let mut segment = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut segment).unwrap();
    assert!(segment.contains("where is my order"), "{segment}");
    interrupt(&child);
    let ran: Ran = child.wait_with_output().unwrap().into();
    assert_eq!(ran.status, 130, "{}", ran.err);
    let last = ran.err.lines().last().unwrap();
    assert!(
        last.starts_with("standard input cannot be gone on with"),
        "{}",
        ran.err
    );
}
