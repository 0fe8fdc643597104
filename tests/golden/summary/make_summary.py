"""Writes vgg16_150.txt: the layer table of Keras 2.0.8's `print_summary` (its width 65, columns at .45/.85/1), which the
lesson shows for VGG16 at 150x150. Keras 2.0.8 runs on no current Python, so its formatting rule is kept here and fed with
the shapes and parameter counts of the installed Keras.

usage: make_summary.py > vgg16_150.txt        (keras 3 with any backend)"""
import math

import keras

WIDTH, ENDS = 65, [int(65 * p) for p in (0.45, 0.85, 1.0)]


def row(fields):
    line = ""
    for i, field in enumerate(fields):
        if i > 0:
            line = line[:-1] + " "
        line += str(field)
        line = line[: ENDS[i]]
        line += " " * (ENDS[i] - len(line))
    print(line)


base = keras.applications.VGG16(weights=None, include_top=False, input_shape=(150, 150, 3))
print("_" * WIDTH)
row(["Layer (type)", "Output Shape", "Param #"])
print("=" * WIDTH)
for i, layer in enumerate(base.layers):
    name = "input_1" if i == 0 else layer.name
    shape = base.input_shape if i == 0 else tuple(layer.output.shape)
    row([f"{name} ({type(layer).__name__})", shape, layer.count_params()])
    print(("=" if i == len(base.layers) - 1 else "_") * WIDTH)
print(f"Total params: {base.count_params():,}")
print(f"Trainable params: {sum(math.prod(w.shape) for w in base.trainable_weights):,}")
print("Non-trainable params: 0")
print("_" * WIDTH)
