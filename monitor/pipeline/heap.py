"""Python's cyclic garbage collector, kept away from what start-up has made."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def settled_heap() -> Iterator[None]:
    """Leave all objects there are out of garbage collection until the end of the block.

    Modules, weights and tables live as long as the process; walking through them takes the
    collector .1 to .3 s each time, again and again while records go through.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
