"""Which rows of a batch belong to whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from monitor.detection import IntArray

NO_ROWS: Final[IntArray] = np.zeros(0, dtype=np.int64)


def rows_of(names: Sequence[str]) -> Mapping[str, IntArray]:
    """Ascending rows of each name, in the order in which the names first appear."""
    if not names:
        return {}
    index = {name: i for i, name in enumerate(dict.fromkeys(names))}
    codes = np.fromiter(map(index.__getitem__, names), dtype=np.int64, count=len(names))
    ends = np.bincount(codes, minlength=len(index)).cumsum()[:-1]
    return dict(zip(index, np.split(np.argsort(codes, kind="stable"), ends), strict=True))
