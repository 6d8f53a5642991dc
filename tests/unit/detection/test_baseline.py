import json

import numpy as np
import pytest

from monitor.detection import Baseline, BaselineError
from tests.unit.detection.windows import learned, window


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    keys = window().keys.copy()
    keys[:, 0] = 5
    return learned(window(keys=keys)).with_approval("ops", 1_700_000_500.25, "looks right")


def test_an_exported_baseline_is_imported_bit_for_bit(baseline: Baseline) -> None:
    again = Baseline.from_json(baseline.to_json())
    assert again.to_json() == baseline.to_json()
    assert again.edges.tobytes() == baseline.edges.tobytes()
    assert (again.first, again.last, again.d1) == (baseline.first, baseline.last, baseline.d1)
    assert again.approved == baseline.approved
    assert again.boilerplate == baseline.boilerplate == {5}
    assert np.array_equal(again.counts.refused, baseline.counts.refused)


def test_the_file_has_the_published_fields(baseline: Baseline) -> None:
    body = json.loads(baseline.to_json())
    assert body["schema"] == "backslide.baseline/1"
    published = {
        "schema", "id", "deployment", "artifact", "artifacts", "classifier", "state", "window",
        "counts", "edges", "armed_for", "wander", "approved", "digest",
    }  # fmt: skip
    assert published <= set(body)
    assert body["window"]["first"] == "2023-11-14T22:13:20.000Z"
    assert set(body["approved"]) == {"by", "at", "reason"}


def test_approval_changes_the_digest_and_not_the_identity(baseline: Baseline) -> None:
    other = baseline.with_approval("somebody else", 1.0)
    assert other.id == baseline.id
    assert other.digest != baseline.digest
    assert baseline.retired().state == "retired"
    assert baseline.retired().id == baseline.id


def test_equal_windows_are_one_baseline_and_different_ones_are_not() -> None:
    assert learned(window()).id == learned(window()).id
    assert learned(window()).id != learned(window(seed=1)).id
    assert learned(window()).id != learned(window(), classifier="linear@sha256:1").id


def _edited(baseline: Baseline, path: str, value: object) -> bytes:
    body = json.loads(baseline.to_json())
    *parents, last = path.split(".")
    target = body
    for name in parents:
        target = target[name]
    target[last] = value
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("counts.n", 24_999, "volume"),
        ("counts.n", "many", "counts.n"),
        ("counts.degenerate", -1, "counts.degenerate"),
        ("counts.refused", {}, "counts.refused"),
        ("counts.answered.crime", [1], "counts.answered"),
        ("counts.volume", [1, 2], "counts.volume"),
        ("edges", [2.0, 1.0], "edges"),
        ("tau", 0.4, "tau"),
        ("d1", -0.1, "d1"),
        ("state", "golden", "state"),
        ("approved", None, "approved"),
        ("window.last", "2020-01-01T00:00:00Z", "window.last"),
        ("window.last", "soon", "window.last"),
        ("boilerplate", ["zz"], "boilerplate"),
        ("schema", "backslide.baseline/2", "schema"),
        ("surprise", 1, "surprise"),
        ("id", "b0", "id"),
        ("digest", "sha256:0", "digest"),
        ("artifact", "other", "digest"),
        ("armed_for", 0.9, "digest"),
    ],
)
def test_a_tampered_or_broken_file_is_refused_in_one_line_that_names_the_field(
    baseline: Baseline, path: str, value: object, field: str
) -> None:
    with pytest.raises(BaselineError) as error:
        Baseline.from_json(_edited(baseline, path, value))
    message = str(error.value)
    assert message.startswith("baseline: ")
    assert field in message
    assert "\n" not in message


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"schema": 1}'])
def test_what_is_no_baseline_file_is_refused(text: bytes) -> None:
    with pytest.raises(BaselineError, match=r"^baseline: "):
        Baseline.from_json(text)
