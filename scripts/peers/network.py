"""The base that all engines get: a Keras model, random or with given weights, and the same as ONNX."""
import os

# Name: Keras's, side of its images.
BASES = {
    "vgg16": ("VGG16", 150),
    "vgg19": ("VGG19", 224),
    "resnet50": ("ResNet50", 224),
    "inception-v3": ("InceptionV3", 299),
    "inception-resnet-v2": ("InceptionResNetV2", 299),
    "xception": ("Xception", 299),
    "mobilenet": ("MobileNet", 224),
    "mobilenet-v2": ("MobileNetV2", 224),
}
# Images whose activations give the statistics of drawn batch normalisations.
STATISTICS_IMAGES = 4


def keras_model(job):
    """Without its weights."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras
    definition = getattr(keras.applications, BASES[job.base][0])
    return definition(weights=None, include_top=False, input_shape=(job.image_size, job.image_size, 3))


def with_weights(job):
    """The model that all engines run."""
    model = keras_model(job)
    model.load_weights(job.keras_weights)
    return model


def write(job):
    """The weights as Keras keeps them, and all as ONNX."""
    model = keras_model(job)
    if job.weights:
        set_weights(model, job.weights)
    else:
        draw_weights(model, job.folder / "input.npy")
    model.save_weights(job.keras_weights)
    write_onnx(model, job)


def write_onnx(model, job):
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    graph = Graph()
    name = graph.of(model)
    next(node for node in graph.nodes if node["output"] == name)["output"] = "features"
    nodes = [helper.make_node(n["op"], n["inputs"], [n["output"]], name=f"n{i}", **n["given"]) for i, n in enumerate(graph.nodes)]
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, job.image_size, job.image_size])
    height, width, channels = model.output.shape[1:]
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", channels, height, width])
    values = [numpy_helper.from_array(value, name) for name, value in graph.values.items()]
    made = helper.make_graph(nodes, job.base, [image], [features], values)
    # Opset 13 and IR 8 are read by every ONNX Runtime since 1.11.
    made = helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(made)
    onnx.save(made, job.onnx)


def set_weights(model, path):
    """Those of a safetensors file with torchvision's names, of VGG16."""
    import keras
    from safetensors.numpy import load_file
    given = load_file(path)
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    numbers = sorted(int(name.split(".")[1]) for name in given if name.startswith("features.") and name.endswith(".weight"))
    for layer, i in zip(convolutions, numbers, strict=True):
        layer.set_weights([given[f"features.{i}.weight"].transpose(2, 3, 1, 0), given[f"features.{i}.bias"]])


def draw_weights(model, images):
    """Kernels that keep the size of activations, and batch normalisations with the statistics of a few images, as training
    leaves them. Mostly positive before each ReLU: else rounding grows from layer to layer, as it does not in trained networks."""
    import keras
    import numpy as np
    rng = np.random.default_rng(1)
    for layer in model.layers:
        for weight in layer.weights:
            shape = tuple(weight.shape)
            if "kernel" in weight.name:
                depthwise = weight.name == "depthwise_kernel" or isinstance(layer, keras.layers.DepthwiseConv2D)
                limit = np.sqrt(6 / np.prod(shape[:2] if depthwise else shape[:3]))
                weight.assign(rng.uniform(-limit, limit, shape))
            elif weight.name == "gamma":
                weight.assign(rng.uniform(0.4, 0.8, shape))
            elif weight.name == "beta":
                weight.assign(rng.uniform(0.2, 1.2, shape))
            elif weight.name == "bias":
                weight.assign(rng.normal(0, 0.1, shape))
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(np.load(images)[:STATISTICS_IMAGES], training=True)


class Graph:
    """ONNX nodes of a Keras model. Batch normalisations go into the convolution before them, and zero padding into the layer
    after it, as exporters and engines do."""

    def __init__(self):
        self.nodes, self.values, self.names, self.pads = [], {}, {}, {}

    def of(self, model):
        """Adds all layers; the output's name."""
        self.names[id(model.inputs[0])] = "x"
        for layer in model.layers:
            if type(layer).__name__ == "InputLayer":
                continue
            tensors = layer.input if isinstance(layer.input, list) else [layer.input]
            names = [self.names[id(tensor)] for tensor in tensors]
            self.names[id(layer.output)] = getattr(self, type(layer).__name__)(layer, names)
        return self.names[id(model.outputs[0])]

    def add(self, op, inputs, **given):
        output = f"t{len(self.nodes)}"
        self.nodes.append({"op": op, "inputs": inputs, "output": output, "given": given})
        return output

    def value(self, array):
        import numpy as np
        name = f"v{len(self.values)}"
        self.values[name] = np.ascontiguousarray(array, np.float32)
        return name

    def padding(self, layer, name, kernel):
        """Top, left, bottom, right."""
        before = self.pads.pop(name, [0, 0, 0, 0])
        if layer.padding == "valid":
            return before
        sizes = layer.input.shape[1:3]
        total = [max((-(-size // stride) - 1) * stride + taps - size, 0) for size, stride, taps in zip(sizes, layer.strides, kernel)]
        return [t // 2 for t in total] + [t - t // 2 for t in total]

    def convolution(self, layer, name, kernel, bias, group=1, pointwise=False):
        """`kernel` is (out, in a group, height, width)."""
        pads = [0, 0, 0, 0] if pointwise else self.padding(layer, name, kernel.shape[2:])
        given = {"kernel_shape": list(kernel.shape[2:]), "pads": pads, "group": group,
                 "strides": [1, 1] if pointwise else list(layer.strides)}
        return self.add("Conv", [name, self.value(kernel), self.value(bias)], **given)

    def activated(self, layer, name):
        return {"linear": name}.get(layer.activation.__name__) or self.Activation(layer, [name])

    def Conv2D(self, layer, names):
        import numpy as np
        kernel = np.asarray(layer.kernel).transpose(3, 2, 0, 1)
        bias = np.asarray(layer.bias) if layer.use_bias else np.zeros(len(kernel))
        return self.activated(layer, self.convolution(layer, names[0], kernel, bias))

    def depthwise(self, layer, name, kernel, bias):
        kernel = kernel.transpose(2, 3, 0, 1)  # one filter a channel
        return self.convolution(layer, name, kernel, bias, group=len(kernel))

    def DepthwiseConv2D(self, layer, names):
        import numpy as np
        bias = np.asarray(layer.bias) if layer.use_bias else np.zeros(layer.input.shape[-1])
        return self.activated(layer, self.depthwise(layer, names[0], np.asarray(layer.kernel), bias))

    def SeparableConv2D(self, layer, names):
        import numpy as np
        name = self.depthwise(layer, names[0], np.asarray(layer.depthwise_kernel), np.zeros(layer.input.shape[-1]))
        kernel = np.asarray(layer.pointwise_kernel).transpose(3, 2, 0, 1)
        bias = np.asarray(layer.bias) if layer.use_bias else np.zeros(len(kernel))
        return self.activated(layer, self.convolution(layer, name, kernel, bias, pointwise=True))

    def BatchNormalization(self, layer, names):
        import numpy as np
        weight, bias = next(node for node in self.nodes if node["output"] == names[0])["inputs"][1:]
        part = lambda name, default: np.asarray(getattr(layer, name), np.float64) if getattr(layer, name) is not None else default
        scale = part("gamma", 1.0) / np.sqrt(part("moving_variance", 1.0) + layer.epsilon)
        moved = (self.values[bias] - part("moving_mean", 0.0)) * scale + part("beta", 0.0)
        self.values[weight] = (self.values[weight] * scale[:, None, None, None]).astype(np.float32)
        self.values[bias] = moved.astype(np.float32)
        return names[0]

    def Activation(self, layer, names):
        if layer.activation.__name__ != "relu":
            raise ValueError(f"{layer.name}: expected relu, found {layer.activation.__name__}")
        return self.add("Relu", names)

    def ReLU(self, layer, names):
        if layer.max_value is None:
            return self.add("Relu", names)
        return self.add("Clip", [names[0], self.value(0.0), self.value(layer.max_value)])

    def ZeroPadding2D(self, layer, names):
        (top, bottom), (left, right) = layer.padding
        name = names[0]
        self.pads[name] = [top, left, bottom, right]
        return name

    def MaxPooling2D(self, layer, names):
        # Zeros before it are as good as none: it comes after a ReLU.
        pads = self.padding(layer, names[0], layer.pool_size)
        return self.add("MaxPool", names, kernel_shape=list(layer.pool_size), strides=list(layer.strides), pads=pads)

    def AveragePooling2D(self, layer, names):
        pads = self.padding(layer, names[0], layer.pool_size)
        return self.add("AveragePool", names, kernel_shape=list(layer.pool_size), strides=list(layer.strides), pads=pads)

    def Concatenate(self, layer, names):
        return self.add("Concat", names, axis=1)

    def Add(self, layer, names):
        return self.add("Add", names)

    def CustomScaleLayer(self, layer, names):
        return self.add("Add", [names[0], self.add("Mul", [names[1], self.value(layer.scale)])])
