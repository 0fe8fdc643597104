"""Runs workers and our programs, each a process of its own (standard library only: a child's peak memory counts from its
parent's)."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

from . import ENGINES, ROWS, engine_of
from .environments import python_of
from .peer import Job

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent
ISAS = ["amx-bf16", "avx512-bf16", "avx512", "avx2", "neon"]  # fastest first
PRECISIONS = {"highest": "f32", "high": "f32", "medium": "bf16"}
# Of steps that are no peer's.
PATIENCE = 900


def environment(args):
    """Threads for all; no GPU; the instruction set, where one is given."""
    env = dict(os.environ, OMP_NUM_THREADS=str(args.threads), CUDA_VISIBLE_DEVICES="", TF_CPP_MIN_LOG_LEVEL="3",
               PYTHONPATH=str(SCRIPTS))
    for module in ENGINES.values() if args.isa_limit else []:
        env |= module.PEER.limit(args.isa_limit)
    return env


def call_worker(args, step, name, environment, folder, env):
    """The worker's answer, its whole output; or why there is none."""
    python = python_of(args.environments, environment)
    if not python.exists():
        return {"error": f"not installed: {python.parent.parent.name} is missing"}, ""
    patience = engine_of(name).PEER.patience if name in ROWS else PATIENCE
    command = [python, "-m", "peers.worker", step, name, Job.text(args, folder)]
    try:
        run = subprocess.run(command, capture_output=True, text=True, errors="replace", env=env, timeout=patience)
    except subprocess.TimeoutExpired:
        return {"error": f"no answer in {patience} s"}, ""
    for line in run.stdout.splitlines():
        if line.startswith("RESULT "):
            return json.loads(line[7:]), run.stdout
    error = (run.stderr.strip() or run.stdout.strip() or "no output").splitlines()[-1]
    if run.returncode < 0:
        error = f"ended by signal {-run.returncode}"
    missing = re.match(r"(ModuleNotFoundError|ImportError): (.*)", error)
    return {"error": f"not installed ({missing[2]})" if missing else error[:200]}, run.stdout


def call_ours(command, env):
    """Output, error, peak memory and seconds of one of our programs."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        start = time.perf_counter()
        try:
            child = subprocess.Popen([str(c) for c in command], stdout=out, stderr=err, env=env)
        except OSError as error:
            return None, f"{command[0]}: {error.strerror}; see --help for how to build it", 0, 0
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
        out.seek(0), err.seek(0)
        error = (err.read().strip().splitlines() or [f"exit code {child.returncode}"])[0]
        peak = usage.ru_maxrss if sys.platform == "darwin" else usage.ru_maxrss * 1024
        # 3: done, some files were skipped.
        return out.read() if child.returncode in (0, 3) else None, error, peak, seconds


def run_kernels(args, isa, precision, env, seconds=2.0, size=None, batch=None):
    """The base alone."""
    batch = batch or args.batch_size
    command = [args.bin / "examples/bench_base", "--base", args.base, "--isa", isa, "--precision", precision,
               "--threads", args.threads, "--size", size or args.image_size, "--batch", f"1,{batch}", "--seconds", seconds]
    out, error, peak, _ = call_ours(command, env)
    if out is None:
        return {"error": error}
    rates = {int(n): (float(best), float(median)) for n, best, median in
             re.findall(r"^batch (\d+): ([\d.]+) images/s \(median ([\d.]+)\)", out, re.M)}
    return {"best": rates[batch][0], "median": rates[batch][1], "latency": 1 / rates[1][0], "peak": peak,
            "first": out.splitlines()[0]}


def run_extract(args, isa, precision, data, folder, weights, env):
    """The program on a folder of images; its features are left in the folder."""
    command = [args.bin / "extract", "--backbone", args.base, "--data", data, "--split", "test", "--features", folder,
               "--overwrite", "--offline", "--models", folder, "--weights", weights, "--preprocess", "torch", "--isa", isa,
               "--precision", precision, "--threads", args.threads, "--batch-size", args.batch_size, "--image-size",
               args.image_size, "--device", "cpu", "--quiet", "--json"]
    out, error, peak, seconds = call_ours(command, env)
    if out is None:
        return {"error": error}
    split = json.loads(out)["splits"][0]
    rate = split["run"]["rows_per_second"]
    return {"best": rate, "median": rate, "peak": peak, "process": split["rows"] / seconds, "rows": split["rows"],
            "algorithms": split["run"]["extra"].get("algorithms", [])}


def choose_ours(args, env):
    """(ISA, precision) pairs that run here, and what does not."""
    isas = (args.isa or args.isa_limit or ",".join(ISAS)).split(",")
    there, absent = [], {}
    for isa in isas:
        tried = run_kernels(args, isa, "highest", env, seconds=0, size=96, batch=2)
        if "error" not in tried:
            there.append(isa)
        elif "IsaUnavailable" in tried["error"]:
            absent[isa] = "not on this machine, or not in this build"
        else:
            absent[isa] = tried["error"]
    pairs = []
    for i, isa in enumerate(there):
        precisions = args.precision.split(",") if args.precision else list(PRECISIONS) if i == 0 else ["highest"]
        pairs += [(isa, precision) for precision in precisions]
    return pairs, absent
