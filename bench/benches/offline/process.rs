//! What a program costs from its start to its end: model and audio loaded, the text written.

use std::{
    io,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use procfs::process::Process;

/// How often its memory is looked at. The system keeps the highest value, so what is missed is what it takes
/// in its last moments.
const LOOK: Duration = Duration::from_millis(5);

/// A run of a program.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) wall: Duration,
    /// User and system, of all its threads.
    pub(crate) cpu: Duration,
    /// The most resident memory, in bytes.
    pub(crate) peak: u64,
    /// What it wrote to its standard output.
    pub(crate) output: Vec<u8>,
}

/// Runs a program that must succeed. One at a time.
pub(crate) fn measure(command: &mut Command) -> io::Result<Run> {
    let before = children_cpu()?;
    let began = Instant::now();
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| {
            let program = command.get_program().display();
            io::Error::other(format!("cannot run {program}: {error}"))
        })?;
    let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
    let watch = thread::spawn(move || peak(pid));
    let output = child.wait_with_output()?;
    let wall = began.elapsed();
    let peak = watch.join().unwrap_or_default();
    if !output.status.success() {
        let program = command.get_program().display();
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.trim_end().lines().last().unwrap_or_default();
        return Err(io::Error::other(format!(
            "{program} failed, {}: {last}",
            output.status
        )));
    }
    Ok(Run {
        wall,
        cpu: children_cpu()?.saturating_sub(before),
        peak,
        output: output.stdout,
    })
}

/// The highest resident memory of a process until it ends.
fn peak(pid: i32) -> u64 {
    let mut peak = 0;
    while let Ok(status) = Process::new(pid).and_then(|process| process.status()) {
        // A process that has ended but was not waited for has no memory.
        let Some(kib) = status.vmhwm else { break };
        peak = kib * 1_024;
        thread::sleep(LOOK);
    }
    peak
}

/// CPU time of all children that have ended.
fn children_cpu() -> io::Result<Duration> {
    let stat = Process::myself().and_then(|process| process.stat());
    let stat = stat.map_err(io::Error::other)?;
    let ticks = u64::try_from(stat.cutime + stat.cstime).unwrap_or_default();
    Ok(Duration::from_secs_f64(
        ticks as f64 / procfs::ticks_per_second() as f64,
    ))
}
