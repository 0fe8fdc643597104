"""Keyword arguments as the words of the shell, which one parser checks and gives their defaults."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Union

# Where a flag is a word of Python's own.
_FLAGS = {"start": "from"}

PathLike = Union[str, "os.PathLike[str]"]
Value = Union[None, bool, int, float, str, "os.PathLike[str]", Iterable[object]]


def text(value: object) -> str:
    """One value as the shell has it."""
    if isinstance(value, os.PathLike):
        path = os.fspath(value)
        return os.fsdecode(path)
    return str(value)


def words(command: str, options: Mapping[str, object]) -> list[str]:
    """The command with its flags.

    None and False leave a flag out, True gives it without a value, lists and tuples repeat it.
    """
    out = [command]
    for name, value in options.items():
        flag = "--" + _FLAGS.get(name, name.replace("_", "-"))
        if value is None or value is False:
            continue
        if value is True:
            out.append(flag)
        elif isinstance(value, (list, tuple)):
            out += [f"{flag}={text(one)}" for one in value]
        else:
            out.append(f"{flag}={text(value)}")
    return out


def call(function: str, arguments: Mapping[str, object]) -> str:
    """The call as somebody would write it again, without what is left to its default."""
    given = (f"{name}={value!r}" for name, value in arguments.items() if value is not None)
    return f"feature_cache.{function}({', '.join(given)})"


def size(value: int | tuple[int, int] | str | None) -> str | None:
    """A picture's size: a side, or (width, height)."""
    if isinstance(value, tuple):
        return "x".join(str(side) for side in value)
    return None if value is None else str(value)
