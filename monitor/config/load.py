"""Flags over environment over file over defaults, and every problem of all of them at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path as FilePath
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from monitor.config.checks import conflicts
from monitor.config.document import read_document, read_flow
from monitor.config.fields import PREFIX, find, is_collection, section_of, variable, variables
from monitor.config.messages import explain
from monitor.config.models import Config
from monitor.config.problems import ConfigError, Path, Problem, dotted, shown

FILE_VARIABLE: Final = "BACKSLIDE_CONFIG"
"""Names the configuration file where ``--config`` is not given."""

_KUBERNETES = re.compile(r"BACKSLIDE_(.+_)?(SERVICE_(HOST|PORT(_.*)?)|PORT(_\d+_(TCP|UDP)(_.*)?)?)")
"""Kubernetes sets these in every pod beside a Service whose name begins with ``backslide``."""


class Flag(NamedTuple):
    """A setting given on the command line."""

    option: str
    """As it was written, such as ``--source``."""
    path: Path
    value: Any


@dataclass(slots=True)
class _Settings:
    """Values before validation, where each came from, and what is wrong so far."""

    tree: dict[str, Any] = field(default_factory=dict)
    origins: dict[Path, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    unsure: set[Path] = field(default_factory=set)
    """Under these, a value was left out because it is wrong: no conclusions from its absence."""

    def origin(self, path: Path) -> str:
        """Where the setting at `path` was made, or the nearest thing around it."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.origins:
                return self.origins[path[:end]]
        return "defaults"

    def refuse(self, path: Path, problem: str, fix: str) -> None:
        self.problems.append(Problem(self.origin(path), dotted(path), problem, fix))


def load(
    file: str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    flags: Iterable[Flag] = (),
) -> Config:
    """The configuration in force. Relative paths are taken from the working directory.

    Args:
        file: YAML file, or ``None`` for the one `FILE_VARIABLE` names, if any.
        environ: environment variables; ``BACKSLIDE_A__B`` sets ``a.b``. An empty one counts as
            not set.
        flags: settings of the command line; a value of ``None`` counts as not given.

    Raises:
        ConfigError: with every problem found, in order of file, environment, flags.
    """
    environ = environ or {}
    settings = _Settings()
    named_by = "--config"
    if file is None and environ.get(FILE_VARIABLE):
        file, named_by = environ[FILE_VARIABLE], f"env {FILE_VARIABLE}"
    if file is not None:
        _read_file(file, named_by, settings)
    _read_environment(environ, settings)
    for flag in flags:
        if flag.value is not None:
            _put(flag.path, flag.value, flag.option, settings)
    config = _validate(settings)
    if settings.problems or config is None:
        raise ConfigError(sorted(settings.problems, key=_file_first))
    return config


def _read_file(file: str, named_by: str, settings: _Settings) -> None:
    try:
        content = FilePath(file).read_bytes()
    except FileNotFoundError:
        problem = Problem(named_by, shown(file), "there is no such file", "check the path")
    except IsADirectoryError:
        problem = Problem(named_by, shown(file), "is a directory", "name the file in it")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        fix = "check the path and its permissions"
        problem = Problem(named_by, shown(file), f"cannot be read ({reason})", fix)
    else:
        document = read_document(content, file)
        settings.tree = document.data
        settings.origins = {path: f"{file}:{line}" for path, line in document.lines.items()}
        settings.origins.setdefault((), f"{file}:1")
        settings.problems += document.problems
        return
    settings.problems.append(problem)


def _read_environment(environ: Mapping[str, str], settings: _Settings) -> None:
    for name in sorted(environ):
        text = environ[name]
        if not name.startswith(PREFIX) or name == FILE_VARIABLE or text == "":
            continue
        if _KUBERNETES.fullmatch(name):
            continue
        for problem in _read_variable(name, text, settings):
            settings.problems.append(problem)


def _read_variable(name: str, text: str, settings: _Settings) -> Iterator[Problem]:
    where = f"env {name}"
    path: Path = tuple(
        int(part) if part.isascii() and part.isdecimal() and len(part) < 4 else part
        for part in name[len(PREFIX) :].lower().split("__")
    )
    info = find(path)
    if info is None or name != variable(path):
        near = get_close_matches(
            name[len(PREFIX) :].upper(), [v[len(PREFIX) :] for v in variables()], n=1
        )
        fix = f"did you mean {PREFIX}{near[0]}?" if near else "see docs/configuration.md for all"
        yield Problem(where, dotted(path), "is not a setting", fix)
        return
    value: Any = text
    if is_collection(info):
        value, problems = read_flow(text, where)
        yield from (replace(p, where=where, field=dotted(path)) for p in problems)
        if problems:
            return
    elif section_of(info)[0] is not None:
        example = next(known for known in variables() if known.startswith(name))
        fix = f"set one of its settings, such as {example}"
        yield Problem(where, dotted(path), "is a section", fix)
        return
    if not _put(path, value, where, settings):
        yield Problem(where, dotted(path), "has nothing to be set in", "define the item first")


def _put(path: Path, value: Any, origin: str, settings: _Settings) -> bool:
    """Set `path`; False where what is there already cannot hold it."""
    place: Any = settings.tree
    for part, inner in pairwise(path):
        if isinstance(place, dict) and isinstance(part, str):
            if place.get(part) is None and isinstance(inner, str):
                place[part] = {}
            place = place.get(part)
        elif isinstance(place, list) and isinstance(part, int) and part < len(place):
            place = place[part]
        else:
            return isinstance(part, str)
    if not isinstance(place, dict):
        return isinstance(path[-1], str)  # not a mapping: validation will say so
    place[path[-1]] = value
    for old in [at for at in settings.origins if at[: len(path)] == path]:
        del settings.origins[old]
    settings.origins[path] = origin
    return True


def _validate(settings: _Settings) -> Config | None:
    """Validate, note what is wrong, and leave it out, so that the rest is checked as well."""
    tree = deepcopy(settings.tree)
    kept: dict[Path, list[int]] = {}
    try:
        config = Config.model_validate(tree)
    except ValidationError as error:
        for path in _refuse_all(error, settings):
            _remove(tree, path, kept)
        try:
            config = Config.model_validate(tree)
        except ValidationError:
            return None
    for path, problem, fix in conflicts(config):
        original = _original(path, kept)
        if not any(original[: len(start)] == start for start in settings.unsure):
            settings.refuse(original, problem, fix)
    return config


def _refuse_all(error: ValidationError, settings: _Settings) -> list[Path]:
    """Note every problem; returns what to leave out, later and inner things first."""
    wrong: set[Path] = set()
    for detail in error.errors(include_url=False):
        path, problem, fix = explain(detail)
        settings.refuse(path, problem, fix)
        listed = find(path[:-1])
        if isinstance(path[-1], int) and listed is not None and section_of(listed)[0] is None:
            path = path[:-1]
        info = find(path)
        if info is not None and info.is_required():
            path = path[:-1]
        elif info is not None:
            settings.unsure.add(path[:-1] or path)
        wrong.add(path)
    return sorted(wrong, key=_order, reverse=True)


def _order(path: Path) -> list[tuple[int, str]]:
    return [(part, "") if isinstance(part, int) else (-1, part) for part in path]


def _remove(tree: dict[str, Any], path: Path, kept: dict[Path, list[int]]) -> None:
    """Delete the value at `path`; `kept` holds the original indices of what is left in lists."""
    place: Any = tree
    for part in path[:-1]:
        place = place[part]
    last = path[-1]
    if isinstance(place, list) and isinstance(last, int):
        kept.setdefault(path[:-1], list(range(len(place)))).remove(last)
        del place[last]
    elif isinstance(place, dict):
        place.pop(last, None)


def _original(path: Path, kept: Mapping[Path, list[int]]) -> Path:
    """`path` as the file has it, where items before it were left out."""
    for end, part in enumerate(path):
        if isinstance(part, int) and path[:end] in kept:
            return (*path[:end], kept[path[:end]][part], *path[end + 1 :])
    return path


def _file_first(problem: Problem) -> tuple[int, int]:
    """Order of report: by line of the file, then the environment, then flags."""
    if problem.where.startswith("env "):
        return 1, 0
    line = problem.where.rpartition(":")[2]
    return (0, int(line)) if line.isdecimal() else (2, 0)
