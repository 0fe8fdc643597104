"""Numbers that a few lines of any language make again, and the lines of the files that hold slices of features."""
import math

import numpy as np

# Values of each cut in the files.
VALUES = 150


def uniform(name, count):
    """In [0, 1), f32: the 64-bit FNV-1a hash of the name starts SplitMix64, the upper 24 bits of each draw are taken."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 % 2**64
    z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float32) * np.float32(2**-24)


def image(height, width):
    """(height, width, 3) in [-1, 1)."""
    return uniform("image", height * width * 3).reshape(height, width, 3) * np.float32(2) - np.float32(1)


def line(image, top, layer, full, count=VALUES):
    """Of a file of features: image HxW, `base` or `top` (with the classifier), layer, its output's shape, stride, largest
    absolute value, mean absolute value, and the values at flat positions 0, stride, 2 * stride ... The stride shares no factor
    with the number of values, so these are spread over all axes."""
    stride = max(1, full.size // count)
    while math.gcd(stride, full.size) != 1:
        stride += 1
    numbers = [abs(full).max(), abs(full).mean(), *full.ravel()[::stride]]
    numbers = [np.format_float_scientific(np.float32(v), trim="-", exp_digits=1) for v in numbers]
    cells = ["x".join(map(str, image)), "top" if top else "base", layer, "x".join(map(str, full.shape)), str(stride)]
    return "\t".join([*cells, *numbers[:2], " ".join(numbers[2:])]) + "\n"
