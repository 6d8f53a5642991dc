import pytest

from monitor.detection import EPOCH_SECONDS, Budget

DAY = int(86_400 / EPOCH_SECONDS)


def test_what_the_user_states_is_what_is_spent_in_that_time() -> None:
    budget = Budget.parse("2/30d", expected_deployments=4)
    spent = (
        DAY
        * 30
        * sum(
            budget.spend(alert, 500, rate=50.0)
            for alert in ("Unalignment", "DegenerateOutput", "JudgeDrift")
        )
    )
    assert spent * 4 == pytest.approx(2.0)


@pytest.mark.parametrize("times", [0.1, 1.0, 10.0])
def test_more_traffic_than_in_the_baseline_spends_no_more(times: float) -> None:
    budget = Budget()
    spent = DAY * 90 * budget.spend("Unalignment", round(500 * times), rate=50.0)
    assert spent == pytest.approx(0.7 * min(times, 1.0))


def test_an_idle_deployment_spends_nothing() -> None:
    assert Budget().spend("Unalignment", 0, rate=50.0) == 0.0
    assert Budget().spend("Unalignment", 0, rate=50.0, deployment_n=500) == 0.0


def test_two_lanes_of_a_deployment_share_its_budget_by_their_traffic() -> None:
    budget = Budget()
    whole = budget.spend("Unalignment", 500, rate=50.0)
    parts = [budget.spend("Unalignment", n, rate=50.0, deployment_n=500) for n in (450, 50)]
    assert sum(parts) == pytest.approx(whole)
    assert parts[1] == pytest.approx(0.1 * whole)


def test_the_explanation_adds_up_to_the_stated_budget() -> None:
    for probes in (False, True):
        lines = Budget.parse("1/90d", expected_deployments=3, probes=probes).explain()
        for channel in ("page", "ticket", "info"):
            ours = [line for line in lines if line.channel == channel]
            assert sum(line.share for line in ours) == pytest.approx(1.0)
            assert 3 * sum(line.false_alarms for line in ours) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("text", "days"), [("1/90d", 90.0), ("1 / 2w", 14.0), ("1/48h", 2.0), ("0.5/90d", 90.0)]
)
def test_rates_are_read_in_the_units_people_use(text: str, days: float) -> None:
    assert Budget.parse(text).per_days == days


@pytest.mark.parametrize("text", ["", "1", "1/90", "0/90d", "1/0d", "-1/90d", "1/90 days", "x"])
def test_a_wrong_budget_is_refused_in_one_line_that_names_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"^false_pages: .*1/90d$"):
        Budget.parse(text)


def test_a_budget_for_no_deployment_is_refused() -> None:
    with pytest.raises(ValueError, match="expected_deployments"):
        Budget(expected_deployments=0)


def test_an_alert_without_a_sequential_test_has_no_budget() -> None:
    with pytest.raises(KeyError):
        Budget().share("ReferenceDivergence")
