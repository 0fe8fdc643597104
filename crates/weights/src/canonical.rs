//! The one form in which weights are stored and by whose sha256 they are named: safetensors with the names of a PyTorch state
//! dict, sorted, f32, in PyTorch's layout. It is byte for byte what Python's `safetensors.numpy.save_file` writes for the same tensors.

use std::io::{self, Write};

use md5::Md5;
use sha2::{Digest, Sha256};

use super::{Parameter, PreprocessHint, Tensor};

/// The order of these parameters in the canonical form.
pub(super) fn order(parameters: &[Parameter]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..parameters.len()).collect();
    order.sort_by(|a, b| parameters[*a].tensor.cmp(&parameters[*b].tensor));
    order
}

/// What stands before the values.
///
/// Preprocessing other than torchvision's is noted in `__metadata__`, and so is part of the digest.
fn header<'a>(
    parameters: impl Iterator<Item = &'a Parameter>,
    preprocess: PreprocessHint,
) -> io::Result<Vec<u8>> {
    let mut parts = Vec::new();
    if preprocess != PreprocessHint::Torch {
        parts.push(format!(r#""__metadata__":{{"preprocess":"{preprocess}"}}"#));
    }
    let mut start = 0;
    for parameter in parameters {
        let name = serde_json::to_string(&parameter.tensor)?;
        let end = start + 4 * parameter.spec.values();
        let shape: Vec<String> = parameter.shape().iter().map(usize::to_string).collect();
        parts.push(format!(
            r#"{name}:{{"dtype":"F32","shape":[{}],"data_offsets":[{start},{end}]}}"#,
            shape.join(",")
        ));
        start = end;
    }
    let mut json = format!("{{{}}}", parts.join(","));
    while json.len() % 8 != 0 {
        json.push(' ');
    }
    let mut header = (json.len() as u64).to_le_bytes().to_vec();
    header.extend(json.bytes());
    Ok(header)
}

fn write_values(out: &mut dyn Write, values: &[f32]) -> io::Result<()> {
    if cfg!(target_endian = "little") {
        return out.write_all(bytemuck::cast_slice(values));
    }
    for values in values.chunks(1 << 14) {
        let block: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        out.write_all(&block)?;
    }
    Ok(())
}

/// Writes the canonical form.
pub(super) fn write(
    out: &mut dyn Write,
    tensors: &[(Parameter, Tensor)],
    preprocess: PreprocessHint,
) -> io::Result<()> {
    let mut sorted: Vec<&(Parameter, Tensor)> = tensors.iter().collect();
    sorted.sort_by(|a, b| a.0.tensor.cmp(&b.0.tensor));
    out.write_all(&header(sorted.iter().map(|(parameter, _)| parameter), preprocess)?)?;
    sorted.iter().try_for_each(|(_, tensor)| write_values(out, &tensor.data))
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

/// The digest of tensors that come one by one, in the canonical [`order`].
pub(super) struct Running(Hashing<Sha256>);

impl Running {
    /// Before the first of the tensors, which are those of `parameters`.
    pub(super) fn new(parameters: &[Parameter], preprocess: PreprocessHint) -> io::Result<Self> {
        let mut hasher = Hashing(Sha256::new());
        let sorted = order(parameters).into_iter().map(|index| &parameters[index]);
        hasher.write_all(&header(sorted, preprocess)?)?;
        Ok(Self(hasher))
    }

    /// The next tensor.
    pub(super) fn add(&mut self, tensor: &Tensor) -> io::Result<()> {
        write_values(&mut self.0, &tensor.data)
    }

    /// After the last one.
    pub(super) fn finish(self) -> String {
        hex(&self.0.0.finalize())
    }
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
