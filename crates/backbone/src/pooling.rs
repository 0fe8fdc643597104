//! Global pooling of the last layer's output, as Keras's `pooling=` argument does it.

use kernels::{channel_maxima, channel_means};

/// What becomes of the last layer's (height, width, channels).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pooling {
    /// Kept whole.
    None,
    /// The mean over height and width: (channels,).
    Avg,
    /// The largest over height and width: (channels,).
    Max,
}

util::named!(Pooling, "pooling", { None = "none", Avg = "avg", Max = "max" });

impl Pooling {
    /// The shape of a feature row for a last layer of `[height, width, channels]`.
    pub fn row_shape(self, [height, width, channels]: [usize; 3]) -> Vec<usize> {
        match self {
            Self::None => vec![height, width, channels],
            Self::Avg | Self::Max => vec![channels],
        }
    }

    /// Pools one image's activations.
    ///
    /// # Shapes
    /// `activations`: (height * width, channels) in C order; `row`: (channels,), or as long as `activations` without pooling.
    /// Sums are taken in f64, so the order of summation leaves no trace in the f32 result. NaN stays NaN.
    pub fn apply(self, activations: &[f32], channels: usize, row: &mut [f32]) {
        match self {
            Self::None => row.copy_from_slice(activations),
            Self::Avg => channel_means(activations, channels, row),
            Self::Max => channel_maxima(activations, channels, row),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (2, 1, 3): two pixels of three channels.
    const ACTIVATIONS: [f32; 6] = [1.0, -2.0, 0.0, 4.0, -6.0, 0.5];

    fn pooled(pooling: Pooling, activations: &[f32], len: usize) -> Vec<f32> {
        let mut row = vec![0.0; len];
        pooling.apply(activations, 3, &mut row);
        row
    }

    #[test]
    fn pools_over_height_and_width() {
        assert_eq!(pooled(Pooling::None, &ACTIVATIONS, 6), ACTIVATIONS);
        assert_eq!(pooled(Pooling::Avg, &ACTIVATIONS, 3), [2.5, -4.0, 0.25]);
        assert_eq!(pooled(Pooling::Max, &ACTIVATIONS, 3), [4.0, -2.0, 0.5]);
    }

    #[test]
    fn nan_is_not_hidden() {
        let mut activations = ACTIVATIONS;
        activations[1] = f32::NAN;
        assert!(pooled(Pooling::Max, &activations, 3)[1].is_nan());
        assert!(pooled(Pooling::Avg, &activations, 3)[1].is_nan());
    }
}
