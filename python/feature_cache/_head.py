"""Trained heads on new pictures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import _native
from ._pictures import ready
from ._progress import Reporter
from ._words import PathLike, words

if TYPE_CHECKING:
    from ._pictures import Pictures


@dataclass(frozen=True)
class Predictions:
    """What a head says of pictures.

    Attributes
    ----------
    probabilities : numpy.ndarray of shape (n, classes), float32
        In the order of ``classes``.
    labels : numpy.ndarray of shape (n,), int64
        The predicted classes, indices into ``classes``.
    classes : list of str
        Class names.
    """

    probabilities: NDArray[np.float32]
    labels: NDArray[np.int64]
    classes: list[str]

    @property
    def names(self) -> list[str]:
        """Names of the predicted classes."""
        return [self.classes[label] for label in self.labels]

    def __len__(self) -> int:
        return len(self.labels)


class Head:
    """A head or network with the base it needs, in memory; made by :meth:`load`.

    Attributes
    ----------
    folder : pathlib.Path
        Where it was loaded from.
    classes : list of str
        In the order of the probabilities.
    """

    def __init__(self, native: _native.Head, folder: Path, progress: bool) -> None:
        self._native = native
        self._progress = progress
        self.folder = folder
        self.classes = native.classes

    @classmethod
    def load(
        cls,
        folder: PathLike = "models/head",
        *,
        weights: PathLike | None = None,
        device: str = "auto",
        batch_size: int = 20,
        threads: int | None = None,
        models: PathLike = "models",
        offline: bool = False,
        index_url: str | None = None,
        progress: bool = False,
    ) -> Head:
        """Load a head with its base.

        Parameters
        ----------
        folder : path
            What ``fit_head`` or ``train`` wrote.
        weights : str or path, optional
            Where the base's weights are, if the head's own word is not enough; they must be the same bits as for the features.
        device, batch_size, threads, models, offline
            As :class:`Extractor`'s.
        progress : bool
            Show the transfer of weights.

        Raises
        ------
        ModelError
            There is no head, or it is damaged.
        WeightsError
            The weights can't be had or are others.
        """
        options = {
            "head": folder,
            "weights": weights,
            "device": device,
            "batch_size": batch_size,
            "threads": threads,
            "models": models,
            "offline": offline,
            "index_url": index_url,
        }
        with Reporter(progress) as report:
            # The command wants a path; pictures come later.
            native = _native.Head([*words("predict", options), "-"], report)
        return cls(native, Path(folder), progress)

    @property
    def recipe(self) -> dict[str, Any] | None:
        """How its features are made."""
        recipe: dict[str, Any] | None = json.loads(self._native.recipe or "null")
        return recipe

    def predict(
        self,
        pictures: Pictures,
        *,
        calibrated: bool = False,
        threshold: float | str | None = None,
    ) -> Predictions:
        """Classify pictures.

        Parameters
        ----------
        pictures : paths, uint8 arrays of shape (height, width, 3), Pillow images, or one uint8 array of shape (n, height, width, 3)
        calibrated : bool
            Probabilities with the temperature that the validation split chose.
        threshold : float or "auto", optional
            Two classes: predict the second where its probability is above this instead of 0.5; "auto": as the validation
            split chose.

        Returns
        -------
        Predictions
            The same numbers that ``predict`` prints.

        Raises
        ------
        ImageError
            A picture can't be read.
        """
        at = None if threshold is None else str(threshold)
        given = ready(pictures)
        with Reporter(self._progress) as report:
            probabilities, labels = self._native.predict(given, calibrated, at, report)
        probabilities = probabilities.reshape(len(given), len(self.classes))
        return Predictions(probabilities, labels, list(self.classes))

    def __repr__(self) -> str:
        return f"<Head {str(self.folder)!r}: {len(self.classes)} classes>"
