#!/usr/bin/env python3
"""Makes layers*: one small model with every kind of layer that has parameters, in every form in which Keras writes it.

    python3 -m venv venv && venv/bin/pip install numpy h5py safetensors keras jax
    venv/bin/python make_layers.py

The model branches, so Keras's order of its layers (by depth) is not the order in which they are made and named: the kernel
of `conv2d_2` comes before that of `conv2d_1`, and both have the same shape. `layers_torch.safetensors` has the expected tensors
under the names of a state dict, in PyTorch's layout; `base.*` is the base, `top.*` the classifier. Values are multiples of 1/64."""
import gzip
import os
import re
import shutil

os.environ["KERAS_BACKEND"] = "jax"
import h5py
import keras
import numpy as np
from keras import layers as kl
from keras.src.legacy.saving import legacy_h5_format
from safetensors.numpy import save_file

os.chdir(os.path.dirname(os.path.abspath(__file__)))
FLATTENED = (3, 4, 4)


def model():
    """The layers that have parameters, by what `layers_torch.safetensors` calls them."""
    made = {}

    def add(name, layer, x):
        made[name] = layer
        return layer(x)

    inputs = keras.Input((8, 10, 3))
    x = add("base.stem", kl.Conv2D(4, 3, strides=2, use_bias=False), inputs)
    x = add("base.norm", kl.BatchNormalization(), x)
    x = kl.Activation("relu")(x)
    short = add("base.short", kl.Conv2D(3, 1, use_bias=False), x)
    long = add("base.long", kl.Conv2D(3, 1, use_bias=False), x)
    long = add("base.long_norm", kl.BatchNormalization(scale=False), long)
    long = add("base.depthwise", kl.DepthwiseConv2D(3, padding="same", depth_multiplier=2, use_bias=False), long)
    x = kl.Concatenate()([long, short])
    x = add("base.separable", kl.SeparableConv2D(5, 3, padding="same", use_bias=False), x)
    x = add("base.wide", kl.Conv2D(4, (1, 3), padding="same"), x)
    x = kl.Activation("relu", name="out")(x)
    x = kl.Flatten()(x)
    x = add("top.hidden", kl.Dense(6), x)
    x = add("top.predictions", kl.Dense(5, name="predictions"), x)
    return keras.Model(inputs, x), made


def base(model):
    return keras.Model(model.input, model.get_layer("out").output)


rng = np.random.default_rng(9)
first, layers = model()
values = {
    name: [(rng.integers(-63, 64, w.shape) / 64).astype(np.float32) for w in layer.weights] for name, layer in layers.items()
}


def fill(layers):
    for name, layer in layers.items():
        layer.set_weights(values[name])


# The expected tensors. Keras's order of a layer's own: kernel or depthwise, pointwise kernel, bias; gamma, beta, mean, variance.
def conv(kernel):
    return kernel.transpose(3, 2, 0, 1)


def depthwise(kernel):
    h, w, channels, multiplier = kernel.shape
    return kernel.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, h, w)


(h, w, c), (kernel, bias) = FLATTENED, values["top.hidden"]
hidden = kernel.reshape(h, w, c, 6).transpose(3, 2, 0, 1).reshape(6, h * w * c)
norm = ["weight", "bias", "running_mean", "running_var"]
expected = {
    "base.stem.weight": conv(values["base.stem"][0]),
    **{f"base.norm.{key}": value for key, value in zip(norm, values["base.norm"])},
    "base.short.weight": conv(values["base.short"][0]),
    "base.long.weight": conv(values["base.long"][0]),
    **{f"base.long_norm.{key}": value for key, value in zip(norm[1:], values["base.long_norm"])},
    "base.depthwise.weight": depthwise(values["base.depthwise"][0]),
    "base.separable.conv1.weight": depthwise(values["base.separable"][0]),
    "base.separable.pointwise.weight": conv(values["base.separable"][1]),
    "base.wide.weight": conv(values["base.wide"][0]),
    "base.wide.bias": values["base.wide"][1],
    "top.hidden.weight": hidden,
    "top.hidden.bias": bias,
    "top.predictions.weight": values["top.predictions"][0].T,
    "top.predictions.bias": values["top.predictions"][1],
}
save_file({name: np.ascontiguousarray(tensor) for name, tensor in expected.items()}, "layers_torch.safetensors")

# random:7, by the function in docs/weights.md.
text = open("../../../docs/weights.md", encoding="utf-8").read()
scope = {}
exec(next(c for c in re.findall(r"```python\n(.*?)```", text, re.S) if "def random_weights" in c), scope)
order = ["stem", "norm", "long", "long_norm", "depthwise", "short", "separable", "wide", "hidden", "predictions"]
shapes = sorted(((name, tensor.shape) for name, tensor in expected.items()), key=lambda one: order.index(one[0].split(".")[1]))
save_file(scope["random_weights"](7, shapes), "layers_random_7.safetensors")


def legacy(path, model):
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)


fill(layers)
assert [layer.name for layer in base(first).layers if layer.weights][2:6] == [
    "conv2d_2", "batch_normalization_1", "depthwise_conv2d", "conv2d_1"
]
legacy("layers_names.h5", base(first))
# Of a second model of the process, whose layers have other numbers.
second, layers = model()
fill(layers)
assert "conv2d" not in [layer.name for layer in second.layers]
legacy("layers_shifted.h5", second)
second.save("layers_shifted_model.h5")
base(second).save_weights("layers.weights.h5")
second.save("layers.keras")
# Within another model: whose weights are in Keras's legacy order, first those that are trained.
for name, trainable in [("trained", True), ("frozen", False)]:
    inner = base(second)
    inner.trainable = trainable
    nested = keras.Sequential([keras.Input((8, 10, 3)), inner, kl.GlobalAveragePooling2D(), kl.Dense(1)])
    legacy(f"layers_nested_{name}.h5", nested)
nested.save_weights("layers_nested.weights.h5")


# As Keras 2 wrote it: numbers from 1, `:0`, a name of its own for depthwise kernels.
def keras_2(path, model):
    with h5py.File(path, "w") as file:
        numbers, named = {}, []
        for layer in model.layers:
            if not layer.weights:
                continue
            kind = layer.name.rstrip("0123456789").rstrip("_")
            numbers[kind] = numbers.get(kind, 0) + 1
            name = f"{kind}_{numbers[kind]}"
            weights = ["depthwise_kernel" if "depthwise" in kind else w.name for w in layer.weights]
            group, weights = file.create_group(name), [f"{name}/{w}:0" for w in weights]
            group.attrs["weight_names"] = [w.encode() for w in weights]
            for weight, value in zip(weights, layer.get_weights()):
                group[weight] = value
            named.append(name)
        file.attrs["layer_names"] = [name.encode() for name in named]


keras_2("layers_keras_2.h5", base(second))

# Two layers in each other's place, and one left out.
shutil.copy("layers_shifted.h5", "layers_swapped.h5")
with h5py.File("layers_swapped.h5", "a") as file:
    names = list(file.attrs["layer_names"])
    weighted = [i for i, name in enumerate(names) if len(file[name].attrs["weight_names"])]
    a, b = weighted[2], weighted[4]
    names[a], names[b] = names[b], names[a]
    file.attrs["layer_names"] = names
shutil.copy("layers_names.h5", "layers_missing.h5")
with h5py.File("layers_missing.h5", "a") as file:
    del file["depthwise_conv2d"]



# Lists of names that no model has: too many layers; one layer again and again, of many tensors; or of none, but with an
# attribute that is long to read.
def absurd(path, layers, weights, other):
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array([b"a"] * layers)
        group = file.create_group("a")
        group["a"] = np.float32(0)
        if weights:
            group.attrs["weight_names"] = np.array([b"a"] * weights)
        group.attrs["other"] = np.array([b"a"] * other)


absurd("layers_absurd_many.h5", 60_000, 1, 1)
absurd("layers_absurd_product.h5", 15_000, 15_000, 1)
absurd("layers_absurd_attribute.h5", 15_000, 0, 60_000)

# HDF5 is mostly empty space.
for name in sorted(os.listdir(".")):
    if name.startswith("layers") and name.endswith((".h5", ".keras")):
        with open(name + ".gz", "wb") as out, gzip.GzipFile("", "wb", 9, out, mtime=0) as packed:
            packed.write(open(name, "rb").read())
        os.remove(name)
        print(f"{os.path.getsize(name + '.gz'):8} {name}.gz")
