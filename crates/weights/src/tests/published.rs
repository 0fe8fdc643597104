//! Files of published names, and what their publishers say about them.

use std::fs;

use super::layers::{small, unpacked};
use super::*;
use crate::{ErrorKind, NoProgress, PublishedDigest, PublishedFile, WeightsError, resolve};

const NAME: &str = "small_weights_tf_dim_ordering_tf_kernels_notop.h5";

/// Reads a golden file under the published name.
fn read_as(name: &'static str, digest: PublishedDigest) -> Result<Weights, WeightsError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join(NAME);
    fs::write(&file, unpacked("layers_keras_2.h5")).expect("a temporary file");
    let published = vec![PublishedFile { name, digest }];
    let architecture = Architecture { published, ..small(false) };
    let options = options(folder.path(), &NoProgress, "");
    resolve(&file.to_string_lossy(), &architecture, &options)
}

#[test]
fn a_file_of_a_published_name_must_have_its_digest() {
    let bytes = unpacked("layers_keras_2.h5");
    let md5: &str = canonical::md5_of(&mut &*bytes).expect("memory").leak();
    let sum: &str = sha256(&bytes).leak();
    assert_eq!((md5.len(), sum.len()), (32, 64));
    for digest in [PublishedDigest::Md5(md5), PublishedDigest::Sha256Start(&sum[..8])] {
        let weights = read_as(NAME, digest).unwrap_or_else(|e| panic!("{digest:?}: {e}"));
        assert_eq!(weights.variant, "keras");
    }
    let wrong = "0123456789abcdef0123456789abcdef";
    for (digest, found) in
        [(PublishedDigest::Md5(wrong), md5), (PublishedDigest::Sha256Start(&wrong[..8]), &sum[..8])]
    {
        let error = read_as(NAME, digest).map(drop).expect_err("another file");
        assert_eq!(error.kind(), ErrorKind::Checksum, "{error}");
        let message = error.to_string();
        assert!(message.contains(found) && message.contains(&wrong[..8]), "{message}");
        assert!(hint(&error).contains("a file name of their own"), "{}", hint(&error));
        // Under any other name it may be anything.
        assert!(read_as("other.h5", digest).is_ok());
    }
}

#[test]
fn md5_is_that_of_the_standard() {
    // RFC 1321, A.5.
    let md5 = canonical::md5_of(&mut &b"message digest"[..]).expect("memory");
    assert_eq!(md5, "f96b697d7cb7938d525a2f31aaf161d0");
}
