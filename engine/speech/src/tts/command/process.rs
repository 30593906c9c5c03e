//! A running program that does not outlive its job.

use std::{io, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdout, Command},
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;

/// The longest complaint, in bytes.
const MAX_COMPLAINT: usize = 200;
/// So much of what it writes to its standard error is looked at, in bytes.
const MAX_ERRORS: usize = 4 << 10;
/// Something it started may hold its standard error open after its end; that is no complaint.
const COMPLAINT_GRACE: Duration = Duration::from_millis(200);

/// A program that was started. Dropping it kills it with all its children, and reaps it.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    output: ChildStdout,
    buffer: Box<[u8; 8_192]>,
    complaint: AbortOnDropHandle<String>,
    _typing: Option<AbortOnDropHandle<()>>,
}

/// How a program ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) success: bool,
    /// In words.
    pub(super) status: String,
    /// The first line it wrote to its standard error.
    pub(super) complaint: String,
}

impl Process {
    /// Starts `command` and writes `input` to it, if any, while its output is read.
    pub(super) fn start(mut command: Command, input: Option<String>) -> io::Result<Self> {
        command
            .stdin(if input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        // A group of its own, so that what it starts can be killed with it.
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn()?;
        let output = child.stdout.take().expect("its output is a pipe");
        let errors = child.stderr.take().expect("its errors are a pipe");
        let typing = child.stdin.take().zip(input).map(|(mut stdin, input)| {
            AbortOnDropHandle::new(tokio::spawn(async move {
                // A program may stop reading early: its output tells whether that is a failure.
                let _ = stdin.write_all(input.as_bytes()).await;
            }))
        });
        Ok(Self {
            child,
            output,
            buffer: Box::new([0; 8_192]),
            complaint: AbortOnDropHandle::new(tokio::spawn(first_line(errors))),
            _typing: typing,
        })
    }

    /// The next bytes of its output; none at the end.
    pub(super) async fn read(&mut self) -> io::Result<&[u8]> {
        let length = self.output.read(&mut self.buffer[..]).await?;
        Ok(&self.buffer[..length])
    }

    /// Kills it with all its children.
    pub(super) fn kill(&mut self) {
        // It has an id until it is reaped: no stranger is hit.
        #[cfg(unix)]
        if let Some(id) = self.child.id()
            && let Ok(id) = i32::try_from(id)
            && let Some(group) = rustix::process::Pid::from_raw(id)
        {
            // An error means that it is gone already.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.child.start_kill();
    }

    /// Waits until it has ended.
    pub(super) async fn end(mut self) -> Ended {
        let status = self.child.wait().await;
        let complaint = timeout(COMPLAINT_GRACE, &mut self.complaint).await;
        let (success, status) = match status {
            Ok(status) => (status.success(), format!("ended with {status}")),
            Err(error) => (false, format!("cannot wait for it: {error}")),
        };
        Ended {
            success,
            status,
            complaint: complaint.ok().and_then(Result::ok).unwrap_or_default(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The first line of `errors` with anything on it, printable and cut. Reads to the end, so that
/// the program never waits for us.
async fn first_line(mut errors: impl AsyncRead + Unpin) -> String {
    let mut held = Vec::new();
    let mut buffer = [0; 1_024];
    while let Ok(length @ 1..) = errors.read(&mut buffer).await {
        let room = MAX_ERRORS - held.len();
        held.extend_from_slice(&buffer[..length.min(room)]);
    }
    let held = String::from_utf8_lossy(&held);
    let line = held.lines().map(str::trim).find(|line| !line.is_empty());
    let mut line = line.unwrap_or_default().replace(char::is_control, " ");
    line.truncate(line.floor_char_boundary(MAX_COMPLAINT));
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_complaint_is_one_short_printable_line() {
        for (errors, complaint) in [
            (&b""[..], ""),
            (b"\n \nno voice \x1b[1m!\nmore", "no voice  [1m!"),
            (b"bad \xff", "bad \u{fffd}"),
        ] {
            assert_eq!(first_line(errors).await, complaint);
        }
        assert_eq!(first_line(&[b'x'; 99_999][..]).await.len(), MAX_COMPLAINT);
    }
}
