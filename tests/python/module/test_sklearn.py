"""The transformer in scikit-learn's hands."""

import pickle

import numpy as np
import pytest
from conftest import BASE

import feature_cache as fc

sklearn = pytest.importorskip("sklearn", reason="scikit-learn is not installed")

PARAMS = {**BASE, "pooling": "avg"}


def pictures(data, split="train"):
    paths = sorted((data / split).glob("*/*.png"))
    return [str(path) for path in paths], np.array([int(path.parent.name == "light") for path in paths])


def test_in_a_pipeline(data):
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import make_pipeline

    X, y = pictures(data)
    pipeline = make_pipeline(fc.FeatureExtractor(**PARAMS), LogisticRegression())
    pipeline.fit(X, y)
    held = pictures(data, "test")
    assert pipeline.score(*held) == 1.0, "dark and light"
    again = pickle.loads(pickle.dumps(pipeline))
    assert np.array_equal(again.predict_proba(held[0]), pipeline.predict_proba(held[0]))
    assert cross_val_score(pipeline, np.array(X), y, cv=2).shape == (2,)


def test_parameters_clone_and_names(data):
    from sklearn.base import clone

    X, y = pictures(data)
    one = fc.FeatureExtractor(**PARAMS)
    assert one.get_params()["weights"] == "random:1"
    rows = clone(one).fit_transform(X, y)
    assert rows.shape == (16, 256) and rows.dtype == np.float32
    assert np.array_equal(one.transform(np.array(X)[:, None]), rows), "a column, without fit"
    assert list(one.get_feature_names_out()[:2]) == ["mobilenet_0.25_0", "mobilenet_0.25_1"]
    assert np.array_equal(rows, fc.Extractor(**PARAMS)(X))
    one.set_params(image_size=40)
    assert not np.array_equal(one.fit_transform(X), rows)
    with pytest.raises(ValueError):
        one.set_params(nonsense=1)
    with pytest.raises(fc.InvalidArgumentError):
        fc.FeatureExtractor(backbone="vgg99").fit(X)


def test_what_scikit_learn_checks():
    """`check_estimator` leaves out what feeds tables of numbers; of the others every one passes, also those it leaves out too."""
    from sklearn.utils import estimator_checks

    with pytest.warns(estimator_checks.SkipTestWarning, match="requires input"):
        results = estimator_checks.check_estimator(fc.FeatureExtractor(**PARAMS), on_fail=None, on_skip=None)
    assert results and not [one for one in results if one["status"] == "failed"]
    for name in WITHOUT_INPUT:
        check = getattr(estimator_checks, name)
        check("FeatureExtractor", fc.FeatureExtractor(**PARAMS))


# Checks that look at the estimator and not at what it does with an array.
WITHOUT_INPUT = [
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_valid_tag_types",
]
