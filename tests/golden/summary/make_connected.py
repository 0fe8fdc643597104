"""Writes xception_top_299.txt: the layer table of Keras 2.x's `print_summary` for a model with branches (its width 98, columns
at .33/.55/.67/1, a line an input). Its formatting rule is kept here, as in make_summary.py, and fed with what the installed
Keras says.

usage: make_connected.py > xception_top_299.txt        (keras 3 with any backend)"""
import math

import keras

WIDTH, ENDS = 98, [int(98 * p) for p in (0.33, 0.55, 0.67, 1.0)]


def row(fields):
    line = ""
    for i, field in enumerate(fields):
        if i > 0:
            line = line[:-1] + " "
        line += str(field)
        line = line[: ENDS[i]]
        line += " " * (ENDS[i] - len(line))
    print(line)


def name(layer):
    # The name of Keras 2.
    return layer.name.replace("input_layer", "input_1")


def count(weights):
    return sum(math.prod(w.shape) for w in weights)


model = keras.applications.Xception(weights=None, input_shape=(299, 299, 3))
print("_" * WIDTH)
row(["Layer (type)", "Output Shape", "Param #", "Connected to"])
print("=" * WIDTH)
for i, layer in enumerate(model.layers):
    inputs = [t._keras_history for t in layer._inbound_nodes[0].input_tensors]
    links = [f"{name(h.operation)}[{h.node_index}][{h.tensor_index}]" for h in inputs] or [""]
    shape = tuple(layer.output.shape)
    row([f"{name(layer)} ({type(layer).__name__})", shape, layer.count_params(), links[0]])
    for link in links[1:]:
        row(["", "", "", link])
    print(("=" if i == len(model.layers) - 1 else "_") * WIDTH)
trainable, frozen = count(model.trainable_weights), count(model.non_trainable_weights)
print(f"Total params: {trainable + frozen:,}")
print(f"Trainable params: {trainable:,}")
print(f"Non-trainable params: {frozen:,}")
print("_" * WIDTH)
