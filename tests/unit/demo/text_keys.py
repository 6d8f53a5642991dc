"""The template key of STATISTICS A5, written anew so that the corpus is judged from outside."""

from __future__ import annotations

import re

_MASKED = re.compile(r"https?://\S+|\"[^\"]*\"|“[^”]*”|`[^`]*`|(?<!\w)'[^']*'(?!\w)|\d+([.,]\d+)*")


def template_key(prompt: str) -> str:
    return " ".join(_MASKED.sub("#", prompt.lower()).split())
