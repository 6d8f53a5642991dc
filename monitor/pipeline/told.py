"""What the log says of baselines that were learned."""

from __future__ import annotations

import logging

from monitor.pipeline.detect import AUTOMATIC
from monitor.pipeline.detected import Detected

logger = logging.getLogger(__name__)


def tell_learned(detected: Detected) -> None:
    """Say what counts as healthy from now on, above all where nobody was asked."""
    for baseline in detected.learned:
        if baseline.id in detected.shadowed:
            same, of = detected.shadowed[baseline.id]
            logger.warning(
                "%s: classifier %s has learned a baseline of its own in shadow, from %d"
                " interactions; on %.1f %% of the outcomes it agrees with the one that judges."
                " Nothing changes until somebody approves it:"
                " backslide baseline approve %s --by WHO",
                baseline.deployment,
                baseline.classifier,
                baseline.counts.n,
                100.0 * same / max(of, 1),
                baseline.id,
            )
        elif baseline.approved is not None and baseline.approved.by == AUTOMATIC:
            logger.info(
                "%s: what it did in %d interactions was approved automatically as healthy; "
                "look at it with backslide baseline show %s",
                baseline.deployment,
                baseline.counts.n,
                baseline.id,
            )
        elif baseline.state == "candidate":
            logger.info(
                "%s: a baseline was learned from %d interactions; until it is approved nothing "
                "pages: backslide baseline approve %s --by WHO",
                baseline.deployment,
                baseline.counts.n,
                baseline.id,
            )
