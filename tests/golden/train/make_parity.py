"""Trains small convolutional networks with Keras and writes what it did: parity.json (networks, settings, histories) and
parity.safetensors (pictures, initial weights, order of the rows, dropout masks, final weights).

    python3 -m venv .venv-golden && .venv-golden/bin/pip install keras jax numpy pillow safetensors
    KERAS_BACKEND=jax .venv-golden/bin/python tests/golden/train/make_parity.py

The cases are the lesson's four runs in miniature (a head on a frozen base's features; fine-tuning of the base's last
block from there; a network from scratch; the same with dropout on other views of the pictures in each epoch), and a
network with batch normalisation. Networks are descriptions as the crate `graph` reads them.

With `make_parity.py --full PICTURES OUT` it does the same for the lesson's own networks on 200 pictures of 150 by 150
from the folders of PICTURES (one a class), into the folder OUT; the base is VGG16 with random weights.
`NET_PARITY=OUT cargo test --workspace --release --test net_parity keras -- --nocapture` then compares.

Order and masks are given, not drawn by Keras: each epoch is one `fit` call on rows put in order by hand, and dropout is
a factor fed beside the pictures. Last made with Keras 3.15.1 on JAX 0.10.2.
"""
import json, pathlib, sys
import numpy as np, keras
from safetensors.numpy import save_file

OUT = pathlib.Path(__file__).parent
FULL = len(sys.argv) == 4 and sys.argv[1] == "--full"
SIZE, ROWS, VALID, EPOCHS, BATCH = ((16, 14), 44, 20, 3, 8)
if FULL:
    OUT = pathlib.Path(sys.argv[3])
    OUT.mkdir(parents=True, exist_ok=True)
    SIZE, ROWS, VALID, EPOCHS, BATCH = ((150, 150), 150, 50, 3, 20)
rng = np.random.default_rng(11)


def conv(filters, name, padding="valid", **more):
    return {"op": "conv", "name": name, "filters": filters, "kernel": 3, "padding": padding, **more}


def conv_relu(filters, name, padding="valid"):
    return conv(filters, name, padding, activation="relu")


def pool(name):
    return {"op": "max-pool", "name": name}


def dense(units, name, activation):
    return {"op": "dense", "name": name, "units": units, "activation": activation}


FLATTEN = {"op": "flatten", "name": "flatten"}
DROPOUT = {"op": "dropout", "name": "dropout", "rate": 0.5}


def based():
    """The base, and the lesson's head on it."""
    blocks = [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)] if FULL else [(1, 8), (2, 12)]
    layers = []
    for b, (count, filters) in enumerate(blocks, 1):
        layers += [conv_relu(filters, f"block{b}_conv{c + 1}", "same") for c in range(count)] + [pool(f"block{b}_pool")]
    last = f"block{len(blocks)}_"
    head = [FLATTEN, dense(256 if FULL else 16, "dense", "relu"), dense(1, "dense_1", "sigmoid")]
    return layers + head, [layer["name"] for layer in layers], last


def scratch(dropout):
    layers = []
    for i, filters in enumerate([32, 64, 128, 128] if FULL else [8, 16]):
        layers += [conv_relu(filters, f"conv{i}"), pool(f"pool{i}")]
    layers += [FLATTEN] + [DROPOUT] * dropout
    return layers + [dense(512 if FULL else 16, "dense", "relu"), dense(1, "dense_1", "sigmoid")]


def normalised():
    """Normalisation before and after an activation, with and without gamma and beta, without and with a bias before it."""
    return [conv(8, "conv0", bias=False), {"op": "batch-norm", "name": "norm0"},
            {"op": "activation", "name": "relu0", "activation": "relu"}, pool("pool0"),
            {"op": "batch-norm", "name": "plain", "center": False, "scale": False},
            conv_relu(12, "conv1", "same"), {"op": "batch-norm", "name": "norm1", "epsilon": 1e-5, "scale": False},
            FLATTEN, dense(3, "dense", "softmax")]


def keras_layer(layer):
    kind = {"conv": keras.layers.Conv2D, "max-pool": keras.layers.MaxPooling2D, "flatten": keras.layers.Flatten,
            "dense": keras.layers.Dense, "batch-norm": keras.layers.BatchNormalization,
            "activation": keras.layers.Activation}[layer["op"]]
    names = {"kernel": "kernel_size", "bias": "use_bias"}
    return kind(**{names.get(key, key): value for key, value in layer.items() if key != "op"})


def build(layers, shape):
    """A model of these layers, and the shapes of its further inputs: the factors of each dropout."""
    x = given = keras.Input(shape)
    factors = []
    for layer in layers:
        if layer["op"] == "dropout":
            factors.append(keras.Input(x.shape[1:]))
            x = keras.layers.Multiply(name=layer["name"])([x, factors[-1]])
        else:
            x = keras_layer(layer)(x)
    return keras.Model([given, *factors], x), [tuple(f.shape[1:]) for f in factors]


def weights(model):
    return {f"{layer.name}/{w.name}": w for layer in model.layers for w in layer.weights}


def first(name, shape):
    """Not Keras's first values: biases and statistics that are 0 or 1 would hide mistakes."""
    kind = name.split("/")[1]
    if kind == "kernel":
        field = int(np.prod(shape[:-2]))
        # The base is random too, and must not lose its input in 13 layers: He's range; Glorot's for what is trained.
        fan = field * shape[0 if len(shape) == 2 else -2] + (0 if name.startswith("block") else field * shape[-1])
        limit = np.sqrt(6 / fan)
        return rng.uniform(-limit, limit, shape).astype(np.float32)
    offset = 1.0 if kind in ("gamma", "moving_variance") else 0.0
    return (offset + rng.uniform(-0.1, 0.1, shape)).astype(np.float32)


def pictures(n):
    """Stripes in one of three directions under noise, as bytes, and the direction."""
    kinds = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    waves = np.stack([y, x, x + y])[kinds] * 1.6 + rng.uniform(0, 6, (n, 1, 1))
    values = 120 + 60 * np.sin(waves)[..., None] * [1.0, 0.7, 0.4] + rng.normal(size=(n, *SIZE, 3)) * 25
    return np.clip(values, 0, 255).astype(np.uint8), kinds.astype(np.int64)


def photographs(n, skip):
    from PIL import Image
    folders = sorted(f for f in pathlib.Path(sys.argv[2]).iterdir() if f.is_dir())[:2]
    images, labels = [], []
    for i in range(n):
        path = sorted(folders[i % 2].iterdir())[(skip + i) // 2]
        images.append(np.asarray(Image.open(path).convert("RGB").resize(SIZE[::-1])))
        labels.append(i % 2)
    return np.stack(images), np.array(labels, np.int64)


def view(images):
    """The same pictures, half of them mirrored, each moved by up to an eighth and of another brightness."""
    out = []
    for image in images:
        image = image[:, ::-1] if rng.random() < 0.5 else image
        by = [int(rng.integers(-(s // 8), s // 8 + 1)) for s in SIZE]
        moved = np.roll(image, by, (0, 1)).astype(np.float64) * rng.uniform(0.8, 1.2)
        out.append(np.clip(moved, 0, 255).astype(np.uint8))
    return np.stack(out)


def floats(images):
    return images.astype(np.float32) / np.float32(255)


TENSORS, CASES, ENDS = {}, [], {}


def run(name, network, optimizer, rate, classes=2, frozen=(), start_from=None, views=False, balanced=False):
    labels = {s: TENSORS[f"{s}/labels"] for s in ("train", "validation")}
    if classes == 2:
        labels = {s: np.minimum(l, 1) for s, l in labels.items()}
    whole, _ = build(network, (*SIZE, 3))
    for key, w in weights(whole).items():
        w.assign(ENDS[start_from][key] if start_from else first(key, tuple(w.shape)))
        TENSORS[f"{name}/start/{key}"] = np.array(w.value)
    # What comes before the first trained layer is computed once, as in the lesson.
    before = 0
    while network[before]["name"] in frozen:
        before += 1
    inputs = [TENSORS["train/images"]] * EPOCHS
    if views:
        inputs = [view(TENSORS["train/images"]) for _ in range(EPOCHS)]
        TENSORS.update({f"{name}/images/{e}": images for e, images in enumerate(inputs)})
    inputs = [floats(x) for x in inputs]
    validation = floats(TENSORS["validation/images"])
    if before:
        base = keras.Model(whole.inputs[0], whole.get_layer(network[before - 1]["name"]).output)
        features = base.predict(inputs[0], batch_size=BATCH, verbose=0)
        inputs, validation = [features] * EPOCHS, base.predict(validation, batch_size=BATCH, verbose=0)
    model, masks = build(network[before:], inputs[0].shape[1:])
    for key, w in weights(model).items():
        w.assign(TENSORS[f"{name}/start/{key}"])
    make = {"rmsprop": keras.optimizers.RMSprop, "adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}[optimizer]
    loss = "binary_crossentropy" if classes == 2 else "sparse_categorical_crossentropy"
    model.compile(make(learning_rate=rate), loss=loss, metrics=["accuracy"])
    counts = np.bincount(labels["train"], minlength=classes)
    class_weight = {c: ROWS / (classes * int(n)) for c, n in enumerate(counts)} if balanced else None
    history = []
    for epoch in range(EPOCHS):
        order = rng.permutation(ROWS)
        TENSORS[f"{name}/order/{epoch}"] = order.astype(np.uint32)
        keep = [rng.random((ROWS, *shape)) >= 0.5 for shape in masks]
        for place, k in enumerate(keep):
            TENSORS[f"{name}/keep/{place}/{epoch}"] = k.astype(np.uint8)
        factors = [(k / 0.5).astype(np.float32) for k in keep]
        ones = [np.ones((VALID, *shape), np.float32) for shape in masks]
        log = model.fit([inputs[epoch][order], *factors], labels["train"][order], batch_size=BATCH, shuffle=False,
                        class_weight=class_weight, verbose=0, validation_batch_size=BATCH,
                        validation_data=([validation, *ones], labels["validation"])).history
        history.append({k: float(log[k][0]) for k in ("loss", "accuracy", "val_loss", "val_accuracy")})
    ENDS[name] = {key: TENSORS[f"{name}/start/{key}"] for key in weights(whole)}
    for key, w in weights(model).items():
        TENSORS[f"{name}/end/{key}"] = ENDS[name][key] = np.array(w.value)
    CASES.append({"name": name, "network": {"layer": network}, "frozen": list(frozen), "optimizer": optimizer,
                  "learning_rate": rate, "classes": classes, "balanced": balanced, "batch_size": BATCH, "views": views,
                  "history": history})
    print(name, *history, sep="\n  ")


for split, n, skip in (("train", ROWS, 0), ("validation", VALID, ROWS)):
    TENSORS[f"{split}/images"], TENSORS[f"{split}/labels"] = photographs(n, skip) if FULL else pictures(n)
LAYERS, BASE, LAST = based()
run("frozen", LAYERS, "rmsprop", 2e-5 if FULL else 3e-3, frozen=BASE)
run("fine-tune", LAYERS, "rmsprop", 1e-5 if FULL else 2e-4, start_from="frozen",
    frozen=[layer for layer in BASE if not layer.startswith(LAST)])
run("scratch", scratch(False), "rmsprop", 1e-4 if FULL else 3e-3)
run("scratch-augmented", scratch(True), "rmsprop", 1e-4 if FULL else 3e-3, views=True)
if not FULL:
    run("normalised", normalised(), "adam", 3e-3, classes=3, balanced=True)
save_file({key: np.ascontiguousarray(t) for key, t in TENSORS.items()}, OUT / "parity.safetensors")
text = json.dumps({"keras": keras.__version__, "size": SIZE, "cases": CASES}, indent=1)
(OUT / "parity.json").write_text(text + "\n")
