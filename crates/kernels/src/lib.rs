//! CPU convolution.
