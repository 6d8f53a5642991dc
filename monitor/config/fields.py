"""What settings exist: a walk over the models, for suggestions, variables and the reference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from monitor.config.models import Config
from monitor.config.problems import Path

PREFIX: Final = "BACKSLIDE_"
EACH: Final = "*"
"""Stands for an index in the path of a list's items."""


def settings(model: type[BaseModel] = Config, path: Path = ()) -> Iterator[tuple[Path, FieldInfo]]:
    """Every field with its path, sections before what they hold, in order of declaration."""
    for name, info in model.model_fields.items():
        at = (*path, name)
        yield at, info
        section, listed = section_of(info)
        if section is not None:
            yield from settings(section, (*at, EACH) if listed else at)


def section_of(info: FieldInfo) -> tuple[type[BaseModel] | None, bool]:
    """The section a field holds, if any, and whether it holds a list of them."""
    kinds: list[tuple[Any, bool]] = [(info.annotation, False)]
    while kinds:
        kind, listed = kinds.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind, listed
        kinds += [(part, listed or get_origin(kind) is tuple) for part in get_args(kind)]
    return None, False


def is_collection(info: FieldInfo) -> bool:
    """Whether a value is a list or a mapping."""
    return get_origin(info.annotation) in (tuple, dict)


def find(path: Path) -> FieldInfo | None:
    """The field at `path`, or None where there is no such setting."""
    wanted = tuple(EACH if isinstance(part, int) else part for part in path)
    return _BY_PATH.get(wanted)


def siblings(path: Path) -> list[str]:
    """Names of the settings beside `path`."""
    parent = tuple(EACH if isinstance(part, int) else part for part in path[:-1])
    return [str(at[-1]) for at in _BY_PATH if at[:-1] == parent]


def elsewhere(name: str) -> Path | None:
    """The only setting of that name anywhere, or None."""
    found = [path for path in _BY_PATH if path[-1] == name and EACH not in path]
    return found[0] if len(found) == 1 else None


def variable(path: Path) -> str:
    """Name of the environment variable that sets `path`."""
    return PREFIX + "__".join(str(part) for part in path).upper()


def variables() -> list[str]:
    """Names of all variables of single settings."""
    return [
        variable(path)
        for path, info in _BY_PATH.items()
        if EACH not in path and (section_of(info)[0] is None or is_collection(info))
    ]


_BY_PATH: Final = dict(settings())
