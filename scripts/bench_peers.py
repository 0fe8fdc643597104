#!/usr/bin/env python3
"""Measures a frozen base (VGG16: block5_pool, 150x150x3, batches of 20) in other engines and in ours, in turns.

    scripts/bench_peers.py --setup                       once: installs the peers into bench/venv-peers* (git-ignored)
    scripts/bench_peers.py --data PHOTOGRAPHS            the table
    scripts/bench_peers.py --backbone all                every base, with drawn weights, and a summary
    scripts/bench_peers.py --isa-limit avx2              every engine held to AVX2, where it can be

Peers, a file each in scripts/peers: ONNX Runtime, OpenVINO, Keras, PyTorch, MNN, DeepSparse, ncnn, LiteRT, OpenCV. Each gets
the same weights, images and number of threads, and is tried in the ways its documentation names for inference, a row of the
table each; rows in bf16 where the processor has units for it. A peer that can't be had is named with the reason. Ours:
`kernels`, the base alone (example bench_base, random weights), and `extract`, the program, from photographs to files. An
engine runs in a process of its own each time, so that memory is its own and nothing is shared; rounds go through all engines
in order (A B C A B C ...), so that a machine that slows down slows all.

images/s   of a batch, after one that is not counted: best of all rounds, and the median of the rounds' medians
1 image    best time of a batch of one
peak       largest resident memory of the process up to and with batches of the full size, in MB (its interpreter too)
others     part of the machine that other processes took in the calmest round; above a few per cent the row is too low
exact      images/s (best) of ours divided by that of the fastest peer of at most ten times our error
all        the same by that of the fastest peer of all; for ours in bf16, peers in f32 count too
off by     largest difference of the features from the base in f64 (by PyTorch), as part of the largest feature

First: cargo build --release && cargo build --release -p backbone --example bench_base
"""
import argparse, fnmatch, json, os, pathlib, sys

from peers import ENGINES, ROWS
from peers.environments import setup
from peers.machine import cores, cpu, describe
from peers.network import BASES
from peers.rounds import Rounds
from peers.run import ISAS, call_ours
from peers.table import Table, print_left_out, print_summary

ROOT = pathlib.Path(__file__).resolve().parent.parent


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--setup", action="store_true", help="install the peers of --engines into --environments, then exit")
    p.add_argument("--torch", choices=["auto", "full", "none"], default="auto", help="with --setup: PyTorch without the "
                   "libraries for GPUs, else with them (auto); with them, several gigabytes (full); not at all (none)")
    p.add_argument("--environments", type=pathlib.Path, default=ROOT / "bench", help="where the peers are installed")
    p.add_argument("--backbone", choices=[*BASES, "all"], default="vgg16", help="the base, or all in turn")
    p.add_argument("--weights", type=pathlib.Path, help="of vgg16: safetensors with torchvision's names (default: those that "
                   "`extract` leaves in models/weights, where they are; else, and for other bases, drawn ones)")
    p.add_argument("--data", type=pathlib.Path, help="folder with photographs, at any depth: adds the whole `extract`, "
                   "and compares features on them (without: on drawn images)")
    p.add_argument("--images", type=int, default=200, help="photographs of --data that extract takes (default 200)")
    p.add_argument("--rounds", type=int, default=3, help="times through all engines (default 3)")
    p.add_argument("--batches", type=int, default=3, help="batches timed in a round (default 3)")
    p.add_argument("--batch-size", type=int, default=20)
    p.add_argument("--image-size", type=int, help="default: 150 for vgg16, else the base's own")
    p.add_argument("--threads", type=int, default=cores(), help="of every engine (default: all cores)")
    p.add_argument("--engines", metavar="PATTERNS", default="*", help="only these, e.g. 'torch*,kernels*' (default: all "
                   f"of {', '.join(ROWS)}, kernels-ISA-PRECISION, extract-ISA-PRECISION)")
    p.add_argument("--isa", metavar="LIST", help=f"of ours (default: those of {','.join(ISAS)} that this machine has)")
    p.add_argument("--precision", metavar="LIST", help="of ours (default: highest,high,medium; for the ISAs that are "
                   "not the fastest, highest)")
    p.add_argument("--isa-limit", choices=["avx2", "avx512"], help="hold all engines to this; says where that fails")
    p.add_argument("--log", type=pathlib.Path, help="append what is measured here, one JSON object a line, and print the "
                   "table of all that the file holds: rounds can be spread over several runs")
    p.add_argument("--bin", type=pathlib.Path, default=ROOT / "target/release", help="where our programs are")
    return p.parse_args()


class Log(list):
    """What was measured, earlier and now; the first line says with what settings."""

    def __init__(self, path, settings):
        self.path = path
        if path and path.exists():
            self.extend(json.loads(line) for line in path.read_text().splitlines())
        if not self:
            self.append(settings)
        elif self[0] != settings:
            sys.exit(f"{path}: measured with {self[0]}, this run has {settings}\nhint: give another --log")

    def append(self, line):
        super().append(line)
        if self.path:
            with open(self.path, "a") as file:
                file.write(json.dumps(line) + "\n")


def for_base(args, base):
    """The same arguments with what depends on the base."""
    usual, weights = ROOT / "models/weights/timm--vgg16.tv_in1k.safetensors", None
    if base == "vgg16":
        weights = args.weights or (usual if usual.exists() else None)
    return argparse.Namespace(**vars(args) | {"base": base, "weights": weights and weights.resolve(),
                                              "image_size": args.image_size or BASES[base][1]})


def measure(args, log):
    """All rounds of a base, then its table."""
    rounds = Rounds(args, log)
    print(f"\n{describe()}", flush=True)
    rounds.run()
    table = Table(log, args.base)
    version = (call_ours([args.bin / "extract", "--version"], os.environ)[0] or "?").split()[-1]
    print(f"{args.base}, {args.weights.name if args.weights else 'drawn weights'}; {args.threads} threads, batch "
          f"{args.batch_size}, {args.image_size}x{args.image_size}, {max((len(r.runs) for r in table.rows), default=0)} rounds"
          + (f", limited to {args.isa_limit}" if args.isa_limit else ""))
    table.print(version)
    print_left_out(rounds.left_out, rounds.notes)
    return table


def main():
    args = arguments()
    if args.setup:
        wanted = [module for module in ENGINES.values() if args.torch != "none" or module.PEER.name != "torch"]
        patterns = args.engines.split(",")
        return setup(args.environments, [m for m in wanted if any(fnmatch.filter(m.PEER.rows, p) for p in patterns)], args.torch)
    if args.weights and not args.weights.exists():
        sys.exit(f"{args.weights} is missing")
    args.environments = args.environments.resolve()
    settings = {k: getattr(args, k) for k in ("threads", "batch_size", "image_size", "isa_limit")} | {"cpu": cpu()[0]}
    log = Log(args.log, settings)
    tables = [measure(for_base(args, base), log) for base in (BASES if args.backbone == "all" else [args.backbone])]
    print_summary(tables)
    if any(row.differs() for table in tables for row in table.rows):
        sys.exit("the engines do not compute the same features")
    if not any(table.rows for table in tables):
        sys.exit("nothing was measured")


if __name__ == "__main__":
    main()
