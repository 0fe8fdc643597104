"""Other engines that train the same head, a file each; `bench_head.py` runs them in turns with ours."""
from . import jax, keras, torch

ENGINES = {module.__name__.split(".")[-1]: module for module in (keras, jax, torch)}
# Name of a row: what it is.
ROWS = {name: what for module in ENGINES.values() for name, what in module.ROWS.items()}


def engine_of(row):
    """The module that a row belongs to."""
    return ENGINES[row.split("-")[0]]
