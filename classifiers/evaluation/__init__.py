"""Measuring classifiers on labelled data: ``python -m classifiers.evaluation``."""
