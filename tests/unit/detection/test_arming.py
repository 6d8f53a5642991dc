import math

import pytest

from monitor.detection import WitnessCounts
from monitor.detection.arming import MARGIN, armed_for, is_blind


def _reference(times: int) -> WitnessCounts:
    return WitnessCounts.of([60 * times, 100 * times, 290 * times],
                            [0, 400 * times, 60 * times], 25_000 * times)  # fmt: skip


def test_armed_for_is_the_published_floor() -> None:
    needed = MARGIN + math.log(450 / (1e-7 * 25_000))

    def floor(k: float) -> float:
        q = k * math.exp(0.25)
        first = 450 * (q - 1 - math.log(q)) if q < 1 else 0.0
        second = 0.0
        for c, r in [(400.5, 100.5), (60.5, 290.5)]:
            rho = c / (c + (1 - k) * r)
            second += c * (rho - 1 - math.log(rho))
        return min(first, second)

    k = armed_for(_reference(1), d1=0.25, spend_per_interaction=1e-7)
    assert k is not None
    assert floor(k) >= needed > floor(k + 0.05)


def test_a_larger_reference_is_armed_for_milder_losses() -> None:
    armed = [armed_for(_reference(t), d1=0.25, spend_per_interaction=1e-7) for t in (1, 2, 8)]
    assert None not in armed
    assert armed == sorted(armed)  # type: ignore[type-var]
    assert armed[0] < armed[-1]  # type: ignore[operator]


def test_nothing_to_lose_means_not_armed() -> None:
    nothing = WitnessCounts.of([0, 0], [0, 10], 1000)
    few = WitnessCounts.of([1, 2], [0, 10], 1000)
    output_only = WitnessCounts.of([500], [0], 25_000)
    for reference in (nothing, few, output_only):
        assert armed_for(reference, d1=0.25, spend_per_interaction=1e-7) is None


@pytest.mark.parametrize(
    ("refused", "answered", "unjudged", "blind"),
    [
        ([50, 6, 15], [0, 100, 5], 0, False),
        ([50, 6, 5], [0, 100, 15], 0, True),
        ([50, 6, 5], [0, 6, 6], 0, False),  # too few events to say so
        ([50, 6, 15], [0, 100, 5], 1001, True),
        ([50], [0], 0, False),
    ],
)
def test_a_lane_is_blind_when_even_the_riskiest_prompts_show_no_refusals(
    refused: list[int], answered: list[int], unjudged: int, blind: bool
) -> None:
    counts = WitnessCounts.of(refused, answered, 1000)
    assert is_blind(counts.refused, counts.answered, judged=1000, unjudged=unjudged) is blind
