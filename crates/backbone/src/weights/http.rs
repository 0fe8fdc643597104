//! Reading parts of a file over HTTP: ranges where the server knows them, one pass over the whole where it does not, and a
//! broken transfer taken up where it ended.

use std::io::Read;
use std::ops::Range;
use std::time::Duration;

use ureq::config::RedirectAuthHeaders;
use ureq::http::{Response, header};
use ureq::{Agent, Body, BodyReader};

use super::Options;

/// Longest pause that a server can ask for.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// Parts closer together than this are read through rather than asked for anew.
pub(super) const MAX_GAP: u64 = 256 << 10;

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    /// The server answered, and not with the file.
    #[error("the server answered {status}{}", status_text(*.status))]
    Status { status: u16 },
    /// No server was reached.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// The transfer broke, and broke again.
    #[error("the transfer broke: {0}")]
    Broken(String),
    /// The server's answers contradict one another.
    #[error("{0}")]
    Inconsistent(String),
}

fn status_text(status: u16) -> &'static str {
    match status {
        401 => " (not authorised)",
        403 => " (forbidden)",
        404 => " (not found)",
        429 => " (too many requests)",
        500..=599 => " (a failure of its own)",
        _ => "",
    }
}

/// A file on a server.
pub(super) struct Remote<'a> {
    opts: &'a Options<'a>,
    agent: Agent,
    url: String,
    /// Length of the whole file, once a server has said it.
    pub(super) len: Option<u64>,
    etag: Option<String>,
    open: Option<Transfer>,
    reached: bool,
    /// New requests reach at least this far, so that parts which lie together travel together.
    pub(super) window: u64,
}

/// A transfer under way.
struct Transfer {
    body: BodyReader<'static>,
    at: u64,
    /// None: to the end of the file.
    end: Option<u64>,
}

/// A failure and whether trying again may help.
struct Attempt {
    error: HttpError,
    retry: bool,
    pause: Option<Duration>,
}

impl<'a> Remote<'a> {
    pub(super) fn new(opts: &'a Options<'a>, url: String) -> Self {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_resolve(Some(opts.connect_timeout))
            .timeout_connect(Some(opts.connect_timeout))
            .timeout_recv_response(Some(opts.stall_timeout))
            .timeout_per_read(Some(opts.stall_timeout))
            .redirect_auth_headers(RedirectAuthHeaders::SameHost)
            .user_agent(concat!("feature-cache/", env!("CARGO_PKG_VERSION")));
        if is_this_machine(&url) {
            config = config.proxy(None);
        }
        Self {
            opts,
            agent: config.build().new_agent(),
            url,
            len: None,
            etag: None,
            open: None,
            reached: false,
            window: 0,
        }
    }

    /// Reads a part of the file, telling `arrived` of the bytes as they come. Parts are best asked for in ascending order.
    pub(super) fn read(
        &mut self,
        range: Range<u64>,
        arrived: &mut dyn FnMut(u64),
    ) -> Result<Vec<u8>, HttpError> {
        // The buffer grows with what arrives: a header could declare a part that the file does not have.
        let mut out = Vec::with_capacity((range.end - range.start).min(1 << 20) as usize);
        let mut failures = 0;
        loop {
            let before = out.len();
            match self.attempt(&range, &mut out, arrived) {
                Ok(()) if out.len() as u64 == range.end - range.start => return Ok(out),
                // A server may send less than it was asked for.
                Ok(()) => {}
                Err(failed) => {
                    self.open = None;
                    failures = if out.len() > before { 1 } else { failures + 1 };
                    // A server that was never reached will hardly be reached by patience.
                    let allowed =
                        if self.reached { self.opts.retries } else { self.opts.retries.min(1) };
                    if !failed.retry || failures > allowed {
                        return Err(failed.error);
                    }
                    let pause = self.opts.retry_pause.saturating_mul(1 << (failures - 1).min(16));
                    std::thread::sleep(failed.pause.unwrap_or(pause).min(MAX_PAUSE));
                }
            }
        }
    }

    fn attempt(
        &mut self,
        range: &Range<u64>,
        out: &mut Vec<u8>,
        arrived: &mut dyn FnMut(u64),
    ) -> Result<(), Attempt> {
        let start = range.start + out.len() as u64;
        if start >= range.end {
            return Ok(());
        }
        let usable = |t: &Transfer| match t.end {
            // Without ranges the only way to a later part leads through all before it.
            None => t.at <= start,
            Some(end) => t.at <= start && start - t.at <= MAX_GAP && start < end,
        };
        let mut transfer = match self.open.take().filter(usable) {
            Some(transfer) => transfer,
            None => self.request(start..range.end.max(self.window))?,
        };
        let mut block = [0u8; 1 << 16];
        let end = transfer.end.map_or(range.end, |end| end.min(range.end));
        while transfer.at < end {
            // Within a gap, only up to the part that is wanted.
            let limit = if transfer.at < start { start - transfer.at } else { end - transfer.at };
            let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(block.len());
            let n = transfer.body.read(&mut block[..limit]).map_err(|e| broken(e.to_string()))?;
            if n == 0 {
                return Err(broken(format!(
                    "the server closed the connection after byte {}",
                    transfer.at
                )));
            }
            if transfer.at >= start {
                out.extend_from_slice(&block[..n]);
                arrived(n as u64);
            }
            transfer.at += n as u64;
        }
        self.open = Some(transfer);
        Ok(())
    }

    fn request(&mut self, range: Range<u64>) -> Result<Transfer, Attempt> {
        let mut request = self.agent.get(&self.url).header(header::ACCEPT_ENCODING, "identity");
        request = request.header(header::RANGE, format!("bytes={}-{}", range.start, range.end - 1));
        if let Some(token) = &self.opts.token {
            // ureq drops this header when a redirect leads to another host.
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let response = request.call().map_err(|e| transport(&e))?;
        self.reached = true;
        match response.status().as_u16() {
            206 => self.partial(response, &range),
            200 => self.whole(response),
            status => Err(Attempt {
                error: HttpError::Status { status },
                retry: matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504),
                pause: text(&response, "retry-after")
                    .and_then(|s| s.parse().ok())
                    .map(Duration::from_secs),
            }),
        }
    }

    fn partial(
        &mut self,
        response: Response<Body>,
        range: &Range<u64>,
    ) -> Result<Transfer, Attempt> {
        let said = text(&response, "content-range").unwrap_or_default().to_owned();
        let (start, end, len) = content_range(&said)
            .filter(|&(start, end, _)| start == range.start && end > start)
            .ok_or_else(|| {
                fatal(format!(
                    "asked for bytes {} to {}, answered with '{said}'",
                    range.start,
                    range.end - 1
                ))
            })?;
        self.same_file(&response, len)?;
        Ok(Transfer { body: response.into_body().into_reader(), at: start, end: Some(end) })
    }

    fn whole(&mut self, response: Response<Body>) -> Result<Transfer, Attempt> {
        let len = text(&response, "content-length").and_then(|s| s.parse().ok());
        self.same_file(&response, len)?;
        Ok(Transfer { body: response.into_body().into_reader(), at: 0, end: None })
    }

    /// Parts of two versions of a file must not be put together.
    fn same_file(&mut self, response: &Response<Body>, len: Option<u64>) -> Result<(), Attempt> {
        let etag = text(response, "etag").map(str::to_owned);
        let differs = |a: bool| {
            if a {
                Err(fatal("the file changed on the server while it was being read".into()))
            } else {
                Ok(())
            }
        };
        differs(matches!((self.len, len), (Some(a), Some(b)) if a != b))?;
        differs(matches!((&self.etag, &etag), (Some(a), Some(b)) if a != b))?;
        self.len = self.len.or(len);
        self.etag = self.etag.take().or(etag);
        Ok(())
    }
}

fn text<'r>(response: &'r Response<Body>, name: &str) -> Option<&'r str> {
    response.headers().get(name)?.to_str().ok()
}

/// `bytes 0-99/1234` or `bytes 0-99/*` as start, end (exclusive), length.
fn content_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, len) = text.trim().strip_prefix("bytes")?.trim_start().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (first.trim().parse::<u64>().ok()?, last.trim().parse::<u64>().ok()?);
    Some((first, last.checked_add(1)?, len.trim().parse().ok()))
}

fn broken(reason: String) -> Attempt {
    Attempt { error: HttpError::Broken(reason), retry: true, pause: None }
}

fn fatal(reason: String) -> Attempt {
    Attempt { error: HttpError::Inconsistent(reason), retry: false, pause: None }
}

fn transport(e: &ureq::Error) -> Attempt {
    use ureq::Error as E;
    let retry = !matches!(
        e,
        E::HostNotFound
            | E::BadUri(_)
            | E::InvalidProxyUrl
            | E::TooManyRedirects
            | E::RedirectFailed
            | E::Tls(_)
            | E::Rustls(_)
            | E::Http(_)
    );
    let error = match e {
        E::Protocol(_) | E::TooManyRedirects | E::RedirectFailed => {
            HttpError::Broken(e.to_string())
        }
        E::HostNotFound => HttpError::Unreachable(
            "the host's name is unknown (no network, or no such host)".into(),
        ),
        other => HttpError::Unreachable(other.to_string()),
    };
    Attempt { error, retry, pause: None }
}

/// A proxy is not asked for addresses of this machine.
fn is_this_machine(url: &str) -> bool {
    let authority = url.split("//").nth(1).unwrap_or(url).split('/').next().unwrap_or_default();
    ["localhost", "127.0.0.1", "[::1]"]
        .iter()
        .any(|h| authority == *h || authority.starts_with(&format!("{h}:")))
}
