"""Reading a cache: mapped, lazily, with errors that say what is wrong."""

import hashlib
import json
import pickle
import resource
import shutil
import time

import numpy as np
import pytest
from conftest import BASE, ROW

import feature_cache as fc


def test_a_split_is_arrays_names_and_manifest(features, data):
    cache = fc.open(features)
    assert sorted(cache) == ["test", "train", "validation"] == sorted(cache.splits) and len(cache) == 3
    train = cache["train"]
    assert isinstance(train.X, np.memmap) and train.X.shape == (16, *ROW) and train.X.dtype == np.float32
    assert train.X is train.X and not train.X.flags.writeable
    assert train.y.dtype == np.int64 and list(train.y) == [0] * 8 + [1] * 8
    assert train.classes == ["dark", "light"] and train.files[0] == "dark/dark.0.png" and len(train.files) == 16
    assert train.manifest["settings"]["backbone"] == BASE["backbone"]
    assert len(train) == 16 and train.skipped == [] and "16" in repr(train) and "train" in repr(cache)
    again = pickle.loads(pickle.dumps(train))
    assert np.array_equal(again.X, train.X) and again.files == train.files


def test_skipped_files_are_told_with_a_warning(data, tmp_path):
    mine = shutil.copytree(data / "test", tmp_path / "data" / "train").parent
    (mine / "train" / "dark" / "broken.png").write_bytes(b"no picture")
    with pytest.warns(fc.FeatureCacheWarning) as warned:
        cache = fc.extract(mine, tmp_path / "features", progress=False, **BASE)
    assert any("broken.png: not an image" in str(one.message) for one in warned)
    assert all(one.filename == __file__ for one in warned), "a warning is of the line that called"
    ((file, reason),) = cache["train"].skipped
    assert file == "dark/broken.png" and "not an image" in reason and len(cache["train"].files) == 6


def test_views_and_half_precision(data, tmp_path):
    cache = fc.extract(
        data, tmp_path, split="train", augment=True, views=2, dtype="f16", pooling="avg", progress=False, **BASE
    )
    assert cache["train"].X.shape == (16, 3, 256) and cache["train"].X.dtype == np.float16


@pytest.mark.parametrize("what", ["features", "labels"])
def test_a_damaged_array_is_refused(copy, what):
    path = copy / f"train_{what}.npy"
    path.write_bytes(b"\x93NUMPY" + b"\xff" * (path.stat().st_size - 6))
    with pytest.raises(fc.CacheError) as caught:
        fc.open(copy)["train"]
    assert caught.value.hint and f"train_{what}.npy" in caught.value.message


def test_a_cut_array_is_refused(copy):
    path = copy / "train_features.npy"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(fc.CacheError, match="bytes"):
        fc.open(copy)["train"]


def test_a_damaged_index_is_refused(copy):
    path = copy / "train_index.csv"
    path.write_text(path.read_text().replace("dark.0", "dark.X"))
    train = fc.open(copy)["train"]
    with pytest.raises(fc.CacheError):
        _ = train.files


def test_another_version_is_refused(copy):
    path = copy / "train.json"
    manifest = json.loads(path.read_text())
    manifest["format_version"] += 1000
    path.write_text(json.dumps(manifest))
    with pytest.raises(fc.CacheError) as caught:
        fc.open(copy)["train"]
    assert "version" in caught.value.message


def test_what_is_not_there(tmp_path, features):
    with pytest.raises(fc.CacheError):
        fc.open(tmp_path / "nowhere")["train"]
    with pytest.raises(fc.CacheError) as caught:
        fc.open(features)["holdout"]
    assert "extract" in (caught.value.hint or "")
    assert "holdout" not in fc.open(features)
    with pytest.raises(fc.CacheError):
        fc.open(features)["../train"]


def test_torch_datasets_give_rows(features):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    train = fc.open(features)["train"]
    loader = torch.utils.data.DataLoader(train.torch(), batch_size=5)
    rows = torch.cat([rows for rows, _ in loader])
    assert np.array_equal(rows.numpy(), train.X)


def test_without_torch_the_error_says_what_to_install(features, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "feature_cache.torch", raising=False)
    with pytest.raises(ImportError, match="pip install torch"):
        fc.open(features)["train"].torch()


# Milliseconds on an idle machine; the bound leaves room for a busy one.
OPENED_WITHIN_S = 0.5
# Labels are read once to be checked: 8 MB, and 8 MB of numbers. The features are a GB.
KEPT_BYTES = 32 << 20


def test_a_million_rows_open_at_once(copy):
    rows = 1_000_000
    write_cache(copy, rows)
    fc.open(copy)["validation"]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    train = fc.open(copy)["train"]
    x, y = train.X, train.y
    seconds = time.perf_counter() - started
    assert x.shape == (rows, *ROW) and len(y) == rows
    assert not x[rows - 1].any() and y[rows - 1] == 1
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    print(f"opened in {seconds * 1000:.1f} ms, at most {grown / 2**20:.1f} MiB more")
    assert seconds < OPENED_WITHIN_S and grown < KEPT_BYTES


def write_cache(copy, rows):
    """Makes a finished cache one of so many rows of zeros: a sparse file, and a manifest that fits it."""
    manifest = json.loads((copy / "train.json").read_text())
    shape = [rows, *manifest["settings"]["row_shape"]]
    offset = manifest["data_offset"]
    size = offset + 4 * int(np.prod(shape))
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
    header = b"\x93NUMPY\x01\x00" + (offset - 10).to_bytes(2, "little") + header.encode()
    with (copy / "train_features.npy").open("wb") as file:
        file.write(header.ljust(offset - 1) + b"\n")
        file.truncate(size)
    np.save(copy / "train_labels.npy", np.arange(rows, dtype="<i8") % 2)
    labels = (copy / "train_labels.npy").read_bytes()
    manifest.update(shape=shape, rows=rows, inputs=rows, inputs_total=rows, class_counts=[rows // 2] * 2)
    manifest["block_sha256"] *= -(-rows // manifest["block_rows"])
    manifest["files"]["features"]["bytes"] = size
    manifest["files"]["labels"].update(bytes=len(labels), sha256=hashlib.sha256(labels).hexdigest())
    (copy / "train.json").write_text(json.dumps(manifest))
