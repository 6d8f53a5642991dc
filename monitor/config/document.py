"""A YAML file as plain data that remembers on which line each setting stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from monitor.config.problems import Path, Problem, dotted, shown

LARGEST: Final = 1 << 20
DEEPEST: Final = 20
MOST_NODES: Final = 20_000

_TEXT = "tag:yaml.org,2002:str"
_SCALARS: Final = {
    "tag:yaml.org,2002:bool": "construct_yaml_bool",
    "tag:yaml.org,2002:int": "construct_yaml_int",
    "tag:yaml.org,2002:float": "construct_yaml_float",
    "tag:yaml.org,2002:null": "construct_yaml_null",
}
_TEXT_TAGS: Final = {_TEXT, "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"}
_READER = yaml.constructor.SafeConstructor()


@dataclass(slots=True)
class Document:
    """The top-level mapping, the line of each path in it, and what could not be read."""

    name: str
    data: dict[str, Any] = field(default_factory=dict)
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    nodes: int = 0

    def refuse(self, line: int, path: Path, problem: str, fix: str) -> None:
        """Note that the setting at `path` cannot be read."""
        where = f"{self.name}:{line}"
        self.problems.append(Problem(where, dotted(path) if path else "document", problem, fix))


def read_document(content: bytes, name: str) -> Document:
    """Parse `content` of the file `name`; problems are collected, never raised."""
    document = Document(name)
    if len(content) > LARGEST:
        document.refuse(1, (), "is larger than 1 MiB", "check that this is the right file")
        return document
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        document.refuse(line, (), "is not UTF-8 text", "save the file as UTF-8")
        return document
    node = _compose(text, document)
    if node is None or (isinstance(node, yaml.ScalarNode) and node.value == ""):
        return document
    if not isinstance(node, yaml.MappingNode):
        document.refuse(_line(node), (), "is not a mapping", "write settings as 'name: value'")
        return document
    document.data = _mapping(node, (), document)
    return document


def read_flow(text: str, where: str) -> tuple[Any, list[Problem]]:
    """The value of a list or mapping in one line of YAML, such as ``[a, b]``."""
    document = Document(where)
    node = _compose(text, document)
    value = None if node is None else _value(node, (), document)
    return value, document.problems


def _compose(text: str, document: Document) -> yaml.Node | None:
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        document.refuse(line, (), "holds a character that YAML forbids", "remove it")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        document.refuse(mark.line + 1 if mark else 1, (), *_syntax(error))
    except RecursionError:
        document.refuse(1, (), "is nested too deeply", "check that this is the right file")
    except (ValueError, KeyError, IndexError, AttributeError):
        # The scanner trips over some malformed directives and escapes itself.
        document.refuse(1, (), "is not valid YAML", "check quotes, escapes and directives")
    else:
        return node
    return None


def _syntax(error: yaml.MarkedYAMLError) -> tuple[str, str]:
    problem = " ".join((error.problem or "cannot be understood").split())
    if "'\\t'" in problem:
        return "a tab stands where YAML wants spaces", "indent with spaces"
    if "expected a single document" in (error.context or ""):
        return "holds a second document", "keep one document in a file"
    return f"is not valid YAML ({problem})", "check indentation, quotes and colons here"


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _value(node: yaml.Node, path: Path, document: Document) -> Any:
    document.nodes += 1
    document.lines.setdefault(path, _line(node))
    if len(path) > DEEPEST or document.nodes > MOST_NODES:
        # Also ends the walk through an alias that holds itself, or a billion laughs.
        if document.nodes <= MOST_NODES + 1:
            document.nodes = MOST_NODES + 1
            document.refuse(_line(node), path, "is nested too deeply", "write it out flat")
        return None
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, document)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, i), document) for i, item in enumerate(node.value)]
    return _scalar(node, path, document)


def _mapping(node: yaml.MappingNode, path: Path, document: Document) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key, value, at in _pairs(node, path, document):
        document.lines[at] = _line(key)
        data[key.value] = _value(value, at, document)
    return data


def _pairs(
    node: yaml.MappingNode, path: Path, document: Document
) -> Iterator[tuple[yaml.ScalarNode, yaml.Node, Path]]:
    first: dict[str, int] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            document.refuse(_line(key), path, "has a key that is not text", "write a plain name")
            continue
        if key.value in first:
            at = (*path, key.value)
            problem = f"is set twice, first on line {first[key.value]}"
            document.refuse(_line(key), at, problem, "remove one of the two")
            continue
        first[key.value] = _line(key)
        yield key, value, (*path, key.value)


def _scalar(node: yaml.Node, path: Path, document: Document) -> Any:
    text = str(node.value)
    # 12:30 is the integer 750 to YAML 1.1; nobody who writes it here means that.
    if node.tag in _TEXT_TAGS or (node.tag in _SCALARS and ":" in text):
        return text
    if node.tag not in _SCALARS:
        fix = "write plain text, a number, true or false"
        document.refuse(_line(node), path, f"has the tag {shown(node.tag)}", fix)
        return None
    try:
        return getattr(_READER, _SCALARS[node.tag])(node)
    except (ValueError, KeyError, OverflowError):
        document.refuse(_line(node), path, "is not a value YAML can read", "put it in quotes")
        return None
