"""Losses and gradients of small networks by PyTorch in f64: gradients.safetensors.

    python3 -m venv .venv-golden && .venv-golden/bin/pip install torch numpy safetensors
    .venv-golden/bin/python tests/golden/train/make_gradients.py

crates/train/tests/gradients.rs builds the same networks. All tensors are stored in Keras's layouts. Last made with
PyTorch 2.15.0.
"""
import pathlib
import numpy as np, torch, torch.nn.functional as F
from safetensors.numpy import save_file

OUT = {}


class Net:
    """Keeps tensors in Keras's layouts, from a seed, with gradients."""

    def __init__(self, name, seed):
        self.name, self.rng, self.tensors = name, np.random.default_rng(seed), {}

    def tensor(self, name, shape, scale=1.0, offset=0.0):
        values = (self.rng.uniform(-1, 1, shape) * scale + offset).astype(np.float32)
        t = torch.tensor(values, dtype=torch.float64, requires_grad=True)
        self.tensors[name] = t
        OUT[f"{self.name}/{name}"] = values
        return t

    def conv(self, name, x, filters, size, padding=0, stride=1, bias=True):
        kernel = self.tensor(f"{name}/kernel", (*size, x.shape[1], filters), 0.4)
        b = self.tensor(f"{name}/bias", (filters,), 0.1) if bias else None
        return F.conv2d(x, kernel.permute(3, 2, 0, 1), b, stride, padding)

    def depthwise(self, name, x, size, padding, stride=1, role="depthwise_kernel"):
        c = x.shape[1]
        kernel = self.tensor(f"{name}/{role}", (*size, c, 1), 0.5)
        return F.conv2d(x, kernel.permute(2, 3, 0, 1), None, stride, padding, groups=c)

    def norm(self, name, x, epsilon, training):
        c = x.shape[1]
        gamma = self.tensor(f"{name}/gamma", (c,), 0.3, 1.0)
        beta = self.tensor(f"{name}/beta", (c,), 0.3)
        mean = self.tensor(f"{name}/moving_mean", (c,), 0.3)
        variance = self.tensor(f"{name}/moving_variance", (c,), 0.3, 1.0)
        for t in (mean, variance):
            t.requires_grad = False
        return F.batch_norm(x, mean.clone(), variance.clone(), gamma, beta, training, eps=epsilon)

    def dense(self, name, x, units):
        kernel = self.tensor(f"{name}/kernel", (x.shape[1], units), 0.3)
        return x @ kernel + self.tensor(f"{name}/bias", (units,), 0.1)

    def finish(self, x, logits, labels):
        OUT[f"{self.name}/input"] = x.permute(0, 2, 3, 1).numpy().astype(np.float32)
        OUT[f"{self.name}/labels"] = np.array(labels, np.int64)
        y = torch.tensor(labels)
        if logits.shape[1] == 1:
            loss = F.binary_cross_entropy_with_logits(logits[:, 0], y.double())
        else:
            loss = F.cross_entropy(logits, y)
        loss.backward()
        OUT[f"{self.name}/loss"] = np.array([loss.item()], np.float64)
        for name, t in self.tensors.items():
            if t.grad is not None:
                OUT[f"{self.name}/gradient/{name}"] = t.grad.numpy().astype(np.float64)

    def pixels(self, batch, h, w, c):
        values = self.rng.uniform(-1, 1, (batch, c, h, w)).astype(np.float32)
        return torch.tensor(values, dtype=torch.float64)


def flat(x):
    """Keras's order: height, width, channels."""
    return x.permute(0, 2, 3, 1).flatten(1)


def chain():
    net = Net("chain", 1)
    x = net.pixels(4, 17, 14, 3)
    y = F.relu(net.conv("conv1", x, 16, (3, 3)))
    y = F.max_pool2d(y, 2)
    y = F.relu(net.conv("conv2", y, 32, (3, 3), padding=1))
    y = F.relu(net.norm("norm", net.conv("conv3", y, 16, (3, 3), padding=1, bias=False), 1e-3, True))
    # Windows that overlap and reach into the border, which does not count.
    y = F.avg_pool2d(y, 3, 2, padding=1, count_include_pad=False)
    y = F.relu(net.dense("dense", flat(y), 10))
    net.finish(x, net.dense("dense_1", y, 3), [0, 2, 1, 1])


def branches():
    net = Net("branches", 2)
    x = net.pixels(3, 12, 15, 4)
    # "same" at stride 2: nothing above, a line below (even) or on both sides (odd).
    stem = F.relu6(net.conv("stem", F.pad(x, (1, 1, 0, 1)), 8, (3, 3), stride=2))
    left = net.depthwise("separable", stem, (3, 3), 1)
    kernel = net.tensor("separable/pointwise_kernel", (1, 1, 8, 8), 0.5)
    left = F.conv2d(left, kernel.permute(3, 2, 0, 1), net.tensor("separable/bias", (8,), 0.1))
    left = net.norm("norm_left", left, 1e-5, True)
    both = F.relu(stem + 0.3 * left)
    right = net.depthwise("depthwise", both, (3, 3), 1)
    right = net.norm("norm_frozen", right, 1e-3, False)
    right = F.max_pool2d(F.pad(right, (1, 1, 1, 1), value=0.0), 3, 2)
    long = net.conv("long", both, 8, (1, 5), stride=2, padding=(0, 2))
    joined = torch.cat([right, long], 1)
    pooled = joined.mean((2, 3))
    most = net.conv("last", joined, 6, (1, 1)).amax((2, 3))
    net.finish(x, net.dense("dense", torch.cat([pooled, most], 1), 1), [1, 0, 1])


chain()
branches()
path = pathlib.Path(__file__).parent / "gradients.safetensors"
save_file({name: np.ascontiguousarray(x) for name, x in OUT.items()}, path)
print(torch.__version__, path.stat().st_size, len(OUT))
