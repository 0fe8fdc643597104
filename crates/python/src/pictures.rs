//! Python's pictures: paths, and arrays of pixels.

use images::ImageSize;
use numpy::{PyArrayDyn, PyArrayMethods as _, PyUntypedArray, PyUntypedArrayMethods as _};
use pipeline::Picture;
use pyo3::prelude::*;
use std::path::PathBuf;

use crate::failure::invalid;

/// One picture from a path, or from a uint8 array of shape (height, width, 3), whose pixels are copied in C order.
pub(crate) fn picture(one: &Bound<'_, PyAny>, place: usize) -> PyResult<Picture> {
    let py = one.py();
    if let Ok(array) = one.cast::<PyUntypedArray>() {
        let shape = array.shape().to_vec();
        let Ok(array) = one.cast::<PyArrayDyn<u8>>() else {
            let found = array.dtype();
            return Err(invalid(py, format!("picture {place}: expected uint8, found {found}")));
        };
        let &[height, width, 3] = shape.as_slice() else {
            let shape = util::shape(&shape);
            return Err(invalid(
                py,
                format!("picture {place}: expected shape (height, width, 3), found {shape}"),
            ));
        };
        let array = array.readonly();
        let data: Vec<u8> = match array.as_slice() {
            // A slice is in the order of memory, which may be Fortran's.
            Ok(data) if array.is_c_contiguous() => data.to_vec(),
            _ => array.as_array().iter().copied().collect(),
        };
        let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
        let size = ImageSize { width: side(width), height: side(height) };
        return Picture::of_pixels(size, data)
            .map_err(|error| invalid(py, format!("picture {place}: {}", error.reason())));
    }
    Ok(Picture::File(one.extract::<PathBuf>()?))
}

/// All of a list.
pub(crate) fn pictures(all: &Bound<'_, PyAny>) -> PyResult<Vec<Picture>> {
    all.try_iter()?.enumerate().map(|(place, one)| picture(&one?, place)).collect()
}

/// Why a picture gave nothing, with its name or place.
pub(crate) fn refused(picture: &Picture, place: usize, error: images::ImageError) -> anyhow::Error {
    let name = picture.name().map_or_else(|| format!("picture {place}"), |name| name.into_owned());
    let reason = error.reason();
    anyhow::Error::from(error).context(format!("{}: {reason}", util::visible(&name)))
}
