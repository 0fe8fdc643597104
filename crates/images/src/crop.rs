//! The middle of a picture, as torchvision's and timm's classifiers see it.

use crate::memory::MAX_IMAGE_BYTES;
use crate::resize::{resize_rgb8, working_bytes};
use crate::{ImageError, ImageSize, Interpolation, Rgb8Image};

/// Resizes `image` so that its shorter side has `shorter` pixels and the longer one is in proportion, and cuts `size` out of
/// its middle: `torchvision.transforms.Resize(shorter)` and `CenterCrop(size)` on a Pillow image.
///
/// # Errors
/// [`ImageError::NoPixels`] where a side is 0, or `size` is larger than `shorter`; [`ImageError::TooMuchMemory`] for an image
/// so long and narrow that its resized form would not be in proportion to it.
pub fn center_crop(
    image: &Rgb8Image,
    shorter: u32,
    size: ImageSize,
    interpolation: Interpolation,
) -> Result<Rgb8Image, ImageError> {
    let from = ImageSize { width: image.width, height: image.height };
    if from.values() == 0 || size.values() == 0 || size.width.max(size.height) > shorter {
        return Err(ImageError::NoPixels { from, to: size });
    }
    let to = scaled(from, shorter);
    let bytes = to.map_or(u64::MAX, |to| working_bytes(from, to, interpolation));
    let Some(to) = to.filter(|_| bytes <= MAX_IMAGE_BYTES) else {
        return Err(ImageError::TooMuchMemory { size: from, bytes });
    };
    let resized = resize_rgb8(image, to, interpolation)?;
    let [left, top] = [middle(to.width, size.width), middle(to.height, size.height)];
    let stride = to.width as usize * 3;
    let row = size.width as usize * 3;
    let mut data = Vec::with_capacity(size.values());
    for y in 0..size.height as usize {
        let start = (top as usize + y) * stride + left as usize * 3;
        data.extend_from_slice(&resized[start..start + row]);
    }
    Ok(Rgb8Image { width: size.width, height: size.height, data, format: image.format })
}

/// The size in proportion; the longer side is rounded down, as in torchvision.
fn scaled(from: ImageSize, shorter: u32) -> Option<ImageSize> {
    let [short, long] = [from.width.min(from.height), from.width.max(from.height)];
    let longer = u64::from(shorter) * u64::from(long) / u64::from(short);
    let longer = u32::try_from(longer).ok()?;
    Some(if from.width <= from.height {
        ImageSize { width: shorter, height: longer }
    } else {
        ImageSize { width: longer, height: shorter }
    })
}

/// Where the middle `length` of `whole` begins: half of the rest, a half rounded to the even number, as Python rounds.
fn middle(whole: u32, length: u32) -> u32 {
    let rest = whole.saturating_sub(length);
    let half = rest / 2;
    half + (rest % 2) * (half % 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Format;

    #[test]
    fn the_middle_begins_where_python_rounds_to() {
        // [int(round((whole - 224) / 2)) for whole in (224, 225, 226, 227, 229, 256, 257, 259)]
        let expected = [0, 0, 1, 2, 2, 16, 16, 18];
        let found = [224, 225, 226, 227, 229, 256, 257, 259].map(|whole| middle(whole, 224));
        assert_eq!(found, expected);
    }

    #[test]
    fn the_longer_side_is_rounded_down() {
        let size = |width, height| ImageSize { width, height };
        // (256, int(256 * 375 / 500)) and so on
        assert_eq!(scaled(size(500, 375), 256), Some(size(341, 256)));
        assert_eq!(scaled(size(3, 10), 256), Some(size(256, 853)));
        assert_eq!(scaled(size(7, 7), 299), Some(size(299, 299)));
        assert_eq!(scaled(size(1, u32::MAX), 256), None);
    }

    #[test]
    fn what_is_cut_out_is_the_middle() {
        // Columns 0 to 9, rows 0 to 4; as large as they are asked to be, so that nothing is resized.
        let data = (0..5u8).flat_map(|y| (0..9u8).flat_map(move |x| [x, y, 7])).collect();
        let image = Rgb8Image { width: 9, height: 5, data, format: Format::Png };
        let size = ImageSize { width: 3, height: 2 };
        let crop = center_crop(&image, 5, size, Interpolation::Bilinear).unwrap();
        assert_eq!((crop.width, crop.height), (3, 2));
        let expected: Vec<u8> = [(3, 2), (4, 2), (5, 2), (3, 3), (4, 3), (5, 3)]
            .iter()
            .flat_map(|&(x, y)| [x, y, 7])
            .collect();
        assert_eq!(crop.data, expected);
    }

    #[test]
    fn the_whole_picture_is_resized_first_by_the_named_filter() {
        let data = (0..8 * 6 * 3).map(|i| (i * i * 31 % 251) as u8).collect();
        let image = Rgb8Image { width: 8, height: 6, data, format: Format::Jpeg };
        let (whole, size) = (ImageSize { width: 16, height: 12 }, ImageSize::square(12));
        let crops = Interpolation::ALL.iter().map(|&interpolation| {
            let crop = center_crop(&image, 12, size, interpolation).unwrap();
            let resized = resize_rgb8(&image, whole, interpolation).unwrap();
            let middle: Vec<u8> =
                resized.chunks(16 * 3).flat_map(|row| row[2 * 3..14 * 3].to_vec()).collect();
            assert_eq!((crop.data.as_slice(), crop.format), (&middle[..], Format::Jpeg));
            middle
        });
        let distinct: std::collections::HashSet<Vec<u8>> = crops.collect();
        assert_eq!(distinct.len(), Interpolation::ALL.len());
    }

    #[test]
    fn no_pixels_give_none() {
        let image = |width, height| Rgb8Image {
            width,
            height,
            data: vec![0; (width * height * 3) as usize],
            format: Format::Png,
        };
        let crop = |image, width, height| {
            center_crop(&image, 8, ImageSize { width, height }, Interpolation::Bilinear)
        };
        assert!(crop(image(9, 9), 8, 8).is_ok());
        for (image, width, height) in [
            (image(0, 9), 8, 8),
            (image(9, 0), 8, 8),
            (image(9, 9), 0, 8),
            (image(9, 9), 8, 0),
            (image(9, 9), 9, 8),
            (image(9, 9), 8, 9),
        ] {
            let error = crop(image, width, height).unwrap_err();
            assert!(matches!(error, ImageError::NoPixels { .. }), "{error}");
        }
    }

    #[test]
    fn extreme_proportions_are_refused() {
        let image = Rgb8Image {
            width: 1,
            height: 16_000_000,
            data: vec![0; 48_000_000],
            format: Format::Png,
        };
        let size = ImageSize::square(224);
        let error = center_crop(&image, 256, size, Interpolation::Bilinear).unwrap_err();
        assert!(matches!(error, ImageError::TooMuchMemory { .. }), "{error}");
        let small = Rgb8Image { width: 2, height: 2, data: vec![0; 12], format: Format::Png };
        assert!(center_crop(&small, 100, size, Interpolation::Bilinear).is_err());
    }
}
