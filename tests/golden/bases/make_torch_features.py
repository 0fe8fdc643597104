"""Writes torch_features/<library>_<base>.tsv: what timm's and torchvision's models compute in f64 with parameters that a few lines
of any language make again.

usage: make_torch_features.py [--out DIR] [MODEL...]        (timm 1.0.31, torchvision 0.29; no weights are needed)

A line a cut, as `draws.py` says, under Keras's names of the layers; maps are (height, width, channels). Parameters: draws u of the
name in the state dict, in f32, in its order. Kernels are (2u - 1) * sqrt(6 / fan in), those of the last layer times `LAST` (else one
class would have all the probability), depthwise ones (2u - 1) * sqrt(3 / fan in); factors of batch normalisation and variances are
0.5 + u, factors of MobileNetV2's linear bottlenecks half of that, biases (2u - 1) * 0.1, means (2u - 1) * 0.2."""
import argparse
import math
import pathlib
import re

import numpy as np
import timm
import torch
import torchvision
from draws import image, line, uniform

VALUES = 60
V3 = {"activation": "Conv2d_1a_3x3", "mixed0": "Mixed_5b", "mixed3": "Mixed_6a", "mixed7": "Mixed_6e", "mixed10": "Mixed_7c"}
RESNET = {
    "conv1_bn": "bn1", "pool1_pool": "maxpool", "conv2_block1_0_bn": "layer1.0.downsample", "conv2_block3_out": "layer1.2",
    "conv3_block1_1_conv": "layer2.0.conv1", "conv3_block1_2_conv": "layer2.0.conv2", "conv5_block3_out": "layer4.2",
}
# Model: what makes it, and for images of these sizes the layers with the modules whose outputs they are.
MODELS = {
    # Its second convolution of a block has the stride.
    "torchvision_resnet50": (lambda: torchvision.models.resnet50(), [(75, 93), (110, 64)], RESNET),
    "timm_resnet50": (lambda: timm.create_model("resnet50"), [(75, 93), (110, 64)], {**RESNET, "conv1_relu": "act1"}),
    # Its average pools count the padding.
    "torchvision_inception-v3": (lambda: torchvision.models.inception_v3(init_weights=False), [(97, 84), (78, 107)], V3),
    "timm_inception-v3": (lambda: timm.create_model("inception_v3"), [(97, 84), (78, 107)], V3),
    "timm_inception-resnet-v2": (
        lambda: timm.create_model("inception_resnet_v2"),
        [(83, 102), (101, 77)],
        {
            "mixed_5b": "mixed_5b", "block35_10_ac": "repeat.9", "mixed_6a": "mixed_6a", "block17_20_ac": "repeat_1.19",
            "mixed_7a": "mixed_7a", "block8_9_ac": "repeat_2.8", "conv_7b_ac": "conv2d_7b",
        },
    ),
    # Its max pools pad on all sides.
    "timm_xception": (
        lambda: timm.create_model("legacy_xception"),
        [(75, 98), (102, 71)],
        {
            "block1_conv2_act": "act2", "block2_sepconv1": "block1.rep.0", "add": "block1", "add_1": "block2",
            "add_10": "block11", "add_11": "block12", "block14_sepconv2_act": "act4",
        },
    ),
    "timm_mobilenet": (
        lambda: timm.create_model("mobilenetv1_100"),
        [(63, 78), (66, 129)],
        {
            "conv1_relu": "bn1", "conv_pw_1_relu": "blocks.0.0", "conv_dw_2": "blocks.1.0.conv_dw",
            "conv_pw_3_relu": "blocks.1.1", "conv_pw_13_relu": "blocks.4.1",
        },
    ),
    "timm_mobilenet-v2": (
        lambda: timm.create_model("mobilenetv2_100"),
        [(63, 78), (66, 129)],
        {
            "Conv1_relu": "bn1", "expanded_conv_project_BN": "blocks.0.0", "block_1_depthwise": "blocks.1.0.conv_dw",
            "block_2_add": "blocks.1.1", "block_13_expand_relu": "blocks.5.0.bn1", "out_relu": "bn2",
        },
    ),
    "torchvision_mobilenet-v2": (
        lambda: torchvision.models.mobilenet_v2(),
        [(63, 78), (66, 129)],
        {
            "Conv1_relu": "features.0", "expanded_conv_project_BN": "features.1", "block_1_depthwise": "features.2.conv.1.0",
            "block_2_add": "features.3", "block_13_expand_relu": "features.14.conv.0", "out_relu": "features.18",
        },
    ),
    # A flattened map is read channel by channel.
    "torchvision_vgg19": (
        lambda: torchvision.models.vgg19(init_weights=False),
        [(47, 61), (33, 40)],
        {"block1_conv1": "features.1", "block2_pool": "features.9", "block4_conv4": "features.26", "block5_pool": "features.36"},
    ),
}
# With the classifier, at the size for which it was trained.
TOP_SIZE = {"inception-v3": 299, "inception-resnet-v2": 299, "xception": 299}
LAST = {"resnet50": 2e-4, "xception": 1e-3, "inception-resnet-v2": 0.05, "inception-v3": 0.2}
PROJECTION = re.compile(r"blocks\.0\.0\.bn2|blocks\.\d+\.\d+\.bn3|features\.1\.conv\.2|features\.\d+\.conv\.3")


def values(name, shape, base):
    u = uniform(name, math.prod(shape)).reshape(shape)
    centred = u * np.float32(2) - np.float32(1)
    module, tensor = name.rsplit(".", 1)
    if tensor == "weight" and len(shape) == 1 and base == "mobilenet-v2" and PROJECTION.fullmatch(module):
        return (np.float32(0.5) + u) * np.float32(0.5)
    if tensor == "running_var" or (tensor == "weight" and len(shape) == 1):
        return np.float32(0.5) + u
    if tensor == "running_mean":
        return centred * np.float32(0.2)
    if tensor == "bias":
        return centred * np.float32(0.1)
    assert tensor == "weight", name
    inputs = math.prod(shape[1:])
    if len(shape) == 4 and shape[1] == 1:
        return centred * np.float32(math.sqrt(3 / inputs))
    last = np.float32(LAST.get(base, 1) if shape[0] == 1000 else 1)
    return centred * np.float32(math.sqrt(6 / inputs)) * last


def outputs(model, modules, size):
    made = {}

    def keep(layer):
        # Activations in place change what was an output.
        return lambda module, inputs, output: made.update({layer: output.clone()})

    parts = dict(model.named_modules())
    hooks = [parts[module].register_forward_hook(keep(layer)) for layer, module in modules.items()]
    pixels = torch.from_numpy(image(*size)).double().permute(2, 0, 1)[None]
    with torch.no_grad():
        made["predictions"] = torch.softmax(model(pixels), 1)
    for hook in hooks:
        hook.remove()
    return {layer: one[0].permute(1, 2, 0).numpy() if one.ndim == 4 else one[0].numpy() for layer, one in made.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "torch_features")
    parser.add_argument("model", nargs="*", default=list(MODELS))
    args = parser.parse_args()
    args.out.mkdir(exist_ok=True)
    for name in args.model:
        make, sizes, modules = MODELS[name]
        base = name.split("_", 1)[1]
        model = make().double().eval()
        state = model.state_dict()
        for key, tensor in state.items():
            if tensor.dtype == torch.float64:
                tensor.copy_(torch.from_numpy(values(key, tuple(tensor.shape), base)))
        side = TOP_SIZE.get(base, 224)
        lines = []
        for size in [*sizes, (side, side)]:
            for layer, full in outputs(model, modules, size).items():
                top = layer == "predictions" or layer.startswith("fc")
                # Elsewhere the classifier of VGG19 sees another map than ours.
                if (top and size != (side, side)) or (not top and size == (side, side) and layer != list(modules)[-1]):
                    continue
                assert full.dtype == np.float64
                lines.append(line(size, top, layer, np.ascontiguousarray(full), VALUES))
                print(name, size, layer, full.shape, f"largest {abs(full).max():.3g} mean {abs(full).mean():.3g}", flush=True)
                assert layer != "predictions" or 0.002 < full.max() < 0.9
        (args.out / f"{name}.tsv").write_text("".join(lines))


if __name__ == "__main__":
    main()
