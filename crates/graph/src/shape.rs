//! The shape of one image's activations.

use std::fmt;

/// The shape of one image's activations at a node; the batch axis is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// A feature map, stored as (height, width, channels).
    Map {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Values a pixel.
        channels: usize,
    },
    /// A sequence of tokens, stored as (count, width).
    Tokens {
        /// Number of tokens.
        count: usize,
        /// Values a token.
        width: usize,
    },
    /// A vector, stored as (len,).
    Vector {
        /// Number of values.
        len: usize,
    },
}

impl Shape {
    /// The extents in storage order, such as `[height, width, channels]`.
    pub fn dims(self) -> Vec<usize> {
        match self {
            Self::Map { height, width, channels } => vec![height, width, channels],
            Self::Tokens { count, width } => vec![count, width],
            Self::Vector { len } => vec![len],
        }
    }

    /// The last extent, along which normalisation, bias and concatenation work.
    pub fn channels(self) -> usize {
        match self {
            Self::Map { channels, .. } => channels,
            Self::Tokens { width, .. } => width,
            Self::Vector { len } => len,
        }
    }

    /// This shape with another last extent.
    pub fn with_channels(self, channels: usize) -> Self {
        match self {
            Self::Map { height, width, .. } => Self::Map { height, width, channels },
            Self::Tokens { count, .. } => Self::Tokens { count, width: channels },
            Self::Vector { .. } => Self::Vector { len: channels },
        }
    }

    /// Number of values; `usize::MAX` where that number does not fit.
    pub fn values(self) -> usize {
        self.dims().into_iter().fold(1, usize::saturating_mul)
    }
}

/// As a tuple, such as `(4, 4, 512)`.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims: Vec<String> = self.dims().iter().map(usize::to_string).collect();
        match dims.as_slice() {
            [one] => write!(f, "({one},)"),
            several => write!(f, "({})", several.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_know_their_extents() {
        let map = Shape::Map { height: 4, width: 5, channels: 6 };
        assert_eq!((map.dims(), map.channels(), map.values()), (vec![4, 5, 6], 6, 120));
        assert_eq!(map.with_channels(7).dims(), [4, 5, 7]);
        let tokens = Shape::Tokens { count: 197, width: 384 };
        assert_eq!((tokens.dims(), tokens.channels()), (vec![197, 384], 384));
        assert_eq!(tokens.with_channels(2).dims(), [197, 2]);
        assert_eq!(Shape::Vector { len: 9 }.with_channels(3).values(), 3);
        let huge = Shape::Tokens { count: usize::MAX, width: 2 };
        assert_eq!(huge.values(), usize::MAX);
    }

    #[test]
    fn shapes_print_as_tuples() {
        assert_eq!(Shape::Map { height: 4, width: 4, channels: 512 }.to_string(), "(4, 4, 512)");
        assert_eq!(Shape::Vector { len: 10 }.to_string(), "(10,)");
    }
}
