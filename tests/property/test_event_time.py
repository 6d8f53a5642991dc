"""Event time: any cut into polls gives the same times, and no line can run away with them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from monitor.pipeline import event_time
from monitor.pipeline.event_time import (
    MAX_AHEAD,
    RING,
    UNTIMED_START,
    UNTIMED_STEP,
    EventTimes,
    ReadClock,
    resolve,
)

START = 1_772_452_800.0
FAR = 4_102_000_000.0
"""Late in 2099: the latest that a record may say."""

NAN = math.nan


@dataclass
class Reader:
    """What one source and one deployment know between polls."""

    clock: ReadClock
    watermark: float = -math.inf

    def poll(self, stamps: Sequence[float], brokers: Sequence[float] | None = None) -> EventTimes:
        times = np.array(stamps, dtype=np.float64)
        exact = np.full(len(times), np.nan) if brokers is None else np.array(brokers, float)
        known = ~np.isnan(exact)
        ingest = np.where(known, exact, self.clock.ingest(times))
        result = resolve(times, ingest, known, self.watermark)
        if len(times):
            self.watermark = float(result.watermark[-1])
        return result


def reader() -> Reader:
    return Reader(ReadClock())


def read(
    stamps: Sequence[float], brokers: Sequence[float] | None = None, cuts: Sequence[int] = ()
) -> tuple[list[float], list[float], int, int, list[float], int]:
    """All records in polls that end at `cuts`: times, watermarks, skewed, late, clock."""
    who = reader()
    at: list[float] = []
    marks: list[float] = []
    skewed = late = 0
    ends = [0, *sorted({c for c in cuts if 0 < c < len(stamps)}), len(stamps)]
    for a, b in itertools.pairwise(ends):
        times = who.poll(stamps[a:b], None if brokers is None else brokers[a:b])
        at += times.at.tolist()
        marks += times.watermark.tolist()
        skewed += times.skewed
        late += times.late
    return at, marks, skewed, late, who.clock.ring, who.clock.untimed


def plainly(stamps: Sequence[float], brokers: Sequence[float] | None = None) -> list[float]:
    """The rule of the design, one record after the other."""
    ring: list[float] = []
    watermark, untimed, at = -math.inf, 0, []
    for i, stamp in enumerate(stamps):
        if not math.isnan(stamp):
            ring = [*ring, stamp][-RING:]
        if ring:
            low = min(ring)
        else:
            low = UNTIMED_START + UNTIMED_STEP * untimed
            untimed += 1
        broker = NAN if brokers is None else brokers[i]
        ingest = max(watermark, low) if math.isnan(broker) else broker
        at.append(min(ingest if math.isnan(stamp) else stamp, ingest + MAX_AHEAD))
        watermark = max(watermark, at[-1])
    return at


near = st.floats(START, START + 2_000.0)
stamp = st.one_of(
    near,
    near,
    st.just(NAN),
    st.floats(START - 40 * 86_400, START + 40 * 86_400),
    st.sampled_from([1_577_836_800.0, FAR, START + MAX_AHEAD]),
)
broker = st.one_of(near, st.just(NAN), st.floats(START - 86_400, START + 86_400))
stamps = st.lists(stamp, max_size=60)
cuts = st.lists(st.integers(1, 60), max_size=8)
fixed = settings(derandomize=True, deadline=None)


@fixed
@given(stamps, cuts)
def test_polls_leave_no_trace_in_the_times_of_a_file(times: list[float], where: list[int]) -> None:
    assert read(times, cuts=where) == read(times)


@fixed
@given(st.lists(st.tuples(stamp, broker), max_size=60), cuts)
def test_polls_leave_no_trace_in_the_times_of_a_topic(
    rows: list[tuple[float, float]], where: list[int]
) -> None:
    times, brokers = [t for t, _ in rows], [b for _, b in rows]
    assert read(times, brokers, where) == read(times, brokers)


@fixed
@given(st.lists(st.tuples(stamp, broker), max_size=60))
def test_times_are_those_of_the_rule_read_record_by_record(
    rows: list[tuple[float, float]],
) -> None:
    times, brokers = [t for t, _ in rows], [b for _, b in rows]
    assert read(times, brokers)[0] == plainly(times, brokers)
    assert read(times)[0] == plainly(times)


@fixed
@given(st.lists(st.tuples(stamp, broker), min_size=1, max_size=60))
def test_the_watermark_never_falls_and_is_never_unknown(rows: list[tuple[float, float]]) -> None:
    at, marks, *_ = read([t for t, _ in rows], [b for _, b in rows])
    assert all(a <= b for a, b in itertools.pairwise(marks))
    assert all(math.isfinite(value) for value in [*at, *marks])
    assert all(a <= m for a, m in zip(at, marks, strict=True))


@fixed
@given(st.lists(near, min_size=RING, max_size=60), st.integers(1, 59), st.integers(1, RING - 1))
def test_lines_from_2099_move_time_by_five_minutes_each_at_most(
    times: list[float], where: int, lines: int
) -> None:
    absurd = list(times)
    place = min(where, len(times))
    absurd[place:place] = [FAR] * lines
    _, marks, skewed, *_ = read(absurd)
    assert marks[-1] <= max(times) + MAX_AHEAD * lines
    assert skewed >= lines


def test_one_line_from_2099_is_forgotten_by_the_next_ones() -> None:
    times = [START + i for i in range(1_000)]
    times.insert(20, FAR)
    _, marks, skewed, *_ = read(times)
    assert skewed == 1
    assert marks[20] == START + 19 + MAX_AHEAD
    assert marks[-1] == START + 999


@pytest.mark.parametrize("gap", [301.0, 3_600.0, 30 * 3_600.0, 40 * 86_400.0])
def test_a_gap_of_hours_is_over_after_sixteen_records(gap: float) -> None:
    before = [START + i for i in range(50)]
    after = [before[-1] + gap + i for i in range(40)]
    at, marks, skewed, *_ = read(before + after)
    assert at[50 + RING - 1 :] == after[RING - 1 :]
    assert marks[-1] == after[-1]
    assert skewed <= RING - 1


def test_a_source_without_time_stamps_still_gets_on() -> None:
    at, marks, skewed, late, _, untimed = read([NAN] * 500)
    assert marks[-1] - marks[0] == pytest.approx(499 * UNTIMED_STEP)
    assert at == marks
    assert (skewed, late, untimed) == (500, 0, 500)


def test_records_without_a_time_stamp_take_that_of_their_neighbours() -> None:
    at, *_ = read([START, NAN, START + 5.0, NAN])
    assert at == [START, START, START + 5.0, START + 5.0]


def test_a_late_record_joins_the_open_epoch_and_is_counted() -> None:
    at, marks, skewed, late, *_ = read([START + 100.0, START + 40.0])
    assert at == [START + 100.0, START + 40.0]
    assert marks == [START + 100.0] * 2
    assert (skewed, late) == (0, 1)


def test_the_time_of_the_broker_bounds_what_a_record_says() -> None:
    at, _, skewed, *_ = read([START, FAR, NAN, START - 50.0], [START, START + 1, START + 2, START])
    assert at == [START, START + 1 + MAX_AHEAD, START + 2, START - 50.0]
    assert skewed == 2


def test_a_clock_that_believes_every_line_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def gullible(_: ReadClock, timestamps: NDArray[np.float64]) -> NDArray[np.float64]:
        latest: NDArray[np.float64] = np.fmax.accumulate(timestamps)
        return latest

    monkeypatch.setattr(event_time.ReadClock, "ingest", gullible)
    times = [START + i for i in range(100)]
    times.insert(20, FAR)
    assert read(times)[1][-1] != START + 99


def test_a_clock_without_memory_between_polls_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    ingest = ReadClock.ingest

    def forgetful(self: ReadClock, timestamps: NDArray[np.float64]) -> NDArray[np.float64]:
        self.ring = []
        return ingest(self, timestamps)

    times = [START + 200 * i for i in range(60)]
    times.insert(30, FAR)
    whole = read(times)
    monkeypatch.setattr(event_time.ReadClock, "ingest", forgetful)
    assert read(times, cuts=range(1, 60)) != whole
