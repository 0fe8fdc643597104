"""Cached features for PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

try:
    import torch
    from torch.utils.data import Dataset
except ImportError as error:
    raise ImportError("feature_cache.torch needs PyTorch: pip install torch") from error

if TYPE_CHECKING:
    from ._cache import Split

__all__ = ["CacheDataset"]


class CacheDataset(Dataset):  # type: ignore[misc,unused-ignore]
    """A split as a map-style ``Dataset``; rows are read from the file as they are asked for.

    Parameters
    ----------
    split : Split
        Of a cache.

    Notes
    -----
    An item is (features as float32 of shape (h, w, c) or (c,), label as an int). With several views a row has them as its first axis.
    The dataset is picklable, so that workers of a ``DataLoader`` map the file by themselves.
    """

    def __init__(self, split: Split) -> None:
        self.split = split

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        # A copy of the one row: torch wants memory that it may write.
        row = np.array(self.split.X[index], dtype=np.float32)
        return torch.from_numpy(row), int(self.split.y[index])

    def __getitems__(self, indices: list[int]) -> list[tuple[Any, int]]:
        return [self[index] for index in indices]
