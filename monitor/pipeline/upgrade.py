"""What a start does about classifiers: every deployment gets the one it is held to."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from monitor.detection import Baseline
from monitor.pipeline.deployment import Deployment
from monitor.pipeline.detected import Detected
from monitor.pipeline.judges import Judges, Pin, UnavailableClassifierError, weights_of
from monitor.pipeline.learning import Learning

logger = logging.getLogger(__name__)


def adopt(judges: Judges, deployments: Mapping[str, Deployment], out: Detected) -> None:
    """Load what every deployment is pinned to. A window that was begun with weights that do not
    ship any more begins again.

    Raises:
        UnavailableClassifierError: a baseline in force was made by such weights.
    """
    for name, deployment in sorted(deployments.items()):
        learning = deployment.learning
        if deployment.baseline is not None:
            _judge_of(judges, deployment.baseline)
            _tell(judges, deployment, deployment.baseline)
        elif learning is not None and learning.classifier and not judges.ships(learning.classifier):
            logger.warning(
                "%s: learning begins again: %d interactions were judged by classifier %s, which"
                " does not ship with this version",
                name,
                learning.count,
                learning.classifier,
            )
            deployment.learning = Learning(learning.rule, first=learning.first)
            out.end_windows([name])
            out.touched.add(name)


def _judge_of(judges: Judges, baseline: Baseline) -> None:
    try:
        judges.of(Pin(baseline.classifier, baseline.propensity))
    except UnavailableClassifierError as problem:
        raise UnavailableClassifierError(
            f"baseline {baseline.id} of deployment {baseline.deployment} {problem}; run the version"
            f" of backslide that made it, or learn anew: backslide baseline retire {baseline.id}"
        ) from None


def _tell(judges: Judges, deployment: Deployment, baseline: Baseline) -> None:
    if weights_of(baseline.classifier) == judges.identity:
        return
    waiting = deployment.shadowed == judges.identity
    logger.warning(
        "%s: baseline %s was made by another classifier (%s) than is the default now (%s);"
        " it goes on judging until %s",
        deployment.name,
        baseline.id,
        baseline.classifier,
        judges.identity,
        "the baseline that the default learned is approved: see backslide baseline list"
        if waiting
        else "the default has learned a baseline in shadow and somebody approved it",
    )
