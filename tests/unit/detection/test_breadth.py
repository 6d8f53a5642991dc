import numpy as np
import pytest

from monitor.detection.breadth import (
    BROAD,
    cell_prior,
    coarse_bins,
    coarse_table,
    e_benjamini_hochberg,
    label,
)
from monitor.detection.witnesses import LEFT


def test_the_label_leaves_out_the_group_that_carries_most_evidence() -> None:
    expected = np.array([30.0, 10.0, 10.0])
    refused = np.array([2, 4, 3])
    others = [
        max((refused.sum() - refused[g]) * np.log(k) - (50 - expected[g]) * (k - 1) for k in LEFT)
        for g in range(3)
    ]
    assert (label(refused, expected)[0] == "broad") == (min(others) >= BROAD)


@pytest.mark.parametrize(
    ("refused", "name", "group"),
    [
        ([0, 0, 0], "broad", None),
        ([0, 11, 10], "one group", 0),
        ([20, 3, 5], "not yet known", None),
    ],
)
def test_people_are_told_how_far_a_change_reaches(
    refused: list[int], name: str, group: int | None
) -> None:
    assert label(np.array(refused), np.array([20.0, 10.0, 10.0])) == (name, group)


def test_flagged_groups_are_those_of_e_benjamini_hochberg() -> None:
    log_e = np.log(np.array([200.0, 60.0, 20.0, 1.0, 0.1]))
    # 5 groups at .1: needs 50, 25, 16.7, 12.5, 10 for the 1st, 2nd, ... largest.
    assert e_benjamini_hochberg(log_e) == [0, 1, 2]
    assert e_benjamini_hochberg(np.log(np.full(5, 9.9))) == []
    assert e_benjamini_hochberg(np.log(np.full(5, 10.1))) == [0, 1, 2, 3, 4]


def test_coarse_bins_go_by_the_share_of_traffic_above() -> None:
    shares = np.array([95_000, 3000, 1000, 500, 300, 100, 50, 50])
    assert coarse_bins(shares).tolist() == [0, 1, 2, 2, 3, 3, 4, 4]
    assert coarse_bins(np.array([100])).tolist() == [0]


def test_coarse_tables_lose_no_event() -> None:
    table = np.arange(16).reshape(2, 8)
    coarse = np.array([0, 1, 2, 2, 3, 3, 4, 4])
    assert coarse_table(table, coarse).tolist() == [[0, 1, 5, 9, 13], [8, 9, 21, 25, 29]]


def test_the_prior_of_an_empty_cell_is_what_its_margins_say() -> None:
    table = np.array([[40, 10], [8, 0]])
    shape, exposure = cell_prior(table, np.array(1000))
    mean = (8 + 0.5) * (10 + 0.5) / ((58 + 0.5) * 1000)
    assert shape[1, 1] == 1.0
    assert exposure[1, 1] == pytest.approx(1000 + 1 / mean)
    assert shape[1, 1] / exposure[1, 1] < 1 / 1000
