"""``python -m classifiers.evaluation --data DIR``: how heads do on what training did not see.

Trains without whole sources and whole families of models and measures on those; needs the extra
``train``. The shipped weights on any labelled data: ``backslide evaluate``.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from classifiers.evaluation.crossed import refusal_crosses
from classifiers.evaluation.holdout import prompt_holdouts, refusal_holdouts
from classifiers.evaluation.table import render
from classifiers.training import corpus, public
from classifiers.training.encoder import Encoder
from classifiers.training.public import PublicError


def main() -> int:
    """Print the tables; 1 if the data, the encoder or public prompts cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m classifiers.evaluation", description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("BACKSLIDE_DATA", "../shared/data"))
    )
    parser.add_argument(
        "--holdout", choices=("refusals", "crossed", "prompts", "all"), default="all"
    )
    parser.add_argument("--ordinary", type=Path, help="more ordinary prompts, one a line")
    parser.add_argument("--cache", type=Path, default=Path(".cache/embeddings.npz"))
    parser.add_argument("--public", type=Path, default=Path(".cache/public"))
    arguments = parser.parse_args()
    try:
        rows = corpus.read_all(arguments.data)
        if arguments.holdout in ("refusals", "all"):
            sys.stdout.write(render("refused, held out", refusal_holdouts(rows)) + "\n")
        if arguments.holdout in ("crossed", "all"):
            sys.stdout.write(render("refused, crossed", refusal_crosses(rows)) + "\n")
        if arguments.holdout in ("prompts", "all"):
            more = arguments.ordinary.read_text().splitlines() if arguments.ordinary else []
            rows["public"] = public.read(arguments.public)
            found = prompt_holdouts(rows, Encoder(arguments.cache), ordinary=more)
            sys.stdout.write(render("prompt, held out", found) + "\n")
    except (OSError, ModuleNotFoundError, PublicError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
