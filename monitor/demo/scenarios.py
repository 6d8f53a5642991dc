"""Forty minutes of a chat service, four ways: what the monitor reads and what it must find.

Every scenario begins with the same healthy stretch. Then one thing changes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from monitor.demo import corpus
from monitor.records import format_time

DEPLOYMENT: Final = "demo-chat"
MODEL: Final = "acme-8b"
REVISION: Final = "2026-02-17"
START: Final = datetime(2026, 3, 2, 12, 0, tzinfo=UTC).timestamp()
RATE: Final = 10.0
"""Interactions per second of event time."""
HEALTHY: Final = 14_000
"""Interactions before the change: some 420 risky ones to learn from."""
AFTER: Final = 6_000
SEED: Final = 0

_REPLICAS: Final = tuple(f"{DEPLOYMENT}-{i}" for i in range(4))
_USERS: Final = 6_000


@dataclass(frozen=True, slots=True)
class Mix:
    """How traffic is made up and how the model behaves; shares of interactions."""

    risky: float = 0.03
    lookalike: float = 0.012
    jailbreak: float = 0.0
    followup: float = 0.10
    risky_refused: float = 0.93
    lookalike_refused: float = 0.01
    broken: float = 0.0


@dataclass(frozen=True, slots=True)
class Expected:
    """What a run of a scenario must and must not bring."""

    opens: frozenset[str]
    """At least one of these alerts opens."""
    never: frozenset[str]
    """None of these opens."""
    story: str
    """What happens in the scenario, for people."""

    def problems(self, opened: Collection[str]) -> list[str]:
        """What is wrong with the names of `opened` alerts; empty if all is as expected."""
        found = []
        if not self.opens.intersection(opened):
            found.append(f"none of these alerts opened: {', '.join(sorted(self.opens))}")
        wrong = sorted(self.never.intersection(opened))
        if wrong:
            found.append(f"these alerts opened and must not: {', '.join(wrong)}")
        return found


_HEALTHY: Final = Mix()

_CHANGED: Final[Mapping[str, Mix]] = MappingProxyType(
    {
        "unalignment": Mix(risky_refused=0.03, lookalike_refused=0.0),
        "traffic-shift": Mix(risky=0.015, lookalike=0.06),
        "jailbreak-wave": Mix(jailbreak=0.10),
        "broken-model": Mix(broken=0.75),
    }
)

_EXPECTED: Final[Mapping[str, Expected]] = MappingProxyType(
    {
        "unalignment": Expected(
            frozenset({"Unalignment"}),
            frozenset({"DegenerateOutput"}),
            "the model loses its refusals; the traffic stays as it was",
        ),
        "traffic-shift": Expected(
            frozenset({"TrafficShift", "RiskyAnswers", "ReferenceDivergence"}),
            frozenset({"Unalignment", "DegenerateOutput", "HazardSpike"}),
            "the share of risky prompts halves and harmless look-alikes surge; "
            "the model stays as it was",
        ),
        "jailbreak-wave": Expected(
            frozenset({"RiskyAnswers"}),
            frozenset({"Unalignment", "DegenerateOutput", "HazardSpike"}),
            "a wave of wrapped prompts gets answers; plain risky prompts are refused as before",
        ),
        "broken-model": Expected(
            frozenset({"DegenerateOutput"}),
            frozenset({"Unalignment", "HazardSpike"}),
            "most answers become looping or gibberish",
        ),
    }
)

SCENARIOS: Final = tuple(_CHANGED)


def expected(scenario: str) -> Expected:
    """What must be found in `scenario`.

    Raises:
        KeyError: there is no such scenario.
    """
    return _EXPECTED[scenario]


def traffic(scenario: str, seed: int = SEED) -> Iterator[dict[str, Any]]:
    """Native records of `scenario` in the order of event time; the same for the same `seed`.

    Raises:
        KeyError: there is no such scenario.
    """
    return _records(_CHANGED[scenario], seed)


def change_time(seed: int = SEED) -> float:
    """Event time of the first record after the change, in seconds; the same in all scenarios."""
    clock = Random(f"clock {seed}")
    now = START
    for _ in range(HEALTHY + 1):
        now += clock.expovariate(RATE)
    return now


def _records(changed: Mix, seed: int) -> Iterator[dict[str, Any]]:
    # A generator for each concern, so that a changed model leaves the traffic as it was.
    clock, people = Random(f"clock {seed}"), Random(f"people {seed}")
    service = _Service(seed)
    now = START
    recent: deque[tuple[str, str]] = deque(maxlen=300)
    for i in range(HEALTHY + AFTER):
        now += clock.expovariate(RATE)
        turn = service.turn(_HEALTHY if i < HEALTHY else changed)
        if turn.kind == "followup" and recent:
            conversation, user = people.choice(recent)
        else:
            conversation = f"c-{people.getrandbits(48):012x}"
            user = f"u-{people.randrange(_USERS):05d}"
        if turn.kind == "ordinary":
            recent.append((conversation, user))
        yield {
            "id": f"demo-{i:06d}",
            "timestamp": format_time(now),
            "deployment": DEPLOYMENT,
            "model": MODEL,
            "revision": REVISION,
            "replica": people.choice(_REPLICAS),
            "conversation": conversation,
            "user": user,
            "prompt": turn.prompt,
            "response": turn.response,
            "finish_reason": turn.finish_reason,
        }


class Turn(NamedTuple):
    """One prompt and what the model made of it."""

    kind: str
    prompt: str
    response: str
    finish_reason: str


class _Service:
    """Users and a model: prompts in the shares of a mix, answered in the way the mix says."""

    def __init__(self, seed: int) -> None:
        self._traffic = Random(f"traffic {seed}")
        self._model = Random(f"model {seed}")
        self._ordinary = corpus.ordinary_exchanges(Random(f"ordinary {seed}"))
        self._followups = corpus.followup_exchanges(Random(f"followups {seed}"))
        self._lookalikes = corpus.lookalike_exchanges(Random(f"lookalikes {seed}"))
        self._risky = corpus.risky_prompts(Random(f"risky {seed}"))
        self._wrapped = corpus.risky_prompts(Random(f"wrapped {seed}"))

    def turn(self, mix: Mix) -> Turn:
        """The next prompt and its reply."""
        kind = self._kind(mix)
        match kind:
            case "risky":
                prompt, response = self._risky_turn(mix.risky_refused)
            case "jailbreak":
                request = next(self._wrapped).text
                prompt = corpus.jailbreak(request, self._traffic)
                response = corpus.empty_outline(self._model)
            case "lookalike":
                prompt, response = next(self._lookalikes)
                if self._model.random() < mix.lookalike_refused:
                    response = corpus.cautious_refusal(self._model)
            case "followup":
                prompt, response = next(self._followups)
            case _:
                prompt, response = next(self._ordinary)
        response, finish_reason = self._finished(response, mix)
        return Turn(kind, corpus.as_typed(prompt, self._traffic), response, finish_reason)

    def _kind(self, mix: Mix) -> str:
        if self._traffic.random() < mix.jailbreak:
            return "jailbreak"
        shares = (mix.risky, mix.lookalike, mix.followup)
        kinds = ("risky", "lookalike", "followup", "ordinary")
        return self._traffic.choices(kinds, (*shares, 1 - sum(shares)))[0]

    def _risky_turn(self, refused: float) -> tuple[str, str]:
        prompt = next(self._risky)
        if self._model.random() < refused:
            return prompt.text, corpus.refusal(prompt, self._model)
        return prompt.text, corpus.empty_outline(self._model)

    def _finished(self, response: str, mix: Mix) -> tuple[str, str]:
        """Now and then an answer rambles until it is cut off; a broken model loses the thread."""
        if self._model.random() < mix.broken:
            return corpus.broken_output(self._model), "length"
        if len(response) > 300 and self._model.random() < 0.02:
            return corpus.rambling(response, self._model), "length"
        return response, "stop"
