"""The commands of the shell, which pip puts on the path."""

from __future__ import annotations

import os
import signal
import sys

from . import _native


def _run(program: str) -> int:
    # The program listens for Ctrl-C by itself, and Python must not raise after it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    name = os.path.basename(sys.argv[0]) or program
    return _native.shell(program, [name, *sys.argv[1:]])


def feature_cache() -> int:
    return _run("feature-cache")


def extract() -> int:
    return _run("extract")


def fit_head() -> int:
    return _run("fit-head")


def predict() -> int:
    return _run("predict")


def cache() -> int:
    return _run("cache")
