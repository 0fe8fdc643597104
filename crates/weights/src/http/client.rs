//! Single requests. Redirects are followed here and not by the library, since at each step it must be decided again whether
//! the next address may be asked at all, and whether it may see a secret.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use ureq::http::{Response, StatusCode, header};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, Proxy};
use url::{Host, Origin, Url};

use super::pace::Pace;
use super::{Attempt, HttpError, MAX_PAUSE};
use crate::Options;

/// Longest chain of redirects.
const MAX_REDIRECTS: usize = 10;
/// Largest file of certificates; the usual ones have 0.2 MB.
const MAX_CERTIFICATES: u64 = 16 << 20;

/// What is sent in `Authorization`, and the one origin (scheme, host and port) that may see it.
pub(crate) struct Secret {
    origin: Origin,
    header: String,
}

impl Secret {
    /// A token for the origin of `url`.
    pub(crate) fn bearer(url: &Url, token: &str) -> Self {
        Self { origin: url.origin(), header: format!("Bearer {token}") }
    }

    /// The user name and password that `url` carries, for its own origin.
    pub(crate) fn basic(url: &Url) -> Option<Self> {
        use base64::Engine as _;
        if url.username().is_empty() && url.password().is_none() {
            return None;
        }
        let decode = |text: &str| percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
        let mut pair = decode(url.username());
        pair.push(b':');
        pair.extend(decode(url.password().unwrap_or_default()));
        let pair = base64::engine::general_purpose::STANDARD.encode(pair);
        Some(Self { origin: url.origin(), header: format!("Basic {pair}") })
    }

    /// In plain HTTP everybody on the way could read it; on the loopback nobody is on the way.
    fn may_go_to(&self, url: &Url) -> bool {
        url.origin() == self.origin && (url.scheme() == "https" || is_loopback(url))
    }
}

/// Whether an address is one of this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// An address as messages show it: without user, password, query and fragment, which may hold secrets.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = bare(url.clone());
    url.set_query(None);
    url.to_string()
}

/// Without user, password and fragment. Only addresses with a host come here, whose parts can be set.
fn bare(mut url: Url) -> Url {
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_fragment(None);
    url
}

/// Where a redirect leads.
///
/// # Errors
/// Says why it is not followed: it leaves TLS, or is no address of the web.
fn next(from: &Url, location: &str) -> Result<Url, String> {
    let to = from.join(location).ok().filter(|to| to.has_host() && !location.is_empty());
    let to = bare(to.ok_or("a redirect to no address")?);
    match (from.scheme(), to.scheme()) {
        (_, "https") | ("http", "http") => Ok(to),
        ("https", "http") => Err(format!("a redirect from HTTPS to plain HTTP, {}", shown(&to))),
        (_, other) => Err(format!("a redirect to an address of kind '{other}'")),
    }
}

/// Sends requests.
pub(crate) struct Client<'a> {
    pub(super) opts: &'a Options<'a>,
    agent: Agent,
    secret: Option<Secret>,
}

impl<'a> Client<'a> {
    /// A client that shows `secret` to its own origin only. Without `certificates` the authorities of Mozilla's list are
    /// trusted, without `proxy` the environment names it.
    ///
    /// # Errors
    /// [`HttpError::Setup`] for certificates or a proxy that make no sense.
    pub(crate) fn new(
        opts: &'a Options<'a>,
        secret: Option<Secret>,
        certificates: Option<&Path>,
        proxy: Option<&str>,
    ) -> Result<Self, HttpError> {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_resolve(Some(opts.connect_timeout))
            .timeout_connect(Some(opts.connect_timeout))
            .timeout_recv_response(Some(opts.stall_timeout))
            .timeout_per_read(Some(opts.stall_timeout))
            .max_redirects(0)
            .user_agent(concat!("feature-cache/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = certificates {
            config = config.tls_config(TlsConfig::builder().root_certs(read(path)?).build());
        }
        if let Some(proxy) = proxy {
            let proxy = Proxy::new(proxy)
                .map_err(|_| HttpError::Setup("the configured proxy is not an address".into()))?;
            config = config.proxy(Some(proxy));
        }
        Ok(Self { opts, agent: config.build().new_agent(), secret })
    }

    /// Asks for `url`, following redirects; the address that answered comes with the answer.
    pub(super) fn get(
        &self,
        url: &Url,
        headers: &[(header::HeaderName, &str)],
    ) -> Result<(Response<Body>, Url), Attempt> {
        let mut url = bare(url.clone());
        for _ in 0..=MAX_REDIRECTS {
            let response = self.once(&url, headers)?;
            if !is_redirect(response.status()) {
                return Ok((response, url));
            }
            let to = response.headers().get(header::LOCATION).and_then(|l| l.to_str().ok());
            url = next(&url, to.unwrap_or_default()).map_err(refused)?;
        }
        Err(refused(format!("more than {MAX_REDIRECTS} redirects")))
    }

    fn once(
        &self,
        url: &Url,
        headers: &[(header::HeaderName, &str)],
    ) -> Result<Response<Body>, Attempt> {
        let mut request = self.agent.get(url.as_str());
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        if let Some(secret) = self.secret.as_ref().filter(|s| s.may_go_to(url)) {
            request = request.header(header::AUTHORIZATION, &secret.header);
        }
        // A proxy is not asked for addresses of this machine.
        let sent = if is_loopback(url) {
            request.config().proxy(None).build().call()
        } else {
            request.call()
        };
        sent.map_err(|e| transport(&e))
    }

    /// Reads a page of at most `limit` bytes as a whole; its media type and address come with it.
    ///
    /// # Errors
    /// [`HttpError`], once trying again does not help.
    pub(crate) fn page(&self, url: &Url, accept: &str, limit: u64) -> Result<Page, HttpError> {
        let mut pace = Pace::new(self.opts);
        let mut failures = 0;
        loop {
            match self.try_page(url, accept, limit, &mut pace) {
                Ok(page) => return Ok(page),
                Err(failed) if failed.retry && failures < self.opts.retries.min(2) => {
                    failures += 1;
                    self.pause(failures, failed.pause);
                }
                Err(failed) => return Err(failed.error),
            }
        }
    }

    fn try_page(
        &self,
        url: &Url,
        accept: &str,
        limit: u64,
        pace: &mut Pace,
    ) -> Result<Page, Attempt> {
        pace.resume()?;
        let (response, url) = self.get(url, &[(header::ACCEPT, accept)])?;
        let response = expect_success(response)?;
        let media = text(&response, header::CONTENT_TYPE).unwrap_or_default().to_owned();
        let mut body = response.into_body().into_reader().take(limit + 1);
        let (mut bytes, mut block) = (Vec::new(), [0; 1 << 14]);
        loop {
            let n = body.read(&mut block).map_err(|e| Attempt::broken(e.to_string()))?;
            pace.arrived(n as u64)?;
            bytes.extend_from_slice(&block[..n]);
            if bytes.len() as u64 > limit {
                return Err(refused(format!("a page of more than {} MiB", limit >> 20)));
            }
            if n == 0 {
                return Ok(Page { media, bytes, url });
            }
        }
    }

    /// Waits before trying again: as long as the server asks for, else longer each time.
    pub(super) fn pause(&self, failures: u32, asked: Option<Duration>) {
        let usual = self.opts.retry_pause.saturating_mul(1 << failures.saturating_sub(1).min(16));
        std::thread::sleep(asked.unwrap_or(usual).min(MAX_PAUSE));
    }
}

/// A page that was read as a whole.
pub(crate) struct Page {
    /// `Content-Type`, with its parameters.
    pub(crate) media: String,
    pub(crate) bytes: Vec<u8>,
    /// Where it came from, after redirects.
    pub(crate) url: Url,
}

/// The authorities of a PEM file.
fn read(path: &Path) -> Result<RootCerts, HttpError> {
    let fault = |what: String| HttpError::Setup(format!("certificates {}: {what}", path.display()));
    let pem = util::regular::read(path, MAX_CERTIFICATES).map_err(|e| fault(e.to_string()))?;
    let certificates: Vec<Certificate<'static>> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(fault("expected certificates in PEM form, found none".into()));
    }
    Ok(RootCerts::new_with_certs(&certificates))
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Any answer but a success as a failure.
pub(super) fn expect_success(response: Response<Body>) -> Result<Response<Body>, Attempt> {
    let status = response.status().as_u16();
    if matches!(status, 200 | 206) {
        return Ok(response);
    }
    Err(Attempt {
        error: HttpError::Status { status },
        retry: matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504),
        pause: text(&response, header::RETRY_AFTER)
            .and_then(|s| s.parse().ok())
            .map(Duration::from_secs),
    })
}

pub(super) fn text(response: &Response<Body>, name: header::HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

fn refused(what: String) -> Attempt {
    Attempt::fatal(HttpError::Refused(what))
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
        E::Protocol(_) => HttpError::Broken(e.to_string()),
        E::HostNotFound => HttpError::Unreachable(
            "the host's name is unknown (no network, or no such host)".into(),
        ),
        other => HttpError::Unreachable(other.to_string()),
    };
    Attempt { error, retry, pause: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_secret_goes_to_its_own_origin_and_only_where_nobody_listens() {
        let secret = |of: &str| Secret::bearer(&url(of), "t");
        for (of, to, may) in [
            ("https://hub.example/a", "https://hub.example/b", true),
            ("https://hub.example/a", "https://hub.example:443/b", true),
            ("https://hub.example/a", "https://hub.example:8443/b", false),
            ("https://hub.example/a", "http://hub.example/b", false),
            ("https://hub.example/a", "https://hub.example.evil/b", false),
            ("https://hub.example/a", "https://sub.hub.example/b", false),
            ("https://hub.example/a", "https://hub.example@evil.example/b", false),
            ("http://hub.example/a", "http://hub.example/a", false),
            ("http://127.0.0.1:80/a", "http://127.0.0.1/b", true),
            ("http://127.0.0.1:8/a", "http://127.0.0.1:9/b", false),
            ("http://localhost:8/a", "http://localhost:8/b", true),
            ("http://[::1]:8/a", "http://[::1]:8/b", true),
            ("http://localhost.example:8/a", "http://localhost.example:8/b", false),
        ] {
            assert_eq!(secret(of).may_go_to(&url(to)), may, "{of} {to}");
        }
    }

    #[test]
    fn a_redirect_never_leaves_https() {
        let from = url("https://u:p@a.example/x/y?z");
        let to = |location: &str| next(&from, location).map(|u| u.to_string());
        assert_eq!(to("../w#f").unwrap(), "https://a.example/w");
        assert_eq!(to("//b.example/c").unwrap(), "https://b.example/c");
        assert_eq!(to("https://v:q@b.example/c").unwrap(), "https://b.example/c");
        assert!(to("http://a.example/x").unwrap_err().contains("from HTTPS to plain HTTP"));
        for bad in ["file:///etc/passwd", "ftp://a.example/", "data:,x", "", "https://"] {
            assert!(to(bad).is_err(), "{bad}");
        }
        let plain = url("http://a.example/x");
        assert!(next(&plain, "https://a.example/x").is_ok() && next(&plain, "/y").is_ok());
    }

    #[test]
    fn a_name_and_password_become_a_header_and_are_not_shown() {
        let index = url("https://me%40corp:p%3Aw@a.example/simple?key=secret#f");
        assert_eq!(Secret::basic(&index).unwrap().header, "Basic bWVAY29ycDpwOnc=");
        assert!(Secret::basic(&url("https://a.example/")).is_none());
        assert_eq!(shown(&index), "https://a.example/simple");
    }
}
