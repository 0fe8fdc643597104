#!/usr/bin/env python3
"""Trains the lesson's head in other engines and with fit-head on the same cached features, in turns.

    scripts/bench_head.py --setup                        once: installs the peers into bench/venv-peers-head (git-ignored)
    scripts/bench_head.py --features features            the tables
    scripts/bench_head.py --engines 'jax,fit-head*'      only these

Peers, a file each in scripts/heads: Keras on TensorFlow and on JAX, JAX by hand, PyTorch. Each gets the same arrays, the same
settings (Dense 256, dropout 0.5, RMSprop at 2e-5, batches of 20) and as many threads, and runs in a process of its own; rounds go
through all in order (A B C A B C ...), so that a machine that slows down slows all. Two tables: on the features of the folder, and on
drawn ones of the same shape, of which 60 % are zero, anywhere (--data). A peer that can't be had is named with the reason.

training   seconds of the epochs, without imports, reading and building the model; what is compiled in the first step counts
process    seconds of the whole process; fit-head's has metrics, predictions and the report in it
ratio      process of the row by that of fit-head, best of all rounds

With --seeds N fit-head also trains N seeds, in one process (--repeats N) and in N, one after the other.

First: cargo build --release
"""
import argparse, fnmatch, hashlib, json, os, pathlib, shutil, statistics, subprocess, sys, tempfile, time

from heads import ROWS
from peers.environments import loads, pip, python_of, setup_torch
from peers.machine import Others, cores, describe

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = ["numpy", "tensorflow-cpu", "keras", "jax"]
OURS = "fit-head"
# Of the drawn features.
ZEROS = 0.6


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--setup", action="store_true", help="install the peers into --environments, then exit")
    p.add_argument("--torch", choices=["auto", "full", "none"], default="auto", help="with --setup: PyTorch without the "
                   "libraries for GPUs, else with them (auto); with them, several gigabytes (full); not at all (none)")
    p.add_argument("--environments", type=pathlib.Path, default=ROOT / "bench", help="where the peers are installed")
    p.add_argument("--features", type=pathlib.Path, default=ROOT / "features", help="folder written by extract, two classes")
    p.add_argument("--data", default="real,strewn", help="real: the features as they are; strewn: drawn ones (default: both)")
    p.add_argument("--engines", metavar="PATTERNS", default="*", help=f"only these (default: all of {', '.join([*ROWS, OURS])})")
    p.add_argument("--rounds", type=int, default=3, help="times through all engines (default 3)")
    p.add_argument("--epochs", type=int, default=30)
    p.add_argument("--seeds", type=int, default=0, help="compare so many seeds in one process with as many processes")
    p.add_argument("--threads", type=int, default=cores(), help="of every engine (default: all cores)")
    p.add_argument("--log", type=pathlib.Path, help="append what is measured here, one JSON object a line, and print the tables of "
                   "all that the file holds: rounds can be spread over several runs")
    p.add_argument("--fit-head", type=pathlib.Path, default=ROOT / "target/release/fit-head", help="our program")
    args = p.parse_args()
    if min(args.rounds, args.epochs, args.threads) < 1 or args.seeds < 0:
        p.error("--rounds, --epochs and --threads: expected at least 1")
    return args


def setup(args):
    python = python_of(args.environments, "head")
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", python.parent.parent], check=True)
    pip(python, *PACKAGES)
    if args.torch != "none":
        setup_torch(python, args.torch)
    for module in ("tensorflow", "keras", "jax", "torch"):
        print(f"{module:12} {loads(python, module) or 'not installed'}")


def strewn(source, target, python):
    """A copy of the folder's train and validation with drawn features, as fit-head takes it."""
    draw = ("import numpy as np, sys\nrandom = np.random.default_rng(int(sys.argv[3]))\n"
            "x = np.load(sys.argv[1], mmap_mode='r')\n"
            f"np.save(sys.argv[2], random.random(x.shape, np.float32) * (random.random(x.shape, np.float32) >= {ZEROS}))")
    for seed, split in enumerate(("train", "validation")):
        for file in source.glob(f"{split}_*"):
            if not file.name.endswith("_features.npy"):
                shutil.copyfile(file, target / file.name)
        name = f"{split}_features.npy"
        subprocess.run([python, "-c", draw, source / name, target / name, str(seed)], check=True)
        manifest = json.loads((source / f"{split}.json").read_text())
        rows, offset = manifest["rows"], manifest["data_offset"]
        with open(target / name, "rb") as file:
            block = ((target / name).stat().st_size - file.seek(offset)) // rows * manifest["block_rows"]
            manifest["block_sha256"] = [hashlib.sha256(part).hexdigest() for part in iter(lambda: file.read(block), b"")]
        (target / f"{split}.json").write_text(json.dumps(manifest))


class Runs:
    """All rounds on one folder of features, which hold `data`."""

    def __init__(self, args, data, features):
        self.args, self.data, self.features, self.runs, self.left_out = args, data, features, {}, {}
        earlier = args.log.read_text().splitlines() if args.log and args.log.exists() else []
        for line in map(json.loads, earlier):
            if line["data"] == data:
                self.runs.setdefault(line["name"], []).append(line)
        # Engines that have no switch for it are held to as many cores.
        cpus = sorted(os.sched_getaffinity(0))[:args.threads] if hasattr(os, "sched_setaffinity") else None
        self.hold = (lambda: os.sched_setaffinity(0, cpus)) if cpus else None
        self.env = dict(os.environ, OMP_NUM_THREADS=str(args.threads), CUDA_VISIBLE_DEVICES="", TF_CPP_MIN_LOG_LEVEL="3",
                        JAX_PLATFORMS="cpu", PYTHONPATH=str(ROOT / "scripts"))

    def wanted(self, name):
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.args.engines.split(","))

    def call(self, command):
        """Output, error and seconds of a process."""
        start = time.perf_counter()
        run = subprocess.run([str(c) for c in command], capture_output=True, text=True, errors="replace", env=self.env,
                             preexec_fn=self.hold)
        return run, time.perf_counter() - start

    def peer(self, name, seed):
        python = python_of(self.args.environments, "head")
        if not python.exists():
            return {"error": "not installed: see --setup"}
        job = {"features": str(self.features), "epochs": self.args.epochs, "threads": self.args.threads, "seed": seed}
        run, seconds = self.call([python, "-m", "heads.worker", name, json.dumps(job)])
        for line in run.stdout.splitlines():
            if line.startswith("RESULT "):
                return json.loads(line[7:]) | {"process": seconds}
        return {"error": (run.stderr.strip() or run.stdout.strip() or "no output").splitlines()[-1][:200]}

    def ours(self, seed, seeds=1):
        with tempfile.TemporaryDirectory() as out:
            run, seconds = self.call([self.args.fit_head, "--features", self.features, "--head", pathlib.Path(out) / "head", "--quiet",
                                      "--json", "--epochs", self.args.epochs, "--threads", self.args.threads, "--seed", seed,
                                      "--repeats", seeds])
        if run.returncode != 0:
            return {"error": (run.stderr.strip() or f"exit code {run.returncode}").splitlines()[0]}
        result = json.loads(run.stdout)
        last = result["history"][-1]
        return {"version": "", "training": sum(e["seconds"] for e in result["history"]), "process": seconds,
                "accuracy": last["accuracy"], "val": last["val_accuracy"]}

    def run(self):
        names = [name for name in [*ROWS, OURS] if self.wanted(name)]
        for seed in range(self.args.rounds):
            for name in [name for name in names if name not in self.left_out]:
                self.record(name, lambda: self.ours(seed) if name == OURS else self.peer(name, seed))
            for seeds in [self.args.seeds] * (self.args.seeds > 1 and self.wanted(OURS)):
                self.record(f"{seeds} seeds", lambda: self.ours(0, seeds))
                self.record(f"{seeds} processes", lambda: self.several(seeds))
        return self

    def several(self, seeds):
        """A process a seed, one after the other."""
        each = [self.ours(seed) for seed in range(seeds)]
        if wrong := next((one for one in each if "error" in one), None):
            return wrong
        return each[0] | {key: sum(one[key] for one in each) for key in ("training", "process")}

    def record(self, name, call):
        with Others() as others:
            result = call()
        if "error" in result:
            self.left_out[name] = result["error"]
            return
        line = result | {"data": self.data, "name": name, "others": others.share}
        self.runs.setdefault(name, []).append(line)
        if self.args.log:
            with open(self.args.log, "a") as file:
                file.write(json.dumps(line) + "\n")
        print(f"  {name:16} {result['process']:8.2f} s", file=sys.stderr, flush=True)

    def print(self):
        best = {name: min(r["process"] for r in runs) for name, runs in self.runs.items()}
        print(f"{'':16} {'version':>22} {'training':>9} {'median':>7} {'process':>8} {'median':>7} {'ratio':>6} {'others':>7} {'accuracy':>9} "
              f"{'val':>6}")
        for name, runs in self.runs.items():
            column = lambda key: [r[key] for r in runs]
            others = [share for share in column("others") if share is not None]
            ratio = f"{best[name] / best[OURS]:.1f}" if OURS in best else "-"
            print(f"{name:16} {runs[-1]['version']:>22} {min(column('training')):9.2f} {statistics.median(column('training')):7.2f} "
                  f"{best[name]:8.2f} {statistics.median(column('process')):7.2f} {ratio:>6} {f'{min(others):.0%}' if others else '-':>7} "
                  f"{runs[-1]['accuracy']:9.4f} {runs[-1]['val']:6.4f}")
        peers = {name: seconds for name, seconds in best.items() if name in ROWS}
        if peers and OURS in best:
            name = min(peers, key=peers.get)
            print(f"{OURS}: {peers[name] / best[OURS]:.2f} x the best peer ({name}: {ROWS[name]})")
        if self.args.seeds > 1 and f"{self.args.seeds} seeds" in best:
            together, alone = best[f"{self.args.seeds} seeds"], best[f"{self.args.seeds} processes"]
            print(f"{self.args.seeds} seeds in one process: {alone / together:.2f} x as fast as in {self.args.seeds}")
        for name, why in self.left_out.items():
            print(f"not measured: {name}: {why}")


def main():
    args = arguments()
    if args.setup:
        return setup(args)
    if not args.fit_head.exists():
        sys.exit(f"{args.fit_head} is missing: run `cargo build --release` first")
    args.environments = args.environments.resolve()
    manifest = json.loads((args.features / "train.json").read_text())
    print(f"{describe()}\ntrain {manifest['rows']} rows, {args.epochs} epochs, {args.threads} threads", flush=True)
    failed = False
    for data in args.data.split(","):
        with tempfile.TemporaryDirectory() as folder:
            features = args.features
            if data == "strewn":
                features = pathlib.Path(folder)
                strewn(args.features, features, python_of(args.environments, "head"))
            runs = Runs(args, data, features).run()
            print(f"\n{data}")
            runs.print()
            failed |= not runs.runs or OURS in runs.left_out
    if failed:
        sys.exit("nothing was measured, or not ours")


if __name__ == "__main__":
    main()
