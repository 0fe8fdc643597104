"""A frozen base as a scikit-learn transformer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

try:
    from sklearn.base import BaseEstimator, TransformerMixin
except ImportError as error:
    raise ImportError("feature_cache.FeatureExtractor needs scikit-learn: pip install scikit-learn") from error

from ._extractor import Extractor
from ._words import PathLike

__all__ = ["FeatureExtractor"]


class FeatureExtractor(TransformerMixin, BaseEstimator):  # type: ignore[misc,unused-ignore]
    """Pictures to rows of features, as a step of a pipeline.

    There is nothing to learn: ``fit`` only loads the base. Clones and pickles keep the parameters and load it again.

    Parameters
    ----------
    backbone, layer, pooling, image_size, weights, interpolation, preprocess, precision, device, batch_size, threads, models, offline
        As :class:`feature_cache.Extractor`'s.

    Attributes
    ----------
    n_features_out_ : int
        Values of a row.

    Examples
    --------
    >>> make_pipeline(FeatureExtractor(pooling="avg"), LogisticRegression()).fit(paths, labels)
    """

    def __init__(
        self,
        backbone: str = "vgg16",
        *,
        layer: str | None = None,
        pooling: str = "none",
        image_size: int | tuple[int, int] | None = None,
        weights: PathLike | None = None,
        interpolation: str | None = None,
        preprocess: str | None = None,
        precision: str | None = None,
        device: str = "auto",
        batch_size: int = 20,
        threads: int | None = None,
        models: PathLike = "models",
        offline: bool = False,
    ) -> None:
        self.backbone = backbone
        self.layer = layer
        self.pooling = pooling
        self.image_size = image_size
        self.weights = weights
        self.interpolation = interpolation
        self.preprocess = preprocess
        self.precision = precision
        self.device = device
        self.batch_size = batch_size
        self.threads = threads
        self.models = models
        self.offline = offline

    def fit(self, X: Any, y: Any = None) -> FeatureExtractor:
        """Load the base.

        Parameters
        ----------
        X : pictures
            Not looked at.
        y : ignored
        """
        self.extractor_ = Extractor(**self.get_params())
        self.n_features_out_ = int(np.prod(self.extractor_.row_shape))
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Rows of features.

        Parameters
        ----------
        X : paths, uint8 arrays of shape (height, width, 3), or Pillow images
            A column of paths, such as a frame with one column, too.

        Returns
        -------
        numpy.ndarray of shape (n, n_features_out_), float32
        """
        if not hasattr(self, "extractor_"):
            self.fit(X)
        rows = self.extractor_(_column(X))
        return rows.reshape(len(rows), -1)

    def get_feature_names_out(self, input_features: Sequence[str] | None = None) -> NDArray[Any]:
        """Names of the columns: the base's with a number."""
        name = self.backbone.replace("-", "_")
        return np.asarray([f"{name}_{i}" for i in range(self.n_features_out_)], dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.no_validation = True
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _column(X: Any) -> Any:
    """A frame or an (n, 1) array of paths as a list of them."""
    values = getattr(X, "to_numpy", None)
    if values is not None:
        X = values()
    if isinstance(X, np.ndarray) and X.dtype.kind in "OUS" and X.ndim == 2 and X.shape[1] == 1:
        X = X[:, 0]
    return X
