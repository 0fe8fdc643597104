"""`export --with-resize` resizes level for level as Pillow does.

usage: check_resize.py BIN WORK

One head on each filter's features; pictures of many sizes, wide and tall, larger and smaller. The graph's resized levels are
held to Pillow's, and its probabilities to predict's. Where there is node, the page's own resizing too.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
from PIL import Image

# As in check_onnx.py.
TOLERANCE = 1e-6
SIZE = (64, 48)
# (width, height): the passes are in either order, an axis stays, grows or shrinks, by whole numbers and others.
SIZES = [(64, 48), (200, 150), (61, 47), (500, 375), (64, 333), (97, 900), (900, 97), (31, 20), (128, 96), (1, 1), (1600, 1200), (63, 49), (333, 48)]
FILTERS = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS}
# OpenVINO computes the weights of these in f32, not in f64: a few levels are one off.
INEXACT = {("OpenVINO", "bicubic"), ("OpenVINO", "lanczos")}


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def with_onnxruntime(model):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda pixels: session.run(["probabilities", "resize/batch"], {"pixels": pixels})


def with_openvino(model, path):
    onnx.save(model, str(path))
    config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": "1"}
    compiled = openvino.Core().compile_model(str(path), "CPU", config)

    def predict(pixels):
        found = compiled({"pixels": pixels})
        return found["probabilities"], found["resize/batch"]

    return predict


def check_page(pictures):
    """What the page's JavaScript makes of the same pictures; all that failed."""
    if shutil.which("node") is None:
        print("page: not checked without node")
        return []
    source = Path(__file__).parents[2] / "crates/export/src/web/resize.js"
    script = source.read_text() + """
    const chunks = [];
    process.stdin.on('data', (chunk) => chunks.push(chunk)).on('end', () => {
      const [width, height, toWidth, toHeight] = process.argv.slice(1, 5).map(Number);
      const data = new Uint8Array(Buffer.concat(chunks));
      process.stdout.write(resize(data, width, height, toWidth, toHeight, process.argv[5]));
    });
    """
    failed = []
    for name, filter in {**FILTERS, "nearest": Image.NEAREST}.items():
        levels = off = most = 0
        for path in sorted(pictures.iterdir()):
            picture = Image.open(path)
            command = ["node", "-e", script, *map(str, [*picture.size, *SIZE]), name]
            done = subprocess.run(command, input=picture.tobytes(), capture_output=True, check=True)
            found = np.frombuffer(done.stdout, np.uint8).astype(np.int32)
            difference = np.abs(found - np.asarray(picture.resize(SIZE, filter), dtype=np.int32).ravel())
            levels, off, most = levels + difference.size, off + int((difference > 0).sum()), max(most, int(difference.max()))
        print(f"{name:10}{'the page':14}{levels:9}{off:7}{most:6}", flush=True)
        if off:
            failed.append(f"{name} in the page")
    return failed


def main():
    bin, work = (Path(arg).resolve() for arg in sys.argv[1:3])
    random = np.random.default_rng(7)
    data, pictures = work / "data", work / "pictures"
    for label in range(2):
        for i in range(4):
            for split in ["train", "validation"]:
                path = data / split / f"class{label}" / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(random.integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(path)
    pictures.mkdir(parents=True)
    for width, height in SIZES:
        # Noise, black and white too: overshoots of the filters must be cut off.
        levels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        levels[random.random((height, width)) < 0.3] = 0
        levels[random.random((height, width)) < 0.3] = 255
        Image.fromarray(levels).save(pictures / f"{width}x{height}.png")
    print(f"{'filter':10}{'engine':14}{'levels':>9}{'off':>7}{'most':>6}{'probability':>13}")
    failed = []
    for name, filter in FILTERS.items():
        features, head, path = work / f"{name}-features", work / f"{name}-head", work / f"{name}.onnx"
        flags = f"--weights random:1 --backbone mobilenet --pooling avg --image-size {SIZE[0]}x{SIZE[1]} --interpolation {name}"
        run(bin / "extract", "--data", data, "--features", features, *flags.split())
        run(bin / "fit-head", "--features", features, "--head", head, "--epochs", 2)
        run(bin / "feature-cache", "export", "--head", head, "--format", "onnx", "--with-resize", "--output", path)
        onnx.checker.check_model(str(path), full_check=True)
        out = json.loads(run(bin / "predict", "--head", head, "--json", "--top", 2, pictures))
        expected = {Path(one["file"]).name: {p["class"]: p["probability"] for p in one["predictions"]} for one in out}
        model = onnx.load(str(path))
        model.graph.output.append(onnx.helper.make_tensor_value_info("resize/batch", 1, [1, SIZE[1], SIZE[0], 3]))
        engines = {"ONNX Runtime": with_onnxruntime(model), "OpenVINO": with_openvino(model, work / "open.onnx")}
        for engine, predict in engines.items():
            levels = off = most = 0
            worst = 0.0
            for file, wanted in expected.items():
                picture = Image.open(pictures / file)
                probabilities, resized = predict(np.asarray(picture)[None])
                right = np.asarray(picture.resize(SIZE, filter), dtype=np.float32)
                difference = np.abs(resized[0] - right)
                levels, off, most = levels + right.size, off + int((difference > 0).sum()), max(most, float(difference.max()))
                wanted = np.array([wanted["class0"], wanted["class1"]])
                worst = max(worst, float(np.abs(probabilities[0] - wanted).max()))
            print(f"{name:10}{engine:14}{levels:9}{off:7}{most:6.0f}{worst:13.1e}", flush=True)
            if (engine, name) in INEXACT:
                if most > 1:
                    failed.append(f"{name} in {engine}")
            elif off or worst > TOLERANCE:
                failed.append(f"{name} in {engine}")
    failed += check_page(pictures)
    if failed:
        raise SystemExit(f"expected Pillow's levels and predict's probabilities, not so: {', '.join(failed)}")


main()
