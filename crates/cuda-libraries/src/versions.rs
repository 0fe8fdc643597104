//! Which versions of the libraries there are.

use crate::LoadError;
use std::ffi::c_int;

unsafe extern "C" {
    // CUDA Driver API, "Version Management": 0 for success; 1000 * major + 10 * minor.
    fn cuDriverGetVersion(version: *mut c_int) -> c_int;
    // cuBLAS, "cublasGetProperty": 0 for success; kinds 0, 1, 2 are major, minor, patch.
    fn cublasGetProperty(kind: c_int, value: *mut c_int) -> c_int;
    // cuDNN 9, "cudnnGetVersion": 10000 * major + 100 * minor + patch.
    #[cfg(feature = "cudnn")]
    fn cudnnGetVersion() -> usize;
}

/// What computes beside the GPU itself, such as `driver for CUDA 13.0, cuBLAS 13.0.2`.
///
/// # Errors
/// Those of [`load`](crate::load).
pub fn versions() -> Result<String, LoadError> {
    crate::load()?;
    let mut driver = 0;
    // SAFETY: the libraries are loaded; the place is an int, as declared by NVIDIA.
    let known = unsafe { cuDriverGetVersion(&raw mut driver) } == 0;
    let driver = if known { dotted(driver as usize, &[1000, 10]) } else { "unknown".to_owned() };
    let part = |kind| {
        let mut value = 0;
        // SAFETY: as above.
        let known = unsafe { cublasGetProperty(kind, &raw mut value) } == 0;
        if known { value.to_string() } else { "unknown".to_owned() }
    };
    let cublas = [0, 1, 2].map(part).join(".");
    let found = format!("driver for CUDA {driver}, cuBLAS {cublas}");
    #[cfg(feature = "cudnn")]
    {
        // SAFETY: as above; it takes nothing.
        let cudnn = dotted(unsafe { cudnnGetVersion() }, &[10_000, 100, 1]);
        Ok(format!("{found}, cuDNN {cudnn}"))
    }
    #[cfg(not(feature = "cudnn"))]
    Ok(found)
}

/// A version in one number, such as 91200 for 9.12.0: each part counts so many.
fn dotted(number: usize, places: &[usize]) -> String {
    let parts: Vec<String> =
        places.iter().map(|place| (number / place % 100).to_string()).collect();
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_with_dots() {
        assert_eq!(dotted(13_000, &[1000, 10]), "13.0");
        assert_eq!(dotted(12_040, &[1000, 10]), "12.4");
        assert_eq!(dotted(91_200, &[10_000, 100, 1]), "9.12.0");
    }
}
