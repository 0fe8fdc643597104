"""Writes state_dicts/<library>_<model>.tsv: the tensors of torchvision's and timm's models, a line a module:
its name, then each tensor's name and shape, in the order of the state dict.

usage: make_state_dicts.py [--out DIR]        (timm 1.0.31, torchvision 0.29; no weights are needed)"""
import argparse
import pathlib

MODELS = {
    "timm_vgg16": "vgg16",
    "timm_vgg19": "vgg19",
    "timm_resnet50": "resnet50",
    "timm_inception_v3": "inception_v3",
    "timm_inception_resnet_v2": "inception_resnet_v2",
    "timm_xception": "legacy_xception",
    "timm_mobilenet": "mobilenetv1_100",
    "timm_mobilenet_v2": "mobilenetv2_100",
    "torchvision_vgg16": "vgg16",
    "torchvision_vgg19": "vgg19",
    "torchvision_resnet50": "resnet50",
    "torchvision_inception_v3": "inception_v3",
    "torchvision_mobilenet_v2": "mobilenet_v2",
}


def table(shapes):
    """`shapes`: (tensor, shape) pairs."""
    modules = {}
    for tensor, shape in shapes:
        module, tensor = tensor.rsplit(".", 1)
        modules.setdefault(module, []).append(f"{tensor} {'x'.join(map(str, shape))}".rstrip())
    return "".join(f"{module}\t{';'.join(tensors)}\n" for module, tensors in modules.items())


def main():
    import timm
    import torch
    import torchvision

    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "state_dicts")
    args = parser.parse_args()
    # Shapes are all that is asked for: no memory, no random numbers.
    torch.set_default_device("meta")
    for name, model in MODELS.items():
        if name.startswith("timm"):
            model = timm.create_model(model)
        else:
            model = getattr(torchvision.models, model)()
        shapes = [(k, tuple(v.shape)) for k, v in model.state_dict().items()]
        (args.out / f"{name}.tsv").write_text(table(shapes))


if __name__ == "__main__":
    main()
