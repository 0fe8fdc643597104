"""PyTorch: the ONNX file's nodes as modules."""
from .openvino import ONEDNN_ISA
from .peer import Peer, channels_last

PEER = Peer("torch", {
    "torch": ("f32", "PyTorch, channels_last, inference_mode"),
    "torch-contiguous": ("f32", "PyTorch, NCHW in memory, inference_mode"),
    "torch-frozen": ("f32", "PyTorch, channels_last, traced, frozen, optimize_for_inference"),
    "torch-compiled": ("f32", "PyTorch, channels_last, torch.compile"),
    "torch-bf16": ("bf16", "as torch, weights and activations bf16"),
    "torch-frozen-bf16": ("bf16", "as torch-frozen, weights and activations bf16"),
    "torch-compiled-bf16": ("bf16", "as torch-compiled, weights and activations bf16"),
}, "torch", ["torch"], "oneDNN, ATen and MKL kernels (ONEDNN_MAX_CPU_ISA, ATEN_CPU_CAPABILITY, MKL_ENABLE_INSTRUCTIONS)",
            environment="main", limit=lambda isa: {"ONEDNN_MAX_CPU_ISA": ONEDNN_ISA[isa], "ATEN_CPU_CAPABILITY": isa,
                                                   "MKL_ENABLE_INSTRUCTIONS": isa.upper()})
# What importing torch needs besides the libraries for GPUs.
NEEDS = ["filelock", "fsspec", "jinja2", "networkx", "setuptools", "sympy", "typing-extensions"]


def network(path):
    """The graph of an ONNX file as `network.py` writes it; an activation is let go after its last use."""
    import onnx
    import torch
    from onnx import numpy_helper
    from torch import nn
    from torch.nn import functional
    graph = onnx.load(path).graph
    constants = {v.name: torch.from_numpy(numpy_helper.to_array(v).copy()) for v in graph.initializer}
    uses = [name for node in graph.node for name in node.input]

    def padded(pads, inner, value=0.0):
        """`inner`, after padding it itself has no way to say."""
        top, left, bottom, right = pads
        return (lambda x: inner(functional.pad(x, (left, right, top, bottom), value=value))) if any(pads) else inner

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolutions, self.steps = nn.ModuleList(), []
            for node in graph.node:
                inputs = [name for name in node.input if name not in constants]
                self.steps.append((self.step(node), inputs, node.output[0]))
            last = {name: i for i, (_, inputs, _) in enumerate(self.steps) for name in inputs}
            self.done = [[name for name, at in last.items() if at == i] for i in range(len(self.steps))]

        def step(self, node):
            given = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            pads = given.get("pads", [0, 0, 0, 0])
            even = tuple(pads[:2]) if pads[:2] == pads[2:] else (0, 0)
            uneven = [0, 0, 0, 0] if pads[:2] == pads[2:] else pads
            alone = uses.count(node.input[0]) == 1
            if node.op_type == "Conv":
                weight, bias = (constants[name] for name in node.input[1:])
                conv = nn.Conv2d(weight.shape[1] * given["group"], weight.shape[0], tuple(weight.shape[2:]), given["strides"],
                                 even, groups=given["group"])
                conv.weight.data, conv.bias.data = weight, bias
                self.convolutions.append(conv)
                return padded(uneven, conv)
            if node.op_type == "Relu":
                return lambda x: functional.relu(x, inplace=alone)
            if node.op_type == "Clip":
                return lambda x: functional.relu6(x, inplace=alone)
            if node.op_type == "MaxPool":
                return padded(uneven, lambda x: functional.max_pool2d(x, given["kernel_shape"], given["strides"], even),
                              float("-inf"))
            if node.op_type == "AveragePool":
                return lambda x: functional.avg_pool2d(x, given["kernel_shape"], given["strides"], even, count_include_pad=False)
            if node.op_type == "Mul":
                factor = constants[node.input[1]].item()
                return lambda x: x * factor
            return {"Add": torch.add, "Concat": lambda *parts: torch.cat(parts, 1)}[node.op_type]

        def forward(self, x):
            found = {"x": x}
            for (step, inputs, output), done in zip(self.steps, self.done):
                found[output] = step(*[found[name] for name in inputs])
                for name in done:
                    del found[name]
            return found[output]
    return Network().eval()


def engine(job, name):
    import torch
    torch.set_num_threads(job.threads)
    kind = torch.bfloat16 if "bf16" in name else torch.float32
    layout = torch.contiguous_format if "contiguous" in name else torch.channels_last
    model = network(job.onnx).to(kind).to(memory_format=layout)

    def for_images(x):
        x = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=layout)
        run = model
        if "frozen" in name:
            with torch.no_grad():
                run = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, x.to(kind))))
                run(x.to(kind))  # it is specialised in the first two runs
        if "compiled" in name:
            run = torch.compile(model, dynamic=False)

        def step():
            with torch.inference_mode():
                return run(x.to(kind)).float().permute(0, 2, 3, 1).contiguous().numpy()
        return step
    return torch.__version__, for_images


def reference(job, x):
    """The features in f64."""
    import torch
    torch.set_num_threads(job.threads)
    with torch.inference_mode():
        return channels_last(network(job.onnx).double()(torch.from_numpy(x).double().permute(0, 3, 1, 2)).numpy())
