#!/usr/bin/env python3
"""Trains the lesson's head in Keras and with fit-head on the same cached features, in turns, and prints the ratio.

    scripts/bench_head.py --features features [--repeats 3] [--epochs 30] [--fit-head target/release/fit-head]

Makes its own environment in bench/venv (git-ignored) on first use. Keras's time is that of `model.fit` alone, without
importing TensorFlow or building the model; ours is given twice: as the sum of the epochs, and as the whole process with
reading the files. The ratio is Keras's best against our best whole process.
"""
import argparse, json, os, pathlib, statistics, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
VENV = ROOT / "bench" / "venv"


def own_environment():
    """Runs this script again with the Python of bench/venv."""
    python = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if pathlib.Path(sys.prefix) == VENV:
        return
    ready = VENV / "ready"
    if not ready.exists():
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "tensorflow-cpu", "keras", "numpy"], check=True)
        ready.touch()
    sys.exit(subprocess.run([python, __file__, *sys.argv[1:]]).returncode)


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--features", type=pathlib.Path, default=ROOT / "features", help="folder written by extract")
    p.add_argument("--repeats", type=int, default=3, help="runs of each")
    p.add_argument("--epochs", type=int, default=30)
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="for both (default: all)")
    p.add_argument("--fit-head", type=pathlib.Path, help="default: target/release/fit-head, else the example fit_npy")
    args = p.parse_args()
    if args.repeats < 1 or args.epochs < 1:
        p.error("--repeats and --epochs: expected at least 1")
    return args


def find(value, key):
    """The first list under `key` anywhere in parsed JSON."""
    if isinstance(value, dict):
        if isinstance(value.get(key), list):
            return value[key]
        value = list(value.values())
    for v in value if isinstance(value, list) else []:
        if (found := find(v, key)) is not None:
            return found
    return None


def train_keras(args, data, seed):
    import keras
    keras.utils.set_random_seed(seed)
    x, y, xv, yv = data
    classes = int(y.max()) + 1
    last = keras.layers.Dense(1, activation="sigmoid") if classes == 2 else keras.layers.Dense(classes, activation="softmax")
    layers = [keras.Input((x.shape[1],)), keras.layers.Dense(256, activation="relu"), keras.layers.Dropout(0.5), last]
    model = keras.Sequential(layers)
    loss = "binary_crossentropy" if classes == 2 else "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.RMSprop(learning_rate=2e-5), loss=loss, metrics=["accuracy"])
    start = time.perf_counter()
    log = model.fit(x, y, epochs=args.epochs, batch_size=20, validation_data=(xv, yv), verbose=0).history
    seconds = time.perf_counter() - start
    return {"training": seconds, "process": seconds, "accuracy": log["accuracy"][-1], "val": log["val_accuracy"][-1]}


def train_ours(args, binary, seed):
    with tempfile.TemporaryDirectory() as out:
        common = ["--epochs", str(args.epochs), "--seed", str(seed), "--threads", str(args.threads), "--json"]
        if binary.name.startswith("fit_npy"):
            command = [binary, args.features, *common]
        else:
            command = [binary, "--features", args.features, "--head", pathlib.Path(out) / "head", "--quiet", *common]
        start = time.perf_counter()
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        process = time.perf_counter() - start
    if run.returncode != 0:
        sys.exit(f"{binary} failed with exit code {run.returncode}")
    try:
        value = json.loads(run.stdout)
    except json.JSONDecodeError:
        value = [json.loads(line) for line in run.stdout.splitlines() if line.startswith(("{", "["))]
    history = find(value, "history")
    if not history:
        sys.exit(f"{binary} --json printed no history")
    last = history[-1]
    training = sum(e["seconds"] for e in history if e.get("seconds") is not None)
    return {"training": training, "process": process, "accuracy": last["accuracy"], "val": last["val_accuracy"]}


def main():
    args = arguments()
    own_environment()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import numpy as np
    import tensorflow as tf
    import keras
    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    binary = args.fit_head or ROOT / "target/release/fit-head"
    if args.fit_head is None and not binary.exists():
        binary = ROOT / "target/release/examples/fit_npy"
    if not binary.exists():
        sys.exit(f"{binary} is missing: run `cargo build --release` first")
    data = []
    for split in ("train", "validation"):
        x = np.load(args.features / f"{split}_features.npy").astype(np.float32)
        data += [x.reshape(len(x), -1), np.load(args.features / f"{split}_labels.npy")]
    print(f"train {data[0].shape}, validation {data[2].shape}, {args.epochs} epochs, {args.threads} threads, "
          f"{(data[0] != 0).mean():.0%} of the features not zero; Keras {keras.__version__}, TensorFlow {tf.__version__}")
    runs = {"Keras": [], binary.name: []}
    for seed in range(args.repeats):
        runs["Keras"].append(train_keras(args, data, seed))
        runs[binary.name].append(train_ours(args, binary, seed))
    print(f"{'':10} {'run':>4} {'training s':>11} {'process s':>10} {'accuracy':>9} {'val_accuracy':>13}")
    for name, results in runs.items():
        for i, r in enumerate(results):
            print(f"{name:10} {i:4} {r['training']:11.2f} {r['process']:10.2f} {r['accuracy']:9.4f} {r['val']:13.4f}")
    best = {name: min(r["process"] for r in results) for name, results in runs.items()}
    middle = {name: statistics.median(r["process"] for r in results) for name, results in runs.items()}
    print(f"ratio of the best {best['Keras'] / best[binary.name]:.1f}, of the medians {middle['Keras'] / middle[binary.name]:.1f}")


if __name__ == "__main__":
    main()
