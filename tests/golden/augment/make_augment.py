"""Writes the goldens of this folder: what Keras's ImageDataGenerator makes of small pictures.

    pip install keras==3.15.1 jax scipy==1.17.1 pillow==13.0.0 && KERAS_BACKEND=jax python make_augment.py

`cases.json` has the parameters of each case in the names of `ImageDataGenerator.apply_transform`, and the size of the
picture, which is drawn from a formula that the Rust tests repeat (`picture`). `views.npy` has the results one after the
other, each (height, width, 3) float32 in C order.

Keras turns a picture that is not square about a wrong point: `transform_matrix_offset_center` gets height and width in
the order of rows and columns, and the axes are swapped afterwards. Here it gets them in the right order, which changes
nothing for square pictures.

`draws.json` has parameters that are drawn from (seed, sha256, view) by the rule in `docs/augmentation.md`, in plain Python.
"""

import hashlib
import json
import pathlib

import numpy as np

HERE = pathlib.Path(__file__).parent


def picture(width, height):
    """Smooth in one half, noise in the other: float32 (height, width, 3)."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    y, x, c = (v.astype(np.uint32) for v in (y, x, c))
    noise = (y * 7919 + x * 104729 + c * 1299709) * np.uint32(2654435761)
    smooth = x * 255 // max(width - 1, 1) * (c + 1) // 3 + y % 2
    return np.where(y * 2 < height, noise >> 24, smooth).astype(np.uint8).astype(np.float32)


def cases():
    """Each fill with each order on square and other pictures; then what is done after the resampling."""
    random = np.random.default_rng(5)
    draw = lambda low, high: float(random.uniform(low, high))
    lesson = lambda w, h: {
        "theta": draw(-40, 40), "tx": draw(-0.2, 0.2) * w, "ty": draw(-0.2, 0.2) * h,
        "shear": draw(-20, 20), "zx": draw(0.8, 1.2), "zy": draw(0.8, 1.2),
    }
    # Far outside: a picture is repeated several times.
    far = lambda w, h: lesson(w, h) | {"zx": draw(2.5, 4), "zy": draw(2.5, 4), "tx": draw(-2, 2) * w}
    every = []
    for fill in ("nearest", "constant", "reflect", "wrap"):
        for order in (0, 1):
            for (w, h), kind in (((8, 8), lesson), ((9, 6), lesson), ((5, 7), far)):
                every.append({"width": w, "height": h, "fill": fill, "order": order} | kind(w, h))
    whole = {"fill": "nearest", "order": 1}
    for (w, h), more in (
        ((1, 1), {"theta": 30.0, "tx": 0.4}),
        ((6, 1), {"theta": 90.0, "fill": "reflect"}),
        ((7, 7), {"theta": 180.0}),
        ((6, 6), {"tx": 1.5, "ty": -2.0, "fill": "constant", "cval": 93.0}),
        ((6, 6), {"zx": 0.5, "zy": 1.25}),
        ((6, 6), {"shear": 30.0, "fill": "wrap"}),
        ((7, 5), {}),
        ((7, 5), {"flip_horizontal": True}),
        ((6, 5), {"flip_vertical": True}),
        ((7, 5), {"channel_shift_intensity": 60.0}),
        ((7, 5), {"channel_shift_intensity": -33.3}),
        ((7, 5), {"brightness": 0.4}),
        ((7, 5), {"brightness": 1.7}),
        ((8, 8), lesson(8, 8) | {"flip_horizontal": True, "channel_shift_intensity": 20.25, "brightness": 1.3}),
        ((8, 7), lesson(8, 7) | {"flip_vertical": True, "channel_shift_intensity": -41.5, "brightness": 0.8}),
    ):
        every.append({"width": w, "height": h} | whole | more)
    return every


def views():
    from keras.src.legacy.preprocessing import image as legacy

    centre = legacy.transform_matrix_offset_center
    legacy.transform_matrix_offset_center = lambda matrix, height, width: centre(matrix, width, height)
    every = cases()
    results = []
    for case in every:
        generator = legacy.ImageDataGenerator(
            fill_mode=case["fill"], cval=case.get("cval", 0.0), interpolation_order=case["order"],
            data_format="channels_last",
        )
        view = generator.apply_transform(picture(case["width"], case["height"]), case)
        results.append(np.asarray(view, np.float32).ravel())
    lines = ",\n".join(json.dumps(case) for case in every)
    (HERE / "cases.json").write_text(f"[\n{lines}\n]\n")
    np.save(HERE / "views.npy", np.concatenate(results))


MASK = (1 << 64) - 1


def uniforms(seed, digest, view):
    """SplitMix64 from the first 8 bytes of a sha256: ten numbers in 0..1, one a parameter."""
    key = b"feature-cache/augment/1\0" + seed.to_bytes(8, "little") + digest + view.to_bytes(8, "little")
    state = int.from_bytes(hashlib.sha256(key).digest()[:8], "little")
    for _ in range(10):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
        yield ((z ^ (z >> 31)) >> 11) / 2**53


def draws():
    width, height = 150, 100
    every = []
    for seed, data, view in ((0, b"", 0), (0, b"", 1), (7, b"a file", 1), (2**64 - 1, b"another", 2**63)):
        digest = hashlib.sha256(data).digest()
        rotation, down, across, shear, zx, zy, mirror, upside, channel, light = uniforms(seed, digest, view)
        between = lambda low, high, u: low + (high - low) * u
        every.append({
            "seed": seed, "sha256": digest.hex(), "view": view,
            "rotation": between(-40.0, 40.0, rotation),
            "shift_y": between(-0.2, 0.2, down) * height,
            "shift_x": between(-12.0, 12.0, across),
            "shear": between(-10.0, 10.0, shear),
            "zoom_x": between(1 - 0.25, 1 + 0.25, zx),
            "zoom_y": between(1 - 0.25, 1 + 0.25, zy),
            "flip_horizontal": mirror < 0.5,
            "flip_vertical": upside < 0.5,
            "channel_shift": between(-30.0, 30.0, channel),
            "brightness": between(0.5, 1.5, light),
        })
    lines = ",\n".join(json.dumps(one) for one in every)
    (HERE / "draws.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    draws()
    views()
