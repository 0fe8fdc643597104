//! Which package index this machine uses, from the same places and in the same order as pip.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use url::Url;

use super::ini::{Sections, parse_into};

/// The index when nothing names another.
const PUBLIC: &str = "https://pypi.org/simple";
/// Largest configuration file.
const MAX_FILE: u64 = 1 << 20;
/// Sections that count, the later ones more. pip reads the one of its command; fetching is both of these to its users.
const SECTIONS: [&str; 3] = ["global", "install", "download"];

/// The package indexes of this machine, and how they are reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageIndex {
    /// Addresses of simple indexes (PEP 503), in the order in which they are asked; a user name and a password in one are
    /// sent to its own host only. None with pip's `no-index`.
    pub(crate) urls: Vec<Url>,
    /// Hosts, or `host:port`, that may be asked in plain HTTP.
    pub(crate) trusted_hosts: Vec<String>,
    /// A PEM file of the authorities to trust instead of the usual ones.
    pub(crate) certificates: Option<PathBuf>,
    /// A proxy other than the environment's.
    pub(crate) proxy: Option<String>,
}

impl PackageIndex {
    /// This index alone instead of those that pip is configured for.
    pub(crate) fn at(self, url: Url) -> Self {
        Self { urls: vec![url], ..self }
    }

    /// Whether pip's users said that this host may be asked in plain HTTP.
    pub(crate) fn trusts(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else { return false };
        let port = url.port_or_known_default().unwrap_or_default();
        let with_port = format!("{host}:{port}");
        self.trusted_hosts.iter().any(|t| *t == host || *t == with_port)
    }

    /// What the environment and pip's configuration files say.
    ///
    /// # Errors
    /// A file that can't be read or understood, or an address that is none.
    pub(crate) fn from_lookup(lookup: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, String> {
        let settings = Settings::read(lookup)?;
        let no_index = settings.get("no-index").is_some_and(|v| is_true(&v));
        let first = settings.get("index-url").unwrap_or_else(|| PUBLIC.to_owned());
        let more = settings.get("extra-index-url").unwrap_or_default();
        let urls = std::iter::once(first.as_str()).chain(more.split_whitespace());
        let urls = urls.filter(|_| !no_index).map(parse_url).collect::<Result<_, _>>();
        let path = |name: &str| lookup(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        Ok(Self {
            urls: urls.map_err(|e| format!("pip's configuration: {e}"))?,
            trusted_hosts: (settings.get("trusted-host").unwrap_or_default())
                .split_whitespace()
                .map(str::to_lowercase)
                .collect(),
            // As pip and the library below it do.
            certificates: settings.get("cert").map(PathBuf::from).or_else(|| {
                ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"]
                    .iter()
                    .find_map(|n| path(n))
            }),
            proxy: settings.get("proxy"),
        })
    }
}

/// The address of a simple index.
///
/// # Errors
/// Says what an index needs; never repeats the text, which may hold a password.
pub fn parse_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text.trim()).ok().filter(|u| u.has_host());
    url.filter(|u| matches!(u.scheme(), "https" | "http")).ok_or_else(|| {
        "the address of the package index makes no sense: expected https://HOST/PATH".to_owned()
    })
}

/// pip takes these as yes.
fn is_true(value: &str) -> bool {
    ["1", "on", "yes", "true", "y", "t"].iter().any(|t| value.eq_ignore_ascii_case(t))
}

/// What the files say, below what the environment says.
struct Settings<'a> {
    sections: Sections,
    lookup: &'a dyn Fn(&str) -> Option<OsString>,
}

impl<'a> Settings<'a> {
    fn read(lookup: &'a dyn Fn(&str) -> Option<OsString>) -> Result<Self, String> {
        let mut sections = Sections::new();
        let named = lookup("PIP_CONFIG_FILE").map(PathBuf::from);
        if named.is_some_and(|p| {
            !p.as_os_str().is_empty() && p.is_relative() && p != Path::new(NULL_DEVICE)
        }) {
            // It would be read from whatever folder the program is started in, which may be a stranger's.
            return Err("PIP_CONFIG_FILE: expected an absolute path, found a relative one".into());
        }
        for file in files(lookup) {
            let fault = |what: String| format!("pip's configuration {}: {what}", file.display());
            let bytes = match util::regular::read(&file, MAX_FILE) {
                Ok(bytes) => bytes,
                Err(e) if is_absent(&e) => continue,
                Err(e) => return Err(fault(e.to_string())),
            };
            let text = String::from_utf8(bytes).map_err(|_| fault("it is not UTF-8".into()))?;
            parse_into(&mut sections, &text).map_err(fault)?;
        }
        Ok(Self { sections, lookup })
    }

    /// The value of a setting, if it has one that is not empty.
    fn get(&self, name: &str) -> Option<String> {
        let variable = format!("PIP_{}", name.to_uppercase().replace('-', "_"));
        let from_environment = (self.lookup)(&variable).and_then(|v| v.into_string().ok());
        let from_files = || {
            let at = |section: &&str| {
                self.sections.get(&((*section).to_owned(), name.to_owned())).cloned()
            };
            SECTIONS.iter().rev().find_map(at)
        };
        let value = from_environment.filter(|v| !v.trim().is_empty()).or_else(from_files)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }
}

fn is_absent(e: &std::io::Error) -> bool {
    use std::io::ErrorKind as K;
    matches!(e.kind(), K::NotFound | K::NotADirectory | K::PermissionDenied)
}

/// pip's configuration files, the later ones of more weight: global, user, environment's (`site`), `PIP_CONFIG_FILE`.
fn files(lookup: &dyn Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let path = |name: &str| lookup(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let named = path("PIP_CONFIG_FILE");
    // pip's way of saying: no files at all.
    if named.as_deref().is_some_and(|p| p == Path::new(NULL_DEVICE)) {
        return Vec::new();
    }
    let mut files = global_files(&path);
    // pip leaves the user's own files out where a named one is there.
    if !named.as_deref().is_some_and(Path::exists) {
        files.extend(user_files(&path));
    }
    let prefixes = ["CONDA_PREFIX", "VIRTUAL_ENV"].iter().filter_map(|n| path(n));
    files.extend(prefixes.map(|p| p.join(FILE_NAME)));
    files.extend(named);
    // As above.
    files.retain(|f| f.is_absolute());
    files
}

const FILE_NAME: &str = if cfg!(windows) { "pip.ini" } else { "pip.conf" };
const NULL_DEVICE: &str = if cfg!(windows) { "nul" } else { "/dev/null" };

fn global_files(path: &dyn Fn(&str) -> Option<PathBuf>) -> Vec<PathBuf> {
    if cfg!(windows) {
        return path("PROGRAMDATA").map(|p| p.join("pip").join(FILE_NAME)).into_iter().collect();
    }
    if cfg!(target_os = "macos") {
        return vec![Path::new("/Library/Application Support/pip").join(FILE_NAME)];
    }
    let folders = path("XDG_CONFIG_DIRS").unwrap_or_else(|| "/etc/xdg".into());
    let mut files: Vec<PathBuf> =
        std::env::split_paths(&folders).map(|p| p.join("pip").join(FILE_NAME)).collect();
    files.push(Path::new("/etc").join(FILE_NAME));
    files
}

fn user_files(path: &dyn Fn(&str) -> Option<PathBuf>) -> Vec<PathBuf> {
    let home = path("HOME").or_else(|| path("USERPROFILE"));
    let old = home.as_ref().map(|h| h.join(if cfg!(windows) { "pip" } else { ".pip" }));
    let new = if cfg!(windows) {
        path("APPDATA")
    } else {
        let mac = home.as_ref().map(|h| h.join("Library/Application Support"));
        mac.filter(|p| cfg!(target_os = "macos") && p.join("pip").is_dir())
            .or_else(|| path("XDG_CONFIG_HOME").filter(|_| cfg!(not(target_os = "macos"))))
            .or_else(|| home.map(|h| h.join(".config")))
    };
    let files = [old, new.map(|p| p.join("pip"))];
    files.into_iter().flatten().map(|p| p.join(FILE_NAME)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(vars: &[(&str, &str)]) -> Result<PackageIndex, String> {
        let vars: Vec<(String, OsString)> =
            vars.iter().map(|(k, v)| ((*k).to_owned(), OsString::from(v))).collect();
        PackageIndex::from_lookup(&move |name| {
            vars.iter().find(|(k, _)| k == name).map(|(_, v)| v.clone())
        })
    }

    fn urls(index: &PackageIndex) -> Vec<&str> {
        index.urls.iter().map(Url::as_str).collect()
    }

    #[test]
    fn without_any_setting_it_is_the_public_index() {
        let index = with(&[("PIP_CONFIG_FILE", NULL_DEVICE)]).unwrap();
        assert_eq!(urls(&index), [PUBLIC]);
        assert_eq!((index.certificates, index.proxy), (None, None));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn files_and_variables_outweigh_one_another_as_in_pip() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str, text: &str| {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let xdg = root.path().join("xdg").to_str().unwrap().to_owned();
        let home = root.path().join("home").to_str().unwrap().to_owned();
        let venv = root.path().join("venv").to_str().unwrap().to_owned();
        let url = |name: &str| format!("[global]\nindex-url = https://{name}.example/\n");
        at("xdg/pip/pip.conf", &url("global"));
        let mut vars = vec![("XDG_CONFIG_DIRS", xdg.as_str()), ("HOME", home.as_str())];
        assert_eq!(urls(&with(&vars).unwrap()), ["https://global.example/"]);
        at("home/.pip/pip.conf", &url("old"));
        assert_eq!(urls(&with(&vars).unwrap()), ["https://old.example/"]);
        at("home/.config/pip/pip.conf", &url("user"));
        assert_eq!(urls(&with(&vars).unwrap()), ["https://user.example/"]);
        vars.push(("VIRTUAL_ENV", &venv));
        at("venv/pip.conf", &url("venv"));
        assert_eq!(urls(&with(&vars).unwrap()), ["https://venv.example/"]);
        // The section of the command outweighs the global one, wherever it is written.
        at(
            "xdg/pip/pip.conf",
            "[global]\ntimeout = 1\n[download]\nindex-url = https://dl.example/\n",
        );
        assert_eq!(urls(&with(&vars).unwrap()), ["https://dl.example/"]);
        at("xdg/pip/pip.conf", "");
        let named = at(
            "named.conf",
            "[global]\ncert = /from/file.pem\nextra-index-url = https://a.example/ https://b.example/\ntrusted-host = A.example\n  b.example:81\nproxy = http://p.example:3\n",
        );
        std::fs::remove_file(root.path().join("venv/pip.conf")).unwrap();
        vars.push(("PIP_CONFIG_FILE", &named));
        let index = with(&vars).unwrap();
        assert_eq!(urls(&index), [PUBLIC, "https://a.example/", "https://b.example/"]);
        assert_eq!(index.certificates, Some("/from/file.pem".into()));
        assert_eq!(index.proxy.as_deref(), Some("http://p.example:3"));
        for (url, trusted) in [
            ("http://a.example/x", true),
            ("http://a.example:99/x", true),
            ("http://b.example:81/", true),
            ("http://b.example/", false),
            ("http://c.example/", false),
        ] {
            assert_eq!(index.trusts(&Url::parse(url).unwrap()), trusted, "{url}");
        }
        vars.extend([
            ("PIP_INDEX_URL", "https://env.example/s"),
            ("PIP_EXTRA_INDEX_URL", " https://x.example/ "),
            ("PIP_CERT", "/env.pem"),
        ]);
        let index = with(&vars).unwrap();
        assert_eq!(urls(&index), ["https://env.example/s", "https://x.example/"]);
        assert_eq!(index.certificates, Some("/env.pem".into()));
    }

    #[test]
    fn certificates_come_from_the_variables_that_pip_knows() {
        let none = ("PIP_CONFIG_FILE", NULL_DEVICE);
        let of = |vars: &[(&str, &str)]| with(vars).unwrap().certificates.unwrap();
        assert_eq!(of(&[none, ("SSL_CERT_FILE", "/s")]), Path::new("/s"));
        assert_eq!(of(&[none, ("SSL_CERT_FILE", "/s"), ("CURL_CA_BUNDLE", "/c")]), Path::new("/c"));
        let all = [none, ("CURL_CA_BUNDLE", "/c"), ("REQUESTS_CA_BUNDLE", "/r")];
        assert_eq!(of(&all), Path::new("/r"));
    }

    #[test]
    fn what_makes_no_sense_is_said_without_the_password() {
        let none = ("PIP_CONFIG_FILE", NULL_DEVICE);
        for bad in ["simple", "file:///x", "https://", "ftp://u:secret@h/", "u:secret@host/simple"]
        {
            let error = with(&[none, ("PIP_INDEX_URL", bad)]).unwrap_err();
            assert!(error.contains("makes no sense") && !error.contains("secret"), "{error}");
        }
        assert!(with(&[none, ("PIP_NO_INDEX", "1")]).unwrap().urls.is_empty());
        // The current folder may be a stranger's.
        let error = with(&[("PIP_CONFIG_FILE", "pip.conf")]).unwrap_err();
        assert!(error.contains("absolute"), "{error}");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "nonsense\n").unwrap();
        let error = with(&[("PIP_CONFIG_FILE", file.path().to_str().unwrap())]).unwrap_err();
        assert!(error.contains("line 1"), "{error}");
    }
}
