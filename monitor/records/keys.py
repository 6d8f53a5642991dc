"""Keyed hashes by which detection tells repeated events apart without knowing what was said.

An event counts once a day per source and hazard group, and once per template; for prompts over
24 words also once per first and per last 12 words, which jailbreak wrappers share.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from monitor.records.interaction import Interaction
from monitor.records.verdict import KeyColumn

LONG_PROMPT_WORDS: Final = 24
EDGE_WORDS: Final = 12

# Led by one class of all first characters, which lets `re` skip to the next of them.
_VARIABLE: Final = re.compile(
    r"""[hw"“«`'‘\d](?:(?<=h)ttps?://\S+|(?<=w)ww\.\S+"""
    r"""|(?<=")[^"\n]{1,2000}"|(?<=“)[^“”\n]{1,2000}”|(?<=«)[^«»\n]{1,2000}»"""
    r"""|(?<=`)[^`\n]{1,2000}`|(?<=['‘])(?<!\w.)[^'‘’\n]{1,2000}['’](?!\w)"""
    r"""|(?<=\d)\d*+(?:[.,:/-]\d+)*+)"""
)
_NO_KEY: Final = bytes(8)
_NOT_NO_KEY: Final = (1).to_bytes(8, "little")


class _KeyedHash:
    """64-bit hashes of one column: BLAKE2b with the secret key and the column's own name."""

    def __init__(self, key: bytes, column: KeyColumn) -> None:
        self._start = hashlib.blake2b(
            digest_size=8, key=hashlib.blake2b(key).digest(), person=column.name.encode()
        )

    def __call__(self, text: str) -> bytes:
        state = self._start.copy()
        state.update(text.encode("utf-8", "replace"))
        digest = state.digest()
        return digest if digest != _NO_KEY else _NOT_NO_KEY


def keys_of(interactions: Sequence[Interaction], key: bytes) -> NDArray[np.uint64]:
    """Keys of n interactions, shape ``(n, 4)``, columns as in `KeyColumn`; 0 where there is none.

    Raises:
        ValueError: `key` is empty, so that anybody could compute the hashes.
    """
    if not key:
        raise ValueError("privacy.key: empty; set at least one byte")
    hashes = [_KeyedHash(key, column) for column in KeyColumn]
    cells = [key for interaction in interactions for key in _row(interaction, *hashes)]
    keys = np.frombuffer(b"".join(cells), dtype="<u8").astype(np.uint64)
    return keys.reshape(-1, len(KeyColumn))


def _row(
    interaction: Interaction,
    source: _KeyedHash,
    template: _KeyedHash,
    head: _KeyedHash,
    tail: _KeyedHash,
) -> tuple[bytes, bytes, bytes, bytes]:
    origin = _source(interaction)
    words = masked_words(interaction.prompt)
    long = len(words) > LONG_PROMPT_WORDS
    return (
        source(origin) if origin else _NO_KEY,
        template(" ".join(words)) if words else _NO_KEY,
        head(" ".join(words[:EDGE_WORDS])) if long else _NO_KEY,
        tail(" ".join(words[-EDGE_WORDS:])) if long else _NO_KEY,
    )


def _source(interaction: Interaction) -> str:
    """Who asked, as well as it is known; the kind is part of it, lest user 7 be conversation 7."""
    if interaction.conversation:
        return f"conversation:{interaction.conversation}"
    if interaction.user:
        return f"user:{interaction.user}"
    return f"client:{interaction.client}" if interaction.client else ""


def masked_words(prompt: str) -> list[str]:
    """The words of `prompt`, lower-cased, with digits, URLs and quoted spans masked.

    A prompt of which masking would leave nothing (all of it in quotes) is not masked.
    """
    lowered = prompt.lower()
    words = _VARIABLE.sub("#", lowered).split()
    return words if any(word.strip("#") for word in words) else lowered.split()
