"""One step in a process of its own, in the environment of a peer: python -m peers.worker STEP NAME JOB, with scripts/ on the path.

network    the base, the images and what is exact
prepare    what a peer makes of the ONNX file, before rounds begin
time       builds an engine, times it, keeps its features
compare    differences of all features that were kept
"""
import json
import os
import pathlib
import re
import statistics
import sys
import time

from . import engine_of
from .peer import Job

# Images whose features are computed in f64.
EXACT_IMAGES = 4


def network(job, _):
    from . import network, pictures
    pictures.write(job)
    network.write(job)
    return {}


def exact(job, _):
    """Features in f64, of the first images."""
    import numpy as np
    from . import torch
    np.save(job.folder / "exact.npy", torch.reference(job, np.load(job.folder / "input.npy")[:EXACT_IMAGES]))
    return {}


def prepare(job, name):
    engine_of(name).prepare(job)
    return {}


def timed(job, name):
    import numpy as np
    x = np.load(job.folder / "input.npy")
    version, for_images = engine_of(name).engine(job, name)

    def seconds(step, times):
        found = []
        for _ in range(times):
            start = time.perf_counter()
            step()
            found.append(time.perf_counter() - start)
        return found
    step = for_images(x)
    np.save(job.folder / "features" / f"{name}.npy", np.ascontiguousarray(step(), np.float32))
    times = seconds(step, job.batches)
    peak = peak_memory()
    result = {"version": version, "best": len(x) / min(times), "median": len(x) / statistics.median(times), "peak": peak}
    if "streams" not in name and "extractors" not in name:  # one image has no parts
        step = for_images(x[:1])
        step()
        result["latency"] = min(seconds(step, 5))
    return result


def peak_memory():
    try:
        return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path("/proc/self/status").read_text())[1]) * 1024
    except OSError:
        import resource
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def compare(job, reference):
    """Largest differences from what is exact, or from the features named, as part of the largest feature."""
    import numpy as np
    files = {f.stem: f for f in (job.folder / "features").glob("*.npy")}
    exact = job.folder / "exact.npy"
    if not exact.exists():
        exact, reference = files.get(reference), reference
    else:
        reference = "f64"
    if exact is None:
        return {"reference": None, "differences": {}}
    expected, differences = np.load(exact).astype(np.float64), {}
    for name, file in files.items():
        found = np.load(file)[:len(expected)]
        differences[name] = ("shape %s is not %s" % (found.shape, expected.shape) if found.shape != expected.shape
                             else float(np.abs(found - expected).max() / np.abs(expected).max()))
    return {"reference": reference, "differences": differences}


STEPS = {"network": network, "exact": exact, "prepare": prepare, "time": timed, "compare": compare}

if __name__ == "__main__":
    step, name, job = sys.argv[1:]
    answer = STEPS[step](Job.parse(job), name)
    print("\nRESULT " + json.dumps(answer), flush=True)
    os._exit(0)  # some engines crash while they are taken down, after all is said
