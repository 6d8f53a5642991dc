"""Which files a rotation has made of one: by name, age and identity."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import BinaryIO


def status(path: Path) -> os.stat_result | None:
    """Status of a file that a rotation may rename at any moment; ``None`` when it is gone."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def rotated(path: Path) -> list[Path]:
    """Rotated files of `path`, the oldest first. Only names that end in numbers or dates count."""
    stem, suffix = re.escape(path.stem), re.escape(path.suffix)
    stamp = r"[.-]\d[\d._:T-]*"
    pattern = re.compile(rf"{stem}(?:{suffix}{stamp}|{stamp}{suffix})")
    found = (other for other in path.parent.iterdir() if pattern.fullmatch(other.name))
    dated = [(state.st_mtime_ns, other) for other in found if (state := status(other))]
    return [other for _, other in sorted(dated)]


def successor(path: Path, file: BinaryIO) -> Path | None:
    """The file to go on with after `file`: the next younger rotated one, else `path`.

    ``None`` while `file` still is `path`, or nothing has been written to what follows: as long
    as the new file is empty, the writer may not have turned to it yet.
    """
    here = os.fstat(file.fileno())
    current = status(path)
    if current is None or os.path.samestat(here, current):
        return None
    for other in (*rotated(path), path):
        state = status(other)
        if state is None or not state.st_size or os.path.samestat(here, state):
            continue
        if other == path or state.st_mtime_ns > here.st_mtime_ns:
            return other
    return None
