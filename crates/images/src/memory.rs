//! A bound on the memory of all images that are read and decoded at the same time.

use std::ops::Deref;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::decode::{Header, decode_after};
use crate::read::read_after;
use crate::{ImageError, LoadSpec, Rgb8Image};

/// What decoding and resizing one image may take: 4 GiB. The largest square image needs half of that; over it are images of
/// extreme proportions alone, for which resizing needs more than the pixels.
pub const MAX_IMAGE_BYTES: u64 = if cfg!(fuzzing) { 1 << 30 } else { 4 << 30 };

/// The bytes of files, and the images, that all threads together hold at a time.
///
/// A thread that finds too little left waits until others are done, in the order of arrival, so nobody waits for ever. What
/// is larger than the whole bound waits until it is alone.
///
/// Threads may be those of a pool: whoever holds memory here needs no other thread to go on (decoding and resizing start
/// no tasks), and takes pixels only after its file's bytes, never the other way round. So there is always one that can
/// finish.
#[derive(Debug)]
pub struct Memory {
    files: Budget,
    images: Budget,
}

impl Default for Memory {
    /// 512 MiB of files, which is two of the largest, and 2 GiB of images.
    fn default() -> Self {
        Self::new(512 << 20, 2 << 30)
    }
}

impl Memory {
    /// Bounds in bytes.
    pub fn new(files: u64, images: u64) -> Self {
        Self { files: Budget::new(files), images: Budget::new(images) }
    }

    /// Bytes that count at this moment: files and images.
    pub fn in_use(&self) -> u64 {
        [&self.files, &self.images].iter().map(|budget| budget.total - budget.state().free).sum()
    }

    /// As [`crate::read_file`], once there is room.
    ///
    /// # Errors
    /// As [`crate::read_file`].
    pub fn read(&self, path: &Path) -> Result<FileBytes<'_>, ImageError> {
        let mut held = None;
        let bytes = read_after(path, |length| held = Some(self.files.take(length)))?;
        Ok(FileBytes { bytes, _held: held })
    }

    /// As [`crate::decode_rgb`], once there is room for decoding the image and for resizing it as `spec` says.
    ///
    /// # Errors
    /// As [`crate::decode_rgb`], and [`ImageError::TooMuchMemory`].
    pub fn decode(&self, bytes: &[u8], spec: &LoadSpec) -> Result<Decoded<'_>, ImageError> {
        let mut held = None;
        let image = decode_after(bytes, &mut |header| {
            let bytes = needed(header, spec.working_bytes(header.size))?;
            held = Some(self.images.take(bytes));
            Ok(())
        })?;
        Ok(Decoded { image, _held: held })
    }
}

/// Bytes for decoding an image and then resizing it, which takes `resizing` beside the image.
///
/// # Errors
/// [`ImageError::TooMuchMemory`] when they are over [`MAX_IMAGE_BYTES`].
pub(crate) fn needed(header: Header, resizing: u64) -> Result<u64, ImageError> {
    let bytes = header.bytes.max(header.kept.saturating_add(resizing));
    if bytes > MAX_IMAGE_BYTES {
        return Err(ImageError::TooMuchMemory { size: header.size, bytes });
    }
    Ok(bytes)
}

/// A file's bytes, which count until they are dropped.
#[derive(Debug)]
pub struct FileBytes<'m> {
    bytes: Vec<u8>,
    _held: Option<Held<'m>>,
}

impl Deref for FileBytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A decoded image, which counts until it is dropped.
#[derive(Debug)]
pub struct Decoded<'m> {
    image: Rgb8Image,
    _held: Option<Held<'m>>,
}

impl Deref for Decoded<'_> {
    type Target = Rgb8Image;

    fn deref(&self) -> &Rgb8Image {
        &self.image
    }
}

/// A number of bytes that is shared fairly.
#[derive(Debug)]
struct Budget {
    total: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    free: u64,
    /// Number of the next to come, and of the one whose turn it is.
    next: u64,
    turn: u64,
}

impl Budget {
    fn new(total: u64) -> Self {
        let state = Mutex::new(State { free: total, next: 0, turn: 0 });
        Self { total, state, changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for `bytes`, or for all there are.
    fn take(&self, bytes: u64) -> Held<'_> {
        let bytes = bytes.min(self.total);
        let mut state = self.state();
        let turn = state.next;
        state.next += 1;
        while state.turn != turn || state.free < bytes {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.turn += 1;
        state.free -= bytes;
        // The next in line may fit as well.
        self.changed.notify_all();
        Held { budget: self, bytes }
    }
}

/// Bytes that are given back when this is dropped.
#[derive(Debug)]
struct Held<'b> {
    budget: &'b Budget,
    bytes: u64,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.budget.state().free += self.bytes;
        self.budget.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn no_more_is_held_than_there_is_and_everybody_gets_a_turn() {
        let budget = Budget::new(100);
        let (held, most) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8u64 {
                let (budget, held, most) = (&budget, &held, &most);
                scope.spawn(move || {
                    for i in 0..200 {
                        // Now and then more than there is at all.
                        let bytes = (thread * 31 + i * 17) % 140;
                        let taken = budget.take(bytes);
                        assert_eq!(taken.bytes, bytes.min(100));
                        let now = held.fetch_add(taken.bytes, Ordering::SeqCst) + taken.bytes;
                        most.fetch_max(now, Ordering::SeqCst);
                        std::thread::yield_now();
                        held.fetch_sub(taken.bytes, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(most.into_inner() <= 100);
        assert_eq!(budget.state().free, 100);
    }

    #[test]
    fn a_large_one_is_not_passed_over_by_small_ones() {
        let budget = Budget::new(10);
        let first = budget.take(4);
        std::thread::scope(|scope| {
            let large = scope.spawn(|| drop(budget.take(9)));
            while budget.state().next < 2 {
                std::thread::yield_now();
            }
            let small = scope.spawn(|| drop(budget.take(1)));
            while budget.state().next < 3 {
                std::thread::yield_now();
            }
            // There is room for the small one, but it is not its turn.
            assert_eq!(budget.state().turn, 1);
            drop(first);
            large.join().unwrap();
            small.join().unwrap();
        });
        assert_eq!(budget.state().free, 10);
    }

    #[test]
    fn extreme_proportions_are_refused_before_they_are_decoded() {
        use crate::{ImageSize, Interpolation, Preprocess};
        let spec = LoadSpec {
            size: ImageSize::square(150),
            interpolation: Interpolation::Lanczos,
            preprocess: Preprocess::Rescale,
        };
        // The header alone, of a PNG of the most pixels that are allowed, all in one row.
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, 178_956_970, 1);
        encoder.set_color(png::ColorType::Grayscale);
        drop(encoder.write_header().unwrap());
        let at = file.windows(4).position(|kind| kind == b"IEND").unwrap() - 4;
        file.splice(at..at, [0, 0, 0, 0, b'I', b'D', b'A', b'T', 0x35, 0xaf, 0x06, 0x1e]);
        let memory = Memory::default();
        let error = memory.decode(&file, &spec).unwrap_err();
        assert!(matches!(error, ImageError::TooMuchMemory { .. }), "{error}");
        assert!(error.reason().ends_with("over the limit of 4,294,967,296"), "{error}");
        assert_eq!(memory.in_use(), 0);
        assert!(crate::thumbnail_jpeg(&file, 100).is_err());
        let square = header(ImageSize::square(13_377), 6);
        assert!(needed(square, spec.working_bytes(square.size)).is_ok());
    }

    fn header(size: crate::ImageSize, per_pixel: u64) -> Header {
        let pixels = u64::from(size.width) * u64::from(size.height);
        Header { size, bytes: pixels * per_pixel, kept: pixels * per_pixel }
    }
}
