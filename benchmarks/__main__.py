"""Every timing benchmark: ``python -m benchmarks``."""

from __future__ import annotations

import runpy

runpy.run_module("benchmarks.throughput", run_name="__main__", alter_sys=True)
