"""Writes the golden arrays of this folder: what Pillow, TensorFlow and Keras make of small images.

    pip install pillow==13.0.0 numpy tensorflow-cpu && python make_resize.py

The images are drawn from a formula that the Rust tests repeat (`picture`), so they are not stored. `cases.txt` has
one case a line: source width and height, target width and height. `<interpolation>.npy` holds all results one after
the other, each (height, width, 3) in C order: uint8 from Pillow, float32 from tf.image.resize.
`preprocess-<mode>.npy` is (256, 3) float32: keras.applications.imagenet_utils.preprocess_input of the pixels
(i, 255 - i, 7 i mod 256).

Pillow 13 does the vertical pass first where it takes away more than twice as many rows as the horizontal pass takes
away columns; versions before always do the horizontal pass first. The order changes some values by one level, so the
cases hold both.
"""

import pathlib

import numpy as np
from PIL import Image

HERE = pathlib.Path(__file__).parent
CASES = [
    (37, 23, 65, 51),  # both up, by odd factors
    (200, 97, 33, 64),  # both down
    (5, 3, 32, 40),
    (1, 1, 32, 32),
    (33, 47, 47, 33),  # one up, one down
    (64, 48, 32, 24),  # halved
    (7, 301, 7, 32),  # one side kept
    (150, 9, 50, 9),
    (3, 50, 31, 2),
    (29, 80, 20, 33),  # vertical pass first in Pillow 13
]
FILTERS = {"nearest": Image.NEAREST, "bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS}


def picture(width, height):
    """Smooth in one half, noise in the other: uint8 (height, width, 3)."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    y, x, c = (v.astype(np.uint32) for v in (y, x, c))
    noise = (y * 7919 + x * 104729 + c * 1299709) * np.uint32(2654435761)
    smooth = x * 255 // max(width - 1, 1) * (c + 1) // 3 + y % 2
    return np.where(y * 2 < height, noise >> 24, smooth).astype(np.uint8)


def main():
    (HERE / "cases.txt").write_text("".join("%d %d %d %d\n" % case for case in CASES))
    for name, kind in FILTERS.items():
        parts = [np.asarray(Image.fromarray(picture(w, h)).resize((a, b), kind)).ravel() for w, h, a, b in CASES]
        np.save(HERE / f"{name}.npy", np.concatenate(parts))

    import tensorflow as tf

    parts = [
        tf.image.resize(picture(w, h), (b, a), "bilinear", antialias=False).numpy().astype(np.float32).ravel()
        for w, h, a, b in CASES
    ]
    np.save(HERE / "tf-bilinear.npy", np.concatenate(parts))
    i = np.arange(256)
    pixels = np.stack([i, 255 - i, 7 * i % 256], -1).astype(np.float32)
    for mode in ("torch", "caffe", "tf"):
        out = tf.keras.applications.imagenet_utils.preprocess_input(pixels.copy(), data_format="channels_last", mode=mode)
        np.save(HERE / f"preprocess-{mode}.npy", np.asarray(out, np.float32))


main()
