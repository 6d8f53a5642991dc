"""``python -m classifiers.training --data DIR --out DIR``: rebuild the shipped weights."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from classifiers.gold.__main__ import main as record_gold
from classifiers.training import public
from classifiers.training.build import build
from classifiers.training.encoder import Encoder
from classifiers.training.public import PublicError
from classifiers.weights import DIRECTORY, WeightsError, save, versions


def main() -> int:
    """Train, save, and say whether the weights are the ones that ship."""
    parser = argparse.ArgumentParser(prog="python -m classifiers.training", description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("BACKSLIDE_DATA", "../shared/data"))
    )
    parser.add_argument("--out", type=Path, default=DIRECTORY)
    parser.add_argument("--version", default="3", help="name of the weights in the manifest")
    parser.add_argument(
        "--cache", type=Path, default=Path(".cache/embeddings.npz"), help="sentence embeddings"
    )
    parser.add_argument(
        "--public",
        type=Path,
        default=Path(".cache/public"),
        help="public prompts; what it lacks is fetched",
    )
    arguments = parser.parse_args()
    try:
        known = (arguments.out / "manifest.json").exists()
        shipped = versions(arguments.out) if known else {}
        rows = public.read_all(arguments.data, arguments.public)
        digest = save(build(rows, Encoder(arguments.cache), arguments.version), arguments.out)
        if arguments.out == DIRECTORY:
            # New weights ship with what they say of the gold set.
            record_gold()
    except (FileNotFoundError, ModuleNotFoundError, PublicError, WeightsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"linear-{arguments.version} sha256:{digest}")
    before = shipped.get(arguments.version, "none")
    print("equal to the weights before" if digest == before else f"before: sha256:{before}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
