//! An augmentation as text: `rotation=40,horizontal-flip,fill=nearest`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::settings::{
    BRIGHTNESS, CHANNEL_SHIFT, NUMBERS, Number, SWITCHES, Switch, accepts_brightness,
};
use super::{Augmentation, Sampling};

/// A text or a range that is no augmentation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AugmentationError {
    /// Not the name of a setting.
    #[error("augmentation: unknown setting '{found}': expected one of {}", names().join(", "))]
    Unknown {
        /// As given.
        found: String,
    },
    /// A value that the setting can't have.
    #[error("augmentation: {name}: expected {expected}, found '{found}'")]
    Value {
        /// The setting.
        name: &'static str,
        /// What it can have.
        expected: &'static str,
        /// As given.
        found: String,
    },
    /// One setting with two values.
    #[error("augmentation: {name}: expected it once, found it twice")]
    Twice {
        /// The setting.
        name: &'static str,
    },
    /// `lesson` would replace what was given before it.
    #[error("augmentation: expected 'lesson' as the first setting, found it after others")]
    LessonLater,
    /// Every view would be the picture itself.
    #[error("augmentation: expected at least one of {}, found none that changes a picture", changing().join(", "))]
    Nothing,
}

impl AugmentationError {
    pub(super) fn value(name: &'static str, expected: &'static str, found: impl ToString) -> Self {
        Self::Value { name, expected, found: found.to_string() }
    }
}

/// Settings that change a picture.
fn changing() -> Vec<&'static str> {
    let numbers = NUMBERS.iter().map(|number| number.name);
    let switches = SWITCHES.iter().map(|switch| switch.name);
    numbers.chain(switches).chain([CHANNEL_SHIFT.name, "brightness"]).collect()
}

fn names() -> Vec<&'static str> {
    [vec!["lesson"], changing(), vec!["fill", "interpolation"]].concat()
}

impl fmt::Display for Augmentation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = *self;
        let mut number = |of: &Number, f: &mut fmt::Formatter<'_>| {
            let value = *(of.of)(&mut all);
            if value == 0.0 { Ok(()) } else { write!(f, "{}={value},", of.name) }
        };
        for of in &NUMBERS {
            number(of, f)?;
        }
        let mut switched = *self;
        for switch in &SWITCHES {
            if *(switch.of)(&mut switched) {
                write!(f, "{},", switch.name)?;
            }
        }
        number(&CHANNEL_SHIFT, f)?;
        if let Some([low, high]) = self.brightness {
            write!(f, "brightness={low}..{high},")?;
        }
        write!(f, "fill={},interpolation={}", self.fill, self.sampling)
    }
}

impl FromStr for Augmentation {
    type Err = AugmentationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::default();
        let mut seen: Vec<&'static str> = Vec::new();
        for (i, item) in text.split(',').map(str::trim).enumerate() {
            if item == "lesson" {
                if i > 0 {
                    return Err(AugmentationError::LessonLater);
                }
                all = Self::lesson();
                continue;
            }
            let name = set(&mut all, item)?;
            if seen.contains(&name) {
                return Err(AugmentationError::Twice { name });
            }
            seen.push(name);
        }
        all.check()?;
        Ok(all)
    }
}

/// Reads one item, and says which setting it is.
fn set(all: &mut Augmentation, item: &str) -> Result<&'static str, AugmentationError> {
    let (name, value) = item.split_once('=').unwrap_or((item, ""));
    if let Some(Number { name, expected, accepts, of }) =
        NUMBERS.iter().chain([&CHANNEL_SHIFT]).find(|number| number.name == name)
    {
        let number = value.parse().ok().filter(|number| accepts(*number));
        // -0 is 0.
        *of(all) = number.ok_or_else(|| AugmentationError::value(name, expected, value))? + 0.0;
        return Ok(name);
    }
    if let Some(Switch { name, of }) = SWITCHES.iter().find(|switch| switch.name == name) {
        if item != *name {
            return Err(AugmentationError::value(name, "no value", value));
        }
        *of(all) = true;
        return Ok(name);
    }
    match name {
        "brightness" => {
            let ends = value.split_once("..").and_then(|(low, high)| {
                Some([low.parse::<f64>().ok()? + 0.0, high.parse::<f64>().ok()? + 0.0])
            });
            let range = ends.filter(|range| accepts_brightness(*range));
            let refused = || AugmentationError::value("brightness", BRIGHTNESS, value);
            all.brightness = Some(range.ok_or_else(refused)?);
            Ok("brightness")
        }
        "fill" => {
            all.fill = value.parse()?;
            Ok("fill")
        }
        "interpolation" => {
            let refused =
                |_| AugmentationError::value("interpolation", "nearest or bilinear", value);
            all.sampling = value.parse::<Sampling>().map_err(refused)?;
            Ok("interpolation")
        }
        other => Err(AugmentationError::Unknown { found: other.to_owned() }),
    }
}

impl Serialize for Augmentation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Augmentation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::Fill;
    use proptest::prelude::*;

    #[test]
    fn the_lesson_can_be_changed() {
        let lesson = Augmentation::lesson();
        let parse = |text: &str| text.parse::<Augmentation>().unwrap();
        assert_eq!(parse("lesson"), lesson);
        assert_eq!(parse(&lesson.to_string()), lesson);
        let expected = Augmentation {
            zoom: 0.0,
            rotation: 10.0,
            brightness: Some([0.5, 1.5]),
            fill: Fill::Constant(0.0),
            ..lesson
        };
        assert_eq!(
            parse("lesson, zoom=-0, rotation=1e1, brightness=0.5..1.5, fill=constant"),
            expected
        );
        assert_eq!(
            expected.to_string(),
            "rotation=10,width-shift=0.2,height-shift=0.2,shear=0.2,horizontal-flip,\
             brightness=0.5..1.5,fill=constant:0,interpolation=bilinear"
        );
    }

    #[test]
    fn what_is_no_augmentation_is_refused_with_what_was_expected() {
        for (text, words) in [
            ("", "unknown setting ''"),
            ("none", "unknown setting 'none': expected one of lesson, rotation, width-shift"),
            ("rotation", "rotation: expected degrees from 0 to 180, found ''"),
            ("rotation=NaN", "found 'NaN'"),
            ("rotation=-5", "found '-5'"),
            ("rotation=181", "found '181'"),
            ("shear=90", "below 90"),
            ("zoom=1", "expected a number from 0, below 1, found '1'"),
            ("zoom=x", "found 'x'"),
            ("width-shift=inf", "found 'inf'"),
            ("width-shift=20000", "found '20000'"),
            ("channel-shift=256", "levels from 0 to 255"),
            ("brightness=1", "two factors such as 0.8..1.2"),
            ("brightness=1.2..0.8", "the lower first"),
            ("brightness=0.5..NaN", "found '0.5..NaN'"),
            ("brightness=-0.5..1", "found '-0.5..1'"),
            ("horizontal-flip=yes", "expected no value, found 'yes'"),
            ("horizontal-flip,horizontal-flip", "expected it once, found it twice"),
            ("zoom=0.1,zoom=0.1", "zoom: expected it once"),
            ("zoom=0.1,lesson", "expected 'lesson' as the first"),
            ("zoom=0", "expected at least one of rotation"),
            ("fill=wrap", "found none that changes a picture"),
            ("zoom=0.1,fill=mirror", "fill: expected nearest, constant"),
            ("zoom=0.1,fill=constant:300", "found 'constant:300'"),
            ("zoom=0.1,fill=reflect:3", "found 'reflect:3'"),
            ("zoom=0.1,interpolation=bicubic", "expected nearest or bilinear"),
        ] {
            let error = text.parse::<Augmentation>().expect_err(text).to_string();
            assert!(error.contains(words), "{text}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
        let built = Augmentation { zoom: f64::NAN, ..Augmentation::lesson() };
        assert!(built.check().unwrap_err().to_string().contains("zoom"));
    }

    prop_compose! {
        fn augmentation()(
            numbers in prop::array::uniform6(prop_oneof![Just(0.0), 0.0..0.999f64]),
            switches in prop::array::uniform2(any::<bool>()),
            brightness in prop::option::of((0.0..2.0f64, 2.0..9.0f64)),
            fill in prop_oneof![
                Just(Fill::Nearest), Just(Fill::Reflect), Just(Fill::Wrap),
                (0.0..255f32).prop_map(Fill::Constant)
            ],
            nearest in any::<bool>(),
        ) -> Augmentation {
            Augmentation {
                rotation: numbers[0] * 180.0,
                width_shift: numbers[1],
                height_shift: numbers[2] * 300.0,
                shear: numbers[3] * 90.0,
                zoom: numbers[4],
                horizontal_flip: switches[0],
                vertical_flip: switches[1],
                channel_shift: numbers[5] * 255.0,
                brightness: brightness.map(|(low, high)| [low, high]),
                fill,
                sampling: if nearest { Sampling::Nearest } else { Sampling::Bilinear },
            }
        }
    }

    proptest! {
        #[test]
        fn text_and_json_give_the_same_augmentation_back(one in augmentation()) {
            prop_assume!(one.check().is_ok());
            let text = one.to_string();
            prop_assert_eq!(text.parse(), Ok(one));
            let json = serde_json::to_string(&one).unwrap();
            prop_assert_eq!(&json, &format!("\"{text}\""));
            prop_assert_eq!(serde_json::from_str::<Augmentation>(&json).unwrap(), one);
        }
    }
}
