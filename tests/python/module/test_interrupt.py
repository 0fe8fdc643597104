"""Ctrl-C ends a call with KeyboardInterrupt, a kill and a full disk end it too, and the next one goes on; other threads run meanwhile."""

import signal
import threading
import time

import pytest
from conftest import BASE, draw, python

import feature_cache as fc

EXTRACT = """
import sys, feature_cache as fc
print("ready", flush=True)
try:
    fc.extract(sys.argv[1], sys.argv[2], split="train", batch_size=1, weights="random:1", image_size=224,
               precision="highest", threads=1, progress=False)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    sys.exit(7)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "killed kernel"])
def test_an_interrupted_run_goes_on(tmp_path, how):
    data = draw(tmp_path / "data", {"train": 20})
    # A base that takes its time.
    options = {**BASE, "backbone": "vgg16", "image_size": 224, "batch_size": 1}
    features = tmp_path / "features"
    child = python(EXTRACT, data, features)
    assert child.stdout.readline() == "ready\n"
    rows_at_work(features, child)
    child.send_signal(how)
    out, err = child.communicate(timeout=60)
    expected = (7, "interrupted\n") if how == signal.SIGINT else (-how, "")
    assert (child.returncode, out) == expected, err
    with pytest.raises(fc.CacheError):
        fc.open(features)["train"]
    seen = []
    go_on(data, features, options, seen)
    done_before = next(number for kind, number in seen if kind == "start")
    # A kill takes what was not yet on the disk.
    assert (1 if how == signal.SIGINT else 0) <= done_before < 40
    whole = fc.extract(data, tmp_path / "whole", progress=False, **options)["train"]
    assert fc.open(features)["train"].X.tobytes() == whole.X.tobytes()


def go_on(data, features, options, seen):
    from feature_cache import _native
    from feature_cache._words import words

    given = words("extract", {"data": data, "features": features, **options})
    _native.run(["feature-cache", *given], "", lambda kind, text, unit, number, total: seen.append((kind, number)))


def rows_at_work(features, child):
    """Waits until the run has written something, and is at it."""
    end = time.monotonic() + 60
    while time.monotonic() < end and child.poll() is None:
        if features.is_dir() and any(path.stat().st_size > 0 for path in features.iterdir()):
            time.sleep(0.3)
            return
        time.sleep(0.01)
    pytest.fail(f"no rows: {child.communicate()}")


def test_a_disk_that_is_full(data, tmp_path):
    code = """
import resource, sys, feature_cache as fc
limit = 4096
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    fc.extract(sys.argv[1], sys.argv[2], "mobilenet-0.25", weights="random:1", image_size=32, precision="highest", progress=False)
except fc.CacheError as error:
    print(error.message)
    sys.exit(7)
"""
    child = python(code, data, tmp_path / "features")
    out, err = child.communicate(timeout=60)
    assert child.returncode == 7 and "File too large" in out, (out, err)
    whole = fc.extract(data, tmp_path / "features", progress=False, **BASE)
    assert len(whole["train"]) == 16


def test_a_training_that_is_interrupted_writes_no_head(features, tmp_path):
    code = """
import sys, feature_cache as fc
print("ready", flush=True)
try:
    fc.fit_head(sys.argv[1], sys.argv[2], epochs=100000, progress=False)
except KeyboardInterrupt:
    sys.exit(7)
"""
    child = python(code, features, tmp_path / "head")
    assert child.stdout.readline() == "ready\n"
    time.sleep(1)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 7, err
    assert not (tmp_path / "head" / "head.json").exists()


def test_other_threads_run_meanwhile_and_share_an_extractor(data):
    base = fc.Extractor(**BASE)
    paths = sorted((data / "train").glob("*/*.png"))
    expected = base(paths)
    ticks, rows = [], [None] * 3

    def work(i):
        rows[i] = base(paths * 3)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        ticks.append(time.monotonic())
        time.sleep(0.001)
    assert len(ticks) > 1
    assert all(one[:16].tobytes() == expected.tobytes() for one in rows)
