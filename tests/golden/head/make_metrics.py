"""Metrics by scikit-learn on small cases with ties: metrics.json. What is not defined is null. McNemar's
exact test is scipy's binomial test.

    python3 -m venv .venv-golden && .venv-golden/bin/pip install scikit-learn scipy numpy
    .venv-golden/bin/python tests/golden/head/make_metrics.py

Last made with scikit-learn 1.9.1, scipy 1.17.1.
"""
import json, pathlib
import numpy as np, sklearn
from scipy.stats import binomtest
from sklearn import metrics as m

rng = np.random.default_rng(3)

def number(value):
    return None if np.isnan(value) else float(value)

def case(name, classes, p, y):
    predicted = (p[:, 1] > 0.5).astype(int) if classes == 2 else p.argmax(1)
    average = "binary" if classes == 2 else "macro"
    all_classes = list(range(classes))
    score = dict(average=average, zero_division=np.nan)
    each = dict(average=None, zero_division=np.nan, labels=all_classes)
    return {
        "name": name, "classes": classes, "probabilities": p.ravel().tolist(), "labels": y.tolist(),
        "accuracy": m.accuracy_score(y, predicted),
        "precision": number(m.precision_score(y, predicted, **score)),
        "recall": number(m.recall_score(y, predicted, **score)),
        "f1": number(m.f1_score(y, predicted, **score)),
        "roc_auc": m.roc_auc_score(y, p[:, 1]) if classes == 2 else m.roc_auc_score(y, p, multi_class="ovr", average="macro"),
        "log_loss": m.log_loss(y, p, labels=all_classes),
        "confusion": m.confusion_matrix(y, predicted, labels=all_classes).tolist(),
        "class_precision": [number(v) for v in m.precision_score(y, predicted, **each)],
        "class_recall": [number(v) for v in m.recall_score(y, predicted, **each)],
        "class_f1": [number(v) for v in m.f1_score(y, predicted, **each)],
        "class_roc_auc": [m.roc_auc_score(y == c, p[:, c]) for c in all_classes],
    }

def binary(n, levels):
    y = rng.integers(0, 2, n)
    p = np.clip(np.round(rng.beta(2, 2, n) * levels * 0.7 + y * levels * 0.3), 0, levels) / levels
    return np.stack([1 - p, p], 1), y

def several(n, classes, levels, never=None):
    y = rng.integers(0, classes, n)
    p = np.zeros((n, classes))
    for i in range(n):
        weights = np.ones(classes) + 2 * (np.arange(classes) == y[i])
        if never is not None:
            weights[never] = 0.2
        p[i] = rng.multinomial(levels, weights / weights.sum()) / levels
    return p, y

cases = [
    case("two-with-ties", 2, *binary(80, 16)),
    case("two-few-levels", 2, *binary(50, 4)),
    case("two-all-one-score", 2, np.full((6, 2), 0.5), np.array([0, 1, 1, 0, 1, 1])),
    case("two-never-predicted", 2, np.array([[0.75, 0.25]] * 5 + [[0.875, 0.125]] * 3), np.array([0, 1, 0, 0, 1, 0, 1, 0])),
    case("three-with-ties", 3, *several(90, 3, 8)),
    case("four-one-never-predicted", 4, *several(60, 4, 16, never=2)),
]
counts = [(0, 0), (0, 1), (1, 0), (3, 3), (2, 9), (9, 2), (0, 12), (40, 61), (300, 420), (2000, 2300)]
mcnemar = [[b, c, float(binomtest(b, b + c).pvalue) if b + c else 1.0] for b, c in counts]
here = pathlib.Path(__file__).parent
(here / "metrics.json").write_text(json.dumps({"scikit-learn": sklearn.__version__, "cases": cases, "mcnemar": mcnemar}) + "\n")
