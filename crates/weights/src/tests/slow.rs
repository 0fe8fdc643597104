//! Large hostile files: whatever they hold, a reader's work is bounded by their size.

use std::io::{Cursor, Write};
use std::time::Duration;

use zip::CompressionMethod::{Deflated, Stored};

use super::*;
use crate::format::{self, Input, Listing};
use crate::plan::Plan;

/// Of processor time, as other programs share the machine. Sound files of these sizes take a tenth of it.
const LONGEST: Duration = Duration::from_secs(2);

/// Processor time of this thread. Every reader works on the thread that calls it.
#[cfg(unix)]
fn now() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[cfg(not(unix))]
fn now() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

/// What the tool does with a file, and more: opens it, looks for an architecture, reads the first entries.
fn read_all(bytes: Vec<u8>, entries: usize) -> String {
    let input: Input = Box::new(Cursor::new(bytes));
    let mut container = match format::open(input) {
        Ok(container) => container,
        Err(e) => return e.to_string(),
    };
    let mut said = Plan::new(&Listing::of(&*container), &architecture())
        .map_or_else(|e| e.to_string(), |_| String::new());
    for index in 0..container.entries().len().min(entries) {
        if let Err(e) = container.read(index) {
            said = e.to_string();
        }
    }
    said
}

#[track_caller]
fn soon(what: &str, bytes: Vec<u8>) -> String {
    let (size, start) = (bytes.len(), now());
    let said = read_all(bytes, 26);
    let took = now() - start;
    println!("{what}: {size} bytes, {took:?}: {said:.200}");
    assert!(took < LONGEST, "{what}: {size} bytes took {took:?}");
    assert!(said.len() < 10_000, "{what}: an error of {} bytes", said.len());
    said
}

fn zipped(members: &[(&str, &[u8], zip::CompressionMethod)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes, method) in members {
        let options = zip::write::SimpleFileOptions::default().compression_method(*method);
        zip.start_file(*name, options).expect("memory");
        zip.write_all(bytes).expect("memory");
    }
    zip.finish().expect("memory").into_inner()
}

/// Text of up to 4 GiB.
fn text(of: &str) -> Vec<u8> {
    [b"X", &(of.len() as u32).to_le_bytes()[..], of.as_bytes()].concat()
}

#[test]
fn a_dictionary_of_a_million_numbers_that_is_passed_through_again_and_again() {
    // One dictionary of 400,000 pairs of numbers, which are not names, and 100,000 names for it.
    let mut p = b"\x80\x02K\x01q\x01}q\x00(".to_vec();
    p.extend(b"h\x01h\x01".repeat(400_000));
    p.extend(b"u}(");
    for i in 0..100_000 {
        p.extend(text(&format!("{i:05}")));
        p.extend(b"h\x00");
    }
    p.extend(b"u.");
    let said = soon("numbers as keys", p);
    assert!(said.contains("without end"), "{said}");
}

#[test]
fn one_long_name_that_is_used_a_million_times() {
    let long = "k".repeat(4000);
    // As the key of storages.
    let mut p = golden_bytes("torch_legacy.pth")[..15].to_vec();
    p.extend(b"\x80\x02M\xe9\x03.\x80\x02}X\x0d\x00\x00\x00little_endian\x88s.");
    p.extend(b"\x80\x02(U\x07storagectorch\nFloatStorage\n");
    p.extend(text(&long));
    p.extend(b"U\x03cpuK\x00tq\x00");
    p.extend(b"h\x00Q".repeat(900_000));
    p.extend(b"}.\x80\x02(");
    p.extend(text(&long));
    p.extend(b"q\x00");
    p.extend(b"h\x00".repeat(900_000));
    p.extend(b"t.");
    p.extend([0; 64]);
    soon("a long key of storages", p);
    // As the code of element types.
    let mut p = b"\x80\x02cnumpy\ndtype\nq\x00".to_vec();
    p.extend(text(&long));
    p.extend(b"\x85q\x01");
    p.extend(b"h\x00h\x01R".repeat(600_000));
    p.push(b'.');
    soon("a long element type", p);
    // As the names of what is called.
    let mut p = b"\x80\x04".to_vec();
    p.extend(text("numpy"));
    p.extend(b"q\x00");
    p.extend(text("dtype"));
    p.extend(b"q\x01");
    p.extend(b"h\x00h\x01\x93".repeat(600_000));
    p.push(b'.');
    soon("names from the stack", p);
    // As keys, of which each makes a path.
    let mut p = [b"\x80\x02", &text(&long[..1000])[..], b"q\x00}q\x01("].concat();
    p.extend(b"h\x00h\x00".repeat(450_000));
    p.extend(b"u.");
    let said = soon("long names as keys", p);
    assert!(said.contains("without end"), "{said}");
}

#[test]
fn a_compressed_storage_of_which_many_tensors_are_views() {
    // 400 MiB of zeros take 400 kB. Each tensor is its last four values.
    const ELEMENTS: u32 = 100 << 20;
    let int = |v: u32| [&b"J"[..], &v.to_le_bytes()].concat();
    let tensors = |storages: u32| {
        let mut p = b"\x80\x02}(".to_vec();
        for i in 0..26 {
            p.extend(text(&format!("t{i}")));
            p.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\n");
            p.extend(text(&(i % storages).to_string()));
            p.extend(b"U\x03cpu");
            p.extend(int(ELEMENTS));
            p.extend(b"tQ");
            p.extend(int(ELEMENTS - 4));
            p.extend(b"(K\x04t(K\x01t\x89}tR");
        }
        p.extend(b"u.");
        p
    };
    let zeros = vec![0u8; ELEMENTS as usize * 4];
    let one = tensors(1);
    let bytes = zipped(&[("a/data.pkl", &one, Stored), ("a/data/0", &zeros, Deflated)]);
    let said = soon("one compressed storage", bytes);
    assert!(said.contains("far more than its own size"), "{said}");
    // The same without compression is a sound file, and what is not needed of it is not read.
    let bytes = zipped(&[("a/data.pkl", &one, Stored), ("a/data/0", &zeros, Stored)]);
    let start = now();
    let mut container = format::open(Box::new(Cursor::new(bytes))).expect("sound");
    assert!((0..26).all(|i| container.read(i).is_ok_and(|v| v == [0.0; 4])));
    assert!(now() - start < LONGEST);
}

#[test]
fn a_compressed_storage_is_unpacked_once_for_all_its_tensors() {
    // 8 MiB: 26 times that would be above what a file of this size may unpack to.
    let bytes = {
        let int = |v: u32| [&b"J"[..], &v.to_le_bytes()].concat();
        let mut p = b"\x80\x02}(".to_vec();
        for i in 0..26u32 {
            p.extend(text(&format!("t{i:02}")));
            p.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x010U\x03cpu");
            p.extend(int(2 << 20));
            p.extend(b"tQ");
            p.extend(int(i));
            p.extend(b"(K\x02t(K\x01t\x89}tR");
        }
        p.extend(b"u.");
        let mut values = vec![0u8; 8 << 20];
        for i in 0..27u32 {
            values[4 * i as usize..][..4].copy_from_slice(&(i as f32).to_le_bytes());
        }
        zipped(&[("a/data.pkl", &p, Stored), ("a/data/0", &values, Deflated)])
    };
    let mut container = format::open(Box::new(Cursor::new(bytes))).expect("sound");
    for i in 0..26 {
        assert_eq!(container.read(i).expect("sound"), [i as f32, (i + 1) as f32]);
    }
}

#[test]
fn a_zip_file_of_many_members_that_unpack_to_much() {
    let header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", " ".repeat(9_800));
    let mut array = b"\x93NUMPY\x01\x00".to_vec();
    array.extend((header.len() as u16).to_le_bytes());
    array.extend(header.as_bytes());
    let names: Vec<String> = (0..19_000).map(|i| format!("{i}.npy")).collect();
    let members: Vec<_> = names.iter().map(|n| (n.as_str(), array.as_slice(), Deflated)).collect();
    soon("long headers", zipped(&members));
    let zeros = vec![0; 60 << 20];
    soon("a long data.pkl", zipped(&[("a/data.pkl", &zeros[..31 << 20], Deflated)]));
    // Names alone.
    let names: Vec<String> = (0..60_000).map(|i| format!("{i}.npy")).collect();
    let members: Vec<_> = names.iter().map(|n| (n.as_str(), &b""[..], Stored)).collect();
    let said = soon("many members", zipped(&members));
    assert!(said.contains("at most 20000"), "{said}");
}

#[test]
fn a_keras_file_that_unpacks_to_far_more_than_its_size() {
    // 300 MiB of zeros take 300 kB.
    let zeros = vec![0; 300 << 20];
    let said = soon("a .keras file", zipped(&[("model.weights.h5", &zeros, Deflated)]));
    assert!(said.contains("far more than its own size"), "{said}");
}

#[test]
fn a_zip_file_of_nothing_but_beginnings_and_ends() {
    for (what, record) in [
        ("ends", &b"PK\x05\x06\0\0\0\0\x01\0\x01\0\x2e\0\0\0\x04\0\0\0\0\0"[..]),
        ("far ends", b"PK\x06\x06PK\x06\x07\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0PK\x05\x06\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0"),
        ("entries", b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
    ] {
        let mut bytes = b"PK\x03\x04".to_vec();
        while bytes.len() < 16 << 20 {
            bytes.extend(record);
        }
        bytes.extend(b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff\x00\0\0\x01\x04\0\0\0\0\0");
        soon(what, bytes);
    }
}

#[test]
fn safetensors_headers_of_the_greatest_length() {
    let file =
        |header: String| [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    let entry = |name: &str| {
        format!("\"{name}\":{{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}")
    };
    // As many names as are allowed, of parts that all could be layers.
    let many: Vec<String> =
        (0..15_000).map(|i| entry(&format!("{}{i}", "a/".repeat(500)))).collect();
    let said = soon("names of many parts", file(format!("{{{}}}", many.join(","))));
    assert!(said.contains("none of the tensors"), "{said}");
    let many: Vec<String> = (0..250_000).map(|i| entry(&i.to_string())).collect();
    let said = soon("many names", file(format!("{{{}}}", many.join(","))));
    assert!(said.contains("at most 20000"), "{said}");
    // Very long names that end in a known one, and a shape of millions of axes.
    let long = format!("{}.features.0.weight", "x".repeat(15 << 20));
    soon("a long name", file(format!("{{{}}}", entry(&long))));
    let axes = "1,".repeat(7 << 20);
    let shape = format!(
        "{{\"features.0.bias\":{{\"dtype\":\"F32\",\"shape\":[{axes}1],\"data_offsets\":[0,4]}}}}"
    );
    let mut bytes = file(shape);
    bytes.extend([0; 4]);
    soon("a shape of many axes", bytes);
}

#[test]
fn hdf5_trees_that_lead_to_one_place() {
    // The root group's tree of a real file is replaced by one in which 32 × 65,000 × 65,000 branches end in one leaf.
    for name in ["keras_1.h5", "keras_2_model_chunked.h5"] {
        let mut bytes = golden_bytes(name);
        let at = bytes.windows(6).position(|w| w == b"TREE\0\0").expect("a group of the old kind");
        let node = |entries: u16, child: u64| {
            let mut node = b"TREE\0\x01".to_vec();
            node.extend(entries.to_le_bytes());
            node.extend([0xff; 16]);
            for _ in 0..entries {
                node.extend(0u64.to_le_bytes());
                node.extend(child.to_le_bytes());
            }
            node.extend(0u64.to_le_bytes());
            node
        };
        let first = bytes.len() as u64;
        let (inner, leaf) = (node(65_000, 0), b"TREE\0\0\0\0".to_vec());
        let second = first + inner.len() as u64;
        let last = second + inner.len() as u64;
        bytes.extend(node(65_000, second));
        bytes.extend(node(65_000, last));
        bytes.extend([&leaf[..], &[0xff; 16], &[0; 16]].concat());
        let root = node(30, first);
        bytes[at..at + root.len()].copy_from_slice(&root);
        let said = soon(name, bytes);
        assert!(said.contains("more often than a sound file needs"), "{said}");
    }
}

#[test]
fn hdf5_lists_of_layers_that_no_model_has() {
    for name in ["many", "product"] {
        let said = soon(name, super::layers::unpacked(&format!("layers_absurd_{name}.h5")));
        assert!(said.contains("at most 20000 are read"), "{name}: {said}");
    }
    let said = soon("attribute", super::layers::unpacked("layers_absurd_attribute.h5"));
    assert!(said.contains("more often than a sound file needs"), "{said}");
}

#[test]
fn hdf5_chunks_that_are_listed_again_and_again() {
    // The index of a tensor's chunks is replaced by one that lists its first chunk 30,000 times below 30 branches.
    let mut bytes = golden_bytes("keras_2_model_chunked.h5");
    let at = bytes.windows(6).position(|w| w == b"TREE\x01\0").expect("an index of chunks");
    let entries = u16::from_le_bytes([bytes[at + 6], bytes[at + 7]]) as usize;
    assert!(entries > 0);
    // A key of four axes and the element: 8 + 5 × 8 bytes; then an address.
    const RECORD: usize = 48 + 8;
    let record = bytes[at + 24..at + 24 + RECORD].to_vec();
    let leaf = bytes.len() as u64;
    bytes.extend(b"TREE\x01\0");
    bytes.extend(30_000u16.to_le_bytes());
    bytes.extend([0xff; 16]);
    bytes.extend(record.repeat(30_000));
    bytes.extend([0; 48]);
    bytes[at + 5] = 1;
    bytes[at + 6..at + 8].copy_from_slice(&(entries as u16).to_le_bytes());
    for i in 0..entries {
        bytes[at + 24 + i * RECORD + 48..][..8].copy_from_slice(&leaf.to_le_bytes());
    }
    let said = soon("chunks", bytes);
    assert!(said.contains("chunks, found") || said.contains("more often"), "{said}");
}
