//! JPEG by `libjpeg-turbo-rs`, whose pixels are those of libjpeg-turbo (exact integer DCT, fancy upsampling) and so
//! of Pillow. `docs/images.md` has the comparison with other decoders.

use libjpeg_turbo_rs::common::types::ComponentInfo;
use libjpeg_turbo_rs::{DecodeLimits, Decoder, JpegError, PixelFormat};

use super::{
    Format, Header, MAX_BYTES, MAX_PIXELS, Rgb8Image, TOO_LARGE, checked_pixels, corrupt,
    grey_to_rgb, unsupported,
};
use crate::{ImageError, ImageSize};

const FORMAT: Format = Format::Jpeg;
/// Progressive files have about ten scans; thousands in a small file are an attack on time.
const MAX_SCANS: usize = 500;

pub(super) fn decode(
    bytes: &[u8],
    claim: &mut dyn FnMut(Header) -> Result<(), ImageError>,
) -> Result<Rgb8Image, ImageError> {
    let limits =
        DecodeLimits { max_pixels: MAX_PIXELS, max_scans: MAX_SCANS, ..DecodeLimits::default() };
    let mut decoder = Decoder::new_with_limits(bytes, limits).map_err(error)?;
    let header = decoder.header();
    let (width, height) = (u32::from(header.width), u32::from(header.height));
    let pixels = checked_pixels(FORMAT, width, height)?;
    if header.precision != 8 {
        return Err(unsupported(FORMAT, format!("{} bits per sample", header.precision)));
    }
    if header.is_lossless {
        return Err(unsupported(FORMAT, "lossless"));
    }
    let (layout, channels) = match header.components.len() {
        1 => (PixelFormat::Grayscale, 1),
        3 => (PixelFormat::Rgb, 3),
        4 if regular_sampling(&header.components) => (PixelFormat::Cmyk, 4),
        4 => return Err(unsupported(FORMAT, "unusual sampling of four components")),
        count => return Err(unsupported(FORMAT, format!("{count} components"))),
    };
    // Coefficients of progressive files take two bytes a sample.
    if pixels as u64 * channels as u64 * 2 > MAX_BYTES {
        return Err(unsupported(FORMAT, TOO_LARGE));
    }
    claim(Header {
        size: ImageSize { width, height },
        bytes: working_bytes(width, height, &header.components),
        kept: pixels as u64 * 3,
    })?;
    decoder.set_output_format(layout);
    let decoded = decoder.decode_image().map_err(error)?;
    if (decoded.width, decoded.height) != (width as usize, height as usize)
        || decoded.data.len() != pixels * channels
    {
        return Err(corrupt(FORMAT, "the decoder returned another size"));
    }
    if !has_end(bytes) {
        return Err(ImageError::Truncated { format: FORMAT });
    }
    let data = match channels {
        1 => grey_to_rgb(decoded.data),
        3 => decoded.data,
        _ => {
            let (inks, _) = decoded.data.as_chunks();
            inks.iter().flat_map(|inks| inverted_cmyk_to_rgb(*inks)).collect()
        }
    };
    Ok(Rgb8Image { width, height, data, format: FORMAT })
}

/// At most: coefficients of two bytes a sample, planes of one, both padded to whole blocks of the coarsest sampling, and what
/// is returned, before and after it becomes RGB.
fn working_bytes(width: u32, height: u32, components: &[ComponentInfo]) -> u64 {
    const BLOCK: u64 = 8;
    const LEAST: u64 = 1 << 20;
    let horizontal = |c: &ComponentInfo| u64::from(c.horizontal_sampling.max(1));
    let vertical = |c: &ComponentInfo| u64::from(c.vertical_sampling.max(1));
    let most = |of: &dyn Fn(&ComponentInfo) -> u64| components.iter().map(of).max().unwrap_or(1);
    let across = u64::from(width).div_ceil(BLOCK * most(&horizontal));
    let down = u64::from(height).div_ceil(BLOCK * most(&vertical));
    let samples: u64 = components
        .iter()
        .map(|c| across * horizontal(c) * BLOCK * down * vertical(c) * BLOCK)
        .sum();
    let channels = components.len() as u64;
    let returned = if channels == 3 { 3 } else { channels + 3 };
    samples * 3 + u64::from(width) * u64::from(height) * returned + LEAST
}

/// Whether the first and the black component have the full resolution and the other two all or half of it on each
/// axis, which is what programs write. The decoder takes this for granted in files of four components.
fn regular_sampling(components: &[ComponentInfo]) -> bool {
    let factors =
        |component: &ComponentInfo| (component.horizontal_sampling, component.vertical_sampling);
    let [first, middle @ .., black] = components else { return false };
    matches!(factors(first), (1 | 2, 1 | 2))
        && factors(black) == factors(first)
        && middle.iter().all(|component| factors(component) == (1, 1))
}

/// Whether an end-of-image marker follows the first scan. Without one a file was cut off: before its last progressive
/// scan, or so shortly before the end that all pixels are there. Pillow refuses both, so they are refused here.
fn has_end(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        if byte != 0xff {
            continue;
        }
        match bytes.get(at) {
            // A start of scan. The marker is mostly the last in the file.
            Some(0xda) => return bytes[at..].windows(2).rev().any(|pair| pair == [0xff, 0xd9]),
            // Stuffing, fill bytes and markers without a length.
            Some(0x00 | 0x01 | 0xd0..=0xd8 | 0xff) | None => {}
            Some(_) => match bytes.get(at + 1..at + 3) {
                Some(&[high, low]) => at += 1 + usize::from(u16::from_be_bytes([high, low])),
                _ => return false,
            },
        }
    }
    false
}

/// Pillow takes every four-component JPEG as stored inverted (Adobe's convention), and mixes each ink with black
/// as `(255 - k) * (255 - ink) / 255`, rounded the way its C code rounds.
fn inverted_cmyk_to_rgb([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    [c, m, y].map(|light| {
        let ink = 255 - u32::from(light);
        let light_of_black = u32::from(k);
        let product = ink * light_of_black + 128;
        let covered = ((product >> 8) + product) >> 8;
        light_of_black.saturating_sub(covered) as u8
    })
}

fn error(error: JpegError) -> ImageError {
    match error {
        JpegError::UnexpectedEof => ImageError::Truncated { format: FORMAT },
        JpegError::Unsupported(detail) => unsupported(FORMAT, detail),
        JpegError::CorruptData(detail) => corrupt(FORMAT, detail),
        other => corrupt(FORMAT, other),
    }
}
