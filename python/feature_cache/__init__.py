"""Run a frozen convolutional base once over image folders, keep its output as arrays, train small classifiers on it.

>>> import feature_cache
>>> cache = feature_cache.extract("data")
>>> fitted = feature_cache.fit_head("features")
>>> fitted.history["val_accuracy"][-1]
>>> fitted.head.predict(["photo.jpg"]).names
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._cache import Cache, Split, open
from ._commands import Fitted, compare, extract, fit_head, train
from ._extractor import Extractor
from ._head import Head, Predictions
from ._native import __version__
from .errors import (
    CacheError,
    DataError,
    EngineError,
    FeatureCacheError,
    FeatureCacheWarning,
    ImageError,
    InternalError,
    InvalidArgumentError,
    ModelError,
    ResourceError,
    WeightsError,
)

if TYPE_CHECKING:
    from .sklearn import FeatureExtractor as FeatureExtractor

__all__ = [
    "Cache",
    "CacheError",
    "DataError",
    "EngineError",
    "Extractor",
    "FeatureCacheError",
    "FeatureCacheWarning",
    "Fitted",
    "Head",
    "ImageError",
    "InternalError",
    "InvalidArgumentError",
    "ModelError",
    "Predictions",
    "ResourceError",
    "Split",
    "WeightsError",
    "__version__",
    "compare",
    "extract",
    "fit_head",
    "open",
    "train",
]


def __getattr__(name: str) -> Any:
    # scikit-learn is imported by those who use it.
    if name == "FeatureExtractor":
        from .sklearn import FeatureExtractor

        return FeatureExtractor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), "FeatureExtractor"])
