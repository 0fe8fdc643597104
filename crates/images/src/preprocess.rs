//! From 0..255 to what a base was trained on.
//!
//! Formulas: `keras.applications.imagenet_utils.preprocess_input` (modes `torch`, `caffe`, `tf`) on
//! channels-last RGB, computed in f32 in the same order of operations.

/// What is done to the pixel values (RGB, 0..255) before the base sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Preprocess {
    /// `x / 255`: the lesson's generators.
    Rescale,
    /// `(x / 255 - mean) / std` with ImageNet's mean and std per channel: torchvision's weights.
    Torch,
    /// RGB to BGR, then minus (103.939, 116.779, 123.68): Keras's own VGG weights.
    Caffe,
    /// `x / 127.5 - 1`.
    Tf,
}

/// ImageNet's mean of R, G, B in 0..1.
pub const TORCH_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// ImageNet's standard deviation of R, G, B in 0..1.
pub const TORCH_STD: [f32; 3] = [0.229, 0.224, 0.225];
/// ImageNet's mean of B, G, R in 0..255.
pub const CAFFE_MEAN_BGR: [f32; 3] = [103.939, 116.779, 123.68];

impl Preprocess {
    /// One pixel: RGB in 0..255 to the values that the base sees (BGR for [`Preprocess::Caffe`]).
    #[inline]
    pub fn pixel(self, [r, g, b]: [f32; 3]) -> [f32; 3] {
        match self {
            Self::Rescale => [r / 255.0, g / 255.0, b / 255.0],
            Self::Torch => [
                (r / 255.0 - TORCH_MEAN[0]) / TORCH_STD[0],
                (g / 255.0 - TORCH_MEAN[1]) / TORCH_STD[1],
                (b / 255.0 - TORCH_MEAN[2]) / TORCH_STD[2],
            ],
            Self::Caffe => [b - CAFFE_MEAN_BGR[0], g - CAFFE_MEAN_BGR[1], r - CAFFE_MEAN_BGR[2]],
            Self::Tf => [r / 127.5 - 1.0, g / 127.5 - 1.0, b / 127.5 - 1.0],
        }
    }

    /// A whole image of 8-bit levels into `out`: HWC, RGB. The same bits as [`Preprocess::apply`] on these levels. What is beyond
    /// the shorter of both, or no whole pixel, is left as it is.
    pub(crate) fn levels(self, levels: &[u8], out: &mut [f32]) {
        // Each value that the base sees depends on one level alone.
        let table: [[f32; 3]; 256] = std::array::from_fn(|level| self.pixel([level as f32; 3]));
        let reversed = self == Self::Caffe;
        let (levels, _) = levels.as_chunks::<3>();
        let (out, _) = out.as_chunks_mut::<3>();
        for (out, &[r, g, b]) in out.iter_mut().zip(levels) {
            let sources = if reversed { [b, g, r] } else { [r, g, b] };
            *out = std::array::from_fn(|i| table[usize::from(sources[i])][i]);
        }
    }

    /// A whole image in place: HWC values, RGB in 0..255. A last incomplete pixel is left as it is.
    pub fn apply(self, values: &mut [f32]) {
        let (pixels, _) = values.as_chunks_mut::<3>();
        for pixel in pixels {
            *pixel = self.pixel(*pixel);
        }
    }
}

util::named!(Preprocess, "preprocessing", {
    Rescale = "rescale",
    Torch = "torch",
    Caffe = "caffe",
    Tf = "tf",
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_the_bits_of_values() {
        let levels: Vec<u8> = (0..=255u8).flat_map(|i| [i, 255 - i, i.wrapping_mul(7)]).collect();
        for &mode in Preprocess::ALL {
            let mut expected: Vec<f32> = levels.iter().map(|&level| level.into()).collect();
            mode.apply(&mut expected);
            let mut found = vec![0.0; levels.len()];
            mode.levels(&levels, &mut found);
            assert!(found.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits()), "{mode}");
        }
    }
}
