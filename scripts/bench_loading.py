#!/usr/bin/env python3
"""Milliseconds a picture of loading photographs: feature-cache beside Pillow, torchvision, OpenCV and TensorFlow, in turns.

    scripts/bench_loading.py --setup
    scripts/bench_loading.py --data PHOTOGRAPHS [--images 200] [--rounds 5] [--engines ours,pillow,torchvision,opencv,tensorflow]

Each engine is a process of its own, held to one core, on the same JPEG files. Of each stage it does all files some times, and
the best time is that of the round. The stages:

    decode   a file's bytes in memory to 8-bit RGB pixels
    resize   those to 150x150, bilinear: Pillow, ours and torchvision widen the filter when they shrink a picture (antialiasing),
             and TensorFlow does when asked, as here; OpenCV reads four pixels of each result only, which is less work
    load     a file in the system's cache to (150, 150, 3) f32 with torchvision's means and deviations

`--setup` makes an environment in bench/venv-loading (git-ignored). Ours is `load_stages`, an example of the crate images, from
target/release: `cargo build --release --workspace --example load_stages`.
"""
import argparse, json, os, pathlib, statistics, subprocess, sys, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
VENV = ROOT / "bench" / "venv-loading"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
PACKAGES = ["pillow", "torch", "torchvision", "opencv-python-headless", "tensorflow-cpu", "numpy"]
ENGINES = ["ours", "pillow", "torchvision", "opencv", "tensorflow"]
STAGES = ["decode", "resize", "load"]
SIDE = 150
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
REPEATS = 5
BUILD = "cargo build --release --workspace --example load_stages"


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--setup", action="store_true", help="install the peers into bench/venv-loading, then exit")
    p.add_argument("--data", type=pathlib.Path, help="folder with photographs (.jpg), at any depth")
    p.add_argument("--images", type=int, default=200, help="so many of them, evenly spread (default 200)")
    p.add_argument("--rounds", type=int, default=5, help="times through all engines (default 5)")
    p.add_argument("--engines", default=",".join(ENGINES), help="default: all")
    p.add_argument("--bin", type=pathlib.Path, default=ROOT / "target/release/examples/load_stages", help="ours")
    p.add_argument("--worker", metavar="ENGINE", help=argparse.SUPPRESS)
    args = p.parse_args()
    args.engines = args.engines.split(",")
    if unknown := [e for e in args.engines if e not in ENGINES]:
        p.error(f"--engines: expected some of {', '.join(ENGINES)}, found {unknown[0]}")
    if not (args.setup or args.worker or args.data):
        p.error("--data is missing: a folder with photographs")
    return args


def setup():
    subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", "--no-cache-dir", *PACKAGES], check=True)


def photographs(folder, count):
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))
    if not paths:
        sys.exit(f"{folder}: no .jpg files")
    return [str(paths[i * len(paths) // count]) for i in range(min(count, len(paths)))]


def best_ms(items, run):
    best = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        for item in items:
            run(item)
        best = min(best, time.perf_counter() - start)
    return best * 1e3 / len(items)


def pillow():
    """How a file's bytes are decoded, a picture is resized, and a path is loaded; and the version."""
    import io, numpy as np, PIL
    from PIL import Image, features
    mean, std = np.float32(MEAN), np.float32(STD)
    decode = lambda data: Image.open(io.BytesIO(data)).convert("RGB")
    resize = lambda image: image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    load = lambda path: (np.asarray(resize(Image.open(path).convert("RGB")), np.float32) / 255 - mean) / std
    return decode, resize, load, f"{PIL.__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}"


def torchvision():
    import torch, torchvision
    from torchvision.io import ImageReadMode, decode_jpeg, read_file
    from torchvision.transforms.v2 import InterpolationMode, functional as F
    torch.set_num_threads(1)
    bytes_of = lambda data: torch.frombuffer(bytearray(data), dtype=torch.uint8) if isinstance(data, bytes) else data
    decode = lambda data: decode_jpeg(bytes_of(data), ImageReadMode.RGB)
    resize = lambda image: F.resize(image, [SIDE, SIDE], InterpolationMode.BILINEAR, antialias=True)
    load = lambda path: F.normalize(F.to_dtype(resize(decode(read_file(path))), torch.float32, scale=True), MEAN, STD)
    return decode, resize, load, f"{torchvision.__version__}, PyTorch {torch.__version__}"


def opencv():
    import cv2, numpy as np
    cv2.setNumThreads(1)
    mean, std = np.float32(MEAN), np.float32(STD)
    decode = lambda data: cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    resize = lambda image: cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    load = lambda path: (resize(cv2.imread(path, cv2.IMREAD_COLOR_RGB)).astype(np.float32) / 255 - mean) / std
    return decode, resize, load, cv2.__version__


def tensorflow():
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import tensorflow as tf
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    mean, std = tf.constant(MEAN), tf.constant(STD)
    # The exact transform, as libjpeg-turbo's default and ours: TensorFlow's own default is a faster, coarser one.
    decode = lambda data: tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")
    resize = lambda image: tf.image.resize(image, (SIDE, SIDE), "bilinear", antialias=True)
    load = lambda path: (resize(decode(tf.io.read_file(path))) / 255 - mean) / std
    return decode, resize, load, tf.__version__


def worker(engine):
    """One round of a peer; paths come by standard input."""
    decode, resize, load, version = {"pillow": pillow, "torchvision": torchvision, "opencv": opencv, "tensorflow": tensorflow}[engine]()
    paths = sys.stdin.read().split("\n")
    files = [pathlib.Path(path).read_bytes() for path in paths]
    if engine == "torchvision":
        import torch
        files = [torch.frombuffer(bytearray(data), dtype=torch.uint8) for data in files]
    if engine == "tensorflow":
        import tensorflow as tf
        files = [tf.constant(data) for data in files]
    times = {"decode": best_ms(files, decode)}
    pictures = [decode(data) for data in files]
    times |= {"resize": best_ms(pictures, resize), "load": best_ms(paths, load)}
    print(json.dumps({"version": version, "ms": times}))


def turn(args, engine, paths):
    """A round of an engine, on one core: its version and milliseconds a stage."""
    command = [args.bin] if engine == "ours" else [PYTHON, __file__, "--worker", engine]
    core = max(os.sched_getaffinity(0))
    hold = lambda: os.sched_setaffinity(0, {core})
    done = subprocess.run(command, input="\n".join(paths), stdout=subprocess.PIPE, text=True, preexec_fn=hold)
    if done.returncode:
        sys.exit(f"bench_loading.py: {engine} failed: {' '.join(map(str, command))}")
    if engine != "ours":
        found = json.loads(done.stdout)
        return found["version"], found["ms"]
    lines = dict(line.rsplit(" ", 1) for line in done.stdout.splitlines())
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout.strip()
    return commit, {"decode": float(lines["decode"]), "resize": float(lines["bilinear"]), "load": float(lines["load"])}


def main():
    args = arguments()
    if args.setup:
        return setup()
    if args.worker:
        return worker(args.worker)
    for engine in args.engines:
        ours = engine == "ours"
        needed, how = (args.bin, BUILD) if ours else (PYTHON, "scripts/bench_loading.py --setup")
        if not needed.exists():
            sys.exit(f"{needed} is missing\nhint: {how}")
    paths = photographs(args.data, args.images)
    versions, times = {}, {engine: {stage: [] for stage in STAGES} for engine in args.engines}
    for round in range(args.rounds):
        for engine in args.engines:
            versions[engine], found = turn(args, engine, paths)
            for stage in STAGES:
                times[engine][stage].append(found[stage])
            print(f"round {round + 1}: {engine:12} " + "  ".join(f"{s} {found[s]:.3f}" for s in STAGES), flush=True)
    print(f"\n{len(paths)} photographs, one core, {args.rounds} rounds: ms a picture, best (median)")
    print(f"{'':12} " + " ".join(f"{stage:>16}" for stage in STAGES) + "   version")
    for engine in args.engines:
        cells = [f"{min(t):.3f} ({statistics.median(t):.3f})" for t in times[engine].values()]
        print(f"{engine:12} " + " ".join(f"{cell:>16}" for cell in cells) + f"   {versions[engine]}")


if __name__ == "__main__":
    main()
