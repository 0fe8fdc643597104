"""Writes what Keras says about its own bases: one `<base>.tsv` each and `cuts.tsv`.

usage: KERAS_BACKEND=jax make_tables.py [--out DIR] [BASE...]        (keras 3.15; no weights are needed)

A line a layer, in the order of `model.layers`, with the classifier on top:
name, class, inputs, options, weights in order with their shapes, output shape at the default size, and output shape without
the classifier for an image of 97x131 (`-` for layers of the classifier). The batch axis is left out. `cuts.tsv` has the order
of layers of some models that end earlier: base, last layer, all layers."""
import argparse
import os
import pathlib

os.environ.setdefault("KERAS_BACKEND", "jax")
import keras  # noqa: E402
from keras import applications as apps  # noqa: E402

ODD = (97, 131, 3)
BASES = {
    "vgg16": (apps.VGG16, 224, {}),
    "vgg19": (apps.VGG19, 224, {}),
    "resnet50": (apps.ResNet50, 224, {}),
    "inception-v3": (apps.InceptionV3, 299, {}),
    "inception-resnet-v2": (apps.InceptionResNetV2, 299, {}),
    "xception": (apps.Xception, 299, {}),
    "mobilenet": (apps.MobileNet, 224, {}),
    "mobilenet-v2": (apps.MobileNetV2, 224, {}),
    **{f"mobilenet-{a}": (apps.MobileNet, 224, {"alpha": a}) for a in (0.25, 0.5, 0.75)},
    **{f"mobilenet-v2-{a}": (apps.MobileNetV2, 224, {"alpha": a}) for a in (0.35, 0.5, 0.75, 1.3, 1.4)},
}
CUTS = {
    "inception-v3": ["activation_7", "mixed2", "mixed9_0"],
    "xception": ["block4_pool", "add_3", "block13_sepconv2_bn"],
    "resnet50": ["conv2_block1_1_relu", "conv3_block4_out"],
}


def number(x):
    return repr(float(x)).replace("e-0", "e-")


def by(xs):
    return "x".join(str(x) for x in xs)


def options(layer):
    kind, c = type(layer).__name__, layer.get_config()
    if kind in ("Conv2D", "DepthwiseConv2D", "SeparableConv2D"):
        assert tuple(c["dilation_rate"]) == (1, 1) and c.get("groups", 1) == 1
        assert c.get("depth_multiplier", 1) == 1
        bias = "bias" if c["use_bias"] else "no-bias"
        return f"{by(c['kernel_size'])} /{by(c['strides'])} {c['padding']} {bias} {c['activation']}"
    if kind == "Dense":
        return f"{'bias' if c['use_bias'] else 'no-bias'} {c['activation']}"
    if kind == "BatchNormalization":
        return f"{number(c['epsilon'])} center={c['center']} scale={c['scale']}"
    if kind == "Activation":
        return c["activation"]
    if kind == "ReLU":
        assert not c["negative_slope"] and not c["threshold"]
        return f"max={number(c['max_value'])}"
    if kind in ("MaxPooling2D", "AveragePooling2D"):
        return f"{by(c['pool_size'])} /{by(c['strides'])} {c['padding']}"
    if kind == "ZeroPadding2D":
        (top, bottom), (left, right) = c["padding"]
        return f"{top},{left},{bottom},{right}"
    if kind == "CustomScaleLayer":
        return f"scale={number(layer.scale)}"
    if kind == "Dropout":
        return f"rate={number(c['rate'])}"
    if kind == "GlobalAveragePooling2D":
        return f"keepdims={c['keepdims']}"
    assert kind in ("InputLayer", "Add", "Concatenate", "Flatten", "Reshape"), kind
    return ""


def inputs(layer):
    (node,) = layer._inbound_nodes[:1]
    return [t._keras_history.operation.name for t in node.input_tensors]


def build(make, shape, top, extra):
    keras.backend.clear_session()
    return make(weights=None, include_top=top, input_shape=shape, **extra)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    parser.add_argument("base", nargs="*", default=list(BASES))
    args = parser.parse_args()
    cuts = []
    for base in args.base:
        make, size, extra = BASES[base]
        odd = {l.name: l.output.shape for l in build(make, ODD, False, extra).layers}
        model = build(make, (size, size, 3), True, extra)
        lines = []
        for i, layer in enumerate(model.layers):
            weights = ";".join(f"{w.name} {by(w.shape)}" for w in layer.weights)
            cells = [layer.name, type(layer).__name__, ",".join(inputs(layer)), options(layer), weights]
            shapes = [layer.output.shape, odd.get(layer.name)]
            cells += ["-" if s is None else by(s[1:]) for s in shapes]
            lines.append("\t".join(cells))
        names = [l.name for l in model.layers]
        assert names[: len(odd)] == list(odd), "the classifier changes the order of layers"
        (args.out / f"{base}.tsv").write_text("\n".join(lines) + "\n")
        for cut in CUTS.get(base, []):
            part = keras.Model(model.input, model.get_layer(cut).output)
            cuts.append("\t".join([base, cut, " ".join(l.name for l in part.layers)]))
        print(base, model.count_params(), sum(1 for _ in model.layers), flush=True)
    if set(CUTS) <= set(args.base):
        (args.out / "cuts.tsv").write_text("\n".join(cuts) + "\n")


if __name__ == "__main__":
    main()
