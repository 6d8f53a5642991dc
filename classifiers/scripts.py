"""The script a response is written in: which head, if any, may read it."""

from __future__ import annotations

from enum import Enum
from typing import Final

_HEAD: Final = 200
_THIRD: Final = 0.1
_MIXED: Final = 0.25


class Script(Enum):
    """Script of a response's first letters."""

    LATIN = "latin"
    HANGUL = "hangul"
    OTHER = "other"
    """Any other script, or Hangul mixed with another: no head was trained on it."""


def script(response: str) -> Script:
    """Of most letters among the first 200 characters; Latin where there are none.

    Korean answers name things in Latin letters, so half of the letters may be Latin; an English
    answer may quote some Korean, up to a quarter of its letters. What lies between is mixed.
    """
    head = response[:_HEAD]
    if head.isascii():
        return Script.LATIN
    letters = [c for c in head if c.isalpha()]
    n = len(letters)
    beyond = sum(c > "\u024f" for c in letters)
    if not beyond:
        return Script.LATIN
    hangul = sum("\uac00" <= c <= "\ud7a3" for c in letters)
    if hangul > 0.5 * n:
        return Script.HANGUL if beyond - hangul <= _THIRD * n else Script.OTHER
    if beyond > 0.5 * n or hangul > _MIXED * n:
        return Script.OTHER
    return Script.LATIN
