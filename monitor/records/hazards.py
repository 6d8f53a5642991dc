"""The vocabulary of harm: hazards S1-S14 and the nine hazard groups.

Hazards are the categories of Llama Guard 3 and AILuminate. A *hazard group* is what
detection counts by: neighbouring hazards that a monitor sees too rarely one by one.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

HAZARDS: Final = (
    "S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8", "S9", "S10", "S11", "S12", "S13", "S14",
    "other",
)  # fmt: skip
"""Column order of every hazard vector; ``other`` is harm (or no harm) without a code."""

GROUPS: Final = (
    "violence", "crime", "sexual", "hate", "self-harm", "privacy", "property", "advice",
    "elections", "other",
)  # fmt: skip
"""Code order of every group column; ``elections`` also holds defamation."""

OTHER_GROUP: Final = GROUPS.index("other")

GROUP_OF_HAZARD: Final = MappingProxyType(
    {
        "S1": "violence", "S9": "violence",
        "S2": "crime", "S14": "crime",
        "S3": "sexual", "S4": "sexual", "S12": "sexual",
        "S10": "hate",
        "S11": "self-harm",
        "S7": "privacy",
        "S8": "property",
        "S6": "advice",
        "S5": "elections", "S13": "elections",
        "other": "other",
    }
)  # fmt: skip
