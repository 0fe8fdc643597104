//! Each parser of this crate from bytes, with the way back: what it accepts must come back the same when it is written
//! and read again. For `fuzz/` and the tests that replay its seeds; not part of the API.

use std::io::Cursor;
use std::path::Path;

use crate::finished::complete::{parse_labels, parse_manifest};
use crate::format::journal::{Replay, checksum, parse_line, push_line};
use crate::format::names::SplitFiles;
use crate::format::{index, npy};

/// Whether the bytes were accepted; an error where what was accepted did not come back.
pub type Outcome = Result<bool, String>;

fn same<T: PartialEq + std::fmt::Debug>(first: &T, again: &Result<T, String>) -> Outcome {
    match again {
        Ok(again) if first == again => Ok(true),
        _ => Err(format!("{first:?} came back as {again:?}")),
    }
}

/// A `.npy` header.
pub fn npy_header(bytes: &[u8]) -> Outcome {
    let Ok(header) = npy::parse(bytes) else { return Ok(false) };
    if header.data_offset > bytes.len() {
        return Err(format!("data from byte {} of {}", header.data_offset, bytes.len()));
    }
    let declared = &header.declared;
    let written = npy::header(&declared.descr, &declared.shape);
    // What this program never writes, and what would be too long with its padding.
    if declared.fortran_order || declared.descr.contains('\'') || written.len() > npy::MAX_HEADER {
        return Ok(true);
    }
    same(&npy::Header { data_offset: written.len(), ..header }, &npy::parse(&written))
}

/// The labels file of two classes.
pub fn labels(bytes: &[u8]) -> Outcome {
    let Ok(header) = npy::parse(bytes) else { return Ok(false) };
    let rows = header.declared.shape.first().copied().unwrap_or(0);
    let Ok((labels, counts)) = parse_labels(bytes, rows, 2) else { return Ok(false) };
    if counts.iter().sum::<u64>() != rows {
        return Err(format!("{rows} rows, counted {counts:?}"));
    }
    let mut written = npy::header("<i8", &[rows]);
    written.extend(labels.iter().flat_map(|label| label.to_le_bytes()));
    if written == bytes { Ok(true) } else { Err("the labels came back as other bytes".to_owned()) }
}

/// The index of a split of the classes `cats` and `dogs`.
pub fn index(bytes: &[u8]) -> Outcome {
    let classes = ["cats", "dogs"].map(str::to_owned);
    let read = |bytes: &[u8]| index::parse_lines(bytes, &classes, u64::MAX);
    let Ok(lines) = read(bytes) else { return Ok(false) };
    let mut written = Vec::new();
    index::write_csv(lines.0.iter().cloned(), &mut written).map_err(|e| e.to_string())?;
    same(&lines, &read(&written))
}

/// The manifest of a split `train`.
pub fn manifest(bytes: &[u8]) -> Outcome {
    let files = SplitFiles::new(Path::new(""), "train", None);
    let read = |bytes: &[u8]| {
        parse_manifest(bytes, &files, "train", None).map_err(|error| error.to_string())
    };
    let Ok(manifest) = read(bytes) else { return Ok(false) };
    let written = serde_json::to_vec_pretty(&manifest).map_err(|e| e.to_string())?;
    same(&manifest, &read(&written))
}

/// A journal as it is on disk.
pub fn journal(bytes: &[u8]) -> Outcome {
    let read = |bytes: &[u8]| {
        Replay::parse(Cursor::new(bytes), Path::new("")).map_err(|error| error.to_string())
    };
    let Ok(replay) = read(bytes) else { return Ok(false) };
    let valid = usize::try_from(replay.valid_len).ok().and_then(|len| bytes.get(..len));
    let valid = valid.ok_or_else(|| format!("{} of {} bytes", replay.valid_len, bytes.len()))?;
    // A run that goes on cuts the rest off: what is left says the same, also when its lines are written again.
    same(&replay, &read(valid))?;
    let mut written = Vec::new();
    for line in valid.split_inclusive(|&byte| byte == b'\n') {
        let record = parse_line(line).ok_or("a line counted that is none")?;
        push_line(&mut written, &record).map_err(|e| e.to_string())?;
    }
    same(&Replay { valid_len: written.len() as u64, ..replay }, &read(&written))
}

/// A journal whose lines lack their checksums, which nobody would guess: they are put in front.
pub fn journal_lines(bytes: &[u8]) -> Outcome {
    let mut whole = Vec::new();
    for line in bytes.split(|&byte| byte == b'\n') {
        whole.extend_from_slice(checksum(line).as_bytes());
        whole.extend_from_slice(&[b" ", line, b"\n"].concat());
    }
    journal(&whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    /// Every parser works a bounded time per byte: no large hostile file takes longer.
    #[track_caller]
    fn soon<T>(what: &str, bytes: usize, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let out = work();
        let took = start.elapsed();
        assert!(took < Duration::from_secs(2), "{what}: {bytes} bytes took {took:?}");
        out
    }

    fn lines(records: impl Iterator<Item = String>) -> Vec<u8> {
        let mut bytes = Vec::new();
        for json in records {
            bytes.extend_from_slice(format!("{} {json}\n", checksum(json.as_bytes())).as_bytes());
        }
        bytes
    }

    fn head() -> String {
        let settings = serde_json::to_string(&crate::run::crash_tests::settings(1)).unwrap();
        let hash = "00".repeat(32);
        format!(
            r#"{{"head":{{"version":1,"split":"train","shard":null,"settings":{settings},"inputs_total":1,"inputs_sha256":"{hash}","begun_by":"refuse"}}}}"#
        )
    }

    #[test]
    fn a_journal_that_moves_its_rows_again_and_again() {
        const INPUTS: usize = 100_000;
        let begin = [head()].into_iter();
        let inputs = (0..INPUTS).map(|i| format!(r#"{{"input":["{i}",0]}}"#));
        let session = [r#"{"session":{"started_unix":1}}"#.to_owned()].into_iter();
        let moves = (0..50_000).flat_map(|i| {
            let fact = format!(r#"{{"skip":[{i},{{"reason":"","stamp":null,"sha256":null}}]}}"#);
            [fact, r#""compact""#.to_owned(), r#""compacted""#.to_owned()]
        });
        let bytes = lines(begin.chain(inputs).chain(session).chain(moves));
        let replay = soon("a journal", bytes.len(), || {
            Replay::parse(Cursor::new(&bytes), Path::new("")).unwrap()
        });
        assert_eq!(replay.entries.len(), INPUTS);
    }

    #[test]
    fn a_journal_of_long_and_of_useless_lines() {
        let long = format!(r#"{{"input":["{}",0]}}"#, "x".repeat(1 << 20));
        let bytes = lines([head()].into_iter().chain((0..16).map(|_| long.clone())));
        assert_eq!(soon("long lines", bytes.len(), || journal(&bytes)), Ok(true));
        let begin = [head(), r#"{"input":["a",0]}"#.to_owned()];
        let session = (0..300_000).map(|_| r#"{"session":{"started_unix":1}}"#.to_owned());
        let bytes = lines(begin.into_iter().chain(session));
        assert!(
            soon("sessions", bytes.len(), || Replay::parse(Cursor::new(&bytes), Path::new("")))
                .is_ok()
        );
        // A line without an end is not read further than a line may be long.
        let mut bytes = lines([head()].into_iter());
        bytes.resize(64 << 20, b'x');
        assert!(
            soon("no end", bytes.len(), || Replay::parse(Cursor::new(&bytes), Path::new("")))
                .is_ok()
        );
    }

    #[test]
    fn manifests_with_huge_lists_and_strings() {
        let settings = serde_json::to_string(&crate::run::crash_tests::settings(1)).unwrap();
        let whole = |shape: &str, settings: &str, blocks: &str, extra: &str| {
            let hash = "00".repeat(32);
            let file =
                |name: &str| format!(r#"{{"name":"train{name}","bytes":1,"sha256":"{hash}"}}"#);
            format!(
                r#"{{"format":"feature-cache","format_version":1,"split":"train","settings":{settings},"shape":{shape},
                "rows":1,"skipped":0,"class_counts":[1,0],"inputs":1,"inputs_total":1,"inputs_sha256":"{hash}","shard":null,
                "files":{{"features":{},"labels":{},"index":{}}},"data_offset":128,"block_rows":1,"block_sha256":{blocks},
                "run":{{"started_unix":1,"finished_unix":1,"seconds":1,"rows_computed":1,"rows_reused":0,"rows_per_second":1,
                "sessions":1,"extra":{extra}}}}}"#,
                file("_features.npy"),
                file("_labels.npy"),
                file("_index.csv")
            )
        };
        let many = |item: &str, n: usize| format!("[{}{item}]", format!("{item},").repeat(n - 1));
        let numbers = many("1", 8_000_000);
        let refused = |what: &str, text: String| {
            let files = SplitFiles::new(Path::new(""), "train", None);
            let error = soon(what, text.len(), || {
                parse_manifest(text.as_bytes(), &files, "train", None).unwrap_err().to_string()
            });
            assert!(error.len() < 1000, "{what}: a message of {} bytes", error.len());
        };
        refused("a shape", whole(&numbers, &settings, "[]", "{}"));
        let shapes = settings.replace("[2,3]", &numbers);
        assert_ne!(shapes, settings);
        refused("a row's shape", whole("[1,2,3]", &shapes, "[]", "{}"));
        let classes = settings.replace(r#"["cats","dogs"]"#, &many(r#""c""#, 2_000_000));
        assert_ne!(classes, settings);
        refused("classes", whole("[1,2,3]", &classes, "[]", "{}"));
        refused(
            "blocks",
            whole("[1,2,3]", &settings, &many(&format!("{:?}", "0".repeat(64)), 200_000), "{}"),
        );
        refused("a number", whole(&format!("[{}]", "9".repeat(16 << 20)), &settings, "[]", "{}"));
        refused(
            "extra",
            whole("[1,2,3]", &settings, "[]", &format!(r#"{{"a":{}}}"#, many("{}", 1_000_000))),
        );
        refused("depth", whole("[1,2,3]", &settings, "[]", &"[".repeat(16 << 20)));
        let name = "x".repeat(16 << 20);
        refused(
            "a name",
            whole("[1,2,3]", &settings, "[]", "{}")
                .replace(r#""split":"train""#, &format!(r#""split":"{name}""#)),
        );
        refused(
            "a file",
            whole("[1,2,3]", &settings, "[]", "{}").replace("train_index.csv", &name),
        );
        refused(
            "a format",
            whole("[1,2,3]", &settings, "[]", "{}")
                .replace(r#":"feature-cache""#, &format!(r#":"{name}""#)),
        );
    }

    #[test]
    fn indices_of_one_field_of_many_lines_and_of_quotes() {
        let columns = index::COLUMNS.join(",") + "\n";
        let classes = ["cats", "dogs"].map(str::to_owned);
        let read = |what: &str, text: String| {
            soon(what, text.len(), || index::parse_lines(text.as_bytes(), &classes, u64::MAX))
        };
        let refused = |what: &str, text: String| {
            let error = crate::CacheError::damaged(Path::new(""), read(what, text).unwrap_err());
            let error = error.to_string();
            assert!(error.len() < 1000, "{what}: a message of {} bytes", error.len());
        };
        refused("a field", format!("{columns}0,\"{}", "x".repeat(64 << 20)));
        refused("quotes", format!("{columns}0,{}", "\"\"".repeat(16 << 20)));
        refused("fields", format!("{columns}{}", ",".repeat(1 << 20)));
        refused("columns", ",".repeat(1 << 20));
        refused("a number", format!("{columns}{},a,cats,0,ok,,,,,,\n", "9".repeat(16 << 20)));
        refused("a class", format!("{columns}0,a,{},0,ok,,,,,,\n", "c".repeat(60_000)));
        refused("a status", format!("{columns}0,a,cats,0,{},,,,,,\n", "c".repeat(60_000)));
        let many: String = (0..500_000).map(|row| format!("{row},a,cats,0,ok,,,,,,\n")).collect();
        assert_eq!(read("lines", columns.clone() + &many).unwrap().1, 500_000);
        refused("empty lines", columns + &"\n".repeat(16 << 20) + "x\n");
    }

    #[test]
    fn labels_and_headers() {
        let mut bytes = npy::header("<i8", &[2_000_000]);
        bytes.resize(bytes.len() + 16_000_000, 0);
        assert_eq!(soon("labels", bytes.len(), || labels(&bytes)), Ok(true));
        for fill in [b"(".as_slice(), b"1,", b" ", b"'", b"{'shape': ("] {
            let mut bytes = b"\x93NUMPY\x02\x00\xff\xff\xff\x00".to_vec();
            bytes.extend(fill.repeat((16 << 20) / fill.len()));
            assert_eq!(soon("a header", bytes.len(), || npy_header(&bytes)), Ok(false));
        }
    }

    #[test]
    fn stamps() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("train.stamps");
        let hash = "00".repeat(32);
        for (what, text) in [
            ("lines", format!("{hash}\n{}", "1 1 1\n".repeat(500_000))),
            ("one line", format!("{hash}\n{}", "1".repeat(30 << 20))),
            ("blanks", format!("{hash}\n{}", " ".repeat(30 << 20))),
            ("larger than its inputs", format!("{hash}\n{}", "-\n".repeat(30 << 20))),
        ] {
            std::fs::write(&path, &text).unwrap();
            let read =
                soon(what, text.len(), || crate::format::stamps::read(&path, &hash, 500_000));
            assert_eq!(read[0].is_some(), what == "lines", "{what}");
        }
    }
}
