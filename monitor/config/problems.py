"""What is wrong with a configuration: every problem on one line, each with its place and fix."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

Path = tuple[str | int, ...]
"""Where a setting is, such as ``("alerts", "webhooks", 0, "url")``."""

_LONGEST = 120
_STRANGE = re.compile(r"[^\w.-]")


@dataclass(frozen=True, slots=True)
class Problem:
    """One wrong setting. Reads ``where: field: problem; fix``."""

    where: str
    """``file:line``, ``env NAME`` or ``--flag``."""
    field: str
    problem: str
    fix: str

    def __str__(self) -> str:
        parts = (one_line(part) for part in (self.field, self.problem, self.fix))
        field, problem, fix = parts
        # The semicolon separates problem from fix, so neither name nor problem may hold one.
        return f"{one_line(self.where)}: {field}: {problem.replace(';', ',')}; {fix}"


class ConfigError(Exception):
    """The configuration cannot be used; the text is one line for each problem. Exit 2."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


def dotted(path: Path) -> str:
    """``alerts.webhooks[0].url``; of names that cannot be settings only what keeps the form."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = _STRANGE.sub("\N{REPLACEMENT CHARACTER}", part[:_LONGEST]) or "''"
            text += f".{name}" if text else name
    return text or "document"


def suggestion(name: str, known: Iterable[str]) -> str:
    """The fix for an unknown name: the nearest of `known`, or all of them."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return "known here: " + ", ".join(names)


def one_line(text: str) -> str:
    """`text` without line breaks and control characters, at a readable length."""
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return clean if len(clean) <= _LONGEST * 4 else clean[: _LONGEST * 4 - 1] + "…"


def shown(value: object) -> str:
    """A wrong value as it appears in a message: quoted and short."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
