//! Functions that jump to an address which is known only later.

use crate::LoadError;
use libloading::os::unix;
use std::ffi::c_void;
use std::path::PathBuf;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A library and those of its functions that are called.
pub(crate) struct Library {
    /// Its file, and what it is, for messages.
    pub(crate) name: &'static str,
    /// Its file under the names of several versions, newest first.
    pub(crate) files: &'static [&'static str],
    pub(crate) functions: &'static [Function],
}

/// A function and where its address belongs.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) address: &'static AtomicPtr<c_void>,
}

impl Library {
    /// Loads it for as long as the program runs, and fills in all addresses, or none.
    pub(crate) fn load(&self) -> Result<(), LoadError> {
        let library = self.open()?;
        let mut addresses = Vec::with_capacity(self.functions.len());
        for function in self.functions {
            // SAFETY: the type is that of an address, which every symbol has; it is not called here.
            let found = unsafe { library.get::<*mut c_void>(function.name.as_bytes()) };
            let missing = LoadError::Function { library: self.name, function: function.name };
            addresses.push(found.map_err(|_| missing)?.into_raw());
        }
        for (function, address) in self.functions.iter().zip(addresses) {
            function.address.store(address.cast(), Ordering::Release);
        }
        // Never unloaded: the addresses are used until the end.
        std::mem::forget(library);
        Ok(())
    }

    fn open(&self) -> Result<unix::Library, LoadError> {
        let mut reason = None;
        for path in self.candidates() {
            // SAFETY: the libraries are NVIDIA's, whose initialisers make no demands.
            match unsafe { unix::Library::open(Some(&path), unix::RTLD_NOW | unix::RTLD_LOCAL) } {
                Ok(library) => return Ok(library),
                // The first file is the expected one.
                Err(e) => reason = reason.or_else(|| Some(what_it_said(&e))),
            }
        }
        Err(LoadError::Missing { library: self.name, reason: reason.unwrap_or_default() })
    }

    /// Where the system's loader looks (`LD_LIBRARY_PATH`, `ldconfig`), then the folders of a CUDA toolkit.
    fn candidates(&self) -> impl Iterator<Item = PathBuf> {
        let toolkits = ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(std::env::var_os);
        let toolkits = toolkits.map(PathBuf::from).chain(["/usr/local/cuda".into()]);
        let folders: Vec<PathBuf> =
            toolkits.flat_map(|root| [root.join("lib64"), root.join("lib")]).collect();
        let plain = self.files.iter().map(PathBuf::from);
        let files = self.files;
        plain.chain(folders.into_iter().flat_map(move |f| files.iter().map(move |n| f.join(n))))
    }
}

/// The loader's own words.
fn what_it_said(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// Where the addresses point until they are known.
pub(crate) extern "C" fn not_loaded() -> ! {
    // Nobody gets here without a defect in this program: a device is opened only when `load` went well.
    std::process::abort()
}

/// Libraries, their files, and for each function a definition of its name.
macro_rules! libraries {
    ($($name:literal in [$($file:literal),+]: $($function:ident)+;)+) => {
        $($(mod $function {
            pub(super) static ADDRESS: std::sync::atomic::AtomicPtr<std::ffi::c_void> =
                std::sync::atomic::AtomicPtr::new($crate::jump::not_loaded as *mut std::ffi::c_void);
        }

        /// Jumps on, with all registers and the stack as they came.
        // SAFETY: the symbol is meant to take the place of the library's own; the jump changes nothing that the caller or the
        // function could see, whatever its arguments are.
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        extern "C" fn $function() {
            #[cfg(target_arch = "x86_64")]
            std::arch::naked_asm!("jmp qword ptr [rip + {}]", sym $function::ADDRESS);
            #[cfg(target_arch = "aarch64")]
            std::arch::naked_asm!(
                "adrp x16, {0}",
                "ldr x16, [x16, :lo12:{0}]",
                "br x16",
                sym $function::ADDRESS
            );
        })+)+

        pub(crate) const LIBRARIES: &[$crate::jump::Library] = &[$($crate::jump::Library {
            name: $name,
            files: &[$($file),+],
            functions: &[$($crate::jump::Function {
                name: stringify!($function),
                address: &$function::ADDRESS,
            }),+],
        }),+];
    };
}
pub(crate) use libraries;

// The names of C's libraries are those of glibc.
#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use super::*;

    #[allow(non_snake_case)]
    mod maths {
        // Of C's library of mathematics, and called by nothing else here.
        super::libraries! {
            "libm.so.6 (mathematics)" in ["libm-none.so.6", "libm.so.6"]: significand ldexpf;
        }
    }
    mod other {
        super::libraries! {
            "libfeature-none.so.1 (nothing)" in ["libfeature-none.so.1"]: feature_none;
        }
    }
    mod older {
        super::libraries! {
            "libm.so.6 (mathematics)" in ["libm.so.6"]: tgamma feature_missing;
        }
    }

    unsafe extern "C" {
        #[link_name = "significand"]
        fn mantissa(x: f64) -> f64;
        #[link_name = "ldexpf"]
        fn scaled(x: f32, exponent: i32) -> f32;
    }

    #[test]
    fn a_call_reaches_the_library_with_its_arguments() {
        assert_eq!(maths::LIBRARIES[0].load(), Ok(()));
        // SAFETY: C's declarations of the two.
        let found = unsafe { (mantissa(20.0), scaled(3.0, 4)) };
        assert_eq!(found, (1.25, 48.0));
    }

    #[test]
    fn a_library_that_is_missing_is_named_with_what_the_loader_says() {
        let error = other::LIBRARIES[0].load().unwrap_err().to_string();
        assert!(error.starts_with("libfeature-none.so.1 (nothing) was not found: "), "{error}");
        assert!(error.contains("No such file"), "{error}");
    }

    #[test]
    fn a_library_of_another_version_changes_nothing() {
        let library = &older::LIBRARIES[0];
        let error = library.load().unwrap_err().to_string();
        assert!(error.contains("lacks the function feature_missing"), "{error}");
        let none = not_loaded as *mut c_void;
        assert!(library.functions.iter().all(|f| f.address.load(Ordering::Acquire) == none));
    }
}
