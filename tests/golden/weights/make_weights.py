#!/usr/bin/env python3
"""Makes the small weight files that the tests of backbone::weights read.

    python3 -m venv venv && venv/bin/pip install numpy h5py safetensors keras jax ml_dtypes
    venv/bin/python make_weights.py

Every file holds the same two convolutions (3 -> 4 -> 5 channels, 3x3; Keras block1_conv1 and block1_conv2, torchvision
features.0 and features.2) and, where that is usual, a classifier that the reader must leave alone. The values are multiples of
1/64 below 1, so that f16, bf16 and f64 hold them exactly and every file must give the same tensors, bit for bit.

PyTorch itself is not needed: its two file formats are written here byte by byte in the structure of torch.save, by Python's own
pickler with classes that stand in for torch's.
"""

import collections
import io
import json
import os
import pickle
import struct
import sys
import types
import zipfile

os.environ["KERAS_BACKEND"] = "jax"
import h5py
import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

os.chdir(os.path.dirname(os.path.abspath(__file__)))
LAYERS = [("block1_conv1", "features.0", 3, 4), ("block1_conv2", "features.2", 4, 5)]


def splitmix64(seed):
    state = seed
    while True:
        state = (state + 0x9E3779B97F4A7C15) & (2**64 - 1)
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
        yield z ^ (z >> 31)


draw = splitmix64(2024)


def values(*shape):
    n = int(np.prod(shape))
    return np.array([(next(draw) >> 57) / 64 - 1 for _ in range(n)], dtype=np.float32).reshape(shape)


torch_sd = collections.OrderedDict()
for _, name, i, o in LAYERS:
    torch_sd[name + ".weight"] = values(o, i, 3, 3)
    torch_sd[name + ".bias"] = values(o)
conv = dict(torch_sd)
torch_sd["classifier.0.weight"] = values(7, 5)
torch_sd["classifier.0.bias"] = values(7)

hwio = {}
for keras, name, _, _ in LAYERS:
    hwio[keras] = (np.ascontiguousarray(conv[name + ".weight"].transpose(2, 3, 1, 0)), conv[name + ".bias"])
dense = (values(5, 7), values(7))


def canonical(tensors, metadata=None):
    """The form whose sha256 names a set of weights; see docs/weights.md."""
    header, data = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name in sorted(tensors):
        raw = tensors[name].astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensors[name].shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


open("canonical.safetensors", "wb").write(canonical(conv))
open("canonical_caffe.safetensors", "wb").write(canonical(conv, {"preprocess": "caffe"}))


def random_weights(seed, layers):
    """random:SEED, as docs/weights.md defines it."""
    out, bits = {}, splitmix64(seed)
    for _, name, i, o in layers:
        bound = np.float32(np.sqrt(6.0 / (i * 9)))
        u = np.array([(next(bits) >> 40) * 2.0**-23 - 1.0 for _ in range(o * i * 9)], dtype=np.float32)
        out[name + ".weight"] = (u * bound).reshape(o, i, 3, 3)
        out[name + ".bias"] = np.zeros(o, dtype=np.float32)
    return out


open("random_7.safetensors", "wb").write(canonical(random_weights(7, LAYERS)))

# --- safetensors ---
save_file(dict(torch_sd), "torch.safetensors", metadata={"format": "pt"})
save_file({"module." + k: v.astype(np.float16) for k, v in torch_sd.items()}, "torch_module_f16.safetensors")
save_file({k: v.astype(ml_dtypes.bfloat16) for k, v in torch_sd.items()}, "torch_bf16.safetensors")
save_file({k: v.astype(np.float64) for k, v in torch_sd.items()}, "torch_f64.safetensors")
flat = {}
for keras, (k, b) in hwio.items():
    flat[keras + "/kernel"], flat[keras + "/bias"] = k, b
flat["predictions/kernel"], flat["predictions/bias"] = dense
save_file(flat, "keras.safetensors")

# --- numpy ---
np.savez("torch.npz", **torch_sd)
np.savez_compressed("keras.npz", **flat)
np.savez("torch_fortran.npz", **{k: np.asfortranarray(v) for k, v in torch_sd.items()})

# --- pickles of numpy arrays, the structure of Flax checkpoints ---
flax = {"VGG16_0": {f"Conv_{n}": {"kernel": k, "bias": b} for n, (k, b) in enumerate(hwio.values())}}
for protocol in (2, 3, 4, 5):
    with open(f"flax_p{protocol}.ckpt", "wb") as f:
        pickle.dump(flax, f, protocol=protocol)


# --- PyTorch, both formats ---
def module(name, **members):
    m = sys.modules[name] = types.ModuleType(name)
    for key, value in members.items():
        setattr(m, key, value)
        value.__module__ = name
        value.__qualname__ = key
    return m


class FloatStorage:
    pass


class HalfStorage:
    pass


def rebuild(*args):
    raise NotImplementedError


def rebuild_parameter(*args):
    raise NotImplementedError


torch = module("torch", FloatStorage=FloatStorage, HalfStorage=HalfStorage)
module("torch._utils", _rebuild_tensor_v2=rebuild, _rebuild_parameter=rebuild_parameter)


class Storage:
    """Stands for a torch storage: pickled as a persistent id."""

    def __init__(self, key, array):
        self.key, self.array = key, array


class TensorStub:
    def __init__(self, storage, offset, shape, stride):
        self.args = (storage, offset, tuple(shape), tuple(stride), False, collections.OrderedDict())

    def __reduce_ex__(self, protocol):
        return (rebuild, self.args)


class ParameterStub:
    def __init__(self, tensor):
        self.tensor = tensor

    def __reduce_ex__(self, protocol):
        return (rebuild_parameter, (self.tensor, True, collections.OrderedDict()))


class TorchPickler(pickle._Pickler):
    legacy = False

    def persistent_id(self, obj):
        if not isinstance(obj, Storage):
            return None
        kind = HalfStorage if obj.array.dtype == np.float16 else FloatStorage
        ids = ("storage", kind, obj.key, "cpu", obj.array.size)
        return ids + (None,) if self.legacy else ids


def stubs(arrays, parameter=False):
    """A state dict of stand-ins; the last kernel is a transposed view and the biases share one storage, as torch allows."""
    out, storages = collections.OrderedDict(), []

    def storage(array):
        storages.append(Storage(str(len(storages)), np.ascontiguousarray(array).ravel()))
        return storages[-1]

    biases = [v for k, v in arrays.items() if k.endswith("bias")]
    shared, at = storage(np.concatenate(biases)), 0
    for name, a in arrays.items():
        if name.endswith("bias"):
            tensor, at = TensorStub(shared, at, a.shape, (1,)), at + a.size
        elif name == "features.2.weight":
            t = np.ascontiguousarray(a.transpose(2, 3, 1, 0))
            s = [x // t.itemsize for x in t.transpose(3, 2, 0, 1).strides]
            tensor = TensorStub(storage(t), 0, a.shape, s)
        else:
            tensor = TensorStub(storage(a), 0, a.shape, [x // a.itemsize for x in a.strides])
        out[name] = ParameterStub(tensor) if parameter else tensor
    out._metadata = collections.OrderedDict(version=1)
    return out, storages


def torch_zip(path, obj, storages):
    pkl = io.BytesIO()
    TorchPickler(pkl, protocol=2).dump(obj)
    stamp = (1980, 1, 1, 0, 0, 0)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as z:
        z.writestr(zipfile.ZipInfo("archive/data.pkl", stamp), pkl.getvalue())
        z.writestr(zipfile.ZipInfo("archive/byteorder", stamp), b"little")
        for s in storages:
            z.writestr(zipfile.ZipInfo("archive/data/" + s.key, stamp), s.array.tobytes())
        z.writestr(zipfile.ZipInfo("archive/version", stamp), b"3\n")


def torch_legacy(path, obj, storages):
    with open(path, "wb") as f:
        pickle.dump(0x1950A86A20F9469CFC6C, f, protocol=2)
        pickle.dump(1001, f, protocol=2)
        sizes = {"short": 2, "int": 4, "long": 4}
        pickle.dump({"protocol_version": 1001, "little_endian": True, "type_sizes": sizes}, f, protocol=2)
        p = TorchPickler(f, protocol=2)
        p.legacy = True
        p.dump(obj)
        keys = sorted(s.key for s in storages)
        pickle.dump(keys, f, protocol=2)
        by_key = {s.key: s for s in storages}
        for key in keys:
            f.write(struct.pack("<q", by_key[key].array.size) + by_key[key].array.tobytes())


torch_zip("torch.pth", *stubs(torch_sd))
torch_legacy("torch_legacy.pth", *stubs(torch_sd))
half, storages = stubs({k: v.astype(np.float16) for k, v in torch_sd.items()}, parameter=True)
torch_zip("torch_wrapped_f16.pth", {"epoch": 3, "lr": 0.1, "state_dict": half, "name": "vgg"}, storages)


# --- HDF5: Keras 1 / 2.0, Keras 2, Keras 2 whole model, Keras 3 ---
def names_attr(group, key, names):
    group.attrs[key] = np.array([n.encode() for n in names])


with h5py.File("keras_1.h5", "w") as f:
    names_attr(f, "layer_names", ["input_1", *hwio, "block1_pool"])
    for empty in ("input_1", "block1_pool"):
        names_attr(f.create_group(empty), "weight_names", [])
    for keras, (k, b) in hwio.items():
        g = f.create_group(keras)
        names_attr(g, "weight_names", [f"{keras}_W_1:0", f"{keras}_b_1:0"])
        g[f"{keras}_W_1:0"], g[f"{keras}_b_1:0"] = k, b

with h5py.File("keras_1_theano.h5", "w") as f:
    for keras, torch_name, _, _ in LAYERS:
        g = f.create_group(keras)
        g[f"{keras}_W"] = conv[torch_name + ".weight"][:, :, ::-1, ::-1]
        g[f"{keras}_b"] = conv[torch_name + ".bias"]

with h5py.File("keras_2.h5", "w") as f:
    names_attr(f, "layer_names", [*hwio, "predictions"])
    for keras, (k, b) in [*hwio.items(), ("predictions", dense)]:
        g = f.create_group(keras)
        names_attr(g, "weight_names", [f"{keras}_1/kernel:0", f"{keras}_1/bias:0"])
        g[f"{keras}_1/kernel:0"], g[f"{keras}_1/bias:0"] = k, b

with h5py.File("keras_2_model_chunked.h5", "w") as f:
    for keras, (k, b) in [*hwio.items(), ("predictions", dense)]:
        g = f.create_group("model_weights/" + keras)
        kw = {"compression": "gzip", "shuffle": True}
        g.create_dataset(f"{keras}/kernel:0", data=k, chunks=tuple(max(1, (n + 1) // 2) for n in k.shape), fletcher32=True, **kw)
        g.create_dataset(f"{keras}/bias:0", data=b, chunks=(3,), **kw)

with h5py.File("keras_2_latest.h5", "w", libver="latest") as f:
    for keras, (k, b) in hwio.items():
        g = f.create_group(keras)
        g.create_dataset(f"{keras}/kernel:0", data=k.astype(np.float64))
        g.create_dataset(f"{keras}/bias:0", data=b.astype(">f8"))

with h5py.File("keras_2_v110_chunked.h5", "w", libver=("v110", "v110")) as f:
    for keras, (k, b) in hwio.items():
        g = f.create_group(keras)
        g.create_dataset(f"{keras}/kernel:0", data=k, chunks=(2, 3, 2, 2), compression="gzip")
        g.create_dataset(f"{keras}/bias:0", data=b)

import keras

keras.utils.set_random_seed(1)
x = inputs = keras.Input((None, None, 3))
for name, _, _, o in LAYERS:
    x = keras.layers.Conv2D(o, 3, padding="same", activation="relu", name=name)(x)
x = keras.layers.GlobalAveragePooling2D()(x)
model = keras.Model(inputs, keras.layers.Dense(7, name="predictions")(x))
for name, w in hwio.items():
    model.get_layer(name).set_weights(w)
model.get_layer("predictions").set_weights(dense)
model.save_weights("keras_3.weights.h5")
model.save("keras_3_model.h5")
nested = keras.Sequential([keras.Input((None, None, 3)), model, keras.layers.Dense(1)])
nested.save_weights("keras_3_nested.weights.h5")

for name in sorted(os.listdir(".")):
    print(f"{os.path.getsize(name):8} {name}")
