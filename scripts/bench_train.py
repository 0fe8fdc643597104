#!/usr/bin/env python3
"""Milliseconds of a training step of the lesson's networks: feature-cache beside Keras and PyTorch, in turns.

    scripts/bench_train.py [--rounds 2] [--pictures 200] [--models frozen,tuned,cached,scratch] [--engines ours,keras,torch]

Batches of 20 pictures of 150x150 in f32, RMSprop. The models:

    frozen   VGG16, frozen, and Dense 256 + Dense 1 (ours with the lesson's augmentation, peers without: they get arrays)
    tuned    the same with block5 trained, the whole network each step (ours with augmentation)
    cached   block5 and the head on cached activations of block4_pool
    scratch  the lesson's own network of four convolutions

Weights are random: they don't change the work. A process is one engine with one model: it trains some epochs on the same
noise pictures, and its best epoch counts. Ours is the time of the epochs that `feature-cache train` and `fit-head` report,
with decoding kept in memory as they do by themselves. Makes its own environment in bench/venv (git-ignored) on first use.
Uses target/release, which `cargo build --release` fills.
"""
import argparse, json, os, pathlib, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
VENV = ROOT / "bench" / "venv-train"
MODELS = ["frozen", "tuned", "cached", "scratch"]
ENGINES = ["ours", "keras", "torch"]
BATCH, SIDE = 20, 150


def own_environment():
    """Runs this script again with the Python of bench/venv-train."""
    python = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if pathlib.Path(sys.prefix) == VENV:
        return
    ready = VENV / "ready"
    if not ready.exists():
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        packages = ["tensorflow-cpu", "keras", "torch", "numpy", "pillow"]
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-cache-dir", *packages], check=True)
        ready.touch()
    sys.exit(subprocess.run([python, __file__, *sys.argv[1:]]).returncode)


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rounds", type=int, default=2, help="how often each engine gets its turn")
    p.add_argument("--pictures", type=int, default=200)
    p.add_argument("--epochs", type=int, default=3, help="of each turn; the best counts")
    p.add_argument("--models", default=",".join(MODELS))
    p.add_argument("--engines", default=",".join(ENGINES))
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="for all (default: all)")
    p.add_argument("--precision", default="highest", help="ours: highest, high or medium")
    p.add_argument("--bin", type=pathlib.Path, default=ROOT / "target" / "release")
    p.add_argument("--worker", nargs=2, metavar=("ENGINE", "MODEL"), help=argparse.SUPPRESS)
    args = p.parse_args()
    for name, known in (("models", MODELS), ("engines", ENGINES)):
        chosen = getattr(args, name).split(",")
        if unknown := [x for x in chosen if x not in known]:
            p.error(f"--{name}: expected some of {', '.join(known)}, found {unknown[0]}")
        setattr(args, name, chosen)
    return args


def pictures(folder, count):
    """Two classes of noise as PNG files, train alone."""
    import numpy as np
    from PIL import Image
    rng = np.random.default_rng(0)
    for i in range(count):
        path = folder / "train" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(path)


def ours(args, model, work):
    """The best epoch's seconds, by the program's own report."""
    program = args.bin / "feature-cache"
    data = work / "data"
    common = ["--epochs", str(args.epochs), "--threads", str(args.threads), "--json", "--quiet"]
    base = ["--weights", "random:1", "--models", work / "models"]
    out = work / "model"
    subprocess.run(["rm", "-rf", out], check=True)
    if model == "cached":
        features = work / "features"
        if not features.exists():
            subprocess.run(
                [program, "extract", "--data", data, "--features", features, "--layer", "block4_pool", "--quiet",
                 "--precision", args.precision, *base], check=True)
        command = [program, "fit-head", "--features", features, "--head", out, "--unfreeze", "block5_conv1",
                   "--dropout", "0", *base, *common]
    else:
        command = [program, "train", "--data", data, "--model", out, "--precision", args.precision,
                   "--checkpoint-every", "0", *common]
        command += {
            "frozen": ["--augment", *base],
            "tuned": ["--augment", "--unfreeze", "block5_conv1", *base],
            "scratch": ["--backbone", "none"],
        }[model]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"bench_train.py: {' '.join(map(str, command))} failed")
    best = min(epoch["seconds"] for epoch in json.loads(output)["history"])
    return best, usage.ru_maxrss


def keras_worker(args, model):
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import numpy as np, keras, tensorflow as tf
    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    tf.config.threading.set_inter_op_parallelism_threads(args.threads)
    layers = keras.layers
    shape = (9, 9, 512) if model == "cached" else (SIDE, SIDE, 3)
    x = np.random.default_rng(0).random((args.pictures, *shape), dtype=np.float32)
    y = (np.arange(args.pictures) % 2).astype(np.float32)
    inputs = keras.Input(shape)
    if model == "scratch":
        value = inputs
        for filters in (32, 64, 128, 128):
            value = layers.Conv2D(filters, 3, activation="relu")(value)
            value = layers.MaxPooling2D(2)(value)
        value = layers.Dense(512, activation="relu")(layers.Flatten()(value))
    elif model == "cached":
        value = inputs
        for _ in range(3):
            value = layers.Conv2D(512, 3, padding="same", activation="relu")(value)
        value = layers.MaxPooling2D(2)(value)
        value = layers.Dense(256, activation="relu")(layers.Flatten()(value))
    else:
        base = keras.applications.VGG16(weights=None, include_top=False, input_shape=shape)
        base.trainable = model == "tuned"
        for layer in base.layers if model == "tuned" else []:
            layer.trainable = layer.name.startswith("block5")
        value = layers.Dense(256, activation="relu")(layers.Flatten()(base(inputs)))
    net = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(value))
    net.compile(keras.optimizers.RMSprop(learning_rate=2e-5), loss="binary_crossentropy", metrics=["accuracy"])
    times = []
    for _ in range(args.epochs + 1):
        start = time.perf_counter()
        net.fit(x, y, batch_size=BATCH, epochs=1, verbose=0)
        times.append(time.perf_counter() - start)
    # The first epoch compiles.
    return min(times[1:]), keras.__version__


def torch_worker(args, model):
    import torch
    from torch import nn
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    conv = lambda i, o, p: [nn.Conv2d(i, o, 3, padding=p), nn.ReLU()]
    def vgg(blocks):
        made = []
        for i, o, n in blocks:
            for k in range(n):
                made += conv(i if k == 0 else o, o, 1)
            made.append(nn.MaxPool2d(2))
        return nn.Sequential(*made)
    front = vgg([(3, 64, 2), (64, 128, 2), (128, 256, 3), (256, 512, 3)])
    block5 = vgg([(512, 512, 3)])
    head = lambda width, units: nn.Sequential(nn.Flatten(), nn.Linear(width, units), nn.ReLU(), nn.Linear(units, 1))
    shape = (512, 9, 9) if model == "cached" else (3, SIDE, SIDE)
    frozen, trained = {
        "frozen": (nn.Sequential(front, block5), head(8192, 256)),
        "tuned": (front, nn.Sequential(block5, head(8192, 256))),
        "cached": (None, nn.Sequential(block5, head(8192, 256))),
        "scratch": (None, nn.Sequential(*(m for i, o in ((3, 32), (32, 64), (64, 128), (128, 128))
                                          for m in (*conv(i, o, 0), nn.MaxPool2d(2))), head(6272, 512))),
    }[model]
    to = lambda m: m.to(memory_format=torch.channels_last) if m is not None else None
    frozen, trained = to(frozen), to(trained)
    x = torch.rand(args.pictures, *shape).to(memory_format=torch.channels_last)
    y = (torch.arange(args.pictures) % 2).float()
    optimizer = torch.optim.RMSprop(trained.parameters(), lr=2e-5, alpha=0.9, eps=1e-7)
    loss = nn.BCEWithLogitsLoss()
    times = []
    for _ in range(args.epochs + 1):
        start = time.perf_counter()
        for rows in torch.randperm(args.pictures).split(BATCH):
            batch = x[rows].contiguous(memory_format=torch.channels_last)
            if frozen is not None:
                with torch.no_grad():
                    batch = frozen(batch)
            optimizer.zero_grad()
            loss(trained(batch)[:, 0], y[rows]).backward()
            optimizer.step()
        times.append(time.perf_counter() - start)
    return min(times[1:]), torch.__version__


def main():
    own_environment()
    args = arguments()
    if args.worker:
        engine, model = args.worker
        seconds, version = {"keras": keras_worker, "torch": torch_worker}[engine](args, model)
        print(json.dumps({"seconds": seconds, "version": version}))
        return
    steps = -(-args.pictures // BATCH)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        pictures(work / "data", args.pictures)
        for turn in range(args.rounds):
            for model in args.models:
                for engine in args.engines:
                    if engine == "ours":
                        seconds, memory = ours(args, model, work)
                    else:
                        command = [sys.executable, __file__, *sys.argv[1:], "--worker", engine, model]
                        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
                        output = child.stdout.read()
                        _, status, usage = os.wait4(child.pid, 0)
                        if status != 0:
                            sys.exit(f"bench_train.py: {engine} failed on {model}: run it with --worker {engine} {model}")
                        seconds, memory = json.loads(output)["seconds"], usage.ru_maxrss
                    step = seconds * 1e3 / steps
                    best, most = found.get((model, engine), (float("inf"), 0))
                    found[model, engine] = (min(best, step), max(most, memory))
                    print(f"turn {turn + 1}: {model:8} {engine:6} {step:8.1f} ms a step", flush=True)
    print(f"\n{'model':8} " + "".join(f"{e:>10} {'MiB':>6}" for e in args.engines) + "   ours against the best peer")
    for model in args.models:
        line = f"{model:8} "
        for engine in args.engines:
            step, memory = found[model, engine]
            line += f"{step:7.1f} ms {memory / 1024:6.0f}"
        peers = [found[model, e][0] for e in args.engines if e != "ours"]
        if peers and "ours" in args.engines:
            line += f"   {min(peers) / found[model, 'ours'][0]:.2f}x"
        print(line)


if __name__ == "__main__":
    main()
