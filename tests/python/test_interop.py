"""What the tools write is what numpy and safetensors read, and numpy computes the same from it.

usage: test_interop.py BIN WORK        BIN holds extract, fit-head and predict; WORK is an empty folder for files
Needs numpy and safetensors. Prints a line for each test, then `N passed, M failed`.
"""

import csv
import json
import os
import re
import struct
import subprocess
import sys
import traceback
import zlib
from functools import cache
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

ROOT = Path(__file__).resolve().parents[2]
CLASSES = ["cats", "dogs"]
COUNTS = {"train": 8, "validation": 4, "test": 4}
SIDE = 32

# Sums of up to 576 products in f32, by a Winograd transform, against f64: part of the largest value.
CONVOLUTION_TOLERANCE = 5e-6
# Sums of 512 products in f32 behind a sigmoid, against f64.
PROBABILITY_TOLERANCE = 2e-6


def png(path, pixels):
    """(height, width, 3) uint8 as a PNG."""
    height, width, _ = pixels.shape

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def picture(seed):
    """A random picture of the very size that the base sees, so that resizing changes nothing."""
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), np.uint8)


def run(tool, *args):
    environment = dict(os.environ, HF_HUB_OFFLINE="1")
    done = subprocess.run([BIN / tool, *map(str, args)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{tool}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def extract(name, *flags):
    """The features folder of a run over the drawn images; each is made once."""
    features = WORK / f"features-{name}"
    if not features.exists():
        run("extract", "--data", data(), "--features", features, "--weights", "random:0", "--image-size", SIDE, *flags)
    return features


@cache
def data():
    seed = 0
    for split, n in COUNTS.items():
        for label, name in enumerate(CLASSES):
            for i in range(n):
                seed += 1
                # Dogs are darker, so that there is something to learn.
                png(WORK / "data" / split / name / f"{i}.png", picture(seed) // (label + 1))
    return WORK / "data"


@cache
def head():
    path = WORK / "head"
    run("fit-head", "--features", extract("default"), "--head", path, "--epochs", 5, "--lr", "1e-3")
    return path


def index(features, split):
    with open(features / f"{split}_index.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def close(found, expected, tolerance):
    """Largest difference as part of the largest expected value; NaN fails."""
    difference = np.max(np.abs(found.astype(np.float64) - expected)) / np.max(np.abs(expected))
    assert difference <= tolerance, f"{difference} > {tolerance}"


def path(name):
    """docs/images.md: a name's bytes on disk."""
    return re.sub(rb"\\(\\|x[0-9a-f]{2})", lambda m: b"\\" if m[1] == b"\\" else bytes([int(m[1][1:], 16)]), name.encode())


def test_names_that_look_like_formulas_are_read_back_whole():
    classes = [b"+1", b"-x", b"=1+1", b"@SUM(A1)", b"a;=1", b"back\\slash", b"new\nline", b"\xff"]
    folder = os.fsencode(WORK / "formulas" / "train")
    for i, name in enumerate(classes):
        for file in [b"=a.png", b"b, \"c\".png"]:
            png(Path(os.fsdecode(os.path.join(folder, name, file))), picture(1000 + i))
    features = WORK / "features-formulas"
    run("extract", "--data", WORK / "formulas", "--features", features, "--weights", "random:0", "--image-size", SIDE)
    stored = json.loads((features / "train.json").read_text())["settings"]["classes"]
    lines = index(features, "train")
    assert [path(name) for name in stored] == sorted(classes)
    assert all(line["class"] == stored[int(line["label"])] for line in lines)
    expected = [os.path.join(name, file) for name in sorted(classes) for file in [b"=a.png", b"b, \"c\".png"]]
    assert [path(line["file"]) for line in lines] == expected
    for line in lines:
        for cell in line.values():
            assert cell[:1] not in "=+-@\t\r" or cell == "" or float(cell) is not None, cell


def test_numpy_loads_the_features():
    for split, n in COUNTS.items():
        features = np.load(extract("default") / f"{split}_features.npy")
        assert features.dtype == np.dtype("<f4") and features.shape == (2 * n, 1, 1, 512)
        assert features.flags.c_contiguous and np.isfinite(features).all() and (features >= 0).all()


def test_numpy_maps_the_features_into_memory():
    path = extract("default") / "train_features.npy"
    mapped = np.load(path, mmap_mode="r")
    assert isinstance(mapped, np.memmap) and mapped.offset % 64 == 0
    assert np.array_equal(mapped, np.load(path))


def test_half_precision_is_numpys_rounding():
    half = np.load(extract("f16", "--dtype", "f16") / "test_features.npy")
    full = np.load(extract("default") / "test_features.npy")
    assert half.dtype == np.dtype("<f2") and np.array_equal(half, full.astype(np.float16))


def test_labels_are_int64_in_the_order_of_the_sorted_folders():
    for split, n in COUNTS.items():
        labels = np.load(extract("default") / f"{split}_labels.npy")
        assert labels.dtype == np.int64 and labels.tolist() == [0] * n + [1] * n


def test_the_index_is_csv_in_row_order():
    for split, n in COUNTS.items():
        rows = index(extract("default"), split)
        assert [int(row["row"]) for row in rows] == list(range(2 * n))
        assert [row["file"] for row in rows] == [f"{c}/{i}.png" for c in CLASSES for i in range(n)]
        assert all(row["status"] == "ok" and row["reason"] == "" for row in rows)
        assert [CLASSES[int(row["label"])] for row in rows] == [row["class"] for row in rows]


def test_the_manifest_is_json():
    manifest = json.loads((extract("default") / "train.json").read_text())
    assert manifest["shape"] == [16, 1, 1, 512] and manifest["settings"]["classes"] == CLASSES
    assert manifest["settings"]["image_size"] == [SIDE, SIDE] and manifest["rows"] == 16
    assert manifest["data_offset"] == np.load(extract("default") / "train_features.npy", mmap_mode="r").offset


def documented_random_weights():
    """The function that docs/weights.md gives for weights of `random:SEED`."""
    text = (ROOT / "docs" / "weights.md").read_text(encoding="utf-8")
    code = next(c for c in re.findall(r"```python\n(.*?)```", text, re.S) if "def random_weights" in c)
    scope = {}
    exec(code, scope)
    layers = [("conv1", 3), ("conv2", 64)]
    parameters = [(f"{name}.{part}", shape) for name, i in layers for part, shape in [("weight", (64, i, 3, 3)), ("bias", (64,))]]
    return scope["random_weights"](0, parameters)


def convolve(image, kernel):
    """3x3, padding 1, stride 1, ReLU; image (H, W, in), kernel (out, in, 3, 3), all f64."""
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    height, width, _ = image.shape
    parts = (padded[y : y + height, x : x + width] @ kernel[:, :, y, x].T for y in range(3) for x in range(3))
    return np.maximum(sum(parts), 0)


def test_random_weights_and_row_order_are_as_documented():
    weights = {name: w.astype(np.float64) for name, w in documented_random_weights().items()}
    flags = ["--preprocess", "rescale", "--precision", "highest", "--layer"]
    first = np.load(extract("conv1", *flags, "block1_conv1") / "test_features.npy")
    pooled = np.load(extract("pool", *flags, "block1_pool") / "test_features.npy")
    assert first.shape == (8, 32, 32, 64) and pooled.shape == (8, 16, 16, 64)
    seed = 2 * (COUNTS["train"] + COUNTS["validation"]) + 1
    for row, (image_seed, label) in enumerate((seed + i, i // COUNTS["test"]) for i in range(8)):
        image = (picture(image_seed) // (label + 1)) / 255
        one = convolve(image, weights["conv1.weight"])
        close(first[row], one, CONVOLUTION_TOLERANCE)
        two = convolve(one, weights["conv2.weight"])
        close(pooled[row], two.reshape(16, 2, 16, 2, 64).max(axis=(1, 3)), CONVOLUTION_TOLERANCE)


def test_safetensors_loads_the_head():
    tensors = load_file(head() / "head.safetensors")
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    assert shapes == {"dense/kernel": (512, 256), "dense/bias": (256,), "dense_1/kernel": (256, 1), "dense_1/bias": (1,)}
    assert all(tensor.dtype == np.float32 for tensor in tensors.values())


def test_numpy_computes_the_heads_predictions():
    tensors = {name: tensor.astype(np.float64) for name, tensor in load_file(head() / "head.safetensors").items()}
    for split in COUNTS:
        features = np.load(extract("default") / f"{split}_features.npy").reshape(-1, 512)
        hidden = np.maximum(features @ tensors["dense/kernel"] + tensors["dense/bias"], 0)
        logits = (hidden @ tensors["dense_1/kernel"] + tensors["dense_1/bias"])[:, 0]
        probabilities = 1 / (1 + np.exp(-logits))
        with open(head() / f"predictions_{split}.csv", newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert [row["file"] for row in rows] == [row["file"] for row in index(extract("default"), split)]
        found = np.array([float(row["p_dogs"]) for row in rows])
        assert np.max(np.abs(found - probabilities)) <= PROBABILITY_TOLERANCE, np.max(np.abs(found - probabilities))
        assert [row["predicted"] for row in rows] == [CLASSES[int(p > 0.5)] for p in found]


def test_predict_gives_the_same_probabilities():
    said = json.loads(run("predict", "--head", head(), "--json", "--top", 2, data() / "test"))
    with open(head() / "predictions_test.csv", newline="", encoding="utf-8") as file:
        expected = {row["file"]: {c: np.float32(row[f"p_{c}"]) for c in CLASSES} for row in csv.DictReader(file)}
    found = {
        str(Path(one["file"]).relative_to(data() / "test")): {p["class"]: np.float32(p["probability"]) for p in one["predictions"]}
        for one in said
    }
    assert found == expected


def main():
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")]
    failed = 0
    for name, test in tests:
        try:
            test()
            print(f"ok      {name}", flush=True)
        except Exception:
            failed += 1
            traceback.print_exc()
            print(f"FAILED  {name}", flush=True)
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    BIN, WORK = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    sys.exit(main())
