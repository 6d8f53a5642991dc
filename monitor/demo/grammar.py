"""Text from templates and word lists: the small grammar in which the demo's corpus is written.

``{name}`` in a template stands for an entry of a list, which may hold slots itself:

- *words* are chosen once and stay: a dish named in the prompt is the dish named in the answer;
- *phrases* are drawn anew each time, and no phrase comes twice in one text;
- ``{name}`` where only ``name_list`` exists is a list of three to six of its items.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from random import Random
from typing import Final

_SLOT: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")
# "a hour", "an user" and the like are left to the word lists: they name no such word.
_ARTICLE: Final = re.compile(r"\b([Aa]) (?=[aeio]|un[^i]|up|ug)(?!eu|one\b)", re.IGNORECASE)


class UnknownSlotError(KeyError):
    """A template names a list that its file does not have."""


class Text:
    """One prompt and its answer in the making: the words chosen so far, the phrases used up."""

    __slots__ = ("_chosen", "_phrases", "_rng", "_unused", "_words")

    def __init__(
        self,
        words: Mapping[str, Sequence[str]],
        phrases: Mapping[str, Sequence[str]],
        rng: Random,
    ) -> None:
        self._words = words
        self._phrases = phrases
        self._rng = rng
        self._chosen: dict[str, str] = {}
        self._unused: dict[str, list[str]] = {}

    def fill(self, template: str) -> str:
        """`template` with every slot filled.

        Raises:
            UnknownSlotError: a slot has no list of its name.
        """
        return _ARTICLE.sub(r"\1n ", self._fill(template)).strip()

    def _fill(self, template: str) -> str:
        return _SLOT.sub(lambda slot: self._value(slot.group(1)), template)

    def _value(self, name: str) -> str:
        if name in self._words:
            if name not in self._chosen:
                self._chosen[name] = self._fill(self._rng.choice(self._words[name]))
            return self._chosen[name]
        if name in self._phrases:
            return self._fill(self._draw(name))
        if f"{name}_list" in self._phrases:
            return self._list(f"{name}_list")
        raise UnknownSlotError(name)

    def _draw(self, name: str) -> str:
        unused = self._unused.get(name)
        if not unused:
            unused = self._rng.sample(self._phrases[name], len(self._phrases[name]))
            self._unused[name] = unused
        return unused.pop()

    def _list(self, name: str) -> str:
        items = [self._fill(self._draw(name)) for _ in range(self._rng.randint(3, 6))]
        mark = self._rng.choice(("numbers", "- ", "* "))
        if mark == "numbers":
            return "\n".join(f"{i}. {item}" for i, item in enumerate(items, 1))
        return "\n".join(mark + item for item in items)
