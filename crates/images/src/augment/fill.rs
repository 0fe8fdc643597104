//! What is seen beyond the edges of a picture.

use std::fmt;
use std::str::FromStr;

use super::AugmentationError;

/// What is seen beyond the edges, by the names and rules of `scipy.ndimage`, which Keras calls.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Fill {
    /// `aaaa|abcd|dddd`: the nearest pixel of the edge.
    #[default]
    Nearest,
    /// `kkkk|abcd|kkkk`: one level of all channels, from 0 to 255.
    Constant(f32),
    /// `dcba|abcd|dcba`
    Reflect,
    /// `bcd|abcd|bcd`: the last and the first pixel are in one place, so that the picture repeats every `n - 1` pixels.
    Wrap,
}

/// How values between pixels are found. There is no filter that widens where a view shrinks the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sampling {
    /// The nearest pixel: scipy's order 0.
    Nearest,
    /// Between the four nearest pixels: scipy's order 1.
    #[default]
    Bilinear,
}

util::named!(Sampling, "interpolation", { Nearest = "nearest", Bilinear = "bilinear" });

const FILL: &str = "nearest, constant, constant:LEVEL with a level from 0 to 255, reflect or wrap";

impl Fill {
    pub(super) fn check(self) -> Result<(), AugmentationError> {
        match self {
            Self::Constant(level) if !(0.0..=255.0).contains(&level) => {
                Err(AugmentationError::value("fill", FILL, self))
            }
            _ => Ok(()),
        }
    }

    /// Where in the picture a coordinate along an axis of `length` pixels is seen: scipy's `map_coordinate`. Between
    /// -1 and `length`; `None` where the constant is seen.
    pub(super) fn place(self, at: f64, length: usize) -> Option<f64> {
        let last = length as f64 - 1.0;
        if (0.0..=last).contains(&at) {
            return Some(at);
        }
        match self {
            Self::Nearest => Some(at.clamp(0.0, last)),
            Self::Constant(_) => None,
            Self::Reflect | Self::Wrap if length < 2 => Some(0.0),
            Self::Reflect => Some(reflected(at, length as f64)),
            Self::Wrap if at < 0.0 => Some(at + last * ((-at / last).trunc() + 1.0)),
            Self::Wrap => Some(at - last * (at / last).trunc()),
        }
    }
}

/// As scipy computes it, so that coordinates in the middle between two pixels go to the same one.
fn reflected(at: f64, length: f64) -> f64 {
    let period = 2.0 * length;
    if at < 0.0 {
        let at = if at < -period { at + period * (-at / period).trunc() } else { at };
        if at < -length { at + period } else { -at - 1.0 }
    } else {
        let at = at - period * (at / period).trunc();
        if at >= length { period - at - 1.0 } else { at }
    }
}

impl fmt::Display for Fill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nearest => f.write_str("nearest"),
            Self::Constant(level) => write!(f, "constant:{level}"),
            Self::Reflect => f.write_str("reflect"),
            Self::Wrap => f.write_str("wrap"),
        }
    }
}

impl FromStr for Fill {
    type Err = AugmentationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || AugmentationError::value("fill", FILL, text);
        let fill = match text.split_once(':') {
            None => match text {
                "nearest" => Self::Nearest,
                "constant" => Self::Constant(0.0),
                "reflect" => Self::Reflect,
                "wrap" => Self::Wrap,
                _ => return Err(refused()),
            },
            Some(("constant", level)) => {
                // -0 is 0.
                Self::Constant(level.parse::<f32>().map_err(|_| refused())? + 0.0)
            }
            Some(_) => return Err(refused()),
        };
        fill.check().map_err(|_| refused())?;
        Ok(fill)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is seen from `-2 n` to `3 n` at whole coordinates.
    fn seen(fill: Fill, length: usize) -> Vec<Option<f64>> {
        let n = length as i32;
        (-2 * n..3 * n).map(|at| fill.place(f64::from(at), length)).collect()
    }

    #[test]
    fn pixels_beyond_the_edges_repeat_as_in_scipy() {
        let of = |text: &str| -> Vec<Option<f64>> {
            text.chars().map(|c| c.to_digit(10).map(f64::from)).collect()
        };
        assert_eq!(seen(Fill::Nearest, 3), of("000000012222222"));
        assert_eq!(seen(Fill::Constant(7.0), 3), of("------012------"));
        // `place` ends between pixels -1 and n, whose neighbours are taken.
        let reflect: Vec<Option<f64>> =
            seen(Fill::Reflect, 3).into_iter().map(|at| at.map(|at| at.clamp(0.0, 2.0))).collect();
        assert_eq!(reflect, of("012210012210012"));
        // A period of two pixels, where the last and the first are in one place.
        assert_eq!(seen(Fill::Wrap, 3), of("212121012101010"));
        for fill in [Fill::Nearest, Fill::Reflect, Fill::Wrap] {
            assert!(seen(fill, 1).iter().all(|at| *at == Some(0.0)), "{fill}");
        }
    }
}
