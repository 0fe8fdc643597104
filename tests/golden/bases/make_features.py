"""Writes features/<base>.tsv: what Keras computes in f64 with parameters that a few lines of any language make again.

usage: KERAS_BACKEND=jax make_features.py [--out DIR] [--compare-f32] [BASE...]        (keras 3.15; no weights are needed)

Its backend torch is quicker and writes the same but for some last digits. A line a cut, as `draws.py` says. `--compare-f32`
also prints how far Keras's own f32 is from its f64.

Parameters: draws u of "layer/weight", in f32, in Keras's order. Kernels are (2u - 1) * sqrt(6 / fan in), depthwise ones (no activation follows them in a separable
convolution) (2u - 1) * sqrt(3 / fan in); gamma and variance are 0.5 + u, gamma of MobileNetV2's linear bottlenecks is half of
that (most values would be beyond ReLU6's bound else, and rounding errors grow from block to block), biases and beta (2u - 1) * 0.1, means (2u - 1) * 0.2.
Images are 2u - 1 of "image"."""
import argparse
import math
import os
import pathlib

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ["JAX_ENABLE_X64"] = "1"
os.environ.setdefault("JAX_PLATFORMS", "cpu")
import keras  # noqa: E402
import numpy as np  # noqa: E402
from keras.src import backend  # noqa: E402
from keras.src.backend.common import dtypes  # noqa: E402
from draws import line, uniform  # noqa: E402
from draws import image as drawn  # noqa: E402
from make_tables import BASES  # noqa: E402

# Keras takes f64 and f32 together as f32, and so would run batch normalisation in f32.
_result_type = dtypes.result_type


def _widest(*types):
    return "float64" if any("float64" in str(t) for t in types) else _result_type(*types)


dtypes.result_type = backend.result_type = _widest

# Base: (image, with the classifier, layers). Some cuts are between layers that the engine runs as one.
CUTS = {
    "vgg16": [((47, 61), False, ["block1_conv1", "block2_pool", "block3_conv2", "block5_conv3", "block5_pool"])],
    "vgg19": [((47, 61), False, ["block1_conv2", "block1_pool", "block3_conv4", "block5_conv3", "block5_pool"])],
    "resnet50": [
        ((75, 93), False, ["conv1_pad", "pool1_pool", "conv2_block1_1_conv", "conv2_block1_1_bn", "conv2_block1_add",
                           "conv3_block4_out", "conv5_block3_out"]),
        ((64, 50), False, ["conv1_conv", "pool1_pad", "conv2_block1_0_bn", "conv4_block1_add", "conv5_block3_add"]),
    ],
    "inception-v3": [
        ((97, 84), False, ["conv2d_1", "activation_7", "mixed2", "mixed8", "mixed9_0", "mixed10"]),
        ((78, 107), False, ["max_pooling2d", "average_pooling2d", "batch_normalization_26", "mixed5", "mixed10"]),
    ],
    "inception-resnet-v2": [
        ((83, 102), False, ["mixed_5b", "custom_scale_layer", "block35_10_ac", "mixed_6a", "block17_3_conv", "block17_20_ac",
                            "custom_scale_layer_39", "conv_7b_ac"]),
    ],
    "xception": [
        ((75, 98), False, ["block2_sepconv1", "block2_sepconv2_bn", "block4_pool", "add_3", "block13_sepconv2_bn",
                           "block14_sepconv2_act"]),
        ((102, 71), False, ["batch_normalization", "add", "block3_sepconv1_act", "add_11", "block14_sepconv2_act"]),
    ],
    "mobilenet": [
        ((63, 78), False, ["conv1", "conv_dw_1_bn", "conv_pad_2", "conv_dw_6", "conv_pw_13_relu"]),
        ((66, 129), True, ["global_average_pooling2d", "conv_preds", "predictions"]),
    ],
    "mobilenet-0.25": [((64, 50), False, ["conv1_relu", "conv_dw_2", "conv_pw_6_bn", "conv_dw_12_relu", "conv_pw_13_relu"])],
    "mobilenet-v2": [
        ((63, 78), False, ["bn_Conv1", "expanded_conv_project", "block_1_pad", "block_2_add", "out_relu"]),
        ((66, 129), True, ["block_16_project_BN", "global_average_pooling2d", "predictions"]),
    ],
    "mobilenet-v2-0.35": [
        ((70, 45), False, ["expanded_conv_project_BN", "block_1_depthwise", "block_5_add", "block_13_expand_relu", "out_relu"]),
    ],
}


def values(name, role, shape):
    u = uniform(f"{name}/{role}", math.prod(shape)).reshape(shape)
    centred = u * np.float32(2) - np.float32(1)
    if role == "gamma" and name.endswith("_project_BN"):
        return (np.float32(0.5) + u) * np.float32(0.5)
    if role in ("gamma", "moving_variance"):
        return np.float32(0.5) + u
    if role in ("bias", "beta"):
        return centred * np.float32(0.1)
    if role == "moving_mean":
        return centred * np.float32(0.2)
    if role == "depthwise_kernel":
        return centred * np.float32(math.sqrt(3 / (shape[0] * shape[1])))
    assert role in ("kernel", "pointwise_kernel"), role
    return centred * np.float32(math.sqrt(6 / math.prod(shape[:-1])))


def outputs(base, image, top, layers, floatx):
    keras.backend.clear_session()
    keras.config.set_floatx(floatx)
    make, _, extra = BASES[base]
    model = make(weights=None, include_top=top, input_shape=(*image, 3), **extra)
    for layer in model.layers:
        for weight in layer.weights:
            depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
            role = "depthwise_kernel" if depthwise and weight.name == "kernel" else weight.name
            weight.assign(values(layer.name, role, tuple(weight.shape)).astype(floatx))
    pixels = drawn(*image)[None]
    part = keras.Model(model.input, [model.get_layer(layer).output for layer in layers])
    made = part(pixels.astype(floatx), training=False)
    made = [keras.ops.convert_to_numpy(one)[0] for one in made]
    assert all(one.dtype == floatx for one in made), [one.dtype for one in made]
    return made


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "features")
    parser.add_argument("--compare-f32", action="store_true")
    parser.add_argument("base", nargs="*", default=list(CUTS))
    args = parser.parse_args()
    args.out.mkdir(exist_ok=True)
    for base in args.base:
        lines = []
        for image, top, layers in CUTS[base]:
            exact = outputs(base, image, top, layers, "float64")
            rounded = outputs(base, image, top, layers, "float32") if args.compare_f32 else exact
            for layer, full, f32 in zip(layers, exact, rounded):
                lines.append(line(image, top, layer, full))
                largest = abs(full).max()
                error = f" f32 {abs(full - f32).max() / largest:.1e}" if args.compare_f32 else ""
                print(base, image, layer, full.shape, f"largest {largest:.3g} mean {abs(full).mean():.3g}{error}", flush=True)
        (args.out / f"{base}.tsv").write_text("".join(lines))


if __name__ == "__main__":
    main()
