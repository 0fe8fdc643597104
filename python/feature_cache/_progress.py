"""Progress: tqdm where it is installed, in notebooks too; else one line on standard error."""

from __future__ import annotations

import json
import sys
import time
import warnings
from typing import Any, Callable

from .errors import FeatureCacheWarning

Report = Callable[[str, str, str, int, "int | None"], None]
_REDRAW = 0.2


class _Line:
    """A bar in one line, for those without tqdm: what of it tqdm has, under the same names."""

    def __init__(self, total: int | None, initial: int, desc: str, unit: str) -> None:
        self.total, self.n, self.desc, self.unit = total, initial, desc, unit
        self._start, self._initial, self._drawn, self._tail = time.monotonic(), initial, 0.0, ""

    def update(self, n: int) -> None:
        self.n += n
        now = time.monotonic()
        if now - self._drawn >= _REDRAW:
            self._drawn = now
            self._draw("\r")

    def set_postfix_str(self, text: str, refresh: bool = True) -> None:
        self._tail = "  " + text

    def close(self) -> None:
        self._draw("\n")

    def _draw(self, end: str) -> None:
        seconds = max(time.monotonic() - self._start, 1e-9)
        rate = (self.n - self._initial) / seconds
        total = "" if self.total is None else f"/{self.total}"
        line = f"\r{self.desc}: {self.n}{total} {self.unit}  {rate:.1f}/s{self._tail}"
        print(line, end=end, file=sys.stderr, flush=True)


def _bar(desc: str, unit: str, done: int, total: int | None) -> Any:
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return _Line(total, done, desc, unit)
    scale = unit == "B"
    unit = unit if scale else " " + unit
    return tqdm(desc=desc, total=total, initial=done, unit=unit, unit_scale=scale)


class Reporter:
    """Shows what a command tells. Warnings are raised as such, also where nothing is shown."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown
        self._now: Any = None
        self._level = 4

    def __call__(self, kind: str, text: str, unit: str, number: int, total: int | None) -> None:
        if kind == "warn":
            warnings.warn(text, FeatureCacheWarning, stacklevel=self._level)
        elif not self._shown:
            return
        elif kind == "note":
            print(text, file=sys.stderr)
        elif kind == "start":
            self.close()
            self._now = _bar(text, unit, number, total)
        elif kind == "advance" and self._now is not None:
            self._now.update(number)
        elif kind == "epoch":
            self._epoch(json.loads(text), total)
        elif kind == "finish":
            self.close()

    def _epoch(self, stats: dict[str, float | None], epochs: int | None) -> None:
        if self._now is None:
            self._now = _bar("training", "epochs", 0, epochs)
        keys = ("loss", "accuracy", "val_loss", "val_accuracy")
        numbers = [(key, stats.get(key)) for key in keys]
        shown = ", ".join(f"{key} {value:.4f}" for key, value in numbers if value is not None)
        self._now.set_postfix_str(shown, refresh=False)
        self._now.update(1)

    def close(self) -> None:
        if self._now is not None:
            self._now.close()
            self._now = None

    def __enter__(self) -> Reporter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
