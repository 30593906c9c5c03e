//! An HTTP server on this machine that does as it is told, wrong things included.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What a client asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) path: String,
    /// Where the requested range begins, if it is one.
    pub(crate) from: Option<usize>,
    pub(crate) if_range: Option<String>,
    pub(crate) authorization: Option<String>,
}

/// What the server does about it.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    /// The status and the header fields, a line each.
    pub(crate) head: Vec<String>,
    pub(crate) body: Vec<u8>,
    pub(crate) then: Then,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    Close,
    /// Says nothing more, and leaves the connection open.
    Stall,
    /// Sends the body again and again.
    Repeat,
}

pub(crate) struct Server {
    /// `http://127.0.0.1:port`.
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers each request by `answer`, which gets its number, from 0, as well.
    pub(crate) async fn start(
        answer: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (Arc::new(answer), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                tokio::spawn(async move {
                    // A client that goes away is not the server's failure.
                    let _ = serve(socket, &*answer, &log).await;
                });
            }
        });
        Self { url, seen }
    }

    /// A well-behaved one that has one file.
    pub(crate) async fn of(content: &'static [u8]) -> Self {
        Self::start(move |_, request| whole_or_rest(content, request)).await
    }

    /// One that has one file, of which it sends so many bytes the first time, and then is silent.
    pub(crate) async fn that_stalls_once(content: &'static [u8], after: usize) -> Self {
        Self::start(move |n, request| {
            let reply = whole_or_rest(content, request);
            match n {
                0 => reply.cut_after(after).then(Then::Stall),
                _ => reply,
            }
        })
        .await
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    /// Where the ranges that were asked for begin.
    pub(crate) fn ranges(&self) -> Vec<Option<usize>> {
        self.requests().iter().map(|request| request.from).collect()
    }
}

/// 200 with the whole content.
pub(crate) fn whole(content: &[u8]) -> Reply {
    Reply {
        head: vec![
            "200 OK".to_owned(),
            format!("Content-Length: {}", content.len()),
            "ETag: \"v1\"".to_owned(),
        ],
        body: content.to_vec(),
        then: Then::Close,
    }
}

/// 200, or 206 with the rest where one is asked for.
pub(crate) fn whole_or_rest(content: &[u8], request: &Request) -> Reply {
    match request.from {
        Some(from) if from < content.len() => Reply {
            head: vec![
                "206 Partial Content".to_owned(),
                format!("Content-Length: {}", content.len() - from),
                format!(
                    "Content-Range: bytes {from}-{}/{}",
                    content.len() - 1,
                    content.len()
                ),
                "ETag: \"v1\"".to_owned(),
            ],
            body: content[from..].to_vec(),
            then: Then::Close,
        },
        Some(_) => status("416 Range Not Satisfiable"),
        None => whole(content),
    }
}

/// A status without a body.
pub(crate) fn status(status: &str) -> Reply {
    Reply {
        head: vec![status.to_owned(), "Content-Length: 0".to_owned()],
        body: Vec::new(),
        then: Then::Close,
    }
}

impl Reply {
    /// The same promise, but the connection ends after `n` bytes of the body.
    pub(crate) fn cut_after(mut self, n: usize) -> Self {
        self.body.truncate(n);
        self
    }

    pub(crate) fn then(self, then: Then) -> Self {
        Self { then, ..self }
    }
}

async fn serve(
    socket: TcpStream,
    answer: &(dyn Fn(usize, &Request) -> Reply + Send + Sync),
    seen: &Mutex<Vec<Request>>,
) -> std::io::Result<()> {
    let mut socket = BufReader::new(socket);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if socket.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let field = |name: &str| {
        lines.iter().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    };
    let request = Request {
        path: lines[0].split(' ').nth(1).unwrap().to_owned(),
        from: field("range").map(|range| {
            let from = range.strip_prefix("bytes=").unwrap();
            from.strip_suffix('-').unwrap().parse().unwrap()
        }),
        if_range: field("if-range"),
        authorization: field("authorization"),
    };
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push(request.clone());
        seen.len() - 1
    };
    let reply = answer(number, &request);
    let head = format!(
        "HTTP/1.1 {}\r\nConnection: close\r\n\r\n",
        reply.head.join("\r\n")
    );
    socket.write_all(head.as_bytes()).await?;
    socket.write_all(&reply.body).await?;
    socket.flush().await?;
    match reply.then {
        Then::Close => socket.shutdown().await,
        Then::Stall => std::future::pending().await,
        Then::Repeat => loop {
            socket.write_all(&reply.body).await?;
        },
    }
}
