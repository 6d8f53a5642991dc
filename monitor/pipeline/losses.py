"""``RecordsLost``: records that were deleted before they were read."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from monitor.detection import Finding
from monitor.pipeline.detect import DetectStep
from monitor.pipeline.detected import Detected, Raised

logger = logging.getLogger(__name__)

WITHOUT_LOSS: Final = 3_600.0
"""Event time after which a loss of records is over, if there was no other."""


def watch_losses(
    lost: Mapping[int, int], detect: DetectStep, deployment: str, at: float, detected: Detected
) -> None:
    """Open the ticket when something was `lost` (by partition), resolve it an hour later.

    How much it was, a file does not know. `deployment` is the one that conditions of the process
    belong to, `at` the event time.
    """
    if not lost:
        _recover(detect, deployment, at, detected)
        return
    n = sum(lost.values())
    detect.lost_at = at
    detected.totals["lost", ""] += n
    logger.error("%s records were deleted before they were read", n or "an unknown number of")
    finding = Finding("RecordsLost", "open", "ticket", at, "pipeline")
    counts = {"lost": n} if n else {}
    detected.raised.insert(0, Raised(-1, deployment, "", "", finding, counts))


def _recover(detect: DetectStep, deployment: str, at: float, detected: Detected) -> None:
    if detect.lost_at is None or at < detect.lost_at + WITHOUT_LOSS:
        return
    detect.lost_at = None
    finding = Finding("RecordsLost", "resolve", "ticket", at, "pipeline", resolution="recovered")
    detected.raised.append(Raised(0, deployment, "", "", finding, {}))
