//! What replaces CUDA's run-time library.
//!
//! It is called by candle's kernels for quantised tensors alone, which nothing here has: by their initialisers before `main`, which
//! register them and must find something, and by their launches, which never happen.

/// `cudaErrorNotSupported`, for whatever might launch or ask.
const NOT_SUPPORTED: i32 = 801;

macro_rules! registers {
    ($($function:ident)+) => {
        $(
            /// Takes whatever it is given, and keeps nothing.
            // SAFETY: the symbol is meant to take the place of the library's own. The C calling convention lets a function ignore its
            // arguments, and the null that comes back is only handed to others of this list.
            #[unsafe(no_mangle)]
            extern "C" fn $function() -> *const std::ffi::c_void {
                std::ptr::null()
            }
        )+
    };
}

macro_rules! refuses {
    ($($function:ident)+) => {
        $(
            /// Does nothing, and says so.
            // SAFETY: as above; a status is what comes back.
            #[unsafe(no_mangle)]
            extern "C" fn $function() -> i32 {
                NOT_SUPPORTED
            }
        )+
    };
}

registers! {
    __cudaRegisterFatBinary __cudaRegisterFatBinaryEnd __cudaRegisterFunction __cudaRegisterVar __cudaUnregisterFatBinary
    __cudaInitModule
}

refuses! {
    __cudaGetKernel __cudaLaunchKernel __cudaLaunchKernel_ptsz __cudaPopCallConfiguration __cudaPushCallConfiguration
    cudaFuncSetAttribute cudaGetDevice cudaLaunchKernel cudaLaunchKernel_ptsz
}
