"""Cached features: what `extract` wrote, as numpy arrays that are memory-mapped."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import _native

if TYPE_CHECKING:
    from .torch import CacheDataset


class Split:
    """One split of a cache, such as train.

    Opening one reads neither features nor the list of files.

    Attributes
    ----------
    name : str
        Such as ``"train"``.
    manifest : dict
        The split's ``<split>.json``: how rows were made, and when; ``docs/formats.md`` has the fields.
    """

    def __init__(self, folder: str | os.PathLike[str], name: str) -> None:
        self.name = name
        self._folder = Path(folder)
        self.manifest: dict[str, Any] = json.loads(_native.open_split(self._folder, name))

    def _load(self, what: str) -> NDArray[Any]:
        file = self.manifest["files"][what]["name"]
        array: NDArray[Any] = np.load(self._folder / file, mmap_mode="r", allow_pickle=False)
        return array

    @cached_property
    def X(self) -> NDArray[Any]:
        """Features, mapped from the file and never copied.

        Returns
        -------
        numpy.memmap of shape (n, h, w, c), (n, c) with pooling, or (n, views, ...), float32 or float16
            Row i is the picture ``files[i]``.
        """
        return self._load("features")

    @cached_property
    def y(self) -> NDArray[np.int64]:
        """Classes of the rows.

        Returns
        -------
        numpy.memmap of shape (n,), int64
            Indices into ``classes``.
        """
        return self._load("labels")

    @cached_property
    def _index(self) -> tuple[list[str], list[tuple[str, str]]]:
        return _native.files(self._folder, self.name)

    @property
    def files(self) -> list[str]:
        """Files in row order, as ``class/name``; read when it is first asked for."""
        return self._index[0]

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """Files without a row, each with the reason."""
        return self._index[1]

    @property
    def classes(self) -> list[str]:
        """Class names, in the order of the labels."""
        classes: list[str] = self.manifest["settings"]["classes"]
        return classes

    def torch(self) -> CacheDataset:
        """This split as a torch ``Dataset`` of (features, label)."""
        from .torch import CacheDataset

        return CacheDataset(self)

    def __len__(self) -> int:
        return int(self.manifest["rows"])

    def __repr__(self) -> str:
        shape = tuple(self.manifest["shape"])
        return f"<Split {self.name!r}: {shape} of {len(self.classes)} classes>"

    def __getstate__(self) -> tuple[Path, str]:
        return (self._folder, self.name)

    def __setstate__(self, state: tuple[Path, str]) -> None:
        Split.__init__(self, *state)


class Cache(Mapping[str, Split]):
    """A folder of cached features: a mapping from the names of its finished splits.

    Parameters
    ----------
    folder : path
        What ``extract`` wrote.

    Examples
    --------
    >>> train = feature_cache.open("features")["train"]
    >>> train.X.shape, train.y.shape
    ((2000, 4, 4, 512), (2000,))
    """

    def __init__(self, folder: str | os.PathLike[str] = "features") -> None:
        self.folder = Path(folder)
        self._names = _native.splits(self.folder)
        self._splits: dict[str, Split] = {}

    @property
    def splits(self) -> list[str]:
        """Names of the finished splits."""
        return list(self._names)

    def __getitem__(self, name: str) -> Split:
        if name not in self._splits:
            # A split that is unfinished or damaged says so here.
            self._splits[name] = Split(self.folder, name)
        return self._splits[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<Cache {str(self.folder)!r}: {', '.join(self._names) or 'no finished split'}>"


def open(folder: str | os.PathLike[str] = "features") -> Cache:
    """Open a folder of cached features.

    Parameters
    ----------
    folder : path
        What ``extract`` wrote.

    Returns
    -------
    Cache
        A mapping from the splits' names.

    Raises
    ------
    CacheError
        There is no such folder. A split that is damaged or of another version raises when it is taken.
    """
    return Cache(folder)
