"""Labelled data as it lies in a directory of ``*.jsonl.gz`` files, and who may train on it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

Row = Mapping[str, Any]

PERMISSIVE: Final = frozenset({"MIT", "Apache-2.0", "CC-BY-4.0"})

FILES: Final = ("refusal", "prompt_category", "response_harm", "pairs", "benign")


def read(directory: Path, name: str, permissive: bool = True) -> list[Row]:
    """Rows of ``<name>.jsonl.gz``; `permissive`: those whose licence lets them train weights.

    Raises:
        FileNotFoundError: one line that names the missing file.
    """
    path = directory / f"{name}.jsonl.gz"
    if not path.exists():
        raise FileNotFoundError(f"training data: {path} is missing; pass --data DIR")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [row for row in rows if not permissive or row["licence"] in PERMISSIVE]


def read_all(directory: Path) -> dict[str, list[Row]]:
    """Every file of the corpus by name."""
    return {name: read(directory, name) for name in FILES}


def family(model: str) -> str:
    """Which family of models a model is of: what a split must never straddle."""
    name = model.lower()
    for part, whole in _FAMILIES:
        if part in name:
            return whole
    return name or "unknown"


_FAMILIES: Final = (
    ("codellama", "oasst"), ("oasst", "oasst"), ("bllossom", "llama-3"), ("varco", "llama-3"),
    ("deepseek", "deepseek"), ("vicuna", "vicuna"), ("alpaca", "alpaca"), ("mistral", "mistral"),
    ("gpt", "gpt"), ("gemma", "gemma"), ("qwen", "qwen"), ("yi-", "yi"),
    ("llama-3", "llama-3"), ("llama-instruct", "llama-3"), ("refusal-", "llama-3"),
    ("llama2", "llama-2"), ("llama-2", "llama-2"),
)  # fmt: skip


def normal(prompt: str) -> str:
    """Prompts that are equal under this are one prompt for the sake of splits."""
    return " ".join("".join(c if c.isalnum() else " " for c in prompt.lower()).split())


def without(rows: Iterable[Row], prompts: frozenset[str]) -> list[Row]:
    """`rows` whose prompt is not among the (normal) `prompts`."""
    return [row for row in rows if normal(row["prompt"]) not in prompts]
