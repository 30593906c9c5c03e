//! The load generator as a program: calls are held and every line is answered. No time is judged.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

fn load(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_load"))
        .args(args)
        .output()
        .expect("the program starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn two_calls_are_held_and_every_line_is_answered() {
    let json = Path::new(env!("CARGO_TARGET_TMPDIR")).join("load.json");
    let file = json.to_str().unwrap();
    let output = load(&[
        "--calls=2",
        "--rounds=1",
        "--listening=2",
        "--listening-seconds=1",
        "--json",
        file,
    ]);
    assert!(output.status.success(), "{}", stderr(&output));

    let printed = String::from_utf8(output.stdout).unwrap();
    for part in [
        " cores, ",
        "\n2 calls that listen\n",
        "\n2 calls that talk (0 failed, 0 lines unanswered)\n",
    ] {
        assert!(printed.contains(part), "{part:?} is missing in\n{printed}");
    }
    let figures: Value = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    assert!(figures["machine"]["cores"].as_u64() >= Some(1), "{figures}");
    assert_eq!(figures["rounds"], 1);
    assert_eq!(figures["listening"]["calls"], 2);
    let talked = &figures["talking"][0];
    assert_eq!(talked["calls"], 2);
    assert_eq!(talked["failed_calls"], 0);
    assert_eq!(talked["unanswered_lines"], 0);
    // A question and an interruption each.
    assert_eq!(talked["response"]["count"], 4);
    assert_eq!(talked["barge_in"]["count"], 2);
}

#[test]
fn missing_recordings_are_named_before_anything_runs() {
    let output = load(&["--fixtures", "no/such/folder"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let error = stderr(&output);
    for part in ["no/such/folder/callers/annie", "--fixtures"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_number_out_of_range_is_refused_with_the_range() {
    for (flag, range) in [("--calls=0", "1..=10000"), ("--rounds=0", "1..=15")] {
        let error = stderr(&load(&[flag]));
        assert!(error.contains(range), "{error}");
    }
}
