//! Damaged and hostile files: refused in one line, with neither a panic nor memory beyond what the file is worth.

use std::io::{Cursor, Write};

use proptest::prelude::*;

use super::*;
use crate::Weights;
use crate::format::{self, FormatError};
use crate::source::{archive, local};

const SAMPLES: &[&str] = &[
    "torch.safetensors",
    "torch.npz",
    "keras.npz",
    "torch.pth",
    "torch_legacy.pth",
    "flax_p2.ckpt",
    "flax_p3.ckpt",
    "flax_p5.ckpt",
    "keras_1.h5",
    "keras_2_latest.h5",
    "keras_2_v110_chunked.h5",
    "keras_2_model_chunked.h5",
    "keras_3.weights.h5",
];

fn read(bytes: Vec<u8>) -> Result<Weights, FormatError> {
    local::read(Box::new(Cursor::new(bytes)), "", String::new(), &architecture())
}

#[track_caller]
fn error(bytes: &[u8]) -> String {
    read(bytes.to_vec()).map(drop).expect_err("a hostile file was read").to_string()
}

#[test]
fn a_truncated_file_never_gives_wrong_values() {
    let expected = read(golden_bytes("canonical.safetensors")).expect("golden").tensors;
    for name in SAMPLES {
        let bytes = golden_bytes(name);
        // Every byte of the small ones; of the large HDF5 files enough to hit each structure.
        let step = bytes.len() / 3000 + 1;
        for len in (0..bytes.len()).step_by(step) {
            if let Ok(weights) = read(bytes[..len].to_vec()) {
                assert!(weights.tensors == expected, "{name} cut to {len} bytes");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn a_file_with_changed_bytes_never_panics(
        sample in 0..SAMPLES.len(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), Just(0), Just(0xff), Just(0x7f)]), 1..6),
        cut in prop_oneof![4 => Just(None), 1 => any::<prop::sample::Index>().prop_map(Some)],
    ) {
        let mut bytes = golden_bytes(SAMPLES[sample]);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(mut container) = format::open(Box::new(Cursor::new(bytes))) {
            for i in 0..container.entries().len().min(64) {
                let _ = container.read(i);
            }
        }
    }
}

// --- safetensors ---

fn safetensors(header: &str, data: usize) -> Vec<u8> {
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header.as_bytes());
    out.extend(vec![0; data]);
    out
}

#[test]
fn safetensors_headers_that_lie_are_refused() {
    for len in [u64::MAX, u64::MAX - 7, 1 << 40, 1 << 26] {
        let mut bytes = len.to_le_bytes().to_vec();
        bytes.extend(b"{\"a\":1}");
        assert!(error(&bytes).contains("above the limit"), "{len}");
    }
    let mut bytes = 1000u64.to_le_bytes().to_vec();
    bytes.extend(b"{}");
    assert!(error(&bytes).contains("1000 bytes in a file of 10"));
    let huge = r#"{"features.0.weight":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,16]}}"#;
    assert!(error(&safetensors(huge, 16)).contains("damaged"));
    let beyond =
        r#"{"features.0.bias":{"dtype":"F32","shape":[1000000000],"data_offsets":[0,4000000000]}}"#;
    assert!(error(&safetensors(beyond, 16)).contains("declares 4000000"));
    let overlap = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#;
    assert!(error(&safetensors(overlap, 12)).contains("damaged"));
    let deep = format!("{}{}", "{\"a\":".repeat(5000), "}".repeat(5000));
    assert!(error(&safetensors(&deep, 0)).contains("damaged"));
}

// --- pickles ---

/// A pickle of protocol 2 with this program.
fn pickle(program: &[u8]) -> Vec<u8> {
    [b"\x80\x02", program, b"."].concat()
}

#[test]
fn pickles_that_would_run_code_are_refused_by_name() {
    assert!(error(&pickle(b"cposix\nsystem\nX\x02\x00\x00\x00id\x85R")).contains("posix.system"));
    assert!(error(&pickle(b"cbuiltins\neval\n)R")).contains("builtins.eval"));
    assert!(error(b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93.").contains("builtins.exec"));
    assert!(error(&pickle(b"cnumpy\nload\n")).contains("numpy.load"));
    assert!(
        error(&pickle(b"ctorch.storage\n_load_from_bytes\n"))
            .contains("torch.storage._load_from_bytes")
    );
    assert!(error(&pickle(b"cnumpy\nndarray\n)\x81")).contains("NEWOBJ"));
    assert!(error(&pickle(b"(S'id'\nios\nsystem\n")).contains("protocol 0"));
    assert!(error(&pickle(b"X\x01\x00\x00\x00aQ")).contains("outside of itself"));
    assert!(error(&pickle(b"\x82\x01")).contains("EXT"));
}

#[test]
fn pickles_that_would_take_all_memory_are_refused() {
    // Lengths far beyond the file.
    assert!(error(b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xff.").contains("declares"));
    assert!(error(b"\x80\x04\x8d\x00\x00\x00\x00\x00\x00\x00\x40.").contains("declares"));
    assert!(error(b"\x80\x02T\xff\xff\xff\x7f.").contains("declares"));
    assert!(error(b"\x80\x02\x8a\xff").contains("255 bytes"));
    // A dictionary of dictionaries, each used twice: 2^60 leaves.
    let mut laughs = vec![0x80, 2, b'}', b'q', 0];
    for i in 0..60 {
        laughs.extend([
            b'}',
            b'(',
            b'U',
            1,
            b'a',
            b'h',
            i,
            b'U',
            1,
            b'b',
            b'h',
            i,
            b'u',
            b'q',
            i + 1,
        ]);
    }
    laughs.push(b'.');
    assert!(error(&laughs).contains("without end"));
    // A dictionary that holds itself.
    assert!(error(&pickle(b"}q\x00U\x01ah\x00s")).contains("without end"));
    // A million tuples in one another, which would overflow the stack of whoever drops them one inside the other.
    let nested = [b"\x80\x02)".to_vec(), vec![0x85; 1_000_000], b".".to_vec()].concat();
    assert!(error(&nested).contains("found no tensors"));
    // More steps than any checkpoint needs.
    assert!(error(&[b"\x80\x02".to_vec(), vec![b'N'; 2_100_000]].concat()).contains("steps"));
}

#[test]
fn pickles_that_are_not_well_formed_are_refused() {
    for program in [
        &b"h\x05"[..],
        b"R",
        b"b",
        b"u",
        b"t",
        b"s",
        b"a",
        b"0",
        b"(0",
        b"\x85",
        b"Nq",
        b"}N\x86R",
        b"N)R",
        b"]U\x01aNs",
    ] {
        assert!(
            error(&pickle(program)).starts_with("damaged"),
            "{program:?}: {}",
            error(&pickle(program))
        );
    }
    assert!(error(b"\x80\x09.").contains("not a weight file"));
    assert!(error(b"\x80\x02\x80\x09.").contains("protocol 9"));
}

/// A pickled array under the name of a kernel with a wrong amount of data, or data of a wrong kind.
#[test]
fn pickled_arrays_with_too_little_data_are_refused() {
    let original = golden_bytes("flax_p3.ckpt");
    // The first kernel's data: BINBYTES of 3*3*3*4 floats.
    let at = original.windows(5).position(|w| w == [b'B', 0xb0, 1, 0, 0]).expect("BINBYTES 432");
    let mut shorter = original.clone();
    shorter[at + 1] = 0xac;
    shorter.drain(at + 5..at + 9);
    assert!(error(&shorter).contains("expected 432 bytes, found 428"));
}

// --- zip files ---

fn zip_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let method = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated);
        zip.start_file(*name, method).expect("memory");
        zip.write_all(bytes).expect("memory");
    }
    zip.finish().expect("memory").into_inner()
}

fn npy(header: &str, data: &[u8]) -> Vec<u8> {
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.as_bytes());
    out.extend(data);
    out
}

#[test]
fn npz_files_that_lie_are_refused() {
    let float = |shape: &str| {
        npy(&format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"), &[0; 8])
    };
    let one = |bytes: &[u8]| error(&zip_of(&[("features.0.bias.npy", bytes)]));
    assert!(one(&float("(1000000000000,)")).contains("expected shape [4], found [1000000000000]"));
    assert!(one(&float("(99999999999999999999999,)")).contains("damaged"));
    assert!(one(&float("(4")).contains("damaged: the .npy header"));
    assert!(
        one(&npy("{'descr': '|O', 'fortran_order': False, 'shape': (4,), }", b"cos\nsystem\n"))
            .contains("neither arrays of floats")
    );
    assert!(
        one(&npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4,), }", &[]))
            .contains("neither arrays")
    );
    assert!(
        one(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{").contains("above the limit")
            || one(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{").contains("neither")
    );
    // Data that ends before its shape does.
    let wanted = architecture_of(&[("block1_conv1", "features.0", 4)]);
    let kernel = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 3, 3, 3), }", &[0; 8]);
    let bias = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }", &[0; 16]);
    let bytes = zip_of(&[("features.0.bias.npy", &bias), ("features.0.weight.npy", &kernel)]);
    let error = local::read(Box::new(Cursor::new(bytes)), "", String::new(), &wanted)
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(error.contains("ends too early: expected 432 bytes, found 8"), "{error}");
}

#[test]
fn names_in_archives_are_never_paths() {
    let folder = tempfile::tempdir().expect("temp");
    let before = std::fs::read_dir(folder.path()).expect("temp").count();
    let array = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", &[0; 8]);
    for name in ["../../escape.npy", "/tmp/escape.npy", "a/../../escape.npy", "..\\escape.npy"] {
        assert!(error(&zip_of(&[(name, &array)])).contains("escape"), "{name}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("temp").count(), before);
    assert!(!std::path::Path::new("/tmp/escape.npy").exists());
}

/// A PyTorch file with one tensor, whose storage, offset, size and stride are given as pickled integers.
fn torch_file(
    elements: u32,
    offset: u32,
    shape: [u32; 4],
    stride: [i32; 4],
    storage: usize,
) -> Vec<u8> {
    let int = |v: u32| [&b"J"[..], &v.to_le_bytes()].concat();
    let mut p = b"\x80\x02}X\x11\x00\x00\x00features.0.weightctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x010U\x03cpu".to_vec();
    p.extend(int(elements));
    p.extend(b"tQ");
    p.extend(int(offset));
    p.extend(b"(");
    shape.iter().for_each(|&s| p.extend(int(s)));
    p.extend(b"t(");
    stride.iter().for_each(|&s| p.extend(int(s as u32)));
    p.extend(b"t\x89}tRs.");
    zip_of(&[("a/data.pkl", &p), ("a/data/0", &vec![0u8; storage])])
}

fn read_only_entry(bytes: Vec<u8>) -> Result<Vec<f32>, FormatError> {
    let mut container = format::open(Box::new(Cursor::new(bytes)))?;
    container.read(0)
}

#[test]
fn torch_views_beyond_their_storage_are_refused() {
    let ok =
        read_only_entry(torch_file(108, 0, [4, 3, 3, 3], [27, 9, 3, 1], 432)).expect("well-formed");
    assert_eq!(ok.len(), 108);
    let bad = |elements, offset, shape, stride, storage| {
        read_only_entry(torch_file(elements, offset, shape, stride, storage))
            .map(drop)
            .expect_err("hostile")
            .to_string()
    };
    assert!(bad(108, 1, [4, 3, 3, 3], [27, 9, 3, 1], 432).contains("beyond its storage"));
    assert!(bad(108, 0, [4, 3, 3, 3], [i32::MAX, 9, 3, 1], 432).contains("beyond its storage"));
    assert!(
        bad(0x7fff_ffff, 0, [4, 3, 3, 3], [27, 9, 3, 1], 432)
            .contains("2147483647 elements in 432 bytes")
    );
    assert!(
        bad(108, 0, [0x7fff_ffff, 0x7fff_ffff, 3, 3], [0, 0, 0, 0], 432)
            .contains("above the limit")
    );
    assert!(bad(108, 0, [4, 3, 3, 3], [-27, 9, 3, 1], 432).contains("damaged"));
}

#[test]
fn torchscript_is_refused_with_advice() {
    assert!(
        error(&zip_of(&[("m/data.pkl", b"\x80\x02}."), ("m/constants.pkl", b"")]))
            .contains("state_dict()")
    );
}

// --- HDF5 ---

#[test]
fn hdf5_chunks_of_absurd_extent_are_refused() {
    let original = golden_bytes("keras_2_model_chunked.h5");
    // The chunk extents (2, 2, 2, 2) and the element size 4 of the first kernel's layout message.
    let wanted: Vec<u8> = [2u32, 2, 2, 2, 4].iter().flat_map(|v| v.to_le_bytes()).collect();
    let at = original.windows(20).position(|w| w == wanted).expect("the layout message");
    for value in [0u32, 0x7fff_ffff, u32::MAX] {
        let mut bytes = original.clone();
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        assert!(read(bytes).is_err(), "{value}");
    }
}

#[test]
fn hdf5_chunks_that_claim_more_than_the_file_has_are_refused_before_they_are_read() {
    // What each chunk takes in the file is the first number of its record.
    const CLAIM: u32 = 680 << 20;
    let mut bytes = golden_bytes("keras_2_model_chunked.h5");
    let is_index = |at: &usize| bytes[*at..].starts_with(b"TREE\x01\0");
    let indexes: Vec<usize> = (0..bytes.len()).filter(is_index).collect();
    assert_eq!(indexes.len(), 6, "an index for each tensor");
    for at in indexes {
        bytes[at + 24..at + 28].copy_from_slice(&CLAIM.to_le_bytes());
    }
    let error = error(&bytes);
    assert!(error.contains(&format!("claims to take {CLAIM} in the file")), "{error}");
}

// --- tar.gz ---

#[test]
fn a_bomb_in_an_archive_is_refused_before_it_unpacks() {
    let mut header = tar::Header::new_gnu();
    header.set_path("x/member.ckpt").expect("short");
    header.set_size(1 << 40);
    header.set_mode(0o644);
    header.set_cksum();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(header.as_bytes()).expect("memory");
    gz.write_all(&[0; 4096]).expect("memory");
    let bytes = gz.finish().expect("memory");
    let error = archive::tar_gz_member(&mut Cursor::new(bytes), "member.ckpt")
        .expect_err("bomb")
        .to_string();
    assert!(error.contains("above the limit"), "{error}");
    assert!(archive::tar_gz_member(&mut Cursor::new(b"\x1f\x8b garbage".to_vec()), "m").is_err());
}
