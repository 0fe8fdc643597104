"""Other engines that run the same base, a file each; `bench_peers.py` runs them in turns with ours."""
from . import deepsparse, keras, litert, megengine, mindspore, mnn, ncnn, onnxruntime, opencv, openvino, torch

ENGINES = {module.PEER.name: module for module in
           (onnxruntime, openvino, keras, torch, mnn, deepsparse, mindspore, megengine, ncnn, litert, opencv)}
# Name of a row: class, what it is.
ROWS = {name: row for module in ENGINES.values() for name, row in module.PEER.rows.items()}
# Peers that are not here, and why.
ABSENT = {
    "tract": "a library for Rust: 3.3 images/s where the others here ran 10 to 30",
}


def engine_of(row):
    """The module that a row belongs to."""
    return ENGINES[row.split("-")[0]]
