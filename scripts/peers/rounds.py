"""All engines on one base, in turns."""
import argparse
import fnmatch
import pathlib
import re
import shutil
import sys
import tempfile

from . import ABSENT, ENGINES, ROWS, engine_of
from .machine import Others, no_bf16
from .run import ISAS, PRECISIONS, call_worker, choose_ours, environment, run_extract, run_kernels


class Rounds:
    """The rounds of one base. What is measured goes to `log`, with the base's name; `left_out` and `notes` say what was not."""

    def __init__(self, args, log):
        self.args, self.log, self.env = args, log, environment(args)
        self.left_out, self.notes, self.peers, self.ours = {}, [], [], []
        self.choose_peers()
        self.pairs = self.choose_ours()

    def wanted(self, name):
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.args.engines.split(","))

    def choose_peers(self):
        self.left_out |= {name: why for name, why in ABSENT.items() if self.wanted(name)}
        bf16 = no_bf16(self.args.isa_limit)
        for name, (kind, _) in ROWS.items():
            if not self.wanted(name):
                continue
            if kind == "bf16" and bf16:
                self.left_out[name] = f"skipped: {bf16}"
            else:
                self.peers.append(name)

    def choose_ours(self):
        possible = [f"{kind}-{isa}-{precision}" for kind in ("kernels", "extract") for isa in ISAS + ["portable"]
                    for precision in PRECISIONS]
        if not any(self.wanted(name) for name in possible):
            return []
        pairs, absent = choose_ours(self.args, self.env)
        self.left_out |= {f"kernels-{isa}": why for isa, why in absent.items()}
        if not self.args.data:
            self.left_out["extract"] = "its rate is not measured: give photographs with --data"
        kinds = ["kernels"] + ["extract"] * bool(self.args.data)
        self.ours = [(kind, isa, precision) for isa, precision in pairs for kind in kinds
                     if self.wanted(f"{kind}-{isa}-{precision}")]
        return pairs

    def run(self):
        with tempfile.TemporaryDirectory() as name:
            self.folder = pathlib.Path(name)
            self.prepare()
            for number in range(self.args.rounds):
                self.round()
                print(f"{self.args.base}: round {number + 1} of {self.args.rounds} done", file=sys.stderr, flush=True)
            if self.args.isa_limit:
                self.check_limit()
            self.compare()

    def worker(self, step, name, environment, env=None, args=None):
        return call_worker(args or self.args, step, name, environment, self.folder, env or self.env)

    def prepare(self):
        """The network, what each peer makes of it, exact features, and ours."""
        (self.folder / "features").mkdir()
        copy_photographs(self.args, self.folder)
        answer, _ = self.worker("network", "-", "main")
        if "error" in answer:
            sys.exit(f"the images and the ONNX file can't be made: {answer['error']}\nhint: scripts/bench_peers.py --setup")
        answer, _ = self.worker("exact", "-", "main")
        if "error" in answer:
            self.notes.append(f"no features in f64 to compare with: PyTorch {answer['error']}")
        for engine in dict.fromkeys(engine_of(name) for name in self.peers):
            answer = self.worker("prepare", engine.PEER.name, engine.PEER.prepared_in)[0] if hasattr(engine, "prepare") else {}
            if "error" in answer:
                self.left_out |= {name: f"its model can't be made: {answer['error']}" for name in self.peers if name in engine.PEER.rows}
        for isa, precision in self.pairs:
            self.keep_ours(isa, precision)

    def keep_ours(self, isa, precision):
        checked = run_extract(self.args, isa, precision, self.folder / "check", self.folder / "ours", self.weights(), self.env)
        if "error" in checked:
            self.left_out[f"extract-{isa}-{precision}"] = checked["error"]
        else:
            shutil.move(self.folder / "ours/test_features.npy", self.folder / f"features/{isa}-{precision}.npy")

    def weights(self):
        return self.args.weights or self.folder / "base.weights.h5"

    def round(self):
        for name in [n for n in self.peers if n not in self.left_out]:
            with Others() as others:
                result, _ = self.worker("time", name, engine_of(name).PEER.environment)
            self.record({"name": name, "class": ROWS[name][0], "others": others.share} | result)
        for kind, isa, precision in [o for o in self.ours if "-".join(o) not in self.left_out]:
            with Others() as others:
                if kind == "kernels":
                    result = run_kernels(self.args, isa, precision, self.env)
                else:
                    result = run_extract(self.args, isa, precision, self.folder / "photographs", self.folder / "ours",
                                         self.weights(), self.env)
            self.record({"name": f"{kind}-{isa}-{precision}", "class": PRECISIONS[precision], "others": others.share} | result)

    def record(self, result):
        if "error" in result:
            self.left_out[result["name"]] = result["error"]
            return
        self.log.append({"base": self.args.base} | result)
        print(f"  {result['name']:28} {result['best']:8.2f} images/s", file=sys.stderr, flush=True)

    def check_limit(self):
        """Whether a limit was obeyed, in runs of their own: talking costs time."""
        once = argparse.Namespace(**vars(self.args) | {"batches": 1})
        for name in [n for n in self.peers if n not in self.left_out]:
            _, output = self.worker("time", name, engine_of(name).PEER.environment, self.env | {"ONEDNN_VERBOSE": "1"}, once)
            if kernels := onednn_kernels(output):
                self.notes.append(f"{name}: convolutions by {kernels}")
        self.notes += [f"limit of {engine.PEER.name}: {engine.PEER.limited}" for engine in ENGINES.values()]

    def compare(self):
        ours = next((f"{isa}-{precision}" for isa, precision in self.pairs if precision == "highest"), "-")
        answer, _ = self.worker("compare", ours, "main")
        if "error" in answer:
            self.notes.append(f"features were not compared: {answer['error']}")
        for name, difference in answer.get("differences", {}).items():
            self.log.append({"base": self.args.base, "name": name, "difference": difference, "reference": answer["reference"]})


def copy_photographs(args, folder):
    """Some of the photographs, evenly spread, where extract finds them."""
    target = folder / "photographs/test/all"
    target.mkdir(parents=True)
    if args.data:
        found = sorted(f for f in args.data.rglob("*") if f.suffix.lower() in {".jpg", ".jpeg", ".png"})
        if not found:
            sys.exit(f"{args.data}: no .jpg or .png below it")
        count = min(args.images, len(found))
        for i in range(count):
            file = found[i * len(found) // count]
            shutil.copyfile(file, target / f"{i:05}{file.suffix.lower()}")


def onednn_kernels(output):
    """What oneDNN says of itself with ONEDNN_VERBOSE=1."""
    isa = re.search(r"info,cpu,isa:([^\n]*)", output)
    found = sorted(set(re.findall(r"exec,cpu,convolution,([^,]+),", output)))
    return (", ".join(found) + (f" ({isa[1]})" if isa else "")) if found else None
