#!/usr/bin/env python3
"""Test accuracy of the lesson's four runs, over seeds, with Keras's beside it; and of cached views by their number.

    scripts/bench_accuracy.py --data FOLDER [--seeds 5] [--keras-seeds 1] [--runs scratch,augmented,frozen,tuned,views,fly]

The runs, on real weights (torchvision's VGG16) and pictures of 150x150:

    scratch    the lesson's own network of four convolutions, RMSprop 1e-4
    augmented  the same on augmented pictures, with dropout 0.5
    frozen     VGG16, frozen, and Dense 256 + Dense 1 on augmented pictures, RMSprop 2e-5
    tuned      block5 of that trained with it, from the end of `frozen`, RMSprop 1e-5
    views      `fit-head --views K` on a cache with augmented views, for K = 0 (the picture itself) and more
    fly        the same beside `train --augment`, which draws a new view each epoch, at 64x64 and with RMSprop 1e-4: there ten
               seeds of training that runs the base in each epoch take minutes, not hours

Keras reads the same files in its own way: ImageDataGenerator, flow_from_directory with Pillow's bilinear filter, and
VGG16 with the same weights and their normalisation. Accuracy is that of the epoch with the lowest validation loss: from one
epoch to the next the networks from scratch move by ten points, here and in Keras, so the last one tells little.
Each result is kept in bench/accuracy (git-ignored) as soon as it is there: a run that was stopped goes on. Makes its own
environment in bench/venv-accuracy on first use. Uses target/release, which `cargo build --release` fills.
"""
import argparse, json, math, os, pathlib, shutil, subprocess, sys, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BENCH = ROOT / "bench"
VENV = BENCH / "venv-accuracy"
RUNS = ["scratch", "augmented", "frozen", "tuned", "views", "fly"]
# Those that make many results of their own, without Keras.
MANY = ["views", "fly"]
BATCH, SIDE, SMALL = 20, 150, 64
VIEWS = [0, 1, 2, 4, 8, 16]
VIEW_SEEDS = 10
# scipy: Keras's own augmentation needs it.
PACKAGES = ["tensorflow-cpu", "keras", "numpy", "scipy", "pillow", "safetensors"]


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=pathlib.Path, required=True, help="folder with train, validation, test")
    p.add_argument("--seeds", type=int, default=5)
    p.add_argument("--keras-seeds", type=int, default=1)
    p.add_argument("--runs", default=",".join(RUNS))
    p.add_argument("--epochs", default="scratch=20,augmented=30,frozen=5,tuned=3,views=30,fly=10", help="of each run")
    p.add_argument("--bin", type=pathlib.Path, default=ROOT / "target" / "release")
    p.add_argument("--table", action="store_true", help="only print what is there")
    p.add_argument("--worker", nargs=2, metavar=("RUN", "SEED"), help=argparse.SUPPRESS)
    args = p.parse_args()
    args.runs = args.runs.split(",")
    args.epochs = {name: int(n) for name, n in (pair.split("=") for pair in args.epochs.split(","))}
    if unknown := [r for r in args.runs if r not in RUNS]:
        p.error(f"--runs: expected some of {', '.join(RUNS)}, found {unknown[0]}")
    return args


def result_file(engine, run, seed):
    return BENCH / "accuracy" / f"{engine}-{run}-{seed}.json"


def keep(engine, run, seed, epochs, accuracy, seconds):
    result = dict(engine=engine, run=run, seed=seed, epochs=epochs, seconds=round(seconds, 1), **accuracy)
    result_file(engine, run, seed).write_text(json.dumps(result) + "\n")
    print(json.dumps(result), flush=True)


def accuracies(model):
    """Of the weights that were kept, as the report has them."""
    report = json.loads((model / "metrics.json").read_text())
    return {split: report["splits"][split]["metrics"]["accuracy"] for split in ("validation", "test")}


def program(args, *command):
    subprocess.run([args.bin / "feature-cache", *map(str, command)], check=True, stdout=subprocess.DEVNULL)


def ours(args, run, seed):
    work = BENCH / "accuracy"
    model = work / f"model-{run}-{seed}"
    base = ["--models", work / "models", "--augment"]
    more = {
        "scratch": ["--backbone", "none", "--lr", "1e-4"],
        "augmented": ["--backbone", "none", "--lr", "1e-4", "--dropout", "0.5", "--augment"],
        "frozen": ["--lr", "2e-5", *base],
        "tuned": ["--lr", "1e-5", "--unfreeze", "block5_conv1", "--from", work / f"model-frozen-{seed}", *base],
    }[run]
    start = time.time()
    program(args, "train", "--data", args.data, "--model", model, "--seed", seed, "--epochs", args.epochs[run],
            "--early-stopping", args.epochs[run], "--checkpoint-every", 0, "--quiet", *more)
    keep("ours", run, seed, args.epochs[run], accuracies(model), time.time() - start)


def views(args, run, side, *flags):
    """One cache with the largest number of views, then heads on its first K, with the lesson's dropout."""
    work = BENCH / "accuracy"
    features = work / f"features-{run}"
    if not (features / "test.json").exists():
        program(args, "extract", "--data", args.data, "--features", features, "--models", work / "models",
                "--image-size", side, "--augment", "--views", max(VIEWS), "--quiet")
    for seed in range(VIEW_SEEDS):
        for count in VIEWS:
            if result_file("ours", f"{run}{count}", seed).exists():
                continue
            start = time.time()
            head = work / "head"
            program(args, "fit-head", "--features", features, "--head", head, "--views", count, "--seed", seed,
                    "--epochs", args.epochs[run], "--quiet", *flags)
            keep("ours", f"{run}{count}", seed, args.epochs[run], accuracies(head), time.time() - start)


def fly(args):
    """Small pictures: cached views, and the same head on views that are drawn in each epoch."""
    work, epochs = BENCH / "accuracy", args.epochs["fly"]
    same = ["--lr", "1e-4", "--early-stopping", epochs]
    views(args, "fly", SMALL, *same)
    for seed in range(VIEW_SEEDS):
        if result_file("ours", "flying", seed).exists():
            continue
        start = time.time()
        model = work / "model-fly"
        program(args, "train", "--data", args.data, "--models", work / "models", "--model", model, "--image-size", SMALL,
                "--augment", "--dropout", "0.5", "--seed", seed, "--epochs", epochs, "--checkpoint-every", 0, "--quiet",
                *same)
        keep("ours", "flying", seed, epochs, accuracies(model), time.time() - start)
        shutil.rmtree(model)


def keras_worker(args, run, seed):
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import numpy as np, keras
    from keras.src.legacy.preprocessing.image import ImageDataGenerator
    from safetensors.numpy import load_file
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    pretrained = run in ("frozen", "tuned")

    def normalise(x):
        return (x / 255 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])

    def rescale(x):
        return x / 255

    how = normalise if pretrained else rescale
    moves = {} if run == "scratch" else dict(rotation_range=40, width_shift_range=0.2, height_shift_range=0.2,
                                             shear_range=0.2, zoom_range=0.2, horizontal_flip=True)

    def flow(split, moves, shuffle):
        return ImageDataGenerator(preprocessing_function=how, **moves).flow_from_directory(
            args.data / split, target_size=(SIDE, SIDE), batch_size=BATCH, class_mode="binary", shuffle=shuffle, seed=seed,
            interpolation="bilinear")

    if pretrained:
        base = keras.applications.VGG16(weights=None, include_top=False, input_shape=(SIDE, SIDE, 3))
        file, = (BENCH / "accuracy" / "models" / "weights").glob("**/*.safetensors")
        tensors = load_file(file)
        convolutions = [layer for layer in base.layers if isinstance(layer, layers.Conv2D)]
        keys = sorted((k for k in tensors if k.endswith("weight") and tensors[k].ndim == 4), key=lambda k: int(k.split(".")[1]))
        for layer, key in zip(convolutions, keys, strict=True):
            layer.set_weights([tensors[key].transpose(2, 3, 1, 0), tensors[key.replace("weight", "bias")]])
        base.trainable = run == "tuned"
        for layer in base.layers:
            layer.trainable = layer.name.startswith("block5")
        model = keras.Sequential([base, layers.Flatten(), layers.Dense(256, activation="relu"), layers.Dense(1, activation="sigmoid")])
        rate = {"frozen": 2e-5, "tuned": 1e-5}[run]
        if run == "frozen":
            base.trainable = False
        else:
            model.load_weights(BENCH / "accuracy" / f"keras-frozen-{seed}.weights.h5")
    else:
        model = keras.Sequential([keras.Input((SIDE, SIDE, 3))])
        for filters in (32, 64, 128, 128):
            model.add(layers.Conv2D(filters, 3, activation="relu"))
            model.add(layers.MaxPooling2D())
        model.add(layers.Flatten())
        if run == "augmented":
            model.add(layers.Dropout(0.5))
        model.add(layers.Dense(512, activation="relu"))
        model.add(layers.Dense(1, activation="sigmoid"))
        rate = 1e-4
    model.compile(keras.optimizers.RMSprop(rate), loss="binary_crossentropy", metrics=["accuracy"])
    start = time.time()
    best = keras.callbacks.EarlyStopping(patience=args.epochs[run], restore_best_weights=True)
    model.fit(flow("train", moves, True), validation_data=flow("validation", {}, False), epochs=args.epochs[run], verbose=0,
              callbacks=[best])
    if run == "frozen":
        model.save_weights(BENCH / "accuracy" / f"keras-frozen-{seed}.weights.h5")
    found = {split: model.evaluate(flow(split, {}, False), verbose=0)[1] for split in ("validation", "test")}
    keep("keras", run, seed, args.epochs[run], found, time.time() - start)


def keras(args, run, seed):
    python = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not (VENV / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-cache-dir", *PACKAGES], check=True)
        (VENV / "ready").touch()
    epochs = ",".join(f"{name}={n}" for name, n in args.epochs.items())
    subprocess.run([python, __file__, "--data", args.data, "--epochs", epochs, "--worker", run, str(seed)],
                   check=True, stdout=subprocess.DEVNULL)


def table():
    """Mean and 95% interval (Student's t) of what is kept."""
    student = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 9: 2.26}
    results = [json.loads(f.read_text()) for f in sorted((BENCH / "accuracy").glob("*-*-*.json"))]
    print("| run | engine | epochs | seeds | validation | test | least and greatest |")
    print("|---|---|---|---|---|---|---|")
    for run in [*RUNS, *(f"{run}{n}" for run in MANY for n in VIEWS), "flying"]:
        for engine in ("ours", "keras"):
            some = [r for r in results if r["run"] == run and r["engine"] == engine]
            if not some:
                continue

            def mean(split):
                values = [r[split] for r in some]
                mean, n = sum(values) / len(values), len(values)
                if n == 1:
                    return f"{mean:.4f}"
                deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1))
                return f"{mean:.4f} ± {student.get(n - 1, 1.96) * deviation / math.sqrt(n):.4f}"

            tests = [r["test"] for r in some]
            print(f"| {run} | {engine} | {some[0]['epochs']} | {len(some)} | {mean('validation')} | {mean('test')} | "
                  f"{min(tests):.4f} – {max(tests):.4f} |")


def main():
    args = arguments()
    args.data = args.data.resolve()
    if args.worker:
        return keras_worker(args, args.worker[0], int(args.worker[1]))
    (BENCH / "accuracy").mkdir(parents=True, exist_ok=True)
    if not args.table:
        for seed in range(max(args.seeds, args.keras_seeds)):
            for run in (r for r in args.runs if r not in MANY):
                if seed < args.seeds and not result_file("ours", run, seed).exists():
                    ours(args, run, seed)
                if seed < args.keras_seeds and not result_file("keras", run, seed).exists():
                    keras(args, run, seed)
        if "views" in args.runs:
            views(args, "views", SIDE)
        if "fly" in args.runs:
            fly(args)
    table()


if __name__ == "__main__":
    main()
