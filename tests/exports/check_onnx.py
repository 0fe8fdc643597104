"""ONNX files of feature-cache give the probabilities that predict gives, for every base and kind of model.

usage: check_onnx.py BIN WORK [--quick | CASE...]

Draws pictures of the size that the base takes, so that nothing is resized; extracts, trains, exports; and holds what ONNX
Runtime and OpenVINO compute to predict's own probabilities.
"""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
from PIL import Image
from soften import soften

# Of a probability: f32 sums in another order, through up to 572 layers.
TOLERANCE = 1e-6
# MobileNetV2's bottlenecks without activation magnify rounding under random weights: ONNX Runtime with its optimizations differs
# from itself without them by 1.1e-6, and folding batch normalisation as predict does changes as much.
ILL_CONDITIONED = 3e-6
PICTURES = 5


class Case:
    """A model, and the flags that make it. Sizes are not square, so that no axis can stand for another."""

    def __init__(self, name, extract, classes, fit="--epochs 4 --lr 1e-4", train=None, size=(64, 48),
                 tolerance=TOLERANCE):
        self.name, self.extract, self.classes, self.fit, self.train = name, extract, classes, fit, train
        self.size, self.tolerance = size, tolerance


CASES = [
    Case("vgg16", "--backbone vgg16", 2),
    Case("vgg19", "--backbone vgg19", 3),
    Case("resnet50", "--backbone resnet50", 2),
    Case("inception-v3", "--backbone inception-v3", 3, size=(83, 75)),
    Case("inception-resnet-v2", "--backbone inception-resnet-v2", 2, size=(83, 75)),
    Case("xception", "--backbone xception", 3, size=(83, 75)),
    Case("mobilenet", "--backbone mobilenet", 2),
    Case("mobilenet-v2", "--backbone mobilenet-v2", 3, tolerance=ILL_CONDITIONED),
    Case("pooled avg", "--backbone mobilenet-v2 --pooling avg", 2),
    Case("pooled max, rescale", "--backbone vgg16 --pooling max --preprocess rescale", 3),
    Case("vector layer", "--backbone resnet50 --layer avg_pool --preprocess caffe", 2),
    Case("middle layer, unfrozen", "--backbone vgg16 --layer block4_pool --preprocess tf", 2,
         fit="--unfreeze block5_conv1 --epochs 1 --lr 1e-5"),
    Case("train, no base", None, 3, train="--backbone none --epochs 2 --lr 1e-3", size=(100, 90)),
    Case("train on a base", None, 2,
         train="--backbone vgg16 --unfreeze block5_conv3 --epochs 1 --lr 1e-5 --weights random:1 --preprocess tf"),
]
QUICK = ["vgg16", "mobilenet-v2", "pooled avg", "train, no base"]


def draw(folder, classes, size, seed):
    """Smooth pictures with some noise, a brightness for each class."""
    random = np.random.default_rng(seed)
    width, height = size
    for label in range(classes):
        for i in range(PICTURES):
            small = random.integers(0, 256, (5, 5, 3), dtype=np.uint8)
            picture = np.asarray(Image.fromarray(small).resize(size, Image.BICUBIC), dtype=np.int32)
            picture = picture // 2 + label * 60 + random.integers(-20, 20, (height, width, 3))
            path = folder / f"class{label}" / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(path)


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def predicted(bin, head, folder, classes, weights):
    """Probabilities (N, classes) by predict, and the files."""
    out = run(bin / "predict", "--head", head, "--csv", "--top", len(classes), *weights, folder)
    rows = {}
    for line in csv.DictReader(out.splitlines()):
        rows.setdefault(line["file"], [0.0] * len(classes))[classes.index(line["class"])] = float(line["probability"])
    files = sorted(rows)
    return files, np.array([rows[file] for file in files])


def with_onnxruntime(path, name, inputs):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], {name: inputs})[0]


def with_openvino(path, name, inputs):
    # Where the processor has bf16, OpenVINO computes with it unless told otherwise.
    config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": "1"}
    compiled = openvino.Core().compile_model(str(path), "CPU", config)
    return compiled({name: inputs})["probabilities"]


ENGINES = {"ONNX Runtime": with_onnxruntime, "OpenVINO": with_openvino}


def check(bin, root, case):
    root.mkdir(parents=True)
    data, features, head = root / "data", root / "features", root / "head"
    for seed, split in enumerate(["train", "validation"]):
        draw(data / split, case.classes, case.size, seed)
    size = f"{case.size[0]}x{case.size[1]}"
    if case.train is None:
        extract = [bin / "extract", "--data", data, "--features", features, "--image-size", size]
        run(*extract, "--weights", "random:1", *case.extract.split())
        weights = ["--weights", "random:1"] if "--unfreeze" in case.fit else []
        run(bin / "fit-head", "--features", features, "--head", head, *case.fit.split(), *weights)
        if "--unfreeze" not in case.fit:
            soften(head, features)
    else:
        train = [bin / "feature-cache", "train", "--data", data, "--model", head, "--image-size", size]
        run(*train, *case.train.split())
    classes = [f"class{i}" for i in range(case.classes)]
    files, expected = predicted(bin, head, data / "validation", classes, [])
    pixels = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])

    worst = {}
    parts = ["whole"] if case.train and "none" in case.train else ["whole", "head"]
    for part in parts:
        path = root / f"{part}.onnx"
        export = [bin / "feature-cache", "export", "--head", head, "--format", "onnx", "--part", part]
        run(*export, "--output", path)
        onnx.checker.check_model(str(path), full_check=True)
        model = onnx.load(str(path))
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        assert json.loads(metadata["classes"]) == classes, metadata
        assert (model.ir_version, model.opset_import[0].version) == (7, 13)
        if part == "whole":
            name, inputs = "pixels", pixels
            resize = json.loads(metadata["resize"])
            assert (resize["width"], resize["height"]) == case.size, resize
        elif case.train is None:
            name, inputs = "features", np.load(features / "validation_features.npy")
        else:
            # No cache has these rows.
            continue
        for engine, predict in ENGINES.items():
            found = predict(path, name, inputs)
            assert found.shape == expected.shape, (found.shape, expected.shape)
            worst[part, engine] = float(np.abs(found - expected).max())
            # One at a time: the axis of the batch is free.
            one = predict(path, name, inputs[:1])
            worst[part, engine] = max(worst[part, engine], float(np.abs(one - expected[:1]).max()))
        if case.name == "pooled avg":
            # Weights in a file of their own: the same bits.
            external = root / f"{part}-external.onnx"
            run(*export, "--output", external, "--external-data")
            onnx.checker.check_model(str(external), full_check=True)
            assert external.stat().st_size * 4 < path.stat().st_size, "weights are still inside"
            for engine, predict in ENGINES.items():
                assert (predict(external, name, inputs) == predict(path, name, inputs)).all(), engine
    return worst, expected


def main():
    bin, work, *names = sys.argv[1:]
    if names == ["--quick"]:
        names = QUICK
    cases = [case for case in CASES if not names or case.name in names]
    print(f"onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}, openvino {openvino.__version__.split('-')[0]}")
    header = ["whole, ONNX Runtime", "whole, OpenVINO", "head, ONNX Runtime", "head, OpenVINO"]
    print(f"{'model':24}" + "".join(f"{text:>21}" for text in header) + "   probabilities")
    failed = []
    for number, case in enumerate(cases):
        worst, expected = check(Path(bin).resolve(), Path(work) / str(number), case)
        keys = [(part, engine) for part in ["whole", "head"] for engine in ENGINES]
        cells = [f"{worst[key]:21.1e}" if key in worst else f"{'':>21}" for key in keys]
        print(f"{case.name:24}{''.join(cells)}   {expected.min():.4f} to {expected.max():.4f}", flush=True)
        # Probabilities of 0 and 1 would hide any difference.
        if max(worst.values()) > case.tolerance or np.ptp(expected) < 1e-3:
            failed.append(case.name)
    if failed:
        raise SystemExit(f"expected the tolerance to be kept, and probabilities that differ, not so: {', '.join(failed)}")


main()
