"""The shadow run of an upgrade: the next classifier learns beside the one that judges.

It sees the same outputs, and its verdicts count for nothing until its own baseline is approved.
To approve is an operator's act, always: which of two classifiers is right no count can tell.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from monitor.detection import Baseline, EmptyWindowError, Window
from monitor.pipeline.deployment import Deployment
from monitor.pipeline.detected import Detected
from monitor.pipeline.event_time import EventTimes
from monitor.pipeline.judges import Shadow
from monitor.pipeline.learning import Learning, WindowRule
from monitor.records import VerdictBatch

Learn = Callable[[str, Learning], tuple[Window, Baseline]]


def learn_beside(
    deployment: Deployment,
    shadow: Shadow,
    batch: VerdictBatch,
    rows: NDArray[np.int64],
    times: EventTimes,
    *,
    rule: WindowRule,
    learn: Learn,
    is_enough: Callable[[Baseline], bool],
    out: Detected,
) -> None:
    """Add the `rows` of `batch` as the next classifier judges them; at the end of its window, a
    candidate. `times` are those of the same rows.

    Only what the approved artifacts answered is learned: a new one gets no fresh start by way
    of an upgrade. For the same reason a window that a page falls into is thrown away, and none
    begins before that page is over.
    """
    identity = shadow.batch.classifier
    if deployment.doubted:
        out.end_windows(deployment.end_shadow())
        return
    approved = deployment.baseline.artifacts if deployment.baseline is not None else ()
    mine = np.array([batch.artifacts[row] in approved for row in rows.tolist()], dtype=np.bool_)
    rows, at, marks = rows[mine], times.at[mine], times.watermark[mine]
    start = 0
    while start < len(rows) and deployment.shadowed != identity:
        learning = deployment.shadow
        if learning is None or learning.classifier != identity:
            out.end_windows(deployment.end_shadow())
            learning = deployment.shadow = Learning(rule, first=False, classifier=identity)
        take, end = learning.room(marks[start:])
        part = rows[start : start + take]
        learning.append(shadow.batch, part, at[start : start + take])
        same, of = deployment.agreement
        agreed = int((shadow.batch.outcome[part] == batch.outcome[part]).sum())
        deployment.agreement = (same + agreed, of + take)
        out.keep_rows(deployment.shadow_window, learning.take_new())
        start += take
        if end is not None or learning.due:
            _conclude(deployment, learning, end is not None, learn, is_enough, out)


def _conclude(
    deployment: Deployment,
    learning: Learning,
    over: bool,
    learn: Learn,
    is_enough: Callable[[Baseline], bool],
    out: Detected,
) -> None:
    try:
        _, baseline = learn(deployment.name, learning)
    except EmptyWindowError:
        baseline = None
    if not over and (baseline is None or not is_enough(baseline)):
        learning.postpone()
        return
    if baseline is not None:
        deployment.shadowed = learning.classifier
        out.learned.append(baseline)
        out.shadowed[baseline.id] = deployment.agreement
    out.end_windows(deployment.end_shadow())
