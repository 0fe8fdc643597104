#!/usr/bin/env python3
"""How much memory extract takes as the number of images grows, and fit-head on features larger than its memory.

    scripts/memory.py [N ...]      1000, 10000 and 100000 images without N

Photographs (those beside the checkout, or PHOTOS=FOLDER with a folder a class) are linked again and again until there are N;
where there are none, pictures are drawn. Weights are random:0, images 32x32, rows of 64 values. Then 10,000 rows
of 16,384 values (655 MB; LARGE=N for another number) are trained on twice, once with 256 MiB of memory for everything that
is no file (ulimit -d), and the heads are compared byte by byte.

Uses the binaries of the last debug build; BIN=DIR takes others. Linux only. Nothing stays.
"""

import os
import random
import resource
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BIN = os.environ.get("BIN") or os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "debug")
PHOTOS = os.environ.get("PHOTOS") or os.path.join(ROOT, "../shared/data/cats-dogs/train")
LARGE = int(os.environ.get("LARGE", "10000"))
LIMIT = 256 << 20


def run(*command, limit=None):
    """Runs it; seconds, peak of all resident memory, peak of what of it is no file, both in MiB."""
    begun = time.monotonic()

    def limits():
        if limit:
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=limits)
        peak = anonymous = 0
        while child.poll() is None:
            try:
                with open(f"/proc/{child.pid}/status") as status:
                    memory = dict(line.split(":", 1) for line in status)
                peak = max(peak, int(memory["VmHWM"].split()[0]))
                anonymous = max(anonymous, int(memory["RssAnon"].split()[0]))
            except (OSError, KeyError):
                pass  # it has just ended
            time.sleep(0.005)
        if child.returncode != 0:
            log.seek(0)
            sys.exit(f"{' '.join(command)}: exit {child.returncode}\n{log.read().decode()[-2000:]}")
    return time.monotonic() - begun, peak / 1024, anonymous / 1024


def draw(folder):
    """A few pictures a class, where there are no photographs."""
    rng = random.Random(1)
    for kind in "cats", "dogs":
        os.makedirs(os.path.join(folder, kind))
        for i in range(100):
            with open(os.path.join(folder, kind, f"{i}.ppm"), "wb") as f:
                f.write(b"P6 60 50 255\n" + rng.randbytes(60 * 50 * 3))
    return folder


def link(photos, data, count):
    """Links to the photographs, over and over, until there are so many."""
    made = turn = 0
    while made < count:
        for kind in sorted(os.listdir(photos)):
            folder = os.path.join(data, "train", kind, f"{turn:04}")
            os.makedirs(folder)
            for name in os.listdir(os.path.join(photos, kind))[: (count - made + 1) // 2 if turn == 0 else count - made]:
                os.symlink(os.path.join(os.path.abspath(photos), kind, name), os.path.join(folder, name))
                made += 1
        turn += 1


def extract(data, features, *flags):
    return run(
        os.path.join(BIN, "extract"), "--data", data, "--features", features, "--weights", "random:0", "--offline",
        "--image-size", "32", "--layer", "block1_pool", "--threads", "2", "--quiet", *flags,
    )  # fmt: skip


def main():
    if any(a.startswith("-") or not a.isdigit() for a in sys.argv[1:]):
        sys.exit(__doc__)
    counts = [int(a) for a in sys.argv[1:]] or [1000, 10_000, 100_000]
    with tempfile.TemporaryDirectory(prefix="feature-cache-") as work:
        photos = PHOTOS if os.path.isdir(PHOTOS) else draw(os.path.join(work, "drawn"))
        print("| images | extract: seconds | peak, MiB | of it no file |\n|---|---|---|---|")
        for count in counts:
            data, features = os.path.join(work, f"data{count}"), os.path.join(work, f"features{count}")
            link(photos, data, count)
            seconds, peak, anonymous = extract(data, features, "--pooling", "avg")
            print(f"| {count:,} | {seconds:.0f} | {peak:.0f} | {anonymous:.0f} |", flush=True)
        data, features = os.path.join(work, "large"), os.path.join(work, "features")
        link(photos, data, LARGE)
        extract(data, features)
        size = os.path.getsize(os.path.join(features, "train_features.npy")) >> 20
        print(f"\nfit-head on {LARGE:,} rows, {size} MiB:\n\n| memory | seconds | peak without files, MiB |\n|---|---|---|")
        heads = []
        for limit in LIMIT, None:
            head = os.path.join(work, f"head{limit}")
            seconds, _, anonymous = run(
                os.path.join(BIN, "fit-head"), "--features", features, "--head", head, "--epochs", "2", "--hidden", "8",
                "--threads", "2", "--quiet", limit=limit,
            )  # fmt: skip
            with open(os.path.join(head, "head.safetensors"), "rb") as f:
                heads.append(f.read())
            print(f"| {f'{limit >> 20} MiB' if limit else 'any'} | {seconds:.0f} | {anonymous:.0f} |", flush=True)
        if heads[0] != heads[1]:
            sys.exit("the heads differ")
        print("\nthe heads are the same, byte by byte")


main()
