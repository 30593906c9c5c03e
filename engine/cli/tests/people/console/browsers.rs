//! The program that drives Chromium, `browsers.py`: one for all tests.

use std::{
    collections::HashMap,
    env,
    io::{self, BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{ChildStdin, Command, Stdio},
    sync::{Arc, Mutex, OnceLock},
    thread,
    time::Duration,
};

use serde_json::Value;
use tokio::{sync::oneshot, time::timeout};

/// The program.
const PROGRAM: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/people/console/browsers.py"
);

/// Longer than it waits itself for anything.
const PATIENCE: Duration = Duration::from_secs(120);

/// Chromium, by way of what drives it. It ends with the tests, as its standard input does.
pub(super) struct Browsers {
    orders: Mutex<Orders>,
    waiting: Arc<Mutex<Waiting>>,
}

struct Orders {
    to: ChildStdin,
    given: u64,
}

/// Who waits for the answer to an order; nobody, once there will be none.
type Waiting = Option<HashMap<u64, oneshot::Sender<Value>>>;

/// Where the pictures of pages are, and what `.ci/console` has put there.
pub(super) fn folder() -> PathBuf {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    tmp.parent().unwrap().join("console")
}

/// The browsers; none where they cannot be had, which is then said once.
///
/// # Panics
///
/// In CI, if they could be had.
pub(super) fn browsers() -> Option<&'static Browsers> {
    static BROWSERS: OnceLock<Option<Browsers>> = OnceLock::new();
    let browsers = BROWSERS.get_or_init(|| match Browsers::start() {
        Ok(browsers) => Some(browsers),
        Err(missing) => {
            let impossible = std::fs::read_to_string(folder().join("impossible"));
            let why = impossible.as_deref().unwrap_or(&missing).trim();
            // Not captured with the output of a test that passes.
            let mut stderr = io::stderr().lock();
            let _ = writeln!(
                stderr,
                "skipped: the console is not tested in a browser: {why}"
            );
            assert!(
                impossible.is_ok() || env::var_os("CI").is_none(),
                "{missing}: `.ci/console` fetches what is missing"
            );
            None
        }
    });
    browsers.as_ref()
}

impl Browsers {
    fn start() -> Result<Self, String> {
        let own = folder().join("bin/python");
        let python = if own.exists() { own } else { "python3".into() };
        std::fs::create_dir_all(folder()).map_err(|error| error.to_string())?;
        let mut child = Command::new(&python)
            .arg(PROGRAM)
            .arg(folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", python.display()))?;
        let to = child.stdin.take().unwrap();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        answers
            .read_line(&mut first)
            .map_err(|error| error.to_string())?;
        let first: Value = serde_json::from_str(&first).unwrap_or_default();
        if first["ready"] != true {
            let missing = first["missing"].as_str();
            return Err(missing.unwrap_or("browsers.py has failed").to_owned());
        }
        let waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        let awaited = Arc::clone(&waiting);
        thread::spawn(move || {
            for line in answers.lines().map_while(Result::ok) {
                deliver(&awaited, &line);
            }
            // Whoever still waits is told by it.
            awaited.lock().unwrap().take();
            let _ = child.wait();
        });
        Ok(Self {
            orders: Mutex::new(Orders { to, given: 0 }),
            waiting,
        })
    }

    /// A number that no other order has: a page is named by one too.
    pub(super) fn number(&self) -> u64 {
        let mut orders = self.orders.lock().unwrap();
        orders.given += 1;
        orders.given
    }

    /// Gives an order, and waits until it is done.
    ///
    /// # Errors
    ///
    /// What has kept it from being done, as it is to be read.
    pub(super) async fn order(&self, what: &str, mut with: Value) -> Result<Value, String> {
        let (sender, answer) = oneshot::channel();
        let id = self.number();
        with["id"] = id.into();
        with["do"] = what.into();
        let waiting = self.waiting.lock().unwrap().as_mut().map(|waiting| {
            waiting.insert(id, sender);
        });
        if waiting.is_some() {
            let mut orders = self.orders.lock().unwrap();
            // If it has ended, the answer says so.
            let _ = writeln!(orders.to, "{with}");
        }
        let mut answer = timeout(PATIENCE, answer)
            .await
            .map_err(|_| "browsers.py does not answer".to_owned())?
            .map_err(|_| "browsers.py has ended".to_owned())?;
        match answer["problem"].as_str() {
            Some(problem) => Err(problem.to_owned()),
            None => Ok(answer["done"].take()),
        }
    }

    /// Gives an order that nobody waits for.
    pub(super) fn tell(&self, what: &str, mut with: Value) {
        with["id"] = self.number().into();
        with["do"] = what.into();
        let _ = writeln!(self.orders.lock().unwrap().to, "{with}");
    }
}

fn deliver(waiting: &Mutex<Waiting>, line: &str) {
    let Ok(answer) = serde_json::from_str::<Value>(line) else {
        return;
    };
    let mut waiting = waiting.lock().unwrap();
    let sender = waiting
        .as_mut()
        .zip(answer["id"].as_u64())
        .and_then(|(waiting, id)| waiting.remove(&id));
    if let Some(sender) = sender {
        let _ = sender.send(answer);
    }
}
