"""What is wrong becomes an exception of its kind with the shell's hint in Python's words; nothing is lost, nothing aborts."""

import json
import pickle
import shutil

import numpy as np
import pytest
from conftest import BASE, ROW, pixels

import feature_cache as fc


@pytest.fixture(scope="module")
def base():
    return fc.Extractor(**BASE)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 8, 8, 3), np.float32), "float32"),
        (np.zeros((2, 8, 8, 4), np.uint8), r"\(2, 8, 8, 4\)"),
        (np.zeros((2, 3, 8, 8), np.uint8), r"\(2, 3, 8, 8\)"),
        (np.zeros((8, 8), np.uint8), r"\(8, 8\)"),
        (np.zeros((0, 8, 3), np.uint8), "picture 0"),
        ([np.zeros((8, 8, 3), np.int64)], "int64"),
        ([pixels(0), np.zeros((8, 8), np.uint8)], "picture 1"),
        ([np.zeros((8, 8, 3), ">f8")], ">f8"),
    ],
)
def test_arrays_of_another_kind(base, array, words):
    with pytest.raises(fc.InvalidArgumentError, match=words):
        base(array)
    with pytest.raises(ValueError):
        base(array)


def test_the_native_part_checks_by_itself(base):
    for bad in (np.zeros((8, 8, 3)), np.zeros((8, 8, 4), np.uint8), np.zeros((8,), np.uint8)):
        with pytest.raises(fc.InvalidArgumentError):
            base._native.rows([bad])


def test_things_that_are_no_pictures(base, tmp_path):
    for bad in (3, None, [3], [b"bytes"], {"a": 1}.values()):
        with pytest.raises(TypeError):
            base(bad)
    with pytest.raises(fc.ImageError, match="gone.png"):
        base([tmp_path / "gone.png"])
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(fc.ImageError, match="not an image"):
        base(tmp_path / "text.png")
    with pytest.raises(fc.ImageError):
        base([tmp_path])
    # It still works.
    assert base(pixels(1)).shape == (1, *ROW)


@pytest.mark.parametrize(
    ("keyword", "value", "words"),
    [
        ("backbone", "vgg99", "backbone: expected one of .*vgg16.*, found 'vgg99'"),
        ("precision", "exact", "precision: expected one of highest, high, tf32, medium, found 'exact'"),
        ("batch_size", 0, "batch_size"),
        ("threads", 0, "threads: expected a number from 1 to 1024, found '0'"),
        ("image_size", "big", "image_size"),
        ("image_size", 8, "8"),
        ("layer", "block9", "block9"),
        ("device", "tpu", "device"),
        ("weights", "random:x", "random"),
    ],
)
def test_wrong_words(keyword, value, words):
    with pytest.raises(fc.FeatureCacheError, match=words) as caught:
        fc.Extractor(**{**BASE, keyword: value})
    assert "--" not in str(caught.value), "flags are keywords here"


def test_options_that_exclude_each_other(data, tmp_path):
    with pytest.raises(fc.InvalidArgumentError, match="overwrite"):
        fc.extract(data, tmp_path, overwrite=True, update=True, progress=False, **BASE)
    with pytest.raises(fc.InvalidArgumentError, match="augment"):
        fc.extract(data, tmp_path, views=3, progress=False, **BASE)


def test_folders_that_are_gone(tmp_path):
    with pytest.raises(fc.FeatureCacheError) as caught:
        fc.extract(tmp_path / "gone", tmp_path, progress=False, **BASE)
    assert caught.value.hint == "give its path with data=DIR" and str(caught.value).endswith("hint: give its path with data=DIR")
    with pytest.raises(fc.CacheError) as caught:
        fc.fit_head(tmp_path / "gone", tmp_path / "head", progress=False)
    assert "features=DIR" in caught.value.hint
    with pytest.raises(fc.ModelError):
        fc.Head.load(tmp_path / "gone")
    with pytest.raises(fc.FeatureCacheError):
        fc.compare([tmp_path / "a", tmp_path / "b"])
    with pytest.raises(fc.FeatureCacheError):
        fc.compare([tmp_path / "a"])


def test_a_cache_of_other_settings_stays(data, copy):
    before = (copy / "train_features.npy").read_bytes()
    with pytest.raises(fc.CacheError) as caught:
        fc.extract(data, copy, progress=False, **{**BASE, "weights": "random:2"})
    assert "overwrite=True computes" in caught.value.hint and "--" not in caught.value.hint
    assert (copy / "train_features.npy").read_bytes() == before


def test_a_head_of_another_base(head, tmp_path):
    mine = shutil.copytree(head, tmp_path / "head")
    manifest = json.loads((mine / "head.json").read_text())
    manifest["features"]["backbone"] = "resnet50"
    (mine / "head.json").write_text(json.dumps(manifest))
    with pytest.raises(fc.FeatureCacheError):
        fc.Head.load(mine)
    with pytest.raises(fc.WeightsError):
        fc.Head.load(head, weights="random:2")
    (mine / "head.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(fc.FeatureCacheError):
        fc.Head.load(mine)


def test_thresholds(head):
    loaded = fc.Head.load(head)
    for bad in (2, -1, "most", float("nan")):
        with pytest.raises(fc.InvalidArgumentError, match="threshold"):
            loaded.predict([], threshold=bad)
    assert loaded.predict([]).probabilities.shape == (0, 2)


def test_a_panic_is_an_exception():
    from feature_cache import _native

    with pytest.raises(fc.InternalError, match="as asked") as caught:
        _native.panic_for_tests()
    assert "report" in caught.value.hint


def test_exceptions_are_of_one_family_and_picklable():
    error = fc.CacheError("a", "b")
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, fc.FeatureCacheError) and (again.message, again.hint) == ("a", "b")
    assert str(again) == "a\nhint: b" and str(fc.CacheError("a")) == "a"


def test_progress_that_raises_stops_the_run(data, tmp_path):
    from feature_cache import _native
    from feature_cache._words import words

    def progress(kind, *rest):
        if kind == "advance":
            raise KeyError("mine")

    given = words("extract", {"data": data, "features": tmp_path, **BASE, "batch_size": 1})
    with pytest.raises(KeyError, match="mine"):
        _native.run(["feature-cache", *given], "", progress)
