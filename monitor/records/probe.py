"""The mark that tells a request of our own from those of users.

In the native format: ``"attributes": {"backslide.probe": {"suite", "prompt", "kind", "group"}}``,
``kind`` being ``canary`` so far. Marked records are judged like all others and never count as
traffic. Whoever writes the records decides what bears the mark: do not fill it from what users
send.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from monitor.records._fields import bounded
from monitor.records.hazards import GROUPS
from monitor.records.interaction import Interaction

PROBE: Final = "backslide.probe"
CANARY: Final = "canary"
PROBE_USER: Final = "backslide-probe"
"""The ``user`` that every request of ours names. What captures all that the model answers captures
our requests too; without the mark, a record of this user is left out rather than taken for
traffic."""
_FIELDS: Final = ("suite", "prompt", "kind", "group")


class ProbeMark(NamedTuple):
    """Which probe a record is the answer to."""

    suite: str
    prompt: str
    """Name of the prompt within its suite."""
    kind: str = CANARY
    group: int | None = None
    """Index into `GROUPS`; ``None``: what the classifier says."""

    def attribute(self) -> dict[str, str]:
        """The value of the attribute."""
        named = {"suite": self.suite, "prompt": self.prompt, "kind": self.kind}
        return named if self.group is None else {**named, "group": GROUPS[self.group]}


def flattened(attributes: Mapping[str, object]) -> dict[str, object]:
    """`attributes` with the mark as scalars under dotted names, and no such names otherwise."""
    kept = {name: v for name, v in attributes.items() if not name.startswith(f"{PROBE}.")}
    mark = kept.pop(PROBE, None)
    if not isinstance(mark, dict):
        return kept
    named = {f"{PROBE}.{name}": mark.get(name) for name in _FIELDS}
    # First, so that no limit on attributes drops it.
    return {name: value for name, value in named.items() if isinstance(value, str)} | kept


def mark_of(interaction: Interaction) -> ProbeMark | None:
    """The mark of `interaction`, or ``None`` for traffic."""
    if not interaction.attributes:
        return None
    found = {name: interaction.attributes.get(f"{PROBE}.{name}", "") for name in _FIELDS}
    if not (found["suite"] and found["prompt"]):
        return None
    group = GROUPS.index(found["group"]) if found["group"] in GROUPS else None
    return ProbeMark(bounded(found["suite"]), bounded(found["prompt"]), found["kind"], group)
