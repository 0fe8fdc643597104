#!/usr/bin/env python3
"""Makes the seeds in corpus/ again.

    python3 -m venv venv && venv/bin/pip install numpy h5py
    venv/bin/python fuzz/seeds.py target/debug

Weight files and images are the small ones among the tests' fixtures (tests/golden/weights, crates/images/tests/odd; each
has its maker beside it); HDF5 files, for which those are too large, are made here. Manifests, indices, labels, journals and
heads are what the tools in the given folder write. Every seed has less than 4 kB; large_seeds.py makes larger ones.
"""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile

import h5py
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
CORPUS = os.path.join(HERE, "corpus")
LARGEST = 4095
ALWAYS = ["animated.gif", "cmyk.jpg", "cmykblack.jpg", "rgb.png", "rgba16.png", "ycck.jpg"]


def seed(target, name, data):
    if isinstance(data, str):
        data = data.encode()
    if len(data) > LARGEST:
        sys.exit(f"{target}/{name}: expected at most {LARGEST} bytes, found {len(data)}")
    os.makedirs(os.path.join(CORPUS, target), exist_ok=True)
    with open(os.path.join(CORPUS, target, name), "wb") as f:
        f.write(data)


def read(*path):
    with open(os.path.join(*path), "rb") as f:
        return f.read()


def fixtures():
    weights = os.path.join(ROOT, "tests/golden/weights")
    for target, names in {
        "safetensors": ["torch.safetensors", "canonical_caffe.safetensors", "torch_bf16.safetensors", "torch_f64.safetensors"],
        "torch_zip": ["torch.pth", "torch_wrapped_f16.pth"],
        "torch_legacy": ["torch_legacy.pth"],
        "numpy_pickle": ["flax_p2.ckpt", "flax_p3.ckpt", "flax_p4.ckpt", "flax_p5.ckpt"],
        "npz": ["torch.npz", "keras.npz", "torch_fortran.npz"],
    }.items():
        for name in names:
            seed(target, name, read(weights, name))
    odd = os.path.join(ROOT, "crates/images/tests/odd")
    for name in sorted(os.listdir(odd)):
        if name.endswith((".jpg", ".png", ".gif", ".bmp", ".tif", ".webp", ".ppm", ".pgm", ".pbm")):
            data = read(odd, name)
            # A third of them, by their content, and the kinds that once made a decoder panic.
            third = hashlib.sha256(data).digest()[0] % 3 == 0
            if len(data) <= LARGEST and (third or name in ALWAYS):
                seed("images", name, data)


def hdf5():
    kernel = np.arange(6, dtype=np.float32).reshape(1, 1, 2, 3)
    bias = np.array([0.5, -1, 2], dtype=np.float32)

    def file(name, fill, **kw):
        data = io.BytesIO()
        with h5py.File(data, "w", **kw) as f:
            fill(f)
        seed("hdf5", name, data.getvalue())

    def plain(f):
        f["k"] = kernel
        f["b"] = bias

    def nested(f):
        group = f.create_group("model_weights/block1_conv1")
        group.attrs["weight_names"] = np.array([b"kernel:0", b"bias:0"])
        group["kernel:0"], group["bias:0"] = kernel.astype(">f8"), bias.astype(np.float16)

    def chunked(f):
        f.create_dataset("k", data=kernel, chunks=(1, 1, 2, 2), compression="gzip", shuffle=True, fletcher32=True)
        f.create_dataset("r", data=bias, chunks=(2,), maxshape=(None,))

    def compact(f):
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple(bias.shape)
        h5py.h5d.create(f.id, b"c", h5py.h5t.IEEE_F32LE, space, plist).write(space, space, bias)

    for version in ("earliest", "v110", "latest"):
        file(f"plain_{version}.h5", plain, libver=version)
        if version != "earliest":
            # The oldest layout pads each group and B-tree beyond 4 kB.
            file(f"nested_{version}.h5", nested, libver=version)
            file(f"chunked_{version}.h5", chunked, libver=version)
    file("compact.h5", compact, libver="latest")


def npy():
    folder = os.path.join(ROOT, "tests/golden/npy")
    for name in sorted(os.listdir(folder)):
        if name.endswith(".npy"):
            seed("npy_header", name, read(folder, name))
    for name, array in {
        "scalar.npy": np.float32(1),
        "fortran.npy": np.asfortranarray(np.zeros((2, 3), np.float16)),
        "none.npy": np.zeros((0,), np.int64),
    }.items():
        data = io.BytesIO()
        np.save(data, array)
        seed("npy_header", name, data.getvalue())
    data = io.BytesIO()
    np.lib.format.write_array(data, np.zeros(3, np.float32), version=(2, 0))
    seed("npy_header", "version2.npy", data.getvalue())
    seed("labels", "labels_0_1_1.npy", read(folder, "labels_0_1_1.npy"))


def from_tools(bin):
    def run(tool, *args, code=0):
        done = subprocess.run([os.path.join(bin, tool), *args, "--quiet"], capture_output=True, text=True)
        if done.returncode != code:
            sys.exit(f"{tool}: expected exit {code}, found {done.returncode}\n{done.stderr}")

    with tempfile.TemporaryDirectory() as work:
        rng = np.random.default_rng(1)
        data, features = os.path.join(work, "data"), os.path.join(work, "features")
        for split, count in ("train", 4), ("validation", 2):
            for kind in "cats", "dogs":
                folder = os.path.join(data, split, kind)
                os.makedirs(folder)
                for i in range(count):
                    with open(os.path.join(folder, f"{i} \"ä\", {i}.ppm"), "wb") as f:
                        f.write(b"P6 9 8 255\n" + rng.integers(0, 256, 9 * 8 * 3, np.uint8).tobytes())
        flags = ["--data", data, "--features", features, "--weights", "random:0", "--offline", "--image-size", "32"]
        flags += ["--layer", "block1_pool", "--pooling", "avg"]
        run("extract", *flags)
        whole = {end: read(features, "train" + end) for end in (".json", "_index.csv", "_labels.npy")}
        # Broken files at the end: one leaves its rows in the journal, the other a line in the index.
        with open(os.path.join(data, "train", "dogs", "z.jpg"), "wb") as f:
            f.write(b"no image")
        shutil.rmtree(features)
        run("extract", *flags, "--on-error", "fail", "--batch-size", "1", code=1)
        journal = read(features, "train.journal")
        run("extract", *flags, code=3)
        some = {end: read(features, "train" + end) for end in (".json", "_index.csv", "_labels.npy")}
        for name, files in ("whole", whole), ("some", some):
            manifest = json.loads(files[".json"])
            # Where it was made is nobody's business.
            manifest["run"]["extra"]["data"] = "data/train"
            seed("manifest", name + ".json", json.dumps(manifest, indent=1))
            seed("index", name + ".csv", files["_index.csv"])
            seed("labels", name + ".npy", files["_labels.npy"])
        lines = journal.split(b"\n")[:-1]
        seed("journal", "lines", b"\n".join(line[17:] for line in lines))
        seed("journal", "whole", journal[:LARGEST])
        reason = {"reason": "truncated JPEG", "stamp": None, "sha256": None}
        moving = [line[17:] for line in lines if not line[17:].startswith(b'{"skip"')]
        moving += [json.dumps({"skip": [0, reason]}).encode(), b'"compact"', b'"compacted"', b'"commit"']
        seed("journal", "moved", b"\n".join(moving))
        for name, hidden in ("linear", "0"), ("hidden", "3"):
            head = os.path.join(work, name)
            run("fit-head", "--features", features, "--head", head, "--hidden", hidden, "--epochs", "2")
            seed("head", name, read(head, "head.json") + b"\0" + read(head, "head.safetensors"))


def architecture():
    layer = lambda op, *fields: "\n".join(["[[layer]]", f'op = "{op}"', *fields, ""])
    lesson = [layer("conv", "filters = 32", "kernel = 3", 'activation = "relu"'), layer("max-pool"), layer("flatten"),
              layer("dropout", "rate = 0.5"), layer("dense", "units = 1", 'activation = "sigmoid"')]
    seed("architecture", "lesson.toml", "\n".join(lesson))
    every = [
        layer("conv", "name = 'a'", "filters = 6", "kernel = [3, 1]", "stride = 2", "padding = 'same'", "groups = 3", "bias = false"),
        layer("batch-norm", "momentum = 0.9", "epsilon = 1e-5", "scale = false", "tensors = 'features.1'"),
        layer("depthwise-conv", "kernel = 3", "padding = 1", "dilation = 2", "multiplier = 2"),
        layer("separable-conv", "filters = 6", "kernel = 3", "padding = [1, 1, 1, 1]"),
        layer("activation", "activation = 'swish'"),
        layer("pad", "same-for = { size = 3, stride = 2 }"),
        layer("average-pool", "name = 'b'", "size = 3", "stride = 2", "count-padding = true"),
        layer("global-average-pool", "keep-dims = true", "name = 'c'"),
        layer("multiply", "inputs = ['b', 'c']", "name = 'd'"),
        layer("add", "inputs = ['b', 'd']", "scale = 0.5"),
        layer("concat", "inputs = ['d', 'b']"),
        layer("global-max-pool"),
        layer("reshape", "shape = [2, 6]"),
        layer("flatten"),
        layer("dense", "units = 4", "bias = false", "activation = 'softmax'"),
    ]
    seed("architecture", "every.toml", "input = 'pixels'\n" + "\n".join(every))
    seed("architecture", "huge.toml", layer("conv", "filters = 18446744073709551615", "kernel = 4294967296", "padding = 'same'"))


def names():
    seed("names", "plain", "cats/cat.0.jpg")
    seed("names", "escaped", "a\\\\b\\x0a\\xff\\xe2\\x80\\xa8/ü.jpg")
    seed("names", "wrong", "\\x0A")


if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
    sys.exit(__doc__)
shutil.rmtree(CORPUS, ignore_errors=True)
fixtures()
hdf5()
npy()
architecture()
names()
from_tools(sys.argv[1])
