"""The commands of the shell as functions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from . import _native
from ._cache import Cache
from ._head import Head
from ._progress import Reporter
from ._words import PathLike, call, size, words


def _run(command: str, name: str, given: dict[str, Any], *more: str, progress: bool) -> dict[str, Any]:
    with Reporter(progress) as report:
        text = _native.run(["feature-cache", *words(command, given), *more], call(name, given), report)
    result: dict[str, Any] = json.loads(text) or {}
    return result


def _augment(value: bool | str | None) -> str | None:
    """True is the lesson's augmentation."""
    if value is True:
        return "lesson"
    return value or None


def extract(
    data: PathLike = "data",
    features: PathLike = "features",
    backbone: str = "vgg16",
    *,
    split: str | Sequence[str] | None = None,
    layer: str | None = None,
    pooling: str | None = None,
    image_size: int | tuple[int, int] | None = None,
    weights: PathLike | None = None,
    models: PathLike | None = None,
    offline: bool = False,
    index_url: str | None = None,
    interpolation: str | None = None,
    preprocess: str | None = None,
    profile: str | None = None,
    augment: bool | str | None = None,
    views: int | None = None,
    seed: int | None = None,
    batch_size: int | None = None,
    dtype: str | None = None,
    device: str | None = None,
    threads: int | None = None,
    precision: str | None = None,
    on_error: str | None = None,
    overwrite: bool = False,
    update: bool = False,
    shard: str | None = None,
    progress: bool = True,
) -> Cache:
    """Run a frozen base once over a folder of pictures, and keep its output.

    Keywords are the flags of the program ``extract`` with its defaults (but ``--engine``: a wheel has one); ``extract --help`` says
    more of each. What is complete is not computed again, and a run that was interrupted, by Ctrl-C too, goes on where it stopped.

    Parameters
    ----------
    data : path
        Folder with a folder a split (train, validation or val, test), each with a folder a class.
    features : path
        Folder for the arrays.
    backbone : str
        The base.
    split : str or list of str, optional
        By default those that there are.
    layer, pooling, image_size, weights, interpolation, preprocess, profile, precision, device, batch_size, threads
        As :class:`Extractor`'s.
    augment : bool or str, optional
        Random views of each picture of train: True for the lesson's, or settings such as ``"rotation=40,horizontal-flip"``.
    views : int, optional
        How many beside the picture itself; 8 by default. Rows of train are (views + 1, h, w, c) then.
    dtype : {"f32", "f16"}, optional
        How features are stored.
    on_error : {"skip", "stop"}, optional
        What to do with a file that gives no row.
    overwrite, update : bool
        Compute everything again, or what is new and changed.
    shard : str, optional
        Part ``"I/N"`` of each split.
    progress : bool
        Show a bar.

    Returns
    -------
    Cache
        What is in ``features``.

    Raises
    ------
    DataError, CacheError, WeightsError, EngineError, InvalidArgumentError
        See their texts; nothing that is finished is lost.
    """
    given = {
        "data": data,
        "features": features,
        "backbone": backbone,
        "split": [split] if isinstance(split, str) else list(split or ()) or None,
        "layer": layer,
        "pooling": pooling,
        "image_size": size(image_size),
        "weights": weights,
        "models": models,
        "offline": offline or None,
        "index_url": index_url,
        "interpolation": interpolation,
        "preprocess": preprocess,
        "profile": profile,
        "augment": _augment(augment),
        "views": views,
        "seed": seed,
        "batch_size": batch_size,
        "dtype": dtype,
        "device": device,
        "threads": threads,
        "precision": precision,
        "on_error": on_error,
        "overwrite": overwrite or None,
        "update": update or None,
        "shard": shard,
    }
    _run("extract", "extract", given, progress=progress)
    return Cache(features)


@dataclass(frozen=True, repr=False)
class Fitted:
    """What a training gave.

    Attributes
    ----------
    folder : pathlib.Path
        The head or model with its report.
    history : dict of str to list of float
        As Keras has it: loss, accuracy, val_loss and val_accuracy, a value an epoch.
    metrics : dict of str to dict
        Of every split: accuracy, precision, recall, f1, roc_auc, log_loss, confusion and more.
    result : dict
        Everything that the command's ``--json`` prints.
    """

    folder: Path
    history: dict[str, list[float]]
    metrics: dict[str, dict[str, Any]]
    result: dict[str, Any] = field(default_factory=dict)

    @property
    def report(self) -> Path:
        """The page with curves, confusion and mistakes."""
        return self.folder / "report.html"

    @property
    def calibration(self) -> dict[str, Any]:
        """Temperature and threshold that the validation split chose."""
        calibration: dict[str, Any] = self.result.get("calibration") or {}
        return calibration

    @property
    def repeats(self) -> dict[str, Any] | None:
        """Mean and 95% interval over the seeds, of several."""
        return self.result.get("repeats")

    @cached_property
    def head(self) -> Head:
        """The trained head with its base, loaded when it is first asked for; :meth:`Head.load` has more to choose from."""
        return Head.load(self.folder)

    def __repr__(self) -> str:
        shown = [f"{split} accuracy {values['accuracy']:.4f}" for split, values in self.metrics.items()]
        return f"<Fitted {str(self.folder)!r}: {', '.join(shown)}>"


def _fitted(folder: PathLike, result: dict[str, Any]) -> Fitted:
    history: dict[str, list[float]] = {}
    for epoch in result.get("history", ()):
        for key in ("loss", "accuracy", "val_loss", "val_accuracy"):
            if epoch.get(key) is not None:
                history.setdefault(key, []).append(epoch[key])
    return Fitted(Path(folder), history, result.get("metrics", {}), result)


def _hidden(hidden: int | Sequence[int] | None) -> list[int] | None:
    if hidden is None:
        return None
    return [hidden] if isinstance(hidden, int) else list(hidden) or [0]


def fit_head(
    features: PathLike = "features",
    head: PathLike = "models/head",
    *,
    data: PathLike | None = None,
    hidden: int | Sequence[int] | None = None,
    dropout: float | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    lr_schedule: str | None = None,
    optimizer: str | None = None,
    class_weight: str | None = None,
    early_stopping: int | None = None,
    seed: int | None = None,
    repeats: int | None = None,
    unfreeze: str | None = None,
    start: PathLike | None = None,
    weights: PathLike | None = None,
    models: PathLike | None = None,
    offline: bool = False,
    index_url: str | None = None,
    threads: int | None = None,
    fail_on_leak: bool = False,
    progress: bool = True,
) -> Fitted:
    """Train a small classifier on cached features, and report how well it does.

    Keywords are the flags of the program ``fit-head`` with its defaults, which are the lesson's: Dense 256 ReLU, Dropout 0.5, a
    sigmoid or softmax, RMSprop at 2e-5, 30 epochs of batches of 20. The same seed gives the same bits.

    Parameters
    ----------
    features : path
        What ``extract`` wrote.
    head : path
        Folder for the head and its report.
    data : path, optional
        Folder of the pictures, for those in the report.
    hidden : int or list of int, optional
        Widths of the hidden layers; 0 or [] for none.
    unfreeze : str, optional
        Train the base from this layer on too, on rows of a layer before it.
    start : path, optional
        Model to start from (``--from``, which is a word of Python's own).
    progress : bool
        Show a bar.

    Returns
    -------
    Fitted
        With ``history``, ``metrics`` and ``head``.
    """
    given = {
        "features": features,
        "head": head,
        "data": data,
        "hidden": _hidden(hidden),
        "dropout": dropout,
        "epochs": epochs,
        "batch_size": batch_size,
        "lr": lr,
        "lr_schedule": lr_schedule,
        "optimizer": optimizer,
        "class_weight": class_weight,
        "early_stopping": early_stopping,
        "seed": seed,
        "repeats": repeats,
        "unfreeze": unfreeze,
        "start": start,
        "weights": weights,
        "models": models,
        "offline": offline or None,
        "index_url": index_url,
        "threads": threads,
        "fail_on_leak": fail_on_leak or None,
    }
    return _fitted(head, _run("fit-head", "fit_head", given, progress=progress))


def train(
    data: PathLike = "data",
    model: PathLike = "models/model",
    backbone: str | None = "vgg16",
    *,
    architecture: PathLike | None = None,
    unfreeze: str | None = None,
    start: PathLike | None = None,
    image_size: int | tuple[int, int] | None = None,
    pooling: str | None = None,
    weights: PathLike | None = None,
    models: PathLike | None = None,
    offline: bool = False,
    index_url: str | None = None,
    interpolation: str | None = None,
    preprocess: str | None = None,
    profile: str | None = None,
    augment: bool | str | None = None,
    hidden: int | Sequence[int] | None = None,
    dropout: float | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    lr_schedule: str | None = None,
    optimizer: str | None = None,
    class_weight: str | None = None,
    early_stopping: int | None = None,
    seed: int | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    device: str | None = None,
    threads: int | None = None,
    precision: str | None = None,
    progress: bool = True,
) -> Fitted:
    """Train a network on pictures: a base with a head on it, frozen or fine-tuned, or a network from scratch.

    Keywords are the flags of ``feature-cache train`` with its defaults.

    Parameters
    ----------
    data : path
        Folder with a folder a split.
    model : path
        Folder for the model and its report.
    backbone : str or None
        The pretrained base; None (or "none") for a network from scratch.
    resume : bool
        Go on from the checkpoint in the model's folder, to the same bits as without the break.
    progress : bool
        Show a bar.

    Returns
    -------
    Fitted
        With ``history``, ``metrics`` and ``head``.
    """
    given = {
        "data": data,
        "model": model,
        "backbone": "none" if backbone is None else backbone,
        "architecture": architecture,
        "unfreeze": unfreeze,
        "start": start,
        "image_size": size(image_size),
        "pooling": pooling,
        "weights": weights,
        "models": models,
        "offline": offline or None,
        "index_url": index_url,
        "interpolation": interpolation,
        "preprocess": preprocess,
        "profile": profile,
        "augment": _augment(augment),
        "hidden": _hidden(hidden),
        "dropout": dropout,
        "epochs": epochs,
        "batch_size": batch_size,
        "lr": lr,
        "lr_schedule": lr_schedule,
        "optimizer": optimizer,
        "class_weight": class_weight,
        "early_stopping": early_stopping,
        "seed": seed,
        "checkpoint_every": checkpoint_every,
        "resume": resume or None,
        "device": device,
        "threads": threads,
        "precision": precision,
    }
    return _fitted(model, _run("train", "train", given, progress=progress))


def compare(
    models: Sequence[PathLike],
    split: str | None = None,
    *,
    out: PathLike | None = None,
) -> dict[str, Any]:
    """Put trained models side by side, and write the page that shows it.

    Parameters
    ----------
    models : list of paths
        Folders of 2 to 8 models.
    split : str, optional
        The split to compare on; test by default.
    out : path, optional
        The page; by default compare.html beside the first model's folder.

    Returns
    -------
    dict
        Metrics with intervals of every model, and McNemar's test of every two.
    """
    from ._words import text

    given = {"split": split, "out": out}
    folders = [text(model) for model in models]
    return _run("compare", "compare", given, "--", *folders, progress=False)
