"""The detectors of one lane, side by side: what they test, and which of their alarms are open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from monitor.detection import group_watch, unalignment
from monitor.detection.ahead import Ahead, Likelihoods
from monitor.detection.baseline import Baseline
from monitor.detection.counts import Epoch, IntArray
from monitor.detection.divergence import DivergenceWatch
from monitor.detection.group_watch import GroupWatch
from monitor.detection.incident import Incident
from monitor.detection.tally import Layout
from monitor.detection.unalignment import Unalignment
from monitor.detection.watches import RULES, Watches
from monitor.detection.witnesses import TwoWitnesses

TESTED: Final = (unalignment.ALERT, *(rule.alert for rule in RULES), group_watch.ALERT)
"""Alerts of the sequential tests, which spend a budget."""
_STATEFUL: Final = ("unalignment", "watches", "groups", "divergence")


class Detectors:
    """Each may be asked for its own part; here is what concerns all of them."""

    __slots__ = ("divergence", "groups", "layout", "unalignment", "watches")

    def __init__(self, baseline: Baseline, layout: Layout) -> None:
        self.layout = layout
        self.unalignment = Unalignment(TwoWitnesses(baseline.witnesses, baseline.d1), layout)
        self.watches = Watches(layout, baseline.d1)
        self.groups = GroupWatch(layout, baseline.counts.volume, baseline.d1)
        self.divergence = DivergenceWatch(layout, baseline.counts)

    @property
    def page_open(self) -> bool:
        return self.unalignment.incident is not None or self.watches.page_open

    @property
    def incidents(self) -> list[Incident]:
        """Those that are open."""
        every = [
            self.unalignment.incident,
            *self.watches.incidents,
            *self.groups.incidents,
            self.divergence.incident,
        ]
        return [incident for incident in every if incident is not None]

    def ahead(self, reference: IntArray, live: IntArray, first: int) -> Ahead:
        """Likelihoods of the epochs from `first` on, with counts `live` (T, size)."""
        return Ahead(
            reference,
            live,
            first,
            absorbed=not self.page_open,
            layout=self.layout,
            witnesses=self.unalignment.witnesses,
            watches=self.watches,
            groups=self.groups,
        )

    def update(
        self, epoch: Epoch, live: IntArray, said: Likelihoods, spends: Mapping[str, float]
    ) -> None:
        """One epoch with counts `live`; `spends` is its s by alert."""
        start, end = epoch.start, epoch.end
        self.unalignment.update(
            said.witnesses,
            live,
            spends[unalignment.ALERT],
            expected=self.layout.n(live) * said.refused_rate,
            start=start,
            end=end,
        )
        self.watches.update(
            said.watches,
            live,
            [spends[rule.alert] for rule in RULES],
            page_open=self.page_open,
            start=start,
            end=end,
        )
        if not self.page_open:
            self.groups.update(said.groups, live, spends[group_watch.ALERT], start=start, end=end)
        for incident in self.incidents:
            incident.count(self.groups.only(incident.group, live) if incident.group else live)

    def recovered(self, reference: IntArray, live: IntArray, refused_rate: float) -> list[Incident]:
        """Open alarms that end with this epoch."""
        over = self.watches.returned(reference, live, refused_rate)
        over += self.groups.recovered(live, refused_rate)
        if self.unalignment.has_recovered(self.layout, live):
            over += [i for i in [self.unalignment.incident] if i is not None]
        if self.divergence.is_over(reference):
            over += [i for i in [self.divergence.incident] if i is not None]
        return over

    def supersede(self) -> list[Incident]:
        """Close the alarms on single counts and groups: they are part of a page's story now."""
        ended = [
            *(i for i in self.watches.incidents if i is not None and i.severity != "page"),
            *(i for i in self.groups.incidents if i is not None),
        ]
        self.watches.drop_single_counts()
        self.groups.reset()
        return ended

    def close(self, incidents: Iterable[Incident]) -> None:
        paged = self.page_open
        for incident in incidents:
            self.unalignment.close(incident)
            self.watches.close(incident)
            self.groups.close(incident)
            self.divergence.close(incident)
        if paged and not self.page_open:
            # What was gathered on a changed model says nothing about the restored one.
            self.unalignment.reset()
            self.watches.reset()
            self.groups.reset()

    def to_state(self) -> dict[str, Any]:
        return {name: getattr(self, name).to_state() for name in _STATEFUL}

    def restore(self, state: Mapping[str, Any]) -> None:
        for name in _STATEFUL:
            getattr(self, name).restore(state[name])
