//! What may happen to a picture.

use super::{AugmentationError, Fill, Sampling};

/// The ranges that the parameters of a view are drawn from, each uniformly. A range of 0 changes nothing.
///
/// As text, in flags and manifests, it is a list such as
/// `rotation=40,width-shift=0.2,horizontal-flip,fill=nearest,interpolation=bilinear`.
///
/// ```
/// let lesson: images::augment::Augmentation = "lesson".parse()?;
/// assert_eq!(lesson, images::augment::Augmentation::lesson());
/// assert_eq!(
///     lesson.to_string(),
///     "rotation=40,width-shift=0.2,height-shift=0.2,shear=0.2,zoom=0.2,horizontal-flip,\
///      fill=nearest,interpolation=bilinear"
/// );
/// # Ok::<(), images::augment::AugmentationError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Augmentation {
    /// Degrees to either side, from 0 to 180.
    pub rotation: f64,
    /// To either side: a fraction of the width below 1, pixels from 1 on.
    pub width_shift: f64,
    /// Up or down: a fraction of the height below 1, pixels from 1 on.
    pub height_shift: f64,
    /// Degrees to either side, from 0, below 90.
    pub shear: f64,
    /// Zooms by `1 - zoom` to `1 + zoom`, width and height each by its own factor; from 0, below 1.
    pub zoom: f64,
    /// Mirrors half of the views.
    pub horizontal_flip: bool,
    /// Turns half of the views upside down.
    pub vertical_flip: bool,
    /// Levels of 0 to 255 that are added to or taken from all channels alike.
    pub channel_shift: f64,
    /// Lowest and highest factor of the brightness.
    pub brightness: Option<[f64; 2]>,
    /// What is seen beyond the edges.
    pub fill: Fill,
    /// How values between pixels are found.
    pub sampling: Sampling,
}

/// A setting that is one number: its name, what is accepted, where it is kept.
pub(super) struct Number {
    pub(super) name: &'static str,
    pub(super) expected: &'static str,
    pub(super) accepts: fn(f64) -> bool,
    pub(super) of: fn(&mut Augmentation) -> &mut f64,
}

/// A setting that is on or off.
pub(super) struct Switch {
    pub(super) name: &'static str,
    pub(super) of: fn(&mut Augmentation) -> &mut bool,
}

/// Sides are at most [`crate::MAX_SIDE`], so no larger shift moves a picture any further.
const LARGEST_SHIFT: f64 = crate::MAX_SIDE as f64;
/// Brighter than any picture stays.
const LARGEST_FACTOR: f64 = 255.0;

const SHIFT: &str = "a fraction from 0, below 1, or pixels from 1 to 16384";

/// In the order in which they are written, before the switches.
pub(super) const NUMBERS: [Number; 5] = [
    Number {
        name: "rotation",
        expected: "degrees from 0 to 180",
        accepts: |v| (0.0..=180.0).contains(&v),
        of: |all| &mut all.rotation,
    },
    Number {
        name: "width-shift",
        expected: SHIFT,
        accepts: |v| (0.0..=LARGEST_SHIFT).contains(&v),
        of: |all| &mut all.width_shift,
    },
    Number {
        name: "height-shift",
        expected: SHIFT,
        accepts: |v| (0.0..=LARGEST_SHIFT).contains(&v),
        of: |all| &mut all.height_shift,
    },
    Number {
        name: "shear",
        expected: "degrees from 0, below 90",
        accepts: |v| (0.0..90.0).contains(&v),
        of: |all| &mut all.shear,
    },
    Number {
        name: "zoom",
        expected: "a number from 0, below 1",
        accepts: |v| (0.0..1.0).contains(&v),
        of: |all| &mut all.zoom,
    },
];

/// Written after the switches.
pub(super) const CHANNEL_SHIFT: Number = Number {
    name: "channel-shift",
    expected: "levels from 0 to 255",
    accepts: |v| (0.0..=255.0).contains(&v),
    of: |all| &mut all.channel_shift,
};

pub(super) const SWITCHES: [Switch; 2] = [
    Switch { name: "horizontal-flip", of: |all| &mut all.horizontal_flip },
    Switch { name: "vertical-flip", of: |all| &mut all.vertical_flip },
];

pub(super) const BRIGHTNESS: &str = "two factors such as 0.8..1.2, from 0 to 255, the lower first";

pub(super) fn accepts_brightness([low, high]: [f64; 2]) -> bool {
    0.0 <= low && low <= high && high <= LARGEST_FACTOR
}

impl Augmentation {
    /// That of the lesson on small data sets: rotation by 40 degrees, shifts, shear and zoom of 0.2, mirrored, nearest pixels
    /// beyond the edges. The shear is in degrees, as in Keras since 2.1.3.
    pub const fn lesson() -> Self {
        Self {
            rotation: 40.0,
            width_shift: 0.2,
            height_shift: 0.2,
            shear: 0.2,
            zoom: 0.2,
            horizontal_flip: true,
            vertical_flip: false,
            channel_shift: 0.0,
            brightness: None,
            fill: Fill::Nearest,
            sampling: Sampling::Bilinear,
        }
    }

    /// Whether all ranges are accepted; what is read from text is.
    ///
    /// # Errors
    /// A range that is out of bounds or NaN, and an augmentation that changes nothing.
    pub fn check(mut self) -> Result<(), AugmentationError> {
        for number in NUMBERS.iter().chain([&CHANNEL_SHIFT]) {
            let value = *(number.of)(&mut self);
            if !(number.accepts)(value) {
                return Err(AugmentationError::value(number.name, number.expected, value));
            }
        }
        if let Some(range) = self.brightness.filter(|range| !accepts_brightness(*range)) {
            let found = format!("{}..{}", range[0], range[1]);
            return Err(AugmentationError::value("brightness", BRIGHTNESS, found));
        }
        self.fill.check()?;
        if self.changes_nothing() {
            return Err(AugmentationError::Nothing);
        }
        Ok(())
    }

    fn changes_nothing(self) -> bool {
        let fills = Self { fill: self.fill, sampling: self.sampling, ..Self::default() };
        self == fills
    }
}
