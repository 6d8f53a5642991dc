"""Folding: the few spellings of one phrase become one spelling, for a whole batch at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_CHAT_TAGS: Final = re.compile(
    r"(?:\s+|<s>|</s>|\[/?INST\]|<\|[^|>\n]{1,40}\|>|assistant\s*:)+", re.IGNORECASE
)
_TAG_START: Final = frozenset("<[aA \t\r\n")

_UNICODE: Final = (
    ("‘", "'"), ("’", "'"), ("ʼ", "'"), ("‛", "'"), ("´", "'"), ("＇", "'"),
    ("“", '"'), ("”", '"'),
    ("\u00a0", " "), ("\u2009", " "), ("\u202f", " "), ("\u200b", ""), ("\ufeff", ""),
    ("‐", "-"), ("‑", "-"), ("–", "-"), ("—", "-"),
)  # fmt: skip

_CONTRACTIONS: Final = (
    ("can't", "can not"),
    ("cannot", "can not"),
    ("won't", "will not"),
    ("shan't", "shall not"),
    ("n't", " not"),
    ("i'm", "i am"),
    ("'re", " are"),
    ("'ll", " will"),
    ("'ve", " have"),
    ("unable", "not able"),
    ("apologise", "apologize"),
)

SEPARATOR: Final = "\0"


def fold(texts: Sequence[str], limit: int) -> bytes:
    """The first `limit` characters of each text, folded and joined, each ended by a NUL byte.

    Lower case; typographic quotes, dashes and spaces become ASCII; contractions are spelled
    out, because models differ in them and one unseen phrase can hide every refusal of a model;
    chat template tags at the start are dropped. Only the head of a text is read, so a text of
    any length costs the same. NUL bytes in a text become spaces.
    """
    heads = [_head(text, limit) for text in texts]
    heads.append("")
    joined = SEPARATOR.join(heads)
    if joined.count(SEPARATOR) != len(texts):
        heads = [head.replace(SEPARATOR, " ") for head in heads]
        joined = SEPARATOR.join(heads)
    # Apart from the others: it is ASCII, and a text must not fold by its neighbours in the batch.
    joined = joined.replace("`", "'")
    if not joined.isascii():
        for old, new in _UNICODE:
            joined = joined.replace(old, new)
    joined = joined.lower()
    for old, new in _CONTRACTIONS:
        joined = joined.replace(old, new)
    return joined.encode("utf-8", "replace")


def _head(text: str, limit: int) -> str:
    if text[:1] not in _TAG_START:
        return text[:limit]
    tags = _CHAT_TAGS.match(text[: limit + 200])
    start = tags.end() if tags else 0
    return text[start : start + limit]
