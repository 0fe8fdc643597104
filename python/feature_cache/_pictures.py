"""What people have for pictures, as the library takes them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Union

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidArgumentError

if TYPE_CHECKING:
    from PIL.Image import Image

    Picture = Union[str, os.PathLike[str], NDArray[np.uint8], Image]
    Pictures = Union[Picture, Iterable[Picture]]

Ready = Union[str, "NDArray[Any]"]


def _is_path(value: object) -> bool:
    return isinstance(value, (str, os.PathLike))


def ready(pictures: object) -> list[Ready]:
    """A list of paths and uint8 arrays; one picture is a list of one.

    Pixels of a Pillow image are those of `convert("RGB")`, as when its file is read.
    """
    if _is_path(pictures) or hasattr(pictures, "convert"):
        pictures = [pictures]
    elif isinstance(pictures, np.ndarray) and pictures.dtype.kind not in "OUS":
        if pictures.ndim == 3:
            pictures = pictures[np.newaxis]
        if pictures.ndim != 4 or pictures.shape[3] != 3 or pictures.dtype != np.uint8:
            shape, dtype = pictures.shape, pictures.dtype
            raise InvalidArgumentError(
                f"pictures: expected uint8 of shape (n, height, width, 3), found {dtype} of shape {shape}",
                _array_hint(pictures),
            )
    if not isinstance(pictures, Iterable):
        raise TypeError(f"pictures: expected paths, arrays or Pillow images, found {type(pictures).__name__}")
    return [_one(place, picture) for place, picture in enumerate(pictures)]


def _array_hint(array: NDArray[Any]) -> str:
    if array.ndim == 4 and array.shape[3] == 4:
        return "leave out the alpha channel: pictures[..., :3]"
    if array.dtype != np.uint8:
        return "give pixels as they are in the file, from 0 to 255, as uint8: preprocessing is done here"
    return "axes are (picture, row, column, colour), and colours are red, green, blue"


def _one(place: int, picture: object) -> Ready:
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            shape, dtype = picture.shape, picture.dtype
            raise InvalidArgumentError(
                f"picture {place}: expected uint8 of shape (height, width, 3), found {dtype} of shape {shape}",
                _array_hint(picture[np.newaxis]),
            )
        return picture
    if isinstance(picture, os.PathLike):
        return os.fsdecode(os.fspath(picture))
    if isinstance(picture, str):
        return str(picture)
    convert = getattr(picture, "convert", None)
    if convert is not None:
        array: NDArray[Any] = np.asarray(convert("RGB"))
        return array
    raise TypeError(
        f"picture {place}: expected a path, a uint8 array or a Pillow image, found {type(picture).__name__}"
    )
