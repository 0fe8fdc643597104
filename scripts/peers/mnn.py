"""MNN. Its converter installs a telemetry package through pip when first run, which takes an older protobuf with it: hence an
environment of its own."""
import os
import shutil
import subprocess
import sys

from .peer import Peer, channels_first

PEER = Peer("mnn", {
    "mnn": ("f32", "MNN, its defaults: large Winograd tiles"),
    "mnn-exact": ("f32", "MNN with winograd level 1: the smallest tiles"),
}, "MNN", ["MNN", "numpy"], "nothing: MNN takes what the processor has")
# MNN::Interpreter::HintMode, which the Python package does not name.
WINOGRAD_LEVEL = 3


def prepare(job):
    converter = shutil.which("mnnconvert", path=os.path.dirname(sys.executable))
    subprocess.run([converter, "-f", "ONNX", "--modelFile", job.onnx, "--MNNModel", job.folder / "base.mnn", "--bizCode", "base"],
                   check=True, stdout=subprocess.DEVNULL)


def engine(job, name):
    import MNN
    from MNN import expr
    manager = MNN.nn.create_runtime_manager(({"backend": "CPU", "precision": "high", "numThread": job.threads},))
    if name == "mnn-exact":
        manager.set_hint(WINOGRAD_LEVEL, 1)
    model = MNN.nn.load_module_from_file(str(job.folder / "base.mnn"), ["x"], ["features"], runtime_manager=manager)

    def for_images(x):
        import numpy as np
        placed = expr.placeholder(list(channels_first(x).shape), expr.NCHW)
        placed.write(channels_first(x))

        def step():
            return np.array(expr.convert(model.forward([placed])[0], expr.NHWC).read(), np.float32)
        return step
    return MNN.version(), for_images
