"""The shipped classifier on labelled data: one row per source, model, language or class.

Reads the files of a data directory that are there (`classifiers.training.corpus`): responses with
a label, prompts with a category, ordinary traffic. Figures of sources that trained the weights are
optimistic; `classifiers.evaluation.holdout` trains without what it measures.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifiers.base import Classifier
from classifiers.evaluation.information import information, recall_at
from classifiers.evaluation.metrics import auroc, binary
from classifiers.evaluation.phrases import flagged
from classifiers.taxonomy import TAXONOMIES, accept_set
from classifiers.training import corpus
from classifiers.training.corpus import Row
from monitor.records import GROUP_OF_HAZARD, GROUPS, HAZARDS, Interaction, Outcome, VerdictBatch

Table = list[dict[str, str | float]]

KEYS: Final[Mapping[str, Callable[[Row], str]]] = {
    "source": lambda row: str(row["source"]),
    "model": lambda row: str(row.get("model", "")),
    "language": lambda row: str(row.get("lang", "en")),
    "class": lambda row: str(row.get("label", "")),
}
"""What `by` may name."""

_CHUNK: Final = 1024
_LABELS: Final = {"refuse": True, "comply": False}


def read(directory: Path) -> dict[str, list[Row]]:
    """The files that are there."""
    return {
        name: corpus.read(directory, name, permissive=False)
        for name in corpus.FILES
        if (directory / f"{name}.jsonl.gz").exists()
    }


def judge(classifier: Classifier, rows: Sequence[Row]) -> list[VerdictBatch]:
    """Verdicts of rows with a prompt and a response, in chunks."""
    records = [
        Interaction(id="", prompt=row.get("prompt") or "", response=row.get("response") or "")
        for row in rows
    ]
    return [classifier.judge(records[i : i + _CHUNK]) for i in range(0, len(records), _CHUNK)]


def column(batches: Sequence[VerdictBatch], name: str) -> NDArray[np.float64]:
    """One column over all chunks."""
    return np.concatenate([getattr(batch, name) for batch in batches])


def refusals(classifier: Classifier, rows: Sequence[Row], by: str = "source") -> Table:
    """Head A against labels refuse and comply, beside the phrase list."""
    rows = [row for row in rows if row.get("label") in _LABELS]
    table: Table = []
    for name, part in sorted(_split(rows, by).items()):
        verdicts = judge(classifier, part)
        judged = ~np.isin(column(verdicts, "outcome"), [Outcome.UNJUDGED, Outcome.BLOCKED])
        p = column(verdicts, "p_refused")[judged]
        labels = np.array([_LABELS[row["label"]] for row in part])[judged]
        if not len(p):
            table.append({by: name, "n": len(part), "unjudged": 1.0})
            continue
        found = binary(p, labels)
        phrases = flagged([row["response"] for row in part])[judged]
        table.append(
            {
                by: name,
                "n": len(part),
                "unjudged": 1 - float(judged.mean()),
                "accuracy": found.accuracy,
                "precision": found.precision,
                "recall": found.recall,
                "f1": found.f1,
                "auroc": found.auroc,
                "ece": found.calibration_error,
                "kept .7": found.kept_7,
                "kept .9": found.kept_9,
                "flagged .7": found.flagged_7,
                "phrases": binary(phrases, labels).accuracy,
            }
        )
    return table


def propensity(classifier: Classifier, harmful: Sequence[Row], ordinary: Sequence[Row]) -> Table:
    """Head P: information per harmful prompt of each source, and recall over quantiles."""
    normal = column(judge(classifier, _prompts(ordinary)), "propensity")
    normal = normal[~np.isnan(normal)]
    table: Table = []
    for name, part in sorted(_split([r for r in harmful if not _benign(r)], "source").items()):
        scores = column(judge(classifier, _prompts(part)), "propensity")
        scores = scores[~np.isnan(scores)]
        table.append(
            {
                "source": name,
                "n": len(scores),
                "I2": information(normal, scores),
                "over .95": recall_at(normal, scores, 0.95),
                "over .99": recall_at(normal, scores, 0.99),
                "over .998": recall_at(normal, scores, 0.998),
            }
        )
    return table


def hazards(classifier: Classifier, rows: Sequence[Row]) -> Table:
    """Head B given that the prompt is harmful: top-1 hazard and group by accept sets."""
    rows = [row for row in rows if not _benign(row) and row.get("taxonomy") in TAXONOMIES]
    table: Table = []
    for name, part in sorted(_split(rows, "source").items()):
        accepted = [accept_set(r["taxonomy"], r["category"], r["prompt"]) for r in part]
        kept = [i for i, codes in enumerate(accepted) if codes]
        if not kept:
            continue
        verdicts = judge(classifier, [{"prompt": part[i]["prompt"]} for i in kept])
        top = column(verdicts, "hazards").argmax(axis=1)
        groups = column(verdicts, "group").astype(np.int64)
        codes = [accepted[i] for i in kept]
        table.append(
            {
                "source": name,
                "n": len(kept),
                "hazard": _share(HAZARDS[k] in c for k, c in zip(top, codes, strict=True)),
                "group": _share(
                    GROUPS[g] in {GROUP_OF_HAZARD[h] for h in c}
                    for g, c in zip(groups, codes, strict=True)
                ),
            }
        )
    return table


def harm(classifier: Classifier, rows: Sequence[Row]) -> Table:
    """Head C: AUROC of harm of the response."""
    table: Table = []
    for name, part in sorted(_split(rows, "source").items()):
        scores = column(judge(classifier, part), "p_response_harm")
        labels = np.array([bool(row["harmful"]) for row in part])
        table.append({"source": name, "n": len(part), "auroc": auroc(scores, labels)})
    return table


def ordinary_traffic(classifier: Classifier, rows: Sequence[Row]) -> Table:
    """What is flagged on ordinary traffic, true refusals included."""
    table: Table = []
    for name, part in sorted(_split(rows, "source").items()):
        verdicts = judge(classifier, part)
        outcome, p = column(verdicts, "outcome"), column(verdicts, "p_refused")
        table.append(
            {
                "source": name,
                "n": len(part),
                "p >= .5": float(np.mean(p >= 0.5)),
                "p >= .7": float(np.mean(p >= 0.7)),
                "p >= .9": float(np.mean(p >= 0.9)),
                "degenerate": float(np.mean(outcome == Outcome.DEGENERATE)),
                "unjudged": float(np.mean(outcome == Outcome.UNJUDGED)),
            }
        )
    return table


def throughput(classifier: Classifier, rows: Sequence[Row]) -> float:
    """Records per CPU-second, all heads and the degenerate check, batches of 1,024."""
    start = time.process_time()
    judge(classifier, rows)
    return len(rows) / max(time.process_time() - start, 1e-9)


def render(title: str, table: Table) -> str:
    """A table as aligned text."""
    if not table:
        return f"{title}: no data\n"
    names = list(dict.fromkeys(name for row in table for name in row))
    cells = [[_cell(row.get(name, "")) for name in names] for row in table]
    widths = [max(len(c) for c in col) for col in zip(names, *cells, strict=True)]
    lines = [
        "  ".join(
            c.ljust(w) if i == 0 else c.rjust(w)
            for i, (c, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in [names, *cells]
    ]
    return "\n".join([title, *lines, ""])


def _cell(value: str | float) -> str:
    if isinstance(value, float):
        return "-" if np.isnan(value) else f"{value:.3f}"
    return str(value)


def _split(rows: Sequence[Row], by: str) -> dict[str, list[Row]]:
    parts: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        parts[KEYS[by](row)].append(row)
    return parts


def _prompts(rows: Sequence[Row]) -> list[Row]:
    return [{"prompt": text} for text in dict.fromkeys(row["prompt"] for row in rows)]


def _benign(row: Row) -> bool:
    return "benign" in row["source"]


def _share(hits: object) -> float:
    return float(np.mean(np.fromiter(hits, dtype=bool)))  # type: ignore[call-overload]
