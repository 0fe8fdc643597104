//! Folders with everything that goes wrong in them.
#![cfg(unix)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;
use util::Hint as _;

/// Empty files (their folders made as needed) below a new folder.
fn tree(files: &[&str]) -> TempDir {
    let root = TempDir::new().unwrap();
    for file in files {
        touch(&root.path().join(file));
    }
    root
}

fn touch(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, b"").unwrap();
}

fn names(scan: &SplitScan) -> Vec<(String, usize)> {
    scan.files.iter().map(|file| (display_name(&file.relative), file.class)).collect()
}

/// `path: reason` below the root.
fn reasons(root: &TempDir, ignored: &[Ignored]) -> Vec<String> {
    ignored
        .iter()
        .map(|one| {
            format!("{}: {}", display_name(one.path.strip_prefix(root.path()).unwrap()), one.reason)
        })
        .collect()
}

#[test]
fn classes_and_files_come_in_code_point_order() {
    let root =
        tree(&["2/b.jpg", "10/a.PNG", "10/B.JPeG", "é/x.webp", "Z/z.tiff", "2/a b,\"c\".gif"]);
    let scan = scan_split(root.path()).unwrap();
    assert_eq!(scan.classes, ["10", "2", "Z", "é"]);
    let expected = [
        ("10/B.JPeG", 0),
        ("10/a.PNG", 0),
        ("2/a b,\"c\".gif", 1),
        ("2/b.jpg", 1),
        ("Z/z.tiff", 2),
        ("é/x.webp", 3),
    ];
    assert_eq!(names(&scan), expected.map(|(name, class)| (name.to_owned(), class)));
    assert!(scan.ignored.is_empty());
    for file in &scan.files {
        assert_eq!(file.path, root.path().join(&file.relative));
    }
}

#[test]
fn nested_folders_sort_by_folder_then_name() {
    let root =
        tree(&["a/z.jpg", "a/n/b.jpg", "a/n/a.jpg", "a/n-1/c.jpg", "a/n/m/0.jpg", "a/b.jpg"]);
    let scan = scan_split(root.path()).unwrap();
    let found: Vec<String> = names(&scan).into_iter().map(|(name, _)| name).collect();
    // As texts 'n' < 'n-1' < 'n/m'; the class's own files first.
    assert_eq!(
        found,
        ["a/b.jpg", "a/z.jpg", "a/n/a.jpg", "a/n/b.jpg", "a/n-1/c.jpg", "a/n/m/0.jpg"]
    );
}

#[test]
fn everything_unused_is_listed_with_a_reason() {
    let root = tree(&[
        "cats/a.jpg",
        "cats/notes.txt",
        "cats/.b.jpg",
        ".git/c.jpg",
        "d.jpg",
        "cats/suffixless",
    ]);
    fs::create_dir(root.path().join("dogs")).unwrap();
    let scan = scan_split(root.path()).unwrap();
    assert_eq!(scan.classes, ["cats", "dogs"]);
    assert_eq!(names(&scan), [("cats/a.jpg".to_owned(), 0)]);
    assert_eq!(
        reasons(&root, &scan.ignored),
        [
            ".git: hidden",
            "d.jpg: file outside of the class folders",
            "cats/.b.jpg: hidden",
            "cats/notes.txt: not an image suffix",
            "cats/suffixless: not an image suffix",
            "dogs: class folder without images",
        ]
    );
}

#[test]
fn links_are_followed_and_loops_end() {
    let root = tree(&["split/cats/a.jpg", "split/cats/deep/b.jpg", "elsewhere/c.jpg", "other.jpg"]);
    let at = |name: &str| root.path().join(name);
    symlink(at("split/cats"), at("split/cats/deep/loop")).unwrap();
    symlink(root.path(), at("split/cats/up")).unwrap();
    symlink(at("split"), at("split/cats/up.jpg")).unwrap();
    symlink(at("elsewhere"), at("split/cats/one")).unwrap();
    symlink(at("elsewhere"), at("split/cats/two")).unwrap();
    symlink(at("other.jpg"), at("split/cats/link.jpg")).unwrap();
    symlink(at("elsewhere"), at("split/dogs")).unwrap();
    let scan = scan_split(&at("split")).unwrap();
    let found: Vec<(String, usize)> = names(&scan);
    let expected = [
        ("cats/a.jpg", 0),
        ("cats/link.jpg", 0),
        ("cats/up.jpg", 0),
        ("cats/deep/b.jpg", 0),
        ("cats/one/c.jpg", 0),
        ("dogs/c.jpg", 1),
    ];
    assert_eq!(found, expected.map(|(name, class)| (name.to_owned(), class)));
    let reasons = reasons(&root, &scan.ignored);
    assert_eq!(
        reasons,
        [
            "split/cats/deep/loop: symbolic link loop",
            "split/cats/two: folder listed already under another name",
            "split/cats/up: symbolic link loop",
        ]
    );
}

#[test]
fn what_is_named_like_an_image_is_an_input_whatever_it_is() {
    let root = tree(&["cats/a.jpg", "dogs/a.jpg"]);
    let at = |name: &str| root.path().join(name);
    symlink("nowhere", at("cats/gone.jpg")).unwrap();
    symlink("self.png", at("cats/self.png")).unwrap();
    std::os::unix::net::UnixListener::bind(at("dogs/socket.gif")).unwrap();
    std::os::unix::net::UnixListener::bind(at("dogs/socket")).unwrap();
    let scan = scan_split(root.path()).unwrap();
    let found: Vec<String> = names(&scan).into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        found,
        ["cats/a.jpg", "cats/gone.jpg", "cats/self.png", "dogs/a.jpg", "dogs/socket.gif"]
    );
    assert_eq!(reasons(&root, &scan.ignored), ["dogs/socket: not an image suffix"]);
    for (file, reason) in
        scan.files.iter().zip(["", "No such file", "Too many levels", "", "a pipe, socket"])
    {
        let read = crate::read_file(&file.path);
        assert_eq!(read.is_ok(), reason.is_empty(), "{file:?}");
        assert!(read.err().is_none_or(|e| e.reason().contains(reason)), "{file:?}");
    }
}

#[test]
fn what_may_be_a_folder_of_images_is_not_passed_over() {
    for place in ["cats/more", "mice", "cats/v1.2"] {
        let root = tree(&["cats/a.jpg", "dogs/a.jpg"]);
        symlink("unmounted", root.path().join(place)).unwrap();
        let error = scan_split(root.path()).unwrap_err();
        assert!(matches!(error, ScanError::Unknown { .. }), "{error}");
        assert!(error.to_string().contains(place), "{error}");
        assert!(error.hint().unwrap().contains("link"));
        let both = expand_inputs(&[root.path().to_owned()]);
        assert!(matches!(both, Err(ScanError::Unknown { .. })));
    }
    let root = tree(&["train/x/a.jpg"]);
    symlink("unmounted", root.path().join("test")).unwrap();
    let error = find_splits(root.path()).unwrap_err();
    assert!(matches!(error, ScanError::Unknown { .. }), "{error}");
    // A name that nobody asks for may be anything.
    let root = tree(&["train/x/a.jpg"]);
    symlink("unmounted", root.path().join("other")).unwrap();
    assert_eq!(find_splits(root.path()).unwrap(), ["train"]);
}

#[test]
fn names_that_are_no_utf8_work() {
    let root = TempDir::new().unwrap();
    let class = root.path().join(OsStr::from_bytes(b"c\xff"));
    let file = class.join(OsStr::from_bytes(b"\xe9 1.jpg"));
    touch(&file);
    let scan = scan_split(root.path()).unwrap();
    assert_eq!(scan.classes, ["c\\xff"]);
    assert_eq!(scan.files[0].path, file);
    assert_eq!(names(&scan), [("c\\xff/\\xe9 1.jpg".to_owned(), 0)]);
    assert_eq!(parse_name("c\\xff/\\xe9 1.jpg").unwrap(), scan.files[0].relative);
}

#[test]
fn folders_that_cannot_be_listed_are_errors() {
    use std::os::unix::fs::PermissionsExt;
    let root = tree(&["cats/a.jpg", "cats/closed/b.jpg"]);
    let closed = root.path().join("cats/closed");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let readable = fs::read_dir(&closed).is_ok(); // as root
    let scan = scan_split(root.path());
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    if readable {
        println!("skipped: this user may read everything");
        return;
    }
    let error = scan.unwrap_err();
    assert!(matches!(&error, ScanError::Io { path, .. } if *path == closed), "{error}");
}

#[test]
fn no_classes_is_an_error_with_a_hint() {
    let root = tree(&["a.jpg", ".hidden/b.jpg"]);
    let error = scan_split(root.path()).unwrap_err();
    assert!(matches!(error, ScanError::NoClasses { .. }));
    assert!(error.to_string().contains("found 1 files and 1 hidden"), "{error}");
    assert!(error.hint().unwrap().contains("train/cats"));
    let missing = scan_split(&root.path().join("nowhere")).unwrap_err();
    assert!(matches!(missing, ScanError::Io { .. }));
    assert!(missing.hint().unwrap().contains("may be read"));
    assert!(matches!(scan_split(&root.path().join("a.jpg")), Err(ScanError::Io { .. })));
}

#[test]
fn splits_are_found_in_their_order() {
    let root =
        tree(&["test/x/a.jpg", "val/x/a.jpg", "train/x/a.jpg", "more/x/a.jpg", "validation"]);
    assert_eq!(find_splits(root.path()).unwrap(), ["train", "val", "test"]);
    let both = tree(&["val/x/a.jpg", "validation/x/a.jpg"]);
    let error = find_splits(both.path()).unwrap_err();
    assert!(matches!(error, ScanError::TwoValidations { .. }));
    assert!(error.hint().unwrap().contains("the split to use"));
    let none = tree(&["cats/a.jpg", "dogs/a.jpg"]);
    let error = find_splits(none.path()).unwrap_err();
    assert!(error.to_string().contains("found cats, dogs"), "{error}");
    assert!(find_splits(&root.path().join("nowhere")).is_err());
}

#[test]
fn inputs_keep_files_as_given_and_walk_folders() {
    let root = tree(&["b/2.png", "b/1.png", "b/x.txt", "b/.h.png", "b/c/0.jpg", "odd.txt"]);
    let at = |name: &str| root.path().join(name);
    let given = [at("odd.txt"), at("b"), at("missing.jpg")];
    let (files, ignored) = expand_inputs(&given).unwrap();
    let expected: Vec<PathBuf> =
        ["odd.txt", "b/1.png", "b/2.png", "b/c/0.jpg", "missing.jpg"].map(at).to_vec();
    assert_eq!(files, expected);
    assert_eq!(reasons(&root, &ignored), ["b/.h.png: hidden", "b/x.txt: not an image suffix"]);
}
