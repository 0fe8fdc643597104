"""Calibration by numpy and scipy on small made-up cases: calibration.json.

    python3 -m venv .venv-golden && .venv-golden/bin/pip install scipy numpy scikit-learn
    .venv-golden/bin/python tests/golden/head/make_calibration.py

Last made with scipy 1.17.1, numpy 2.4.6, scikit-learn 1.9.1. Probabilities are f32, as a head's are; all else is f64.
"""
import json, pathlib
import numpy as np, scipy, sklearn
from scipy.optimize import brentq, minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.metrics import accuracy_score

rng = np.random.default_rng(17)

def ece(p, y, bins=10):
    confidence, right = p.max(1), p.argmax(1) == y
    total = 0.0
    rows = []
    for b in range(bins):
        inside = (confidence > b / bins) & (confidence <= (b + 1) / bins)
        rows.append(int(inside.sum()))
        if inside.any():
            total += inside.sum() * abs(right[inside].mean() - confidence[inside].mean())
    return total / len(y), rows

def temperature(p, y):
    logits = np.log(p)
    nll = lambda t: -log_softmax(logits / t, axis=1)[np.arange(len(y)), y].mean()
    found = minimize_scalar(lambda u: nll(np.exp(u)), bounds=(np.log(0.01), np.log(100)), method="bounded",
                            options={"xatol": 1e-10})
    # The minimum is flat, its slope is not: the last digits come from there.
    slope = lambda b: ((softmax(b * logits, axis=1) * logits).sum(1) - logits[np.arange(len(y)), y]).mean()
    exact = 1 / brentq(slope, 1 / (2 * np.exp(found.x)), 2 / np.exp(found.x), xtol=1e-15, rtol=8.9e-16)
    assert abs(exact - np.exp(found.x)) < 1e-4 * exact
    return exact, nll(exact)

def threshold(p, y):
    """The definition, word for word: every candidate is tried."""
    s = np.unique(p[:, 1])
    ends = np.concatenate([[0.0], s, [1.0]])
    candidates = [0.5] + [(a + b) / 2 for a, b in zip(ends, ends[1:]) if b > a or b == 1.0]
    score = lambda t: (-accuracy_score(y, p[:, 1] > t), abs(t - 0.5), t)
    best = min(candidates, key=score)
    return best, accuracy_score(y, p[:, 1] > best)

def case(name, logits, y):
    p = softmax(logits, axis=1).astype(np.float32)
    wide = p.astype(np.float64)
    error, rows = ece(wide, y)
    t, after = temperature(wide, y)
    out = {"name": name, "classes": p.shape[1], "probabilities": [float(v) for v in p.ravel()], "labels": y.tolist(),
           "ece": error, "bin_rows": rows, "log_loss": -np.log(wide[np.arange(len(y)), y]).mean(),
           "temperature": t, "log_loss_after": after}
    if p.shape[1] == 2:
        out["threshold"], out["accuracy_at_threshold"] = threshold(wide, y)
    return out

def binary(n, scale, shift, levels=None):
    y = rng.integers(0, 2, n)
    z = scale * (rng.normal(size=n) + 1.2 * (2 * y - 1)) + shift
    if levels:
        z = np.round(z * levels) / levels
    return np.stack([np.zeros(n), z], 1), y

def several(n, classes, scale):
    y = rng.integers(0, classes, n)
    z = rng.normal(size=(n, classes))
    z[np.arange(n), y] += 1.5
    return scale * z, y

cases = [
    case("two-overconfident", *binary(150, 4.0, 0.0)),
    case("two-underconfident", *binary(150, 0.6, 0.0)),
    case("two-shifted", *binary(120, 2.0, 1.5)),
    case("two-with-ties", *binary(60, 2.0, -1.0, levels=1)),
    case("five", *several(120, 5, 3.0)),
    case("three-sure-of-nothing", *several(80, 3, 0.2)),
]
here = pathlib.Path(__file__).parent
versions = {"scipy": scipy.__version__, "numpy": np.__version__, "scikit-learn": sklearn.__version__}
(here / "calibration.json").write_text(json.dumps(versions | {"cases": cases}) + "\n")
print(versions, [(c["name"], round(c["temperature"], 3), round(c["ece"], 3), c.get("threshold")) for c in cases])
