"""A frozen base that makes feature rows of pictures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import _native
from ._pictures import ready
from ._progress import Reporter
from ._words import PathLike, size, words

if TYPE_CHECKING:
    from ._pictures import Pictures

# Batches that are handed over at once: Ctrl-C and the bar need no more, and pixels are copied.
_BATCHES = 8


class Extractor:
    """A frozen base with its weights, in memory.

    Parameters
    ----------
    backbone : str
        The base; ``extract bases`` in a shell lists them.
    layer : str, optional
        The layer whose output is kept, by its Keras name; by default the last before the classifier.
    pooling : {"none", "avg", "max"}
        Global pooling over height and width of that output.
    image_size : int or (int, int), optional
        The side, or (width, height), that pictures are resized to; by default 150 for vgg16, else the base's own.
    weights : str or path, optional
        A file, a hub id, ``"mirror"`` or ``"random:SEED"``; by default the base's usual ones.
    interpolation, preprocess, profile : str, optional
        As ``extract``'s.
    precision : {"highest", "high", "medium", "tf32"}, optional
        How exact products are; by default high where the machine has units for it, else highest.
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:N"`` or ``"metal"``.
    batch_size : int
        Pictures the base takes at once. Does not change the rows.
    threads : int, optional
        By default one a core. Does not change the rows.
    models : path
        Folder that downloaded weights are kept in.
    offline : bool
        Never use the network.
    progress : bool
        Show the transfer of weights, and later long calls.

    Examples
    --------
    >>> base = feature_cache.Extractor(pooling="avg")
    >>> base(["cat.jpg", "dog.jpg"]).shape
    (2, 512)
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
        profile: str | None = None,
        precision: str | None = None,
        device: str = "auto",
        batch_size: int = 20,
        threads: int | None = None,
        models: PathLike = "models",
        offline: bool = False,
        index_url: str | None = None,
        progress: bool = False,
    ) -> None:
        options = {
            "backbone": backbone,
            "layer": layer,
            "pooling": pooling,
            "image_size": size(image_size),
            "weights": weights,
            "interpolation": interpolation,
            "preprocess": preprocess,
            "profile": profile,
            "precision": precision,
            "device": device,
            "batch_size": batch_size,
            "threads": threads,
            "models": models,
            "offline": offline,
            "index_url": index_url,
        }
        self._words = words("extract", options)
        self._progress = progress
        self._load()

    def _load(self) -> None:
        with Reporter(self._progress) as report:
            self._native = _native.Extractor(self._words, report)

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of one row, such as (4, 4, 512)."""
        return tuple(self._native.row_shape)

    @property
    def recipe(self) -> dict[str, Any]:
        """Everything that decides the bits of a row."""
        recipe: dict[str, Any] = json.loads(self._native.recipe)
        return recipe

    def __call__(self, pictures: Pictures) -> NDArray[np.float32]:
        """Feature rows of pictures.

        Parameters
        ----------
        pictures : paths, uint8 arrays of shape (height, width, 3), Pillow images, or one uint8 array of shape (n, height, width, 3)
            They may be of different sizes. A single one is taken for a list of one.

        Returns
        -------
        numpy.ndarray of shape (n, *row_shape), float32
            Of a path bitwise the row that ``extract`` stores.

        Raises
        ------
        ImageError
            A picture can't be read.
        InvalidArgumentError
            An array of another shape or dtype.
        """
        given = ready(pictures)
        rows = np.empty((len(given), *self.row_shape), dtype=np.float32)
        step = self._native.batch_size * _BATCHES
        with Reporter(self._progress) as report:
            if len(given) > step:
                report("start", "pictures", "images", 0, len(given))
            for at in range(0, len(given), step):
                part = given[at : at + step]
                values = self._native.rows(part, report, at)
                rows[at : at + step] = values.reshape(len(part), *self.row_shape)
                report("advance", "", "", len(part), None)
        return rows

    def __repr__(self) -> str:
        recipe = self.recipe
        return f"<Extractor {recipe['backbone']} up to {recipe['layer']}: rows of {self.row_shape}>"

    def __getstate__(self) -> dict[str, Any]:
        return {"_words": self._words, "_progress": self._progress}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._load()
