"""From pydantic's errors to lines that say what to do."""

from __future__ import annotations

from typing import Any

from pydantic_core import ErrorDetails

from monitor.config.fields import elsewhere, siblings
from monitor.config.problems import Path, dotted, shown, suggestion

_WRONG_TYPE = {
    "bool": ("must be true or false", "write true or false without quotes"),
    "int": ("must be a whole number", "write it without quotes, such as 1024"),
    "float": ("must be a number", "write it without quotes, such as 0.5"),
    "string": ("must be text", "put it in quotes"),
    "tuple": ("must be a list", "write [a, b], or one '- item' on each line"),
    "model": ("must be a mapping", "write its settings as 'name: value', indented"),
    "dict": ("must be a mapping", "write its settings as 'name: value', indented"),
    "finite": ("must be a finite number", "write a plain number"),
}
_BOUNDS = {
    "greater_than": ("is too small", "gt", "give more than {}"),
    "greater_than_equal": ("is too small", "ge", "give at least {}"),
    "less_than": ("is too large", "lt", "give less than {}"),
    "less_than_equal": ("is too large", "le", "give at most {}"),
    "string_too_short": ("is too short", "min_length", "give at least {} characters"),
    "string_too_long": ("is too long", "max_length", "give at most {} characters"),
}
_PLAIN = {
    "missing": ("is missing", "add it"),
    "string_pattern_mismatch": ("has characters that are not allowed", "match {pattern}"),
    "string_unicode": ("is not text", "put it in quotes"),
}


def explain(error: ErrorDetails) -> tuple[Path, str, str]:
    """(path, problem, fix) of one error. Values are echoed only where they cannot be secret."""
    path: Path = tuple(part for part in error["loc"] if part != "[key]")
    kind, context = error["type"], error.get("ctx", {})
    if kind == "setting":
        return path, context["problem"], context["fix"]
    if kind == "extra_forbidden":
        return path, "is not a setting", _unknown(path)
    if kind == "literal_error":
        return path, _not_listed(error["input"]), f"choose {context['expected']}"
    if kind in _BOUNDS:
        problem, bound, fix = _BOUNDS[kind]
        return path, problem, fix.format(context[bound])
    if kind in _PLAIN:
        problem, fix = _PLAIN[kind]
        return path, problem, fix.format(**context)
    problem, fix = _WRONG_TYPE.get(
        kind.partition("_")[0], ("is not valid", "see backslide config schema")
    )
    return path, problem, fix


def _unknown(path: Path) -> str:
    name = str(path[-1])
    fix = suggestion(name, siblings(path))
    place = elsewhere(name)
    return f"did you mean {dotted(place)}?" if place and "did you" not in fix else fix


def _not_listed(value: Any) -> str:
    return f"{shown(value)} is not one of the choices"
