"""Every detector's docstring shows a worked example; here they are run."""

import doctest
import importlib
import pkgutil

import pytest

import monitor.detection

MODULES = [
    f"monitor.detection.{module.name}"
    for module in pkgutil.iter_modules(monitor.detection.__path__)
]
DETECTORS = (
    "arming", "breadth", "budget", "change", "conditional", "dedup", "divergence",
    "gamma_poisson", "intervals", "recovery", "shiryaev_roberts", "spikes", "tally",
    "up_test", "witnesses",
)  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_a_reader_who_tries_the_example_gets_what_it_says(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0
    if name.rsplit(".", 1)[-1] in DETECTORS:
        assert result.attempted > 0, "this detector shows no example"
