import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Extractor",
    "Head",
    "__version__",
    "files",
    "open_split",
    "panic_for_tests",
    "run",
    "shell",
    "splits",
]

__version__: str

_Progress = Callable[[str, str, str, int, int | None], object]
_Path = str | os.PathLike[str]
_Picture = _Path | NDArray[Any]

def run(words: Sequence[str], command_line: str, progress: _Progress | None = None) -> str: ...
def shell(program: str, arguments: Sequence[str]) -> int: ...
def splits(dir: _Path) -> list[str]: ...
def open_split(dir: _Path, split: str) -> str: ...
def files(dir: _Path, split: str) -> tuple[list[str], list[tuple[str, str]]]: ...
def panic_for_tests() -> None: ...
@final
class Extractor:
    def __new__(cls, words: Sequence[str], progress: _Progress | None = None) -> Extractor: ...
    @property
    def row_shape(self) -> list[int]: ...
    @property
    def recipe(self) -> str: ...
    @property
    def batch_size(self) -> int: ...
    def rows(
        self,
        pictures: Iterable[_Picture],
        progress: _Progress | None = None,
        first: int = 0,
    ) -> NDArray[np.float32]: ...

@final
class Head:
    def __new__(cls, words: Sequence[str], progress: _Progress | None = None) -> Head: ...
    @property
    def classes(self) -> list[str]: ...
    @property
    def recipe(self) -> str | None: ...
    def predict(
        self,
        pictures: Iterable[_Picture],
        calibrated: bool = False,
        threshold: str | None = None,
        progress: _Progress | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]: ...
