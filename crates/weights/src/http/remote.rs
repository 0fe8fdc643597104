//! Reading parts of a file over HTTP: ranges where the server knows them, one pass over the whole where it does not, and a
//! broken transfer taken up where it ended.

use std::io::Read;
use std::ops::Range;

use ureq::http::{Response, header};
use ureq::{Body, BodyReader};
use url::Url;

use super::client::{Client, expect_success, text};
use super::pace::Pace;
use super::{Attempt, HttpError};

/// Parts closer together than this are read through rather than requested again.
pub(crate) const MAX_GAP: u64 = 256 << 10;

/// A file on a server.
pub(crate) struct Remote<'a> {
    client: &'a Client<'a>,
    url: Url,
    pace: Pace,
    /// Length of the whole file, once a server has said it.
    pub(crate) len: Option<u64>,
    etag: Option<String>,
    open: Option<Transfer>,
    reached: bool,
    /// New requests reach at least this far, so that neighbouring parts travel together.
    pub(crate) window: u64,
}

/// A transfer under way.
struct Transfer {
    body: BodyReader<'static>,
    at: u64,
    /// None: to the end of the file.
    end: Option<u64>,
}

impl<'a> Remote<'a> {
    pub(crate) fn new(client: &'a Client<'a>, url: Url) -> Self {
        Self {
            pace: Pace::new(client.opts),
            client,
            url,
            len: None,
            etag: None,
            open: None,
            reached: false,
            window: 0,
        }
    }

    /// Reads a part of the file, telling `arrived` of the bytes as they come. Parts are best asked for in ascending order.
    pub(crate) fn read(
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
                    let retries = self.client.opts.retries;
                    let allowed = if self.reached { retries } else { retries.min(1) };
                    if !failed.retry || failures > allowed {
                        return Err(failed.error);
                    }
                    self.client.pause(failures, failed.pause);
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
            self.pace.arrived(n as u64)?;
        }
        self.open = Some(transfer);
        Ok(())
    }

    fn request(&mut self, range: Range<u64>) -> Result<Transfer, Attempt> {
        self.pace.resume()?;
        let bytes = format!("bytes={}-{}", range.start, range.end - 1);
        let headers = [(header::ACCEPT_ENCODING, "identity"), (header::RANGE, bytes.as_str())];
        let (response, _) = self.client.get(&self.url, &headers)?;
        self.reached = true;
        let response = expect_success(response)?;
        match response.status().as_u16() {
            206 => self.partial(response, &range),
            _ => self.whole(response),
        }
    }

    fn partial(
        &mut self,
        response: Response<Body>,
        range: &Range<u64>,
    ) -> Result<Transfer, Attempt> {
        let said = text(&response, header::CONTENT_RANGE).unwrap_or_default().to_owned();
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
        let len = text(&response, header::CONTENT_LENGTH).and_then(|s| s.parse().ok());
        self.same_file(&response, len)?;
        Ok(Transfer { body: response.into_body().into_reader(), at: 0, end: None })
    }

    /// Parts of two versions of a file must not be put together.
    fn same_file(&mut self, response: &Response<Body>, len: Option<u64>) -> Result<(), Attempt> {
        let etag = text(response, header::ETAG).map(str::to_owned);
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

/// `bytes 0-99/1234` or `bytes 0-99/*` as start, end (exclusive), length.
fn content_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, len) = text.trim().strip_prefix("bytes")?.trim_start().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (first.trim().parse::<u64>().ok()?, last.trim().parse::<u64>().ok()?);
    Some((first, last.checked_add(1)?, len.trim().parse().ok()))
}

fn broken(reason: String) -> Attempt {
    Attempt::broken(reason)
}

fn fatal(reason: String) -> Attempt {
    Attempt::fatal(HttpError::Inconsistent(reason))
}
