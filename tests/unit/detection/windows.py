"""Learning windows of synthetic records."""

from typing import Any

import numpy as np

from monitor.detection import Baseline, Budget, Window, learn
from monitor.records import Outcome

START = 1_700_000_000.0


def window(n: int = 25_000, seed: int = 0, *, seconds: float = 1000.0, **columns: Any) -> Window:
    """`n` records over `seconds`: 2 % harmful (scores about 2.7, .93 refused), the rest about
    0, .004 of them refused; every record from a source and a template of its own."""
    rng = np.random.default_rng(seed)
    harmful = rng.random(n) < 0.02
    refused = rng.random(n) < np.where(harmful, 0.93, 0.004)
    made = {
        "times": START + np.arange(n) * seconds / n,
        "outcome": np.where(refused, Outcome.REFUSED, Outcome.COMPLIED).astype(np.uint8),
        "p_refused": np.where(refused, 0.95, 0.02),
        "propensity": np.where(harmful, 2.7, 0.0) + rng.standard_normal(n),
        "group": np.where(harmful, rng.integers(0, 9, n), 9).astype(np.uint8),
        "keys": rng.integers(1, 2**63, (n, 4)).astype(np.uint64),
    }
    return Window(**(made | columns))


def learned(records: Window, **changes: Any) -> Baseline:
    settings = {
        "deployment": "chat",
        "artifact": "m@1",
        "artifacts": ["m@1"],
        "classifier": "linear@sha256:0",
        "budget": Budget(),
    }
    return learn(records, **(settings | changes))
