"""Writes the .npy goldens of this folder with numpy (made with 2.3.5; 1.24 and later write the same headers).

    python -m venv venv && venv/bin/pip install numpy==2.3.5 && venv/bin/python make_npy.py
"""

from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


def ramp(shape, dtype):
    """k/8 - 5 in C order: exact in half precision, too."""
    return (np.arange(np.prod(shape), dtype=np.float64) / 8 - 5).reshape(shape).astype(dtype)


np.save(HERE / "f32_3x2x2x5.npy", ramp((3, 2, 2, 5), "<f4"))
np.save(HERE / "f16_12x7.npy", ramp((12, 7), "<f2"))
np.save(HERE / "f32_0x4x4x512.npy", ramp((0, 4, 4, 512), "<f4"))
np.save(HERE / "labels_0_1_1.npy", np.array([0, 1, 1], dtype="<i8"))
