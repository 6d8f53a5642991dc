"""Which weights and settings answered, as a short readable id.

``model@revision+adapter1+adapter2#3f9a0c12d4e5``: the parts that are known, and a keyed hash of
system prompt and chat template if there is either.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from functools import lru_cache
from typing import Final

from monitor.records._fields import bounded
from monitor.records.interaction import Interaction

UNKNOWN: Final = "unknown"
PARTS: Final = ("model", "revision", "adapters", "system_prompt", "chat_template")
"""Fields of an interaction that may make an artifact."""

_MONTHS: Final = (
    "january|february|march|april|may|june|july|august|september|october|november|december"
    "|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec"
)
_DAYS: Final = (
    "monday|tuesday|wednesday|thursday|friday|saturday|sunday|mon|tues?|wed|thur?s?|fri|sat|sun"
)
# A word with a digit, a month, a day; possessive, so that the time stays linear.
_MOMENT: Final = (
    r"(?<![\w-])(?:(?:[^\W\d]|-)*+\d[\w-]*+|(?:" + _MONTHS + "|" + _DAYS + r"|[ap]m)(?![\w-]))"
)
# A run of them is one: dates and times have many forms.
_VARIABLE: Final = re.compile(_MOMENT + r"(?:[\s,.:/+]++" + _MOMENT + ")*", re.IGNORECASE)


def artifact_id(interaction: Interaction, key: bytes, identity: Collection[str] = PARTS) -> str:
    """The artifact of `interaction`; ``unknown`` if nothing at all is known of it.

    Before hashing, words with digits and the names of months and days are masked: a date in a
    system prompt must not make a new artifact each day. The hash is keyed because system prompts
    may be secret and the id is shown.

    Args:
        interaction: who answered, as far as the record says.
        key: secret of the hash.
        identity: the fields, of `PARTS`, that make an artifact; others are passed over.
    """
    return _artifact_id(
        interaction.model if "model" in identity else "",
        interaction.revision if "revision" in identity else "",
        interaction.adapters if "adapters" in identity else (),
        interaction.system_prompt if "system_prompt" in identity else "",
        interaction.chat_template if "chat_template" in identity else "",
        key,
    )


@lru_cache(maxsize=512)
def _artifact_id(
    model: str,
    revision: str,
    adapters: tuple[str, ...],
    system_prompt: str,
    chat_template: str,
    key: bytes,
) -> str:
    name = model
    if revision:
        name += f"@{revision}"
    name += "".join(f"+{adapter}" for adapter in sorted(set(adapters)))
    settings = ""
    if system_prompt or chat_template:
        settings = "#" + _digest(system_prompt, chat_template, key)
    if not name and not settings:
        return UNKNOWN
    return bounded(name if model else UNKNOWN + name) + settings


def _digest(system_prompt: str, chat_template: str, key: bytes) -> str:
    masked = "\0".join(_VARIABLE.sub("#", text) for text in (system_prompt, chat_template))
    # A key of any length: BLAKE2 takes at most 64 bytes.
    short = hashlib.blake2b(key).digest()
    return hashlib.blake2b(
        masked.encode(), digest_size=6, key=short, person=b"artifact"
    ).hexdigest()
