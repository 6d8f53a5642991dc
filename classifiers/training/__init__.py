"""Training of the shipped weights from labelled data: ``python -m classifiers.training``."""
