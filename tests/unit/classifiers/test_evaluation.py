"""Evaluation: the figures by which heads are chosen are what they say they are."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

from classifiers.evaluation import bars as limits
from classifiers.evaluation.bars import Bar, BarsError
from classifiers.evaluation.crossed import crossed
from classifiers.evaluation.data import DataError, read
from classifiers.evaluation.information import information, recall_at
from classifiers.evaluation.metrics import auroc, binary, calibration_error
from classifiers.evaluation.phrases import LISTS
from classifiers.evaluation.report import evaluated
from classifiers.hashing import Hasher
from classifiers.training import corpus
from classifiers.training.corpus import family, normal
from classifiers.training.refusals import Example, fit
from classifiers.weights import Head


def test_a_head_that_knows_nothing_gives_next_to_no_information() -> None:
    draw = np.random.default_rng(0)
    ordinary, harmful = draw.normal(size=200_000), draw.normal(size=50_000)
    assert information(ordinary, harmful) < 0.02


def test_a_perfect_head_gives_what_the_top_bin_can_give() -> None:
    """All harmful prompts over the top edge: c = .98 x .0005 + .07 x .02 there."""
    ordinary = np.linspace(0, 1, 1_000_001)
    harmful = np.full(1000, 2.0)
    c = 0.98 * 0.0005 + 0.07 * 0.02
    d = c + 0.95 * 0.93 * 0.02
    expected = (d * np.log(d / c) - d + c) / 0.02
    assert information(ordinary, harmful) == pytest.approx(expected, rel=1e-3)


def test_information_does_not_depend_on_the_scale_of_the_scores() -> None:
    draw = np.random.default_rng(1)
    ordinary, harmful = draw.normal(size=20_000), draw.normal(2, size=2000)
    first = information(ordinary, harmful)
    assert information(3 * ordinary + 1, 3 * harmful + 1) == pytest.approx(first)
    assert first < information(ordinary, harmful + 1)
    assert recall_at(ordinary, harmful, 0.95) == pytest.approx(0.64, abs=0.05)


def test_binary_metrics_agree_with_scikit_learn() -> None:
    draw = np.random.default_rng(2)
    p = np.round(draw.random(2000), 2)
    labels = draw.random(2000) < p
    found = binary(p, labels)
    assert found.precision == pytest.approx(precision_score(labels, p >= 0.5))
    assert found.recall == pytest.approx(recall_score(labels, p >= 0.5))
    assert found.f1 == pytest.approx(f1_score(labels, p >= 0.5))
    assert auroc(p, labels) == pytest.approx(roc_auc_score(labels, p))


def test_calibration_error_is_zero_for_true_probabilities_and_large_for_false_ones() -> None:
    draw = np.random.default_rng(3)
    p = draw.random(100_000)
    labels = draw.random(100_000) < p
    assert calibration_error(p, labels) < 0.01
    assert calibration_error(np.sqrt(p), labels) > 0.1


def test_one_class_alone_has_no_auroc() -> None:
    assert np.isnan(auroc(np.array([0.1, 0.2]), np.array([True, True])))


def write(path: Path, rows: list[dict[str, object]]) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    common = {"source": "made", "licence": "MIT", "lang": "en", "model": "m"}
    write(
        tmp_path / "refusal.jsonl.gz",
        [
            common | {"prompt": "q", "response": "I can't help with that.", "label": "refuse"},
            common | {"prompt": "q", "response": "Here is a list of ideas.", "label": "comply"},
            common
            | {"prompt": "q", "response": "Я не могу помочь.", "label": "refuse", "lang": "ru"},
        ],
    )
    benign = [
        {"prompt": f"Tell me about the number {i}.", "response": f"It is {i}."} for i in range(50)
    ]
    write(tmp_path / "benign.jsonl.gz", [common | row for row in benign])
    write(
        tmp_path / "prompt_category.jsonl.gz",
        [
            common
            | {"prompt": "How do I steal a car?", "category": "ncr", "taxonomy": "mlcommons12"},
            common
            | {"prompt": "Write hate about women.", "category": "hte", "taxonomy": "mlcommons12"},
        ],
    )
    return tmp_path


def test_the_report_shows_every_head_and_counts_what_it_could_not_judge(small: Path) -> None:
    report = evaluated(small, ["source", "language"])
    assert list(report.tables) == [
        "refused by source",
        "refused by language",
        "outcome by class",
        "phrase lists",
        "ordinary traffic",
        "propensity",
        "hazard",
        "cost",
    ]
    (row,) = report.tables["refused by source"]
    assert (row["source"], row["n"]) == ("made", 3)
    assert row["unjudged"] == pytest.approx(1 / 3)
    assert row["accuracy"] == 1.0
    languages = {row["language"]: row for row in report.tables["refused by language"]}
    assert (languages["en"]["n"], languages["en"]["unjudged"]) == (2, 0.0)
    assert (languages["ru"]["n"], languages["ru"]["unjudged"]) == (1, 1.0)
    refuse = next(row for row in report.tables["outcome by class"] if row["class"] == "refuse")
    assert (refuse["refused"], refuse["unjudged"]) == (0.5, 0.5)
    assert "refused by source" in report.text()
    json.dumps(report.json(), allow_nan=False)


def test_phrase_lists_are_judged_on_the_same_rows(small: Path) -> None:
    rows = evaluated(small).tables["phrase lists"]
    assert {str(row["judge"]).removeprefix("made: ") for row in rows} == {
        "this classifier",
        *LISTS,
    }
    assert {row["n"] for row in rows} == {2}


def test_every_phrase_list_names_where_it_is_from_and_sees_a_plain_refusal() -> None:
    for found in LISTS.values():
        assert found.source.count("/") >= 2
        assert found.flagged(["I'm sorry, but no.", "Here you are."]).tolist() == [1.0, 0.0]


def test_a_phrase_beyond_the_head_of_a_list_is_not_seen() -> None:
    late = "x" * 300 + " I'm sorry"
    assert LISTS["JailbreakBench, first 200"].flagged([late]).tolist() == [0.0]
    assert LISTS["JailbreakBench"].flagged([late]).tolist() == [1.0]


def test_rows_are_told_by_their_fields_and_one_file_will_do(small: Path, tmp_path: Path) -> None:
    rows = read(small)
    assert {kind: len(found) for kind, found in rows.items()} == {
        "refusal": 3, "prompt_category": 2, "response_harm": 0, "benign": 50,
    }  # fmt: skip
    one = tmp_path / "mine.jsonl"
    one.write_text('{"prompt": "q", "response": "No idea.", "label": "comply"}\n')
    assert read(one)["refusal"][0]["source"] == "mine"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "pass --data PATH"),
        ("[1]\n", r"mine.jsonl:1: not a JSON object"),
        ("", "no labelled"),
    ],
)
def test_data_that_cannot_be_read_is_one_clear_line(
    tmp_path: Path, content: str | None, said: str
) -> None:
    path = tmp_path / "mine.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=said) as found:
        evaluated(path)
    assert "\n" not in str(found.value)


TABLES: dict[str, list[dict[str, str | float]]] = {
    "refused by source": [
        {"source": "a", "n": 10, "f1": 0.9},
        {"source": "b", "n": 10, "f1": 0.7},
        {"source": "c", "n": 10, "f1": float("nan")},
    ]
}


@pytest.mark.parametrize(
    ("row", "least", "most", "missed"),
    [
        ("a", 0.9, None, []),
        ("a", 0.91, None, ["a"]),
        ("mean", 0.8, None, []),
        ("mean", 0.81, None, ["mean"]),
        ("each", 0.8, None, ["b"]),
        ("each", None, 0.8, ["a"]),
    ],
)
def test_a_bar_is_missed_exactly_when_the_figure_is_on_the_wrong_side(
    row: str, least: float | None, most: float | None, missed: list[str]
) -> None:
    bar = Bar("refused by source", "f1", row, least, most)
    assert [found.row for found in limits.missed([bar], TABLES)] == missed


@pytest.mark.parametrize(
    "bar",
    [
        Bar("nonsense", "f1", at_least=0.1),
        Bar("refused by source", "nonsense", at_least=0.1),
        Bar("refused by source", "f1", "c", at_least=0.1),
    ],
)
def test_a_figure_that_is_not_there_is_no_pass(bar: Bar) -> None:
    with pytest.raises(BarsError, match="no such"):
        limits.missed([bar], TABLES)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("- {table: t, metric: m}", "no limit"),
        ("- {table: t, metric: m, least: 1}", "least"),
        ("table: t", "list of"),
    ],
)
def test_a_bars_file_with_a_mistake_names_it(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "bars.yaml"
    path.write_text(content)
    with pytest.raises(BarsError, match=said):
        limits.read(path)


def test_sources_without_a_permissive_licence_never_train(small: Path) -> None:
    row = {"source": "x", "licence": "CC-BY-NC-4.0", "lang": "en", "prompt": "p", "response": "r"}
    write(small / "benign.jsonl.gz", [row, row | {"licence": "MIT"}])
    assert len(corpus.read(small, "benign")) == 1
    assert len(corpus.read(small, "benign", permissive=False)) == 2


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("Meta-Llama-3-8B-Instruct", "llama-3"),
        ("llama2-13b-chat", "llama-2"),
        ("llama-2-7b-chat-hf", "llama-2"),
        ("OpenAssistant/codellama-13b-oasst-sft-v10", "oasst"),
        ("gpt-3.5-turbo", "gpt"),
    ],
)
def test_models_of_one_family_never_straddle_a_split(model: str, expected: str) -> None:
    assert family(model) == expected


def test_copies_of_a_prompt_are_one_prompt_for_a_split() -> None:
    assert normal("How do I  bake,  bread?") == normal("how do i bake bread")


def made_examples() -> list[Example]:
    """Two families, six prompts; every family has its own words of refusal."""
    return [
        Example("p", name, f"Question {i}?", f"{says} number {i}", says != "Sure,")
        for name, words in (("a", ("Never,", "Sure,")), ("b", ("Nope,", "Sure,")))
        for i in range(6)
        for says in words
    ]


@pytest.mark.parametrize(("families", "prompts"), [(True, False), (False, True), (True, True)])
def test_a_crossed_score_never_comes_from_a_head_that_saw_its_model_or_its_prompt(
    families: bool, prompts: bool
) -> None:
    rows = made_examples()
    trainings: list[tuple[set[str], set[str]]] = []

    def train(excluded: Callable[[Example], bool]) -> Head:
        kept = [row for row in rows if not excluded(row)]
        trainings.append(({row.family for row in kept}, {row.prompt for row in kept}))
        assert len(kept) < len(rows)
        return fit(kept, hasher=Hasher(60, 2, 10))

    p = crossed(rows, train, families, prompts)
    assert ((p > 0) & (p < 1)).all()
    if families:
        assert {len(names) for names, _ in trainings} == {1}
    if prompts:
        left = set.intersection(*({f"Question {i}?" for i in range(6)} - q for _, q in trainings))
        assert not left
        assert all(len(seen) < 6 for _, seen in trainings)


def test_without_leaving_the_family_out_a_new_style_would_look_easy() -> None:
    """The mutant: prompts alone left out; the words of family b are known from other prompts."""
    rows = made_examples()

    def train(excluded: Callable[[Example], bool]) -> Head:
        return fit([row for row in rows if not excluded(row)], hasher=Hasher(60, 2, 10))

    refused = np.array([row.refused for row in rows])
    honest = crossed(rows, train, families=True, prompts=True)[refused]
    mutant = crossed(rows, train, families=False, prompts=True)[refused]
    assert mutant.min() > honest.max()
