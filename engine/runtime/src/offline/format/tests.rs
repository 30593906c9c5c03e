use serde_json::Value;

use super::*;
use crate::offline::{Segment, Source, Timings, Word};

fn segment(start_ms: u64, end_ms: u64, speaker: Option<&str>, text: &str) -> Segment {
    Segment {
        start_ms,
        end_ms,
        speaker: speaker.map(str::to_owned),
        channel: u16::from(speaker == Some("agent")),
        language: "en".to_owned(),
        text: text.to_owned(),
        probability: 0.9375,
        words: Vec::new(),
    }
}

/// Gives a segment words at these times.
fn with_words(mut segment: Segment, words: &[(&str, u64, u64)]) -> Segment {
    let words = words.iter().map(|&(text, start_ms, end_ms)| Word {
        text: text.to_owned(),
        start_ms,
        end_ms,
        probability: 0.5,
    });
    segment.words = words.collect();
    segment
}

fn transcript(segments: Vec<Segment>) -> Transcript {
    Transcript {
        source: Source {
            name: "calls/one.wav".into(),
            format: "WAV, μ-law".to_owned(),
            rate_hz: 8_000,
            channels: 2,
            duration_ms: 4_000_000,
            call: None,
        },
        model: "demo".to_owned(),
        language: Some("en".to_owned()),
        speakers: vec!["caller".to_owned(), "agent".to_owned()],
        segments,
        timings: Timings {
            speech_ms: 5_000,
            elapsed_ms: 400,
            decode_ms: 380,
            windows: 2,
        },
        damage: None,
        stopped: false,
    }
}

fn conversation() -> Transcript {
    let words = [
        ("where", 1_000, 1_300),
        ("is", 1_300, 1_450),
        ("my", 1_450, 1_600),
        ("order", 1_600, 2_100),
    ];
    transcript(vec![
        with_words(
            segment(1_000, 2_100, Some("caller"), "where is my order"),
            &words,
        ),
        segment(3_200, 4_900, Some("agent"), "What is the number, please?"),
        segment(5_000, 5_400, Some("caller"), "four"),
        segment(5_900, 6_400, Some("caller"), "two seven one"),
        segment(3_723_004, 3_724_000, Some("caller"), "hello?"),
    ])
}

fn written(format: Format, transcript: &Transcript) -> String {
    let mut out = Vec::new();
    format.write(transcript, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn txt_is_a_conversation() {
    assert_eq!(
        written(Format::Txt, &conversation()),
        "caller: where is my order\n\
         agent: What is the number, please?\n\
         caller: four two seven one\n\
         caller: hello?\n"
    );
}

#[test]
fn txt_of_one_voice_is_paragraphs() {
    let transcript = transcript(vec![
        segment(0, 1_000, None, " It rained.\n"),
        segment(1_900, 3_000, None, "All day."),
        segment(4_000, 4_100, None, "  "),
        segment(5_000, 6_000, None, "Then it stopped."),
    ]);
    assert_eq!(
        written(Format::Txt, &transcript),
        "It rained. All day.\nThen it stopped.\n"
    );
}

#[test]
fn what_a_terminal_would_obey_is_not_in_the_text() {
    let evil = segment(0, 1, Some("\u{1b}]0;x\u{7}"), "a\u{1b}[31mb\u{9b}c\r\nd");
    let text = written(Format::Txt, &transcript(vec![evil]));
    assert_eq!(text, "]0;x: a [31mb c d\n");
}

#[test]
fn srt() {
    assert_eq!(
        written(Format::Srt, &conversation()),
        "1\n00:00:01,000 --> 00:00:02,100\ncaller: where is my order\n\
         \n2\n00:00:03,200 --> 00:00:04,900\nagent: What is the number, please?\n\
         \n3\n00:00:05,000 --> 00:00:05,900\ncaller: four\n\
         \n4\n00:00:05,900 --> 00:00:06,900\ncaller: two seven one\n\
         \n5\n01:02:03,004 --> 01:02:04,004\ncaller: hello?\n"
    );
}

#[test]
fn vtt() {
    assert_eq!(
        written(Format::Vtt, &conversation()),
        "WEBVTT\n\
         \n00:00:01.000 --> 00:00:02.100\n<v caller>where is my order\n\
         \n00:00:03.200 --> 00:00:04.900\n<v agent>What is the number, please?\n\
         \n00:00:05.000 --> 00:00:05.900\n<v caller>four\n\
         \n00:00:05.900 --> 00:00:06.900\n<v caller>two seven one\n\
         \n01:02:03.004 --> 01:02:04.004\n<v caller>hello?\n"
    );
}

#[test]
fn subtitles_cannot_be_broken_by_what_is_said_or_named() {
    let odd = transcript(vec![segment(
        0,
        2_000,
        Some("R&D <x>"),
        "a --> b\n\n2 <i>& c",
    )]);
    assert_eq!(
        written(Format::Vtt, &odd),
        "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\n\
         <v R&amp;D &lt;x&gt;>a --&gt; b 2 &lt;i&gt;&amp; c\n"
    );
    assert_eq!(
        written(Format::Srt, &odd),
        "1\n00:00:00,000 --> 00:00:02,000\nR&D <x>: a -> b 2 <i>& c\n"
    );
}

#[test]
fn long_speech_is_cut_where_sentences_end() {
    let text = "Your order left our bakery this morning at six. It should be with you before noon, \
                unless the bridge is closed again.";
    let long = transcript(vec![segment(10_000, 18_000, None, text)]);
    assert_eq!(
        written(Format::Srt, &long),
        "1\n00:00:10,000 --> 00:00:13,213\nYour order left our bakery\nthis morning at six.\n\
         \n2\n00:00:13,282 --> 00:00:18,000\n\
         It should be with you before noon,\nunless the bridge is closed again.\n"
    );
}

#[test]
fn cues_take_their_times_from_the_words() {
    let words: Vec<(String, u64, u64)> = (0..20)
        .map(|n| (format!("number{n:02}"), 1_000 * n, 1_000 * n + 400))
        .collect();
    let text: Vec<&str> = words.iter().map(|(text, ..)| &**text).collect();
    let words: Vec<_> = words.iter().map(|(text, a, b)| (&**text, *a, *b)).collect();
    let long = with_words(segment(0, 19_400, None, &text.join(" ")), &words);
    let text = written(Format::Srt, &transcript(vec![long]));
    let times: Vec<&str> = text.lines().filter(|line| line.contains("-->")).collect();
    assert_eq!(
        times,
        [
            "00:00:00,000 --> 00:00:04,400",
            "00:00:05,000 --> 00:00:09,400",
            "00:00:10,000 --> 00:00:14,400",
            "00:00:15,000 --> 00:00:19,400",
        ]
    );
}

#[test]
fn languages_without_spaces_are_cut_too_and_get_none() {
    let text = "请问我的订单现在到哪里了我已经等了三个星期还没有收到任何消息谢谢您的帮助再见";
    let whole = transcript(vec![segment(0, 12_000, None, text)]);
    let joined: String = written(Format::Srt, &whole)
        .lines()
        .filter(|line| !line.is_empty() && !line.is_ascii())
        .inspect(|line| assert!(unicode_width::UnicodeWidthStr::width(*line) <= 42, "{line}"))
        .collect();
    assert_eq!(joined, text);

    let words = [("请问", 0, 500), ("我的", 500, 900), ("订单", 900, 1_500)];
    let timed = with_words(segment(0, 1_500, None, "请问我的订单"), &words);
    let text = written(Format::Vtt, &transcript(vec![timed]));
    assert_eq!(
        text,
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\n请问我的订单\n"
    );
}

#[test]
fn absurd_names_and_times_do_no_harm() {
    let name = "n".repeat(100);
    let odd = transcript(vec![
        segment(5_000, 4_000, Some(&name), "backwards in time"),
        segment(u64::MAX / 2, u64::MAX / 2, None, "late"),
        with_words(
            segment(0, 0, None, "a"),
            &[("quite", 9, 3), ("different", 0, 0)],
        ),
    ]);
    for format in Format::ALL {
        assert!(!written(format, &odd).is_empty());
    }
}

#[test]
fn json_reads_back() {
    let whole = conversation();
    let json = written(Format::Json, &whole);
    assert_eq!(serde_json::from_str::<Transcript>(&json).unwrap(), whole);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["segments"][0]["words"][3]["text"], "order");
    assert_eq!(json["source"]["name"], "calls/one.wav");
    assert_eq!(json["damage"], Value::Null);
}

#[cfg(unix)]
#[test]
fn names_that_are_not_unicode_are_written() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
    let mut whole = conversation();
    whole.source.name = OsStr::from_bytes(b"caf\xe9.wav").into();
    for format in Format::ALL {
        let text = written(format, &whole);
        let named = matches!(format, Format::Json | Format::Ndjson | Format::Csv);
        assert_eq!(text.contains("caf\u{fffd}.wav"), named, "{format}");
    }
}

#[test]
fn ndjson_has_a_line_for_each_segment_and_one_about_the_whole() {
    let whole = conversation();
    let text = written(Format::Ndjson, &whole);
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (last, segments) = lines.split_last().unwrap();
    assert_eq!(segments.len(), whole.segments.len());
    for (line, segment) in segments.iter().zip(&whole.segments) {
        assert_eq!(line["event"], "segment");
        assert_eq!(line["file"], "calls/one.wav");
        let read: Segment = serde_json::from_value(line.clone()).unwrap();
        assert_eq!(read, *segment);
    }
    assert_eq!(last["event"], "transcript");
    assert_eq!(last["segments"], 5);
    assert_eq!(last["timings"]["windows"], 2);
    assert_eq!(last["source"]["rate_hz"], 8_000);
}

#[test]
fn csv_reads_back_and_runs_nothing() {
    let mut whole = transcript(vec![
        segment(0, 900, Some("caller"), "say \"yes\", or\nno"),
        segment(1_000, 1_900, Some("agent"), "=HYPERLINK(\"http://x\")"),
        segment(2_000, 2_900, Some("+1"), "- me?"),
        segment(3_000, 3_900, None, "fine"),
    ]);
    whole.source.name = "@home.wav".into();
    let text = written(Format::Csv, &whole);
    assert!(text.starts_with(
        "file,start_ms,end_ms,speaker,channel,language,probability,text\r\n\
         '@home.wav,0,900,caller,0,en,0.938,\"say \"\"yes\"\", or\nno\"\r\n"
    ));
    let mut table = csv::Reader::from_reader(text.as_bytes());
    let rows: Vec<csv::StringRecord> = table.records().map(Result::unwrap).collect();
    let column = |n: usize| -> Vec<&str> { rows.iter().map(|row| &row[n]).collect() };
    assert_eq!(column(1), ["0", "1000", "2000", "3000"]);
    assert_eq!(column(3), ["caller", "agent", "'+1", ""]);
    assert_eq!(
        column(7),
        [
            "say \"yes\", or\nno",
            "'=HYPERLINK(\"http://x\")",
            "'- me?",
            "fine"
        ]
    );
}

#[test]
fn silence_is_an_empty_document_of_each_kind() {
    let silence = transcript(Vec::new());
    assert_eq!(written(Format::Txt, &silence), "");
    assert_eq!(written(Format::Srt, &silence), "");
    assert_eq!(written(Format::Vtt, &silence), "WEBVTT\n");
    assert_eq!(written(Format::Csv, &silence).lines().count(), 1);
    assert_eq!(written(Format::Ndjson, &silence).lines().count(), 1);
}

#[test]
fn a_format_is_named_by_its_extension() {
    for format in Format::ALL {
        assert_eq!(format.to_string().parse(), Ok(format));
    }
    let error = "docx".parse::<Format>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown format \"docx\": txt, json, ndjson, srt, vtt or csv"
    );
}

#[test]
fn a_full_disk_is_an_error_of_every_format() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for format in Format::ALL {
        let error = format.write(&conversation(), &mut Full).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{format}");
    }
}
