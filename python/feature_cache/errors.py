"""What can go wrong. Every exception carries the hint that the shell would print."""

from __future__ import annotations

__all__ = [
    "CacheError",
    "DataError",
    "EngineError",
    "FeatureCacheError",
    "FeatureCacheWarning",
    "ImageError",
    "InternalError",
    "InvalidArgumentError",
    "ModelError",
    "ResourceError",
    "WeightsError",
]


class FeatureCacheError(Exception):
    """Base of all exceptions of this package.

    Attributes
    ----------
    message : str
        What failed, on which path, what was expected and found.
    hint : str or None
        What fixes it, where that is known.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\nhint: {self.hint}"


class InvalidArgumentError(FeatureCacheError, ValueError):
    """An argument's value, or an array's shape or dtype, is none that can be used."""


class DataError(FeatureCacheError):
    """A folder of pictures is not there, or is not laid out as a folder a split and class."""


class ImageError(FeatureCacheError):
    """A picture can't be read or decoded."""


class CacheError(FeatureCacheError):
    """Cached features are missing, damaged, of another version, or made in another way."""


class WeightsError(FeatureCacheError):
    """The base's weights can't be had, or are not those that are needed."""


class ModelError(FeatureCacheError):
    """A head or network can't be trained, read, or used with these features."""


class EngineError(FeatureCacheError):
    """The device can't be had, or failed."""


class ResourceError(FeatureCacheError):
    """The machine is short of memory or of open files."""


class InternalError(FeatureCacheError):
    """A bug of this package. The interpreter and all files are as they were."""


class FeatureCacheWarning(UserWarning):
    """Something that should be looked at, such as skipped files or pictures that two splits share."""
