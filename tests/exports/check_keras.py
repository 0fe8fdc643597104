"""Keras loads what `feature-cache export --format keras` writes, and predicts what `predict` predicts.

usage: check_keras.py make BIN WORK [MODEL...]     draws pictures, trains, exports and predicts; needs numpy, safetensors
       check_keras.py check WORK                   holds the installed Keras to that; needs keras with jax
MODEL is a base, such as resnet50, or scratch, tuned, pooled. Pictures are PNGs of exactly the size that the model sees, so that
resizing is not compared. `check` prints a line a file, then `N passed, M failed`.
"""

import json
import os
import subprocess
import sys
import time
import traceback
import zipfile
from pathlib import Path

import numpy as np
from soften import soften

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "python")]

# Probabilities are at most 1, and both sides compute in f32.
TOLERANCE = 1e-6
# Of a base's output, as part of its largest value.
FEATURE_TOLERANCE = 1e-5
# With random weights some bases make so much of a rounding that f32 itself is farther off. Then `predict` must be as near to what
# Keras computes in f64 as Keras's own f32 is, but for this factor.
AS_NEAR = 2
CLASSES = {"train": 4, "validation": 3}
PREPROCESS = {"vgg16": "caffe", "mobilenet": "tf"}
# Base: side of the pictures. Even and odd sides pad differently.
BASES = {
    "vgg16": 32,
    "vgg19": 35,
    "resnet50": 64,
    "inception-v3": 75,
    "inception-resnet-v2": 75,
    "xception": 72,
    "mobilenet": 64,
    "mobilenet-0.25": 65,
    "mobilenet-v2": 64,
    "mobilenet-v2-0.35": 65,
}
OTHERS = ["scratch", "tuned", "pooled"]
NETWORK = """
[[layer]]
op = "conv"
filters = 6
kernel = 3
padding = "same"
bias = false

[[layer]]
op = "batch-norm"

[[layer]]
op = "activation"
activation = "relu"

[[layer]]
op = "max-pool"

[[layer]]
op = "flatten"

[[layer]]
op = "dropout"
rate = 0.3

[[layer]]
op = "dense"
units = 8
activation = "relu"
"""


def run(binary, *args):
    environment = dict(os.environ, HF_HUB_OFFLINE="1")
    done = subprocess.run([binary, *map(str, args)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{binary} {args}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def pictures(data, side, classes):
    """Classes of other brightness, in random colours."""
    from test_interop import png

    for split, count in CLASSES.items():
        for label, name in enumerate(classes):
            for number in range(count):
                random = np.random.default_rng([label, number, len(split)])
                low = 60 * label
                png(data / split / name / f"{number}.png", random.integers(low, low + 100, (side, side, 3), np.uint8))


def make(binaries, work, name):
    folder = work / name
    base = name if name in BASES else "vgg16"
    # Three classes for one of them.
    classes = ["ants", "bees", "cats"] if name == "pooled" else ["cats", "dogs"]
    side = BASES[base]
    data, features, head = folder / "data", folder / "features", folder / "head"
    pictures(data, side, classes)
    common = ["--image-size", side, "--precision", "highest"]
    if name == "scratch":
        (folder / "network.toml").write_text(NETWORK)
        network = ["--backbone", "none", "--architecture", folder / "network.toml", "--epochs", 2, "--lr", "1e-3"]
        run(binaries / "feature-cache", "train", "--data", data, "--model", head, *common, *network)
    else:
        flags = ["--backbone", base, "--weights", "random:1", *common, "--preprocess", PREPROCESS.get(name, "auto")]
        flags += {"tuned": ["--layer", "block5_conv1"], "pooled": ["--pooling", "avg"]}.get(name, [])
        run(binaries / "extract", "--data", data, "--features", features, *flags)
        flags = ["--unfreeze", "block5_conv3"] if name == "tuned" else []
        flags += ["--hidden", 8, "--dropout", 0.3, "--epochs", 2, "--lr", "1e-4", "--batch-size", 4]
        run(binaries / "fit-head", "--features", features, "--head", head, *flags)
        soften(head, features)
    for part in ["whole"] if name == "scratch" else ["whole", "head"]:
        output = folder / f"{part}.keras"
        run(binaries / "feature-cache", "export", "--head", head, "--format", "keras", "--output", output, "--part", part)
    files = sorted((data / "validation").rglob("*.png"))
    told = json.loads(run(binaries / "predict", "--head", head, "--json", "--top", 99, *files))
    probabilities = []
    for file in told:
        of_class = {one["class"]: one["probability"] for one in file["predictions"]}
        probabilities.append([of_class[one] for one in classes])
    np.save(folder / "probabilities.npy", np.array(probabilities))
    from_png = [read_png(file) for file in files]
    np.save(folder / "pixels.npy", np.array(from_png))


def read_png(file):
    """Pixels of a PNG that `pictures` drew."""
    import struct
    import zlib

    data = file.read_bytes()
    width, height = struct.unpack(">II", data[16:24])
    length = struct.unpack(">I", data[33:37])[0]
    rows = np.frombuffer(zlib.decompress(data[41 : 41 + length]), np.uint8).reshape(height, 1 + 3 * width)
    return rows[:, 1:].reshape(height, width, 3)


def compare(model, inputs, expected):
    """The largest difference of a probability."""
    found = np.asarray(model.predict(inputs, verbose=0), np.float64)
    if expected.shape[1] == 2:
        assert found.shape == (len(inputs), 1), found.shape
        found = np.concatenate([1 - found, found], axis=1)
    assert found.shape == expected.shape, (found.shape, expected.shape)
    return np.max(np.abs(found - expected))


def outputs(keras, model, inputs, base):
    """What the base in a whole model gives, and what the model does."""
    ends = [model.outputs[0]]
    if base:
        names = [layer.name for layer in model.layers]
        pooled = "global_average_pooling2d"
        ends.insert(0, model.get_layer(pooled if pooled in names else base["layer"]).output)
    found = keras.Model(model.inputs, ends).predict(inputs, verbose=0)
    return [np.asarray(one, np.float64) for one in (found if isinstance(found, list) else [found])]


def in_f64(keras, path):
    """The model with all of its layers in f64."""
    other = path.with_name("f64.tmp.keras")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, data.replace(b'"float32"', b'"float64"') if name == "config.json" else data)
    try:
        return keras.models.load_model(other)
    finally:
        other.unlink()


def check(keras, path, inputs, expected, base):
    """The largest difference of a probability, of a feature, and a remark."""
    model = keras.models.load_model(path)
    worst = compare(model, inputs, expected)
    base = base if path.stem == "whole" else None
    wanted, bounds, remark = [expected[:, 1:] if expected.shape[1] == 2 else expected], [TOLERANCE], ""
    if base:
        wanted.insert(0, np.load(path.parent / "features" / "validation_features.npy"))
        bounds.insert(0, FEATURE_TOLERANCE * np.max(np.abs(wanted[0])))
    found = outputs(keras, model, inputs, base)
    wanted = [one.reshape(other.shape) for one, other in zip(wanted, found)]
    largest = lambda a, b: [np.max(np.abs(x - y)) for x, y in zip(a, b)]  # noqa: E731
    differences = largest(found, wanted)
    if any(one > bound for one, bound in zip(differences, bounds)):
        exact = outputs(keras, in_f64(keras, path), inputs.astype(np.float64), base)
        theirs, ours = largest(found, exact), largest(wanted, exact)
        remark = f"to f64: predict {ours[-1]:.1e}, Keras {theirs[-1]:.1e}"
        for own, other, bound in zip(ours, theirs, bounds):
            assert own <= max(bound, AS_NEAR * other), f"{own:.2e} > {bound:.2e}, and Keras is at {other:.2e}"
    of_features = differences[0] / np.max(np.abs(wanted[0])) if base else 0.0
    # Training goes on: the weights of the head change, those of the base do not.
    classes = expected.shape[1]
    loss = "binary_crossentropy" if classes == 2 else "sparse_categorical_crossentropy"
    model.compile(optimizer=keras.optimizers.RMSprop(1e-3), loss=loss, metrics=["accuracy"])
    before = [np.array(variable) for variable in model.trainable_variables]
    frozen = [np.array(variable) for variable in model.non_trainable_variables]
    labels = np.arange(len(inputs)) % classes
    history = model.fit(inputs, labels, batch_size=len(inputs), epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"][0])
    after = [np.array(variable) for variable in model.trainable_variables]
    assert any(np.any(a != b) for a, b in zip(before, after)), "fit changed no weight"
    if base:
        for variable, old in zip(model.non_trainable_variables, frozen):
            # The state of dropout's generator moves.
            assert "seed" in variable.path or np.array_equal(np.array(variable), old), f"{variable.path} moved"
    trained = np.asarray(model.predict(inputs, verbose=0))
    saved = path.with_name("saved.keras")
    model.save(saved)
    again = keras.models.load_model(saved)
    saved.unlink()
    assert np.array_equal(np.asarray(again.predict(inputs, verbose=0)), trained), "saved and loaded, it predicts otherwise"
    return worst, of_features, remark


def check_all(work):
    os.environ.setdefault("KERAS_BACKEND", "jax")
    os.environ["JAX_ENABLE_X64"] = "1"
    import keras

    print(f"keras {keras.__version__}, {keras.backend.backend()}")
    passed = failed = 0
    for path in sorted(work.glob("*/*.keras")):
        folder = path.parent
        expected = np.load(folder / "probabilities.npy")
        stored = json.loads(zipfile.ZipFile(path).read("metadata.json"))
        stored = stored["feature_cache"]
        assert len(stored["classes"]) == expected.shape[1]
        if path.stem == "whole":
            inputs = np.load(folder / "pixels.npy")
        else:
            inputs = np.load(folder / "features" / "validation_features.npy")
        start = time.time()
        try:
            worst, of_features, remark = check(keras, path, inputs, expected, stored["base"])
            told = f"{worst:.1e} features {of_features:.1e} {remark}"
            print(f"ok   {folder.name:22} {path.stem:6} {told}  {time.time() - start:.0f} s", flush=True)
            passed += 1
        except Exception:
            traceback.print_exc(limit=-3)
            print(f"FAIL {folder.name:22} {path.stem}", flush=True)
            failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    if sys.argv[1] == "make":
        binaries, work, *names = sys.argv[2:]
        for name in names or [*BASES, *OTHERS]:
            make(Path(binaries).resolve(), Path(work), name)
    else:
        sys.exit(check_all(Path(sys.argv[2])))
