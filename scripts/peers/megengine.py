"""MegEngine: the last version on the package index is 1.13, for Python 3.10. It reads no ONNX: the file's nodes are traced as its
functions and dumped, in its usual layout and in NCHW88, which is the fast one; its JIT does not know every later processor and
then never answers."""
from .peer import Peer, channels_first, channels_last

PEER = Peer("megengine", {
    "megengine": ("f32", "MegEngine, dumped for inference with fused convolutions"),
    "megengine-nchw88": ("f32", "as megengine, dumped with NCHW88 in memory"),
}, "megengine", ["megengine==1.13.*", "numpy<2", "onnx<1.17"], "nothing: MegEngine takes what the processor has", python="3.10",
            patience=120)


def network(path):
    """The graph of an ONNX file, as `network.py` writes it, as a function."""
    import megengine as mge
    import megengine.functional as F
    import onnx
    from onnx import numpy_helper
    graph = onnx.load(path).graph
    constants = {v.name: numpy_helper.to_array(v) for v in graph.initializer}

    def padded(pads, value=0.0):
        top, left, bottom, right = pads
        return lambda x: F.nn.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_value=value)

    def convolution(node, given, padding):
        weight, bias = (constants[name] for name in node.input[1:])
        group = given["group"]
        if group > 1:
            weight = weight.reshape((group, len(weight) // group) + weight.shape[1:])
        weight, bias = mge.tensor(weight.copy()), mge.tensor(bias.reshape(1, -1, 1, 1).copy())
        return lambda x: F.conv2d(x, weight, bias, given["strides"], padding, groups=group)

    def step(node):
        given = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        pads = given.get("pads", [0, 0, 0, 0])
        even = pads[:2] == pads[2:]
        padding, kernel, strides = tuple(pads[:2]) if even else (0, 0), given.get("kernel_shape"), given.get("strides")
        if node.op_type == "Conv":
            run = convolution(node, given, padding)
        elif node.op_type == "MaxPool":
            run = lambda x: F.max_pool2d(x, kernel, strides, padding)
        elif node.op_type == "AveragePool":
            run = lambda x: F.avg_pool2d(x, kernel, strides, padding, mode="average_count_exclude_padding")
        elif node.op_type == "Mul":
            factor = float(constants[node.input[1]])
            return lambda x: x * factor
        else:
            return {"Relu": F.relu, "Clip": F.nn.relu6, "Add": lambda a, b: a + b, "Concat": lambda *all: F.concat(all, 1)}[node.op_type]
        before = None if even else padded(pads, -1e30 if node.op_type == "MaxPool" else 0.0)
        return (lambda x: run(before(x))) if before else run
    steps = [(step(node), [name for name in node.input if name not in constants], node.output[0]) for node in graph.node]

    def features(x):
        found = {"x": x}
        for run, inputs, output in steps:
            found[output] = run(*[found[name] for name in inputs])
        return found[output]
    return features


def prepare(job):
    import megengine as mge
    import numpy as np
    from megengine.jit import trace
    features = network(str(job.onnx))
    for count in {1, job.batch_size}:
        traced = trace(features, symbolic=True, capture_as_const=True)
        traced(mge.tensor(np.zeros((count, 3, job.image_size, job.image_size), np.float32)))
        for name in PEER.rows:
            traced.dump(str(file(job, name, count)), arg_names=["x"], output_names=["features"], optimize_for_inference=True,
                        enable_fuse_conv_bias_nonlinearity=True, enable_nchw88=name == "megengine-nchw88")


def file(job, name, count):
    return job.folder / f"{name}-{count}.mge"


def engine(job, name):
    import megengine as mge
    from megengine.utils.comp_graph_tools import GraphInference
    mge.set_default_device(f"multithread{job.threads}")

    def for_images(x):
        model, x = GraphInference(str(file(job, name, len(x)))), channels_first(x)
        return lambda: channels_last(model.run(x)["features"])
    return mge.__version__, for_images
