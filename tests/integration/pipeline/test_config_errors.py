"""A wrong setting is said in one line that names it, before anything is made or written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integration.pipeline.places import Place, healthy, snapshot

LINE = re.compile(r"(?:\S+:\d+|env BACKSLIDE_\w+|--[a-z-]+): [^:;]+: [^;]+; \S.*")
"""``file:line: field: problem; fix``, or the variable or option in place of the line."""

FILES = {
    "unknown section": ("sorce: {url: x}", "sorce"),
    "unknown field": ("source: {ulr: x}", "source.ulr"),
    "wrong type": ("pipeline: {batch_size: many}", "pipeline.batch_size"),
    "out of range": ("pipeline: {batch_size: 0}", "pipeline.batch_size"),
    "not a duration": ("pipeline: {idle_tick: soon}", "pipeline.idle_tick"),
    "not a size": ("pipeline: {max_record_bytes: big}", "pipeline.max_record_bytes"),
    "not a choice": ("source: {format: xml}", "source.format"),
    "not a budget": ("detection: {false_pages: few}", "detection.false_pages"),
    "not a store": ("store: {url: 'mysql://h/d'}", "store.url"),
    "not a window": ("baseline: {window: long}", "baseline.window"),
    "not an address": ("telemetry: {listen: nowhere}", "telemetry.listen"),
    "share over one": ("pipeline: {breaker: {rejected_share: 2}}",
                       "pipeline.breaker.rejected_share"),
    "webhook without url": ("alerts: {webhooks: [{name: a}]}", "alerts.webhooks"),
    "both deliveries": ("alerts: {delivery: prometheus, webhooks: [{name: a, url: 'http://h'}]}",
                        "alerts"),
    "password in the open": ("source: {kafka: {sasl_password: x, sasl_password_file: y}}",
                             "source.kafka"),
    "missing secret file": ("privacy: {key_file: /nowhere/key}", "privacy.key_file"),
    "missing token file": (
        "alerts: {webhooks: [{name: a, url: 'https://h', token_file: /nowhere/t}]}",
        "alerts.webhooks",
    ),
    "missing certificate": (
        "alerts: {webhooks: [{name: a, url: 'https://h', ca_file: /nowhere/c}]}",
        "alerts.webhooks",
    ),
    "missing routing key": ("alerts: {pagerduty: {routing_key_file: /nowhere/k}}",
                            "alerts.pagerduty"),
    "missing kafka certificate": (
        "source: {kafka: {security_protocol: SSL, ssl_cafile: /nowhere/ca.pem}}",
        "source.kafka",
    ),
    "unknown version": ("classifier: {version: v999}", "classifier.version"),
    "link with unknown name": ("alerts: {links: {runbook: 'http://h/{alarm}'}}",
                               "alerts.links.runbook"),
    "not yaml": ("source: [", ""),
    "a list": ("- source", ""),
}  # fmt: skip

FLAGS = {
    "window": (("--baseline-window", "soon"), "--baseline-window"),
    "no records": (("--baseline-window", "0"), "--baseline-window"),
    "listen": (("--listen", "nowhere"), "--listen"),
    "format": (("--format", "xml"), "--format"),
    "store": (("--store", "mysql://h/d"), "--store"),
}

VARIABLES = {
    "BACKSLIDE_PIPELINE__BATCH_SIZE": "many",
    "BACKSLIDE_SOURCE__FOLLOW": "perhaps",
    "BACKSLIDE_NO__SUCH": "x",
}


@pytest.fixture
def place(empty: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    empty.write("outputs.jsonl", healthy(0, 20))
    monkeypatch.chdir(empty.folder)
    return empty


def refused(place: Place, *more: str, before: tuple[str, ...] = ()) -> list[str]:
    """Lines of a run that must not begin, and leaves the folder as it was."""
    earlier = snapshot(place.folder)
    ran = place.cli(*before, "run", "--source", "outputs.jsonl", "--alerts", "a.jsonl", *more)
    assert ran.code == 2, ran
    assert ran.out == ""
    assert "Traceback" not in ran.err
    assert snapshot(place.folder) == earlier
    return ran.err.splitlines()


@pytest.mark.parametrize("case", FILES)
def test_a_wrong_file_is_refused_before_anything_is_written(place: Place, case: str) -> None:
    text, field = FILES[case]
    lines = refused(place, before=place.config(f"log: {{level: info}}\n{text}\n"))
    assert lines
    for line in lines:
        assert LINE.fullmatch(line), line
        assert line.startswith(f"{place.path('backslide.yaml')}:")
        assert field in line


@pytest.mark.parametrize("case", FLAGS)
def test_a_wrong_option_is_refused(place: Place, case: str) -> None:
    words, name = FLAGS[case]
    (line,) = refused(place, *words)
    assert LINE.fullmatch(line), line
    assert line.startswith(name)


@pytest.mark.parametrize("name", VARIABLES)
def test_a_wrong_variable_is_refused(
    place: Place, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, VARIABLES[name])
    (line,) = refused(place)
    assert LINE.fullmatch(line), line
    assert name in line


def test_every_problem_is_said_at_once(place: Place) -> None:
    text = "sorce: {}\npipeline: {batch_size: 0}\nsource: {format: xml}\n"
    assert len(refused(place, before=place.config(text))) == 3


def test_a_missing_file_of_settings_is_refused(place: Place) -> None:
    (line,) = refused(place, before=("--config", "nowhere.yaml"))
    assert "nowhere.yaml" in line


def test_a_run_without_a_source_is_refused(place: Place) -> None:
    earlier = snapshot(place.folder)
    ran = place.cli("run", "--store", str(place.path("store.db")))
    assert ran.code == 2
    assert LINE.fullmatch(ran.err.rstrip("\n"))
    assert snapshot(place.folder) == earlier


def test_secrets_are_not_repeated(place: Place) -> None:
    text = "source: {kafka: {sasl_password: [hunter2]}}\nprivacy: {key: [hunter2]}\n"
    assert "hunter2" not in "\n".join(refused(place, before=place.config(text)))


@pytest.mark.parametrize("flag", ["--verdicts", "--dead-letters", "--report"])
@pytest.mark.parametrize("file", ["alerts.jsonl", "outputs.jsonl"])
def test_a_file_is_read_or_written_for_one_purpose(place: Place, flag: str, file: str) -> None:
    """Else verdicts would be read as records, or a report would replace the alerts."""
    earlier = snapshot(place.folder)
    ran = place.cli("run", "--source", "outputs.jsonl", "--alerts", "alerts.jsonl", flag, file)
    assert ran.code in (1, 2)
    assert f"{flag} {file}: is --" in ran.err
    assert snapshot(place.folder) == earlier


def test_the_line_is_that_of_the_setting(place: Place) -> None:
    text = "# a comment\nsource:\n  format: native\npipeline:\n  batch_size: 0\n"
    (line,) = refused(place, before=place.config(text))
    assert line.startswith(f"{Path(place.path('backslide.yaml'))}:5: ")
