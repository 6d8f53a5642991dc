"""backslide demo: see it work, without a model or data of your own."""

from __future__ import annotations

import click

from monitor.cli.session import Session

SCENARIOS = ("unalignment", "traffic-shift", "jailbreak-wave", "broken-model")


@click.command()
@click.option(
    "--scenario",
    type=click.Choice(SCENARIOS),
    default=SCENARIOS[0],
    show_default=True,
    help="What happens to model or traffic.",
)
@click.option("--report", metavar="F.html", help="Write the report here.")
@click.option("--seed", type=int, metavar="N", help="Draw other traffic.")
@click.pass_obj
def demo(session: Session, scenario: str, report: str | None, seed: int | None) -> int:
    """Replay made-up traffic through the real pipeline until the outcome is known.

    Exits 0 only if it is the expected one.
    """
    session.start()
    from monitor.demo import play
    from monitor.demo.scenarios import SEED

    played = play(scenario, report=report, seed=SEED if seed is None else seed, show=click.echo)
    click.echo(played.summary.to_line())
    return 0 if played.expected else 1
