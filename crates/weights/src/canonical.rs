//! The one form in which weights are stored and by whose sha256 they are named: safetensors with the names of a PyTorch state
//! dict, sorted, f32, in PyTorch's layout. It is byte for byte what Python's `safetensors.numpy.save_file` writes for the same tensors.

use std::io::{self, Write};

use md5::Md5;
use sha2::{Digest, Sha256};

use super::{Parameter, PreprocessHint, Tensor};

/// Writes the canonical form.
///
/// Preprocessing other than torchvision's is noted in `__metadata__`, and so is part of the digest.
pub(super) fn write(
    out: &mut dyn Write,
    tensors: &[(Parameter, Tensor)],
    preprocess: PreprocessHint,
) -> io::Result<()> {
    let mut named: Vec<(&str, &Tensor)> =
        tensors.iter().map(|(parameter, tensor)| (parameter.tensor.as_str(), tensor)).collect();
    named.sort_by(|a, b| a.0.cmp(b.0));

    let mut parts = Vec::with_capacity(named.len() + 1);
    if preprocess != PreprocessHint::Torch {
        parts.push(format!(r#""__metadata__":{{"preprocess":"{preprocess}"}}"#));
    }
    let mut start = 0;
    for (name, tensor) in &named {
        let (name, end) = (serde_json::to_string(name)?, start + 4 * tensor.data.len());
        let shape: Vec<String> = tensor.shape.iter().map(usize::to_string).collect();
        parts.push(format!(
            r#"{name}:{{"dtype":"F32","shape":[{}],"data_offsets":[{start},{end}]}}"#,
            shape.join(",")
        ));
        start = end;
    }
    let mut header = format!("{{{}}}", parts.join(","));
    while header.len() % 8 != 0 {
        header.push(' ');
    }
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    let mut block = Vec::with_capacity(1 << 16);
    for (_, tensor) in &named {
        for values in tensor.data.chunks(1 << 14) {
            block.clear();
            block.extend(values.iter().flat_map(|v| v.to_le_bytes()));
            out.write_all(&block)?;
        }
    }
    Ok(())
}

/// sha256 of the canonical form, in lower-case hexadecimal digits.
pub(super) fn digest(
    tensors: &[(Parameter, Tensor)],
    preprocess: PreprocessHint,
) -> io::Result<String> {
    let mut hasher = Hashing(Sha256::new());
    write(&mut hasher, tensors, preprocess)?;
    Ok(hex(&hasher.0.finalize()))
}

/// A digest that can be written to.
struct Hashing<D>(D);

impl<D: Digest> Write for Hashing<D> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// sha256 of all that can be read.
pub(super) fn sha256_of(input: &mut dyn io::Read) -> io::Result<String> {
    digest_of(Sha256::new(), input)
}

/// MD5 of all that can be read.
pub(super) fn md5_of(input: &mut dyn io::Read) -> io::Result<String> {
    digest_of(Md5::new(), input)
}

fn digest_of<D: Digest>(digest: D, input: &mut dyn io::Read) -> io::Result<String> {
    let mut hasher = Hashing(digest);
    io::copy(&mut io::BufReader::with_capacity(1 << 20, input), &mut hasher)?;
    Ok(hex(&hasher.0.finalize()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
