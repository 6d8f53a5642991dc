"""``python -m classifiers.evaluation --data DIR``: tables of how well the classifier does."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from classifiers.evaluation import evaluate as measure
from classifiers.evaluation.holdout import prompt_holdouts, refusal_holdouts
from classifiers.linear import LinearClassifier
from classifiers.training import corpus
from classifiers.training.encoder import Encoder
from classifiers.weights import WeightsError


def main() -> int:
    """Print the tables; 1 if data or weights cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m classifiers.evaluation", description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("BACKSLIDE_DATA", "../shared/data"))
    )
    parser.add_argument("--by", default="source", help="source, model, language, class")
    parser.add_argument("--version", default=None, help="weights of the manifest")
    parser.add_argument(
        "--holdout", choices=("none", "refusals", "prompts", "all"), default="none",
        help="also train without whole sources and model families, and measure on those",
    )  # fmt: skip
    parser.add_argument("--cache", type=Path, default=Path(".cache/embeddings.npz"))
    arguments = parser.parse_args()
    unknown = set(arguments.by.split(",")) - set(measure.KEYS)
    if unknown:
        parser.error(f"--by: {', '.join(sorted(unknown))} unknown; use {', '.join(measure.KEYS)}")
    try:
        sys.stdout.write(tables(arguments.data, arguments.by.split(","), arguments.version) + "\n")
        if arguments.holdout in ("refusals", "all"):
            rows = corpus.read_all(arguments.data)
            sys.stdout.write(measure.render("refused, held out", refusal_holdouts(rows)) + "\n")
        if arguments.holdout in ("prompts", "all"):
            rows = corpus.read_all(arguments.data)
            found = prompt_holdouts(rows, Encoder(arguments.cache))
            sys.stdout.write(measure.render("prompt, held out", found) + "\n")
    except (FileNotFoundError, ModuleNotFoundError, WeightsError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def tables(directory: Path, by: list[str], version: str | None = None) -> str:
    """Every table that the files of `directory` allow, as text."""
    files = measure.read(directory)
    if not files:
        raise FileNotFoundError(f"evaluation data: no *.jsonl.gz in {directory}; pass --data DIR")
    classifier = LinearClassifier.load(version)
    benign = files.get("benign", [])
    parts = [f"classifier {classifier.identity}\n"]
    for key in by:
        found = measure.refusals(classifier, files.get("refusal", []), key)
        parts.append(measure.render(f"refused, by {key}", found))
    categories = files.get("prompt_category", [])
    if benign:
        parts.append(
            measure.render("ordinary traffic", measure.ordinary_traffic(classifier, benign))
        )
        parts.append(
            measure.render("propensity", measure.propensity(classifier, categories, benign))
        )
        parts.append(
            f"throughput: {measure.throughput(classifier, benign):.0f} records/CPU-second\n"
        )
    parts.append(measure.render("hazard given harmful", measure.hazards(classifier, categories)))
    parts.append(
        measure.render(
            "harm of the response", measure.harm(classifier, files.get("response_harm", []))
        )
    )
    return "\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
