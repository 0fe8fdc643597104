//! The named ways of resizing.

/// How an image is brought to the requested size. The aspect ratio is not kept, as in Keras.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Interpolation {
    /// Pillow's `BILINEAR`: a triangle filter that widens when shrinking (antialiased).
    #[default]
    Bilinear,
    /// Pillow's `NEAREST`: the pixel under each output pixel's centre. Keras's `flow_from_directory` default.
    Nearest,
    /// Pillow's `BICUBIC` (a = -0.5), antialiased.
    Bicubic,
    /// Pillow's `LANCZOS` (3 lobes), antialiased.
    Lanczos,
    /// `tf.image.resize(..., "bilinear", antialias=False)`: the four nearest pixels about the half-pixel
    /// centre whatever the scale, result not rounded. `image_dataset_from_directory`'s default.
    TfBilinear,
}

util::named!(Interpolation, "interpolation", {
    Bilinear = "bilinear",
    Nearest = "nearest",
    Bicubic = "bicubic",
    Lanczos = "lanczos",
    TfBilinear = "tf-bilinear",
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        for &choice in Interpolation::ALL {
            assert_eq!(choice.name().parse(), Ok(choice));
            let json = serde_json::to_string(&choice).unwrap();
            assert_eq!(json, format!("\"{choice}\""));
            assert_eq!(serde_json::from_str::<Interpolation>(&json).unwrap(), choice);
        }
        let error = "area".parse::<Interpolation>().unwrap_err().to_string();
        assert_eq!(
            error,
            "unknown interpolation 'area': expected one of bilinear, nearest, bicubic, lanczos, tf-bilinear"
        );
    }
}
