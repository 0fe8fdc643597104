//! CUDA's libraries, loaded when they are needed.
//!
//! candle links them: a program with candle's CUDA in it does not even start where they are missing, on no device. So this crate
//! defines each of their functions that such a program calls, as a jump to an address that [`load`] fills in, and the linker
//! needs the libraries no more. Only on Linux, on x86-64 and 64-bit Arm; elsewhere they are linked as ever.
//!
//! A function that is missing in the list is found by the linker in the library itself, which is then needed to start again:
//! `scripts/check_cuda.sh` looks for that.

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod jump;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[allow(non_snake_case)] // as NVIDIA names them
mod runtime;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod symbols;
mod versions;

pub use versions::versions;

/// Why CUDA can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// A library is not on this machine.
    #[error("{library} was not found: {reason}")]
    Missing {
        /// Its file, and what it is.
        library: &'static str,
        /// What the loader said.
        reason: String,
    },
    /// A library lacks a function: it is of another version.
    #[error(
        "{library} lacks the function {function}: it is of another version than this program was built for"
    )]
    Function {
        /// Its file, and what it is.
        library: &'static str,
        /// The function.
        function: &'static str,
    },
}

/// Loads the libraries, once: the first answer holds.
///
/// # Errors
/// The first library or function that is missing.
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub fn load() -> Result<(), LoadError> {
    use std::sync::OnceLock;
    static LOADED: OnceLock<Result<(), LoadError>> = OnceLock::new();
    LOADED.get_or_init(|| symbols::libraries().try_for_each(jump::Library::load)).clone()
}

/// Nothing: they were linked.
///
/// # Errors
/// None.
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub fn load() -> Result<(), LoadError> {
    Ok(())
}
