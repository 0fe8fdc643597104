//! A folder on disk to pixels: which files there are, and what values a base is fed for each.
//!
//! [`scan_split`] lists a split's classes and files, [`Memory`] reads and decodes them within a bound for all threads, and
//! [`LoadSpec::fill`] resizes and preprocesses an image into `(height, width, 3)` f32 values. [`augment`] makes random views
//! between the two. Everything follows Pillow and Keras as closely as possible; `docs/images.md` states the rules and the
//! measured differences.
#![forbid(unsafe_code)]

pub mod augment;
mod crop;
mod decode;
mod encode;
mod error;
mod folders;
mod interpolation;
mod load;
mod memory;
mod phash;
mod preprocess;
mod read;
mod resize;
mod size;
mod thumbnail;

pub use crop::center_crop;
pub use decode::{Format, MAX_PIXELS, Rgb8Image, decode_rgb};
pub use encode::encode_png;
pub use error::{Cause, ImageError};
pub use folders::{
    IMAGE_SUFFIXES, Ignored, InputFile, ParseNameError, ScanError, SplitScan, display_name,
    expand_inputs, find_splits, has_image_suffix, parse_name, scan_split,
};
pub use interpolation::Interpolation;
pub use load::{LoadSpec, SourceInfo};
pub use memory::{Decoded, FileBytes, MAX_IMAGE_BYTES, Memory};
pub use phash::{MIRRORED_BITS, perceptual_hash};
pub use preprocess::{CAFFE_MEAN_BGR, Preprocess, TORCH_MEAN, TORCH_STD};
pub use read::{MAX_FILE_BYTES, read_file};
pub use resize::{resize, resize_rgb8};
pub use size::{ImageSize, MAX_SIDE, ParseImageSizeError};
pub use thumbnail::thumbnail_jpeg;
