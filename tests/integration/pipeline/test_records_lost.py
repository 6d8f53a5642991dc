"""Records that are gone before they are read: told once, and over when no more are lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from monitor.pipeline import losses
from monitor.sources.base import RawBatch
from monitor.sources.file import FileSource
from tests.integration.pipeline.places import Place, Record, healthy


def later(records: list[Record], hours: float) -> list[Record]:
    def moved(stamp: Any) -> str:
        moment = datetime.fromisoformat(str(stamp)) + timedelta(hours=hours)
        return moment.isoformat().replace("+00:00", "Z")

    return [record | {"timestamp": moved(record["timestamp"])} for record in records]


def losing(monkeypatch: pytest.MonkeyPatch, *lost: int) -> None:
    """The file loses as many records before each of its first polls with any."""
    left: Iterator[int] = iter(lost)
    poll = FileSource.poll

    def lossy(self: FileSource, most: int, timeout: float) -> RawBatch:
        raw = poll(self, most, timeout)
        gone = next(left, 0) if raw.records else 0
        return replace(raw, lost={0: gone}) if gone else raw

    monkeypatch.setattr(FileSource, "poll", lossy)


def run(place: Place, name: str, records: list[Record]) -> list[tuple[str, str]]:
    place.write(name, records)
    place.run(name, before=place.config("pipeline: {batch_size: 100}\n"))
    return [(x["event"], x["resolution"]) for x in place.lines("alerts")
            if x["alert"] == "RecordsLost"]  # fmt: skip


def test_a_loss_is_over_after_an_hour_without_another(
    armed: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    losing(monkeypatch, 5)
    assert run(armed, "a.jsonl", healthy(10_500, 10_800)) == [("open", "")]
    soon = later(healthy(10_800, 11_000), 0.9)
    assert run(armed, "b.jsonl", soon) == [("open", "")]
    done = later(healthy(11_000, 11_200), 1.1)
    assert run(armed, "c.jsonl", done) == [("open", ""), ("resolve", "recovered")]
    assert armed.totals()["lost", ""] == 5


def test_another_loss_keeps_it_open_and_is_not_told_again(
    armed: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    losing(monkeypatch, 5, 7)
    assert run(armed, "a.jsonl", healthy(10_500, 10_600)) == [("open", "")]
    assert run(armed, "b.jsonl", later(healthy(10_600, 10_800), 0.9)) == [("open", "")]
    assert run(armed, "c.jsonl", later(healthy(10_800, 11_000), 1.5)) == [("open", "")]
    events = run(armed, "d.jsonl", later(healthy(11_000, 11_200), 2.1))
    assert events == [("open", ""), ("resolve", "recovered")]
    assert armed.totals()["lost", ""] == 12


def test_a_loss_that_never_ends_by_itself_is_caught(
    armed: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    losing(monkeypatch, 5)
    monkeypatch.setattr(losses, "WITHOUT_LOSS", 1e12)
    run(armed, "a.jsonl", healthy(10_500, 10_600))
    assert run(armed, "c.jsonl", later(healthy(11_000, 11_200), 5.0)) == [("open", "")]
