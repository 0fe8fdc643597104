"""Trains small heads with Keras and writes what it did: parity.json (settings, histories) and parity.safetensors
(data, initial weights, order of the rows, dropout masks, final weights).

    python3 -m venv .venv-golden && .venv-golden/bin/pip install tensorflow-cpu numpy
    .venv-golden/bin/python tests/golden/head/make_parity.py

With `make_parity.py FEATURES OUT` it does the same for the lesson itself on arrays as `extract` writes them, into the
folder OUT; `HEAD_PARITY=OUT cargo test -p head --release --test parity -- --nocapture` then compares.

Order and masks are given, not drawn by Keras: each epoch is one `fit` call on rows put in order by hand, and dropout is
a factor fed beside the features. Last made with Keras 3.15.1 on TensorFlow 2.21.0.
"""
import json, os, pathlib, struct, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np, keras

HERE = pathlib.Path(__file__).parent
ROWS, VALID, WIDTH, EPOCHS, BATCH = 96, 40, 64, 5, 20
CASES = [  # name, optimizer, learning rate, classes, hidden, dropout, balanced
    ("rmsprop-sigmoid", "rmsprop", 1e-3, 2, [16], 0.0, False),
    ("rmsprop-sigmoid-dropout", "rmsprop", 1e-3, 2, [16], 0.5, False),
    ("rmsprop-sigmoid-balanced-dropout", "rmsprop", 1e-3, 2, [16], 0.25, True),
    ("adam-sigmoid", "adam", 1e-3, 2, [16], 0.0, False),
    ("sgd-sigmoid-dropout", "sgd", 5e-2, 2, [16], 0.5, False),
    ("rmsprop-softmax", "rmsprop", 1e-3, 3, [16], 0.0, False),
    ("adam-softmax-balanced-dropout", "adam", 1e-3, 3, [16], 0.5, True),
    ("rmsprop-softmax-two-hidden", "rmsprop", 1e-3, 3, [16, 8], 0.5, False),
    ("sgd-logistic", "sgd", 1e-1, 2, [], 0.0, False),
]
if len(sys.argv) == 3:
    HERE = pathlib.Path(sys.argv[2])
    CASES = [("lesson", "rmsprop", 2e-5, 2, [256], 0.5, False)]
rng = np.random.default_rng(20)

def data(n, classes):
    """Features like those behind a ReLU: most are zero, how many differs from column to column."""
    labels = rng.choice(classes, n, p=[0.6, 0.4] if classes == 2 else [0.5, 0.3, 0.2])
    shift = np.random.default_rng(7).normal(size=(3, WIDTH)) * 0.6
    x = rng.normal(size=(n, WIDTH)) + shift[labels] + np.linspace(-2, 0.5, WIDTH)
    return np.maximum(x, 0).astype(np.float32), labels.astype(np.int64)

def glorot(i, o):
    limit = np.sqrt(6 / (i + o))
    return rng.uniform(-limit, limit, (i, o)).astype(np.float32)

tensors, cases = {}, []
for classes in (2, 3):
    for split, n in (("train", ROWS), ("validation", VALID)):
        x, y = data(n, classes)
        if len(sys.argv) == 3:
            x, y = (np.load(f"{sys.argv[1]}/{split}_{part}.npy") for part in ("features", "labels"))
            x = np.ascontiguousarray(x.reshape(len(x), -1), np.float32)
        if len(sys.argv) == 3 and classes == 3:
            continue
        tensors[f"{classes}/{split}/features"], tensors[f"{classes}/{split}/labels"] = x, y

ROWS, WIDTH = tensors["2/train/features"].shape
VALID = len(tensors["2/validation/features"])
for name, optimizer, lr, classes, hidden, rate, balanced in CASES:
    x, y = tensors[f"{classes}/train/features"], tensors[f"{classes}/train/labels"]
    xv, yv = tensors[f"{classes}/validation/features"], tensors[f"{classes}/validation/labels"]
    outputs = 1 if classes == 2 else classes
    given = keras.Input((WIDTH,))
    factors = [keras.Input((h,)) for h in hidden]
    h = given
    for units, factor in zip(hidden, factors):
        h = keras.layers.Multiply()([keras.layers.Dense(units, activation="relu")(h), factor])
    out = keras.layers.Dense(outputs, activation="sigmoid" if outputs == 1 else "softmax")(h)
    model = keras.Model([given, *factors], out)
    widths = [WIDTH, *hidden, outputs]
    start = [w for i, o in zip(widths, widths[1:]) for w in (glorot(i, o), np.zeros(o, np.float32))]
    model.set_weights(start)
    make = {"rmsprop": keras.optimizers.RMSprop, "adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD}[optimizer]
    loss = "binary_crossentropy" if outputs == 1 else "sparse_categorical_crossentropy"
    model.compile(make(learning_rate=lr), loss=loss, metrics=["accuracy"])
    weights = {c: ROWS / (classes * int((y == c).sum())) for c in range(classes)} if balanced else None
    history = []
    for epoch in range(EPOCHS):
        order = rng.permutation(ROWS)
        keep = [(rng.random((ROWS, u)) >= rate) for u in hidden]
        tensors[f"{name}/order/{epoch}"] = order.astype(np.uint32)
        for l, k in enumerate(keep):
            tensors[f"{name}/keep/{l}/{epoch}"] = k.astype(np.uint8)
        masks = [(k / (1 - rate)).astype(np.float32) for k in keep]
        ones = [np.ones((VALID, u), np.float32) for u in hidden]
        log = model.fit([x[order], *masks], y[order], batch_size=BATCH, shuffle=False, class_weight=weights,
                        validation_data=([xv, *ones], yv), validation_batch_size=BATCH, verbose=0).history
        history.append({k: float(log[k][0]) for k in ("loss", "accuracy", "val_loss", "val_accuracy")})
    for i, (a, b) in enumerate(zip(start, model.get_weights())):
        part = ["kernel", "bias"][i % 2]
        tensors[f"{name}/start/{i // 2}/{part}"], tensors[f"{name}/end/{i // 2}/{part}"] = a, b
    cases.append({"name": name, "optimizer": optimizer, "learning_rate": lr, "classes": classes, "hidden": hidden,
                  "dropout": rate, "balanced": balanced, "batch_size": BATCH, "history": history})
    print(name, history[-1])

header, blob = {}, b""
kinds = {"float32": "F32", "int64": "I64", "uint32": "U32", "uint8": "U8"}
for key, t in sorted(tensors.items()):
    raw = np.ascontiguousarray(t).tobytes()
    header[key] = {"dtype": kinds[str(t.dtype)], "shape": list(t.shape), "data_offsets": [len(blob), len(blob) + len(raw)]}
    blob += raw
head = json.dumps(header).encode()
head += b" " * (-len(head) % 8)
(HERE / "parity.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + blob)
(HERE / "parity.json").write_text(json.dumps({"keras": keras.__version__, "cases": cases}, indent=1) + "\n")
