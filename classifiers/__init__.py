"""Classifiers: text in, verdicts out. No input or output but the loading of weights."""

from classifiers.base import Classifier
from classifiers.linear import LinearClassifier
from classifiers.propensity import TooFewRefusals, TunedPropensity, tune
from classifiers.weights import WeightsError, versions

__all__ = [
    "Classifier",
    "LinearClassifier",
    "TooFewRefusals",
    "TunedPropensity",
    "WeightsError",
    "tune",
    "versions",
]
