"""backslide plan: how long a loss takes to be seen, before it happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from monitor.cli.errors import CommandError
from monitor.cli.printing import output_option, print_fields, print_json, store_option
from monitor.cli.session import Session, opened

if TYPE_CHECKING:
    from monitor.config import Config
    from monitor.detection.planning import Delay, Plan
    from monitor.detection.rehearsal import Reference

SCHEMA = "backslide.plan/1"
NOT_ARMED = 4
ASSUMED = "typical traffic of the stated rate and harmful share"


@click.command()
@click.option("--rps", type=click.FloatRange(min=0, min_open=True), help="Interactions a second.")
@click.option(
    "--harmful-share",
    type=click.FloatRange(min=0, max=0.5, min_open=True),
    help="Share of harmful prompts, such as .02.",
)
@click.option(
    "--reference-n", type=click.IntRange(min=1), help="Interactions a baseline is made of."
)
@click.option("--deployment", metavar="D", help="Instead of these: what is known of D.")
@click.option(
    "--left",
    type=click.FloatRange(min=0, max=1, max_open=True),
    default=0.5,
    show_default=True,
    help="Share of refusals that is left.",
)
@click.option(
    "--groups",
    type=click.IntRange(min=1, max=9),
    default=9,
    show_default=True,
    help="Hazard groups that are lost.",
)
@click.option(
    "--target", default="10m", show_default=True, metavar="10m", help="How soon it must be seen."
)
@store_option
@output_option
@click.pass_obj
def plan(
    session: Session,
    rps: float | None,
    harmful_share: float | None,
    reference_n: int | None,
    deployment: str | None,
    left: float,
    groups: int,
    target: str,
    store: str | None,
    output: str,
) -> None:
    """Say how long a loss of refusals would take to be seen, and what probes would add.

    Give --rps, --harmful-share and --reference-n, or --deployment.
    """
    config = session.start(store__url=store)
    stated = {"--rps": rps, "--harmful-share": harmful_share, "--reference-n": reference_n}
    seconds = _duration(target)
    if deployment is None:
        missing = [name for name, value in stated.items() if value is None]
        if missing or rps is None or harmful_share is None or reference_n is None:
            raise CommandError(f"{', '.join(missing)}: not given; or give --deployment", 2)
        from monitor.detection.typical import typical_reference

        reference, basis = typical_reference(harmful_share, reference_n, rate=rps), ASSUMED
    else:
        given = [name for name, value in stated.items() if value is not None]
        if given:
            raise CommandError(f"{', '.join(given)}: --deployment knows it; leave it out", 2)
        reference, basis = _known(config, deployment)
    from monitor.detection.planning import plan as make
    from monitor.pipeline.wiring import budget

    try:
        planned = make(reference, left=left, groups=groups, target=seconds, budget=budget(config))
    except ValueError as problem:
        raise CommandError(str(problem), NOT_ARMED) from None
    body = {"schema": SCHEMA, "basis": basis, **_body(planned)}
    if output == "json":
        print_json(body)
    else:
        print_fields(_text(planned, basis))


def _duration(text: str) -> float:
    from pydantic_core import PydanticCustomError

    from monitor.config.values import parse_duration

    try:
        seconds = parse_duration(text)
    except PydanticCustomError as problem:
        raise CommandError(f"--target: {problem.message()}", 2) from None
    if seconds <= 0:
        raise CommandError("--target: must be above 0; write it as 10m", 2)
    return seconds


def _known(config: Config, deployment: str) -> tuple[Reference, str]:
    """The newest baseline in force for `deployment`, or a candidate where none is."""
    from monitor.detection import Baseline
    from monitor.detection.rehearsal import Reference

    with opened(config) as opened_store:
        rows = [row for row in opened_store.baselines(deployment) if row.state != "retired"]
    if not rows:
        fix = "learn one first (backslide run, or backslide baseline learn), or state the traffic"
        raise CommandError(f"deployment {deployment!r} has no baseline; {fix}", NOT_ARMED)
    row = next((row for row in reversed(rows) if row.state == "approved"), rows[-1])
    baseline = Baseline.from_json(row.body)
    return Reference.of(baseline), f"baseline {baseline.id} of {deployment}"


def _body(planned: Plan) -> dict[str, Any]:
    return {
        "rps": planned.rate,
        "refused_per_1000": 1000 * planned.refusals,
        "reference_n": planned.reference_n,
        "left": planned.left,
        "groups": list(planned.groups),
        "left_overall": planned.left_overall,
        "page": planned.page._asdict(),
        "ticket": None if planned.ticket is None else planned.ticket._asdict(),
        "armed_for": planned.armed_for,
        "armed_after": _after(planned, planned.armed_after),
        "pages_after": _after(planned, planned.pages_after),
        "target": planned.target,
        "probes_per_minute": planned.probes_per_minute,
    }


def _after(planned: Plan, interactions: int | None) -> dict[str, float] | None:
    seconds = planned.seconds(interactions)
    if interactions is None or seconds is None:
        return None
    return {"interactions": interactions, "seconds": seconds}


def _text(planned: Plan, basis: str) -> dict[str, object]:
    share = f"{planned.left:g} of the refusals left"
    where = "all hazard groups" if planned.ticket is None else ", ".join(planned.groups)
    fields: dict[str, object] = {
        "from": basis,
        "loss": f"{share} in {where}",
        "page (Unalignment)": _delay(planned.page),
    }
    if planned.ticket is not None:
        fields["ticket (HazardSpike)"] = _delay(planned.ticket)
    now = planned.armed_for
    armed = "not armed" if now is None else f"armed for losses to {now:g} or worse"
    probes = planned.probes_per_minute
    return fields | {
        f"with {planned.reference_n:,} in the baseline": armed,
        "armed for this loss": _from(planned, planned.armed_after),
        "pages at all": _from(planned, planned.pages_after),
        f"probes for {_time(planned.target)}": f"{probes:.2g} a minute"
        if probes
        else "none needed",
    }


def _delay(delay: Delay) -> str:
    if delay.mean is None or delay.p95 is None:
        return f"not to be relied on: {delay.found:.0%} of such losses are found"
    return f"after {_time(delay.mean)} on average, {_time(delay.p95)} in 95 of 100 cases"


def _from(planned: Plan, interactions: int | None) -> str:
    seconds = planned.seconds(interactions)
    if interactions is None or seconds is None:
        return "never; too small a loss for traffic alone"
    return f"after {interactions:,} interactions, {_time(seconds)}"


def _time(seconds: float) -> str:
    for unit, name in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.1f} {name}".replace(".0 ", " ")
    return f"{seconds:.0f} s"
