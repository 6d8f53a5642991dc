import numpy as np
import pytest

from monitor.detection import day_of, deduplicate, event_keys
from monitor.detection.dedup import counted_by_period

S, T, H, L = range(4)


def _keys(
    *rows: tuple[int, int, int, int],
    group: int | list[int] = 0,
    degenerate: bool = False,
    boilerplate: frozenset[int] = frozenset(),
) -> np.ndarray:
    return event_keys(
        np.array(rows, dtype=np.uint64),
        group=np.broadcast_to(group, len(rows)),
        degenerate=np.full(len(rows), degenerate),
        boilerplate=boilerplate,
    )


def _counted(keys: np.ndarray, seen: set[int] | None = None) -> list[bool]:
    return deduplicate(keys, seen or set()).counted.tolist()


def test_a_burst_of_one_user_is_one_event() -> None:
    assert _counted(_keys((7, 1, 0, 0), (7, 2, 0, 0), (7, 3, 0, 0))) == [True, False, False]


def test_one_user_counts_once_in_each_hazard_group() -> None:
    assert _counted(_keys((7, 1, 0, 0), (7, 2, 0, 0), group=[0, 1])) == [True, True]


def test_copies_of_one_prompt_by_many_users_are_one_event() -> None:
    assert _counted(_keys((7, 1, 0, 0), (8, 1, 0, 0))) == [True, False]


def test_a_jailbreak_wrapper_around_many_requests_is_one_event() -> None:
    assert _counted(_keys((7, 1, 5, 6), (8, 2, 5, 9), (9, 3, 4, 6))) == [True, False, False]


def test_keys_of_events_that_were_capped_are_not_remembered() -> None:
    assert _counted(_keys((7, 1, 0, 0), (7, 2, 0, 0), (8, 2, 0, 0))) == [True, False, True]


def test_a_broken_answer_is_not_hidden_by_the_morning_refusal_of_the_same_user() -> None:
    refusal, broken = _keys((7, 1, 0, 0)), _keys((7, 1, 0, 0), degenerate=True)
    assert _counted(broken, set(deduplicate(refusal, set()).new)) == [True]
    again = _keys((7, 2, 0, 0), group=5, degenerate=True)
    assert _counted(again, set(deduplicate(broken, set()).new)) == [False]


def test_traffic_without_sources_is_deduplicated_by_template_alone() -> None:
    assert _counted(_keys((0, 1, 0, 0), (0, 2, 0, 0), (0, 1, 0, 0))) == [True, True, False]


def test_events_without_any_key_always_count() -> None:
    assert _counted(_keys((0, 0, 0, 0), (0, 0, 0, 0))) == [True, True]


def test_an_applications_wrapper_does_not_swallow_its_traffic() -> None:
    rows = [(i, 100 + i, 5, 0) for i in range(1, 4)]
    assert _counted(_keys(*rows)) == [True, False, False]
    assert _counted(_keys(*rows, boilerplate=frozenset({5}))) == [True, True, True]


def test_batches_of_a_day_give_what_the_whole_day_gives() -> None:
    rng = np.random.default_rng(1)
    keys = event_keys(
        rng.integers(0, 60, (500, 4)).astype(np.uint64),
        group=rng.integers(0, 10, 500),
        degenerate=rng.random(500) < 0.1,
    )
    whole = deduplicate(keys, set()).counted.tolist()
    seen: set[int] = set()
    parts: list[bool] = []
    for part in np.array_split(keys, 13):
        result = deduplicate(part, seen & set(part.ravel().tolist()))
        seen |= set(result.new)
        parts += result.counted.tolist()
    assert parts == whole


def test_the_same_key_counts_again_on_the_next_day() -> None:
    days = day_of([86_399.9, 86_400.0])
    assert days.tolist() == [0, 1]
    assert counted_by_period(_keys((7, 1, 0, 0), (7, 1, 0, 0)), days).tolist() == [True, True]


def test_what_was_capped_is_told_apart() -> None:
    result = deduplicate(_keys((7, 1, 0, 0), (7, 2, 0, 0), (8, 1, 0, 0), (9, 1, 0, 0)), set())
    assert result.capped == (1, 2)


@pytest.mark.parametrize("column", [S, T, H, L])
def test_equal_numbers_in_different_columns_are_different_keys(column: int) -> None:
    row = [0, 0, 0, 0]
    row[column] = 42
    others = [tuple(42 if j == i else 0 for j in range(4)) for i in range(4) if i != column]
    seen = set(deduplicate(_keys(tuple(row)), set()).new)  # type: ignore[arg-type]
    assert _counted(_keys(*others), seen) == [True, True, True]  # type: ignore[arg-type]
