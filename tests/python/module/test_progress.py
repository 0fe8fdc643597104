"""What is shown of a run: tqdm's bar, a line where there is no tqdm, or nothing."""

import sys

import pytest
from conftest import BASE

import feature_cache as fc


def test_a_line_where_there_is_no_tqdm(data, features, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    fc.extract(data, tmp_path / "features", split="test", **BASE)
    assert "\rtest: 6/6 images" in capsys.readouterr().err
    fc.fit_head(features, tmp_path / "head", epochs=2)
    err = capsys.readouterr().err
    assert "\rtraining: 2/2 epochs" in err and "val_loss" in err


def test_bars_of_tqdm(data, tmp_path, capsys):
    pytest.importorskip("tqdm", reason="tqdm is not installed")
    fc.extract(data, tmp_path / "features", split="test", **BASE)
    err = capsys.readouterr().err
    assert "test: 100%" in err and "6/6" in err


def test_nothing_where_nothing_is_wanted(data, features, tmp_path, capfd):
    fc.extract(data, tmp_path / "features", split="test", progress=False, **BASE)
    fc.fit_head(features, tmp_path / "head", epochs=2, progress=False)
    fc.Extractor(**BASE)(sorted((data / "test").glob("*/*.png")))
    assert capfd.readouterr() == ("", "")
