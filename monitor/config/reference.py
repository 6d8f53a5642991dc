"""The reference of all settings, written from the models: Markdown, JSON schema, YAML in force."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from monitor.config.fields import EACH, section_of, settings
from monitor.config.models import Config
from monitor.config.problems import Path
from monitor.config.values import Kind

_PLAIN = {str: "text", int: "whole number", float: "number", bool: "true or false"}


def markdown() -> str:
    """The reference as committed in docs/configuration.md."""
    intro = files("monitor.config").joinpath("reference.txt").read_text(encoding="utf-8")
    return intro + "\n" + "\n".join(_tables()) + "\n"


def json_schema() -> dict[str, Any]:
    """JSON schema (2020-12) of the configuration file."""
    schema = Config.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Backslide configuration",
    }


def in_force(config: Config) -> dict[str, Any]:
    """Every setting as it would be written in the file, secrets masked."""
    return config.model_dump(mode="json")


def to_yaml(config: Config) -> str:
    """`in_force` as YAML."""
    return str(yaml.safe_dump(in_force(config), sort_keys=False, allow_unicode=True, width=100))


def _tables() -> Iterator[str]:
    header = "| setting | what | default | meaning |\n| --- | --- | --- | --- |"
    yield header
    for path, info in settings():
        section, listed = section_of(info)
        if section is not None and len(path) == 1:
            yield f"\n### `{path[0]}`\n\n{info.description}\n\n{header}"
        if section is None or listed:
            yield _row(path, info)


def _row(path: Path, info: FieldInfo) -> str:
    name = "".join(f"[{'*'}]" if part == EACH else f".{part}" for part in path).lstrip(".")
    what = kind_of(info).replace("|", "\\|")
    return f"| `{name}` | {what} | {_default(info)} | {info.description} |"


def kind_of(info: FieldInfo) -> str:
    """What a field takes, in words."""
    named = [item.name for item in info.metadata if isinstance(item, Kind)]
    return named[0] if named else _words(info.annotation)


def _words(kind: Any) -> str:
    origin, parts = get_origin(kind), get_args(kind)
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind is SecretStr:
        return "secret"
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return "section"
    if hasattr(kind, "__metadata__"):
        named = [item.name for item in kind.__metadata__ if isinstance(item, Kind)]
        return named[0] if named else _words(kind.__origin__)
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in parts)
    if origin is tuple:
        return f"list of {_words(parts[0])}".replace("list of section", "list of sections")
    if origin is dict:
        return f"mapping of names to {_words(parts[1])}"
    return _words(next(part for part in parts if part is not NoneType))


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True)
    if value is None or value in ("", (), {}):
        return ""
    for item in info.metadata:
        written = getattr(item, "func", None)
        if written is not None and type(item).__name__ == "PlainSerializer":
            return f"`{written(value)}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(value)}]`"
    return f"`{value}`"
