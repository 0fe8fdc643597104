//! A hub on this machine: HTTP/1.1 over plain sockets, one request a connection, with faults on demand.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) path: String,
    pub(super) range: Option<(u64, u64)>,
    pub(super) authorization: Option<String>,
    pub(super) accept: Option<String>,
}

/// What to answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// Close the connection after so many bytes of the body.
    pub(super) cut: Option<usize>,
    /// Stand still after so many bytes of the body.
    pub(super) stall: Option<usize>,
    /// Send so many bytes at once, and wait 20 ms after each.
    pub(super) trickle: Option<usize>,
}

impl Reply {
    pub(super) fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub(super) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The file, or the part of it that was asked for.
    pub(super) fn file(bytes: &[u8], range: Option<(u64, u64)>) -> Self {
        let (status, start, end) = match range {
            Some((first, last)) => (206, first as usize, (last as usize + 1).min(bytes.len())),
            None => (200, 0, bytes.len()),
        };
        if start >= end {
            return Self::status(416);
        }
        let reply = Self { status, body: bytes[start..end].to_vec(), ..Self::default() }
            .header("ETag", "\"v1\"");
        match range {
            Some(_) => {
                reply.header("Content-Range", format!("bytes {start}-{}/{}", end - 1, bytes.len()))
            }
            None => reply,
        }
    }
}

type Answer = dyn Fn(&Request, usize) -> Reply + Send + Sync;

/// A running server; it ends with the process.
pub(super) struct Server {
    pub(super) endpoint: String,
    pub(super) log: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers each request by `answer`, which is told the request and its number from 0.
    pub(super) fn start(answer: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        let log = Arc::new(Mutex::new(Vec::new()));
        let (shared, answer): (_, Arc<Answer>) = (log.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (shared.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &log, &*answer));
            }
        });
        Self { endpoint, log }
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.log.lock().expect("lock").clone()
    }
}

fn serve(mut stream: TcpStream, log: &Mutex<Vec<Request>>, answer: &Answer) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let path = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
    let mut request = Request { path, range: None, authorization: None, accept: None };
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "range" => {
                let (first, last) = value.trim().strip_prefix("bytes=")?.split_once('-')?;
                request.range = Some((first.parse().ok()?, last.parse().ok()?));
            }
            "accept" => request.accept = Some(value.trim().to_owned()),
            "authorization" => request.authorization = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let number = {
        let mut log = log.lock().ok()?;
        log.push(request.clone());
        log.len() - 1
    };
    let reply = answer(&request, number);
    let mut head = format!(
        "HTTP/1.1 {} X\r\nConnection: close\r\nContent-Length: {}\r\n",
        reply.status,
        reply.body.len()
    );
    reply.headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
    stream.write_all(format!("{head}\r\n").as_bytes()).ok()?;
    let end = reply.cut.or(reply.stall).unwrap_or(reply.body.len()).min(reply.body.len());
    for piece in reply.body[..end].chunks(reply.trickle.unwrap_or(usize::MAX)) {
        stream.write_all(piece).ok()?;
        stream.flush().ok()?;
        if reply.trickle.is_some() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    stream.flush().ok()?;
    if reply.stall.is_some() {
        std::thread::sleep(Duration::from_secs(3));
    }
    Some(())
}
