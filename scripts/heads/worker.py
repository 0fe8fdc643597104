"""One training in a process of its own: python -m heads.worker ROW JOB, with scripts/ on the path."""
import json
import os
import pathlib
import sys
import time

from . import engine_of


class Job:
    """What every engine is told."""
    units, dropout, batch_size, rate = 256, 0.5, 20, 2e-5

    def __init__(self, text):
        vars(self).update(json.loads(text))

    def load(self):
        """Features and labels of train and of validation."""
        import numpy as np
        arrays = []
        for split in ("train", "validation"):
            x = np.load(pathlib.Path(self.features) / f"{split}_features.npy").astype(np.float32)
            arrays += [x.reshape(len(x), -1), np.load(pathlib.Path(self.features) / f"{split}_labels.npy")]
        return arrays


if __name__ == "__main__":
    name, text = sys.argv[1:]
    version, fit = engine_of(name).train(Job(text), name)
    start = time.perf_counter()
    accuracy, val = fit()
    seconds = time.perf_counter() - start
    print("\nRESULT " + json.dumps({"version": version, "training": seconds, "accuracy": accuracy, "val": val}), flush=True)
    os._exit(0)  # taking an engine down is not measured
