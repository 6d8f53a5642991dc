"""Broken text: empty, looping, gibberish or in a jumble of scripts. No training, no weights."""

from __future__ import annotations

import re
import zlib
from typing import Final, NamedTuple

LIMIT: Final = 1000
"""Characters looked at."""

_SHORT: Final = 200
_LOOP_RATIO: Final = 0.30
_WORD: Final = re.compile(r"\S+")


class Degeneracy(NamedTuple):
    """How broken a response is: `reason` is empty for a sound one."""

    reason: str
    probability: float


def degeneracy(response: str) -> Degeneracy:
    """Judge the first 1,000 characters of a response."""
    head = response[:LIMIT].strip()
    if not head:
        return Degeneracy("empty", 1.0)
    if len(head) < _SHORT:
        return Degeneracy("", 0.0)
    ratio = compression(head)
    probability = min(1.0, max(0.0, (0.45 - ratio) / 0.3))
    if ratio < _LOOP_RATIO:
        return Degeneracy("looping", probability)
    return Degeneracy("", min(probability, 0.49))


def compression(text: str) -> float:
    """Compressed size over size (zlib, level 1): sound prose .45-.6, loops below .3."""
    data = text.encode("utf-8", "replace")
    return len(zlib.compress(data, 1)) / len(data)
