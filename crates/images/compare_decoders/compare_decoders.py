"""Compares JPEG decoders with Pillow: differing values and milliseconds an image, one thread.

    pip install pillow numpy && python compare_decoders.py FOLDER [--count 200]

Takes COUNT of the JPEGs below FOLDER, evenly spread. Builds the decoders in target/compare_decoders.
"""

import argparse
import io
import pathlib
import subprocess
import tempfile
import time

import numpy as np
import PIL
from PIL import Image, features

HERE = pathlib.Path(__file__).resolve().parent
TARGET = HERE.parents[2] / "target" / "compare_decoders"


def decode(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def load(data):
    resized = Image.open(io.BytesIO(data)).convert("RGB").resize((150, 150), Image.BILINEAR)
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    return (np.asarray(resized, np.float32) / np.float32(255) - mean) / std


def best_ms(function, data):
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for one in data:
            function(one)
        best = min(best, time.perf_counter() - start)
    return best * 1e3 / len(data)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=200)
    options = parser.parse_args()
    files = sorted(options.folder.rglob("*.jpg"))
    files = files[:: max(len(files) // options.count, 1)][: options.count]
    data = [path.read_bytes() for path in files]
    expected = [decode(one) for one in data]
    pixels = np.mean([image.shape[0] * image.shape[1] for image in expected])
    turbo = features.version("libjpeg_turbo")
    print(f"{len(files)} photographs of {pixels:.0f} pixels on average; Pillow {PIL.__version__}, libjpeg-turbo {turbo}")
    print("| decoder | differing values | largest difference | equal images | ms an image |")
    print("|---|---|---|---|---|")
    print(f"| Pillow | | | | {best_ms(decode, data):.2f} |")
    extra = ""
    for name, flags in (
        ("images", []),
        ("images", ["--features", "jpeg-simd"]),
        ("mozjpeg", []),
        ("jpeg-decoder", []),
        ("zune-jpeg", []),
    ):
        build = ["cargo", "build", "-q", "--release", "--target-dir", TARGET, "--manifest-path", HERE / "Cargo.toml"]
        subprocess.run([*build, *flags], check=True)
        paths = "\n".join(map(str, files))
        binary = TARGET / "release" / "compare-decoders"
        label = f"{name} (jpeg-simd)" if flags else name
        with tempfile.TemporaryDirectory() as out:
            command = [binary, name, out]
            ms = subprocess.run(command, input=paths, text=True, check=True, capture_output=True).stdout.strip()
            values = differing = equal = largest = refused = 0
            for i, image in enumerate(expected):
                found = np.fromfile(f"{out}/{i}.rgb", np.uint8)
                if found.size != image.size:
                    refused += 1
                    continue
                distance = np.abs(found.astype(np.int16) - image.ravel())
                values += distance.size
                differing += np.count_nonzero(distance)
                largest = max(largest, distance.max())
                equal += not distance.any()
            note = f", {refused} of another size" if refused else ""
            share = differing / max(values, 1)
            print(f"| {label} | {share:.4%} | {largest} | {equal} of {len(files)}{note} | {ms} |", flush=True)
        if name == "images":
            command = [binary, "images-load", tempfile.gettempdir() + "/compare_decoders"]
            ms = subprocess.run(command, input=paths, text=True, check=True, capture_output=True).stdout.strip()
            extra += f"{label}: decoded, resized to 150x150 (bilinear), preprocessed: {ms} ms an image\n"
    print(f"\n{extra}Pillow and numpy: the same: {best_ms(load, data):.2f} ms an image")


main()
