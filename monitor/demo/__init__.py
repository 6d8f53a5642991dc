"""The demo: traffic that the project made up, played through the real pipeline."""

from monitor.demo.play import Played, play
from monitor.demo.scenarios import SCENARIOS, expected, traffic

__all__ = ["SCENARIOS", "Played", "expected", "play", "traffic"]
