"""Each base computes what Keras computes with the same weights, which Keras wrote to a file.

usage: test_bases.py BIN WORK [BASE...]        BIN holds extract; WORK is a folder for files
Needs keras with a backend (jax is taken), h5py and safetensors. Prints a line for each comparison, then `N passed, M failed`.

A base has seeded random parameters, its batch normalisation's statistics too, and is saved with its classifier in one of
Keras's forms, without it in all: `.h5`, `.weights.h5`, `.keras`. Images are PNGs of exactly the size that the base sees. Keras
computes in f64, since its own f32 can be farther off than the bounds."""
import shutil
import sys
import time
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "golden" / "bases")]
import make_features  # noqa: E402  (before keras: it chooses the backend, and f64)
import keras  # noqa: E402
import numpy as np  # noqa: E402
import test_interop  # noqa: E402
from keras import applications as apps  # noqa: E402
from make_tables import BASES  # noqa: E402

# As part of the largest feature, against f64: the bound of `--precision highest`.
TOLERANCE = 5e-6
# Probabilities are at most 1.
PROBABILITY_TOLERANCE = 1e-6
FORMS = [".h5", ".weights.h5", ".keras"]
# Image (height, width) besides the default one.
ODD, WIDE = (101, 101), (84, 118)
# Base: module of its preprocessing, and five cuts. Some are in the middle of what the engine runs as one operation.
CUTS = {
    "vgg16": (apps.vgg16, ["block1_conv1", "block2_pool", "block3_conv3", "block4_pool", "block5_pool"]),
    "vgg19": (apps.vgg19, ["block1_conv2", "block2_pool", "block3_conv4", "block5_conv1", "block5_pool"]),
    "resnet50": (
        apps.resnet,
        ["pool1_pool", "conv2_block1_add", "conv3_block4_out", "conv5_block1_0_bn", "conv5_block3_out"],
    ),
    "inception-v3": (apps.inception_v3, ["mixed0", "mixed3", "mixed7", "mixed9_0", "mixed10"]),
    "inception-resnet-v2": (
        apps.inception_resnet_v2,
        ["mixed_5b", "block35_10_ac", "block17_7_mixed", "mixed_7a", "conv_7b_ac"],
    ),
    "xception": (
        apps.xception,
        ["block1_conv2_act", "block2_sepconv2_bn", "block4_pool", "block13_sepconv1", "block14_sepconv2_act"],
    ),
    "mobilenet": (apps.mobilenet, ["conv1_relu", "conv_dw_2", "conv_pw_6_bn", "conv_pw_11_relu", "conv_pw_13_relu"]),
    "mobilenet-v2": (
        apps.mobilenet_v2,
        ["bn_Conv1", "block_1_depthwise", "block_5_add", "block_13_expand_relu", "out_relu"],
    ),
}


def parameters(model, seed):
    """New values of `model.get_weights()`, in its order, such that activations neither vanish nor grow."""
    values = []
    for position, layer in enumerate(model.layers):
        # Names that other models of the process do not change, but what make_features needs of them.
        name = f"{seed}/{position}{'_project_BN' if layer.name.endswith('_project_BN') else ''}"
        for weight in layer.weights:
            depthwise = isinstance(layer, keras.layers.DepthwiseConv2D) and weight.name == "kernel"
            role = "depthwise_kernel" if depthwise else weight.name
            values.append(make_features.values(name, role, tuple(weight.shape)))
    return values


def soften(model, module):
    """Scales the last kernel, so that the classifier is sure of nothing: what is 1 and 0 is so however it is computed."""
    last = [layer for layer in model.layers if layer.weights][-1]
    size = model.input.shape[1:3]
    pixels = module.preprocess_input(picture(size)[1].astype(np.float32))
    features = keras.ops.convert_to_numpy(keras.Model(model.input, last.input)(pixels, training=False))
    kernel, bias = last.get_weights()
    logits = features.reshape(1, -1) @ kernel.reshape(features.size, -1)
    last.set_weights([kernel * np.float32(2 / logits.std()), bias])


def save(model, path):
    if path.name.endswith(".weights.h5"):
        model.save_weights(path)
    else:
        model.save(path)
    return path


def picture(size):
    """A random image of this size, as a batch, and the folder in which it is."""
    height, width = size
    data = test_interop.WORK / f"images-{height}x{width}"
    pixels = np.random.default_rng(height * width).integers(0, 256, (1, height, width, 3), np.uint8)
    test_interop.png(data / "test" / "a" / "0.png", pixels[0])
    return data, pixels


def extract(base, size, weights, layer):
    height, width = size
    features = test_interop.WORK / "features"
    shutil.rmtree(features, ignore_errors=True)
    test_interop.run(
        "extract", "--data", picture(size)[0], "--split", "test", "--features", features, "--weights", weights,
        "--backbone", base, "--image-size", f"{width}x{height}", "--layer", layer, "--precision", "highest",
    )
    return np.load(features / "test_features.npy").astype(np.float64)


class Checks:
    def __init__(self):
        self.passed = self.failed = 0

    def compare(self, what, found, expected, allowed, per):
        same_shape = found.size == expected.size and found.shape[-1] == expected.shape[-1]
        difference = np.abs(found.reshape(expected.shape) - expected).max() / per if same_shape else np.nan
        ok = bool(difference <= allowed)
        self.passed, self.failed = self.passed + ok, self.failed + (not ok)
        print(f"{'ok     ' if ok else 'FAILED '} {what}: {difference:.1e} (at most {allowed:.0e})", flush=True)


def of_type(dtype):
    """What Keras makes from now on."""
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)


def check(base, number, checks):
    start = time.monotonic()
    module, layers = CUTS[base]
    make, side, _ = BASES[base]
    of_type("float32")
    # As in a process that has made other layers before: Keras goes on with its numbers.
    keras.layers.Conv2D(1, 1), keras.layers.BatchNormalization(), keras.layers.Dense(1)
    whole = make(weights=None, include_top=True, input_shape=(side, side, 3))
    whole.set_weights(parameters(whole, zlib.crc32(base.encode())))
    soften(whole, module)
    without = keras.Model(whole.input, whole.get_layer(layers[-1]).output)
    top_file = save(whole, test_interop.WORK / f"{base}-top{FORMS[number % 3]}")
    files = [save(without, test_interop.WORK / f"{base}{form}") for form in FORMS]

    of_type("float64")
    for turn, size in enumerate([(side, side), ODD, WIDE]):
        # Names as in a new process. A model of one size, since Keras pads MobileNetV2 otherwise where it does not know the size.
        keras.backend.clear_session()
        exact = make(weights=None, include_top=turn == 0, input_shape=(*size, 3))
        exact.set_weights((whole if turn == 0 else without).get_weights())
        outputs = [exact.get_layer(layer).output for layer in layers]
        model = keras.Model(exact.input, [*outputs, exact.output] if turn == 0 else outputs)
        pixels = module.preprocess_input(picture(size)[1].astype(np.float64))
        for layer, expected in zip([*layers, "predictions"], model(pixels, training=False)):
            expected = keras.ops.convert_to_numpy(expected)
            assert expected.dtype == np.float64
            top = layer == "predictions"
            assert not top or 0.005 < expected.max() < 0.5, expected.max()
            file = top_file if top else files[(number + turn) % 3]
            bound, per = (PROBABILITY_TOLERANCE, 1) if top else (TOLERANCE, np.abs(expected).max())
            what = f"{base} {size[0]}x{size[1]} {layer}, {file.name}"
            checks.compare(what, extract(base, size, file, layer), expected, bound, per)
    for file in [top_file, *files]:
        file.unlink()
    print(f"{base}: {time.monotonic() - start:.0f} s", flush=True)


def main(bases):
    checks = Checks()
    for number, base in enumerate(CUTS):
        if not bases or base in bases:
            check(base, number, checks)
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed or not checks.passed else 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    test_interop.BIN, test_interop.WORK = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    sys.exit(main(sys.argv[3:]))
