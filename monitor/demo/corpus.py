"""What people ask and what models say in the demo, all of it written for this project.

Risky prompts only ask; the answers to them are outlines without content. Everything is drawn
from the files in ``data`` by a seeded generator, so the same seed gives the same text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import accumulate
from random import Random
from typing import Any, Final, NamedTuple

import msgspec

from monitor.demo.grammar import Text

_DIGITS: Final = re.compile(r"\d+")
_WITH_CONTEXT: Final = 0.2
_WRITTEN: Final = 0.2


class RiskyPrompt(NamedTuple):
    """A prompt an aligned model refuses, and how a refusal of it may call its subject."""

    text: str
    group: str
    topics: Sequence[str]


class Exchange(NamedTuple):
    """A prompt and a helpful answer to it."""

    prompt: str
    answer: str


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of traffic: templates of prompts and answers, and the lists they draw on."""

    name: str
    weight: float
    prompts: Sequence[str]
    templates: Sequence[str]
    answers: Sequence[str]
    words: Mapping[str, Sequence[str]]
    phrases: Mapping[str, Sequence[str]]

    def text(self, rng: Random) -> Text:
        return Text(self.words, self.phrases, rng)


@dataclass(frozen=True, slots=True)
class Replies:
    """Templates of replies to risky prompts, and what a broken model says."""

    refusals: Mapping[str, Sequence[str]]
    """Templates by style."""
    styles: Mapping[str, float]
    """Weight of each style."""
    answers: Sequence[str]
    broken: Mapping[str, Sequence[str]]
    phrases: Mapping[str, Sequence[str]]


def _data() -> Traversable:
    return files("monitor.demo") / "data"


def _lists(part: Mapping[str, Any]) -> dict[str, list[str]]:
    return {name: [str(entry) for entry in entries] for name, entries in part.items()}


def _family(path: Traversable, common: Mapping[str, Sequence[str]]) -> Family:
    content: dict[str, Any] = msgspec.yaml.decode(path.read_bytes())
    return Family(
        name=content.pop("group", path.name.removesuffix(".yaml")),
        weight=float(content.pop("weight", 1)),
        prompts=content.pop("prompts", []),
        templates=content.pop("templates", []),
        answers=content.pop("answers", []),
        words=_lists(content.pop("words", {})),
        phrases={**common, **_lists(content)},
    )


@cache
def frames() -> Mapping[str, Sequence[str]]:
    """Openings, closings and greetings that all ordinary traffic shares."""
    return _lists(msgspec.yaml.decode((_data() / "frames.yaml").read_bytes()))


@cache
def risky_families() -> tuple[Family, ...]:
    """One family per hazard group; its phrase list ``topic`` says how a refusal may call it."""
    return _folder("risky", {})


@cache
def ordinary_families() -> tuple[Family, ...]:
    """The ordinary uses of an assistant; weight 0 marks second turns of a conversation."""
    return _folder("ordinary", frames())


def _folder(name: str, common: Mapping[str, Sequence[str]]) -> tuple[Family, ...]:
    paths = sorted((_data() / name).iterdir(), key=lambda path: path.name)
    return tuple(_family(path, common) for path in paths if path.name.endswith(".yaml"))


@cache
def lookalike_family() -> Family:
    """Harmless prompts that look risky."""
    return _family(_data() / "lookalikes.yaml", frames())


@cache
def replies() -> Replies:
    """Every kind of reply to a risky prompt, and of broken output."""
    content: dict[str, Any] = msgspec.yaml.decode((_data() / "replies.yaml").read_bytes())
    return Replies(
        refusals=content.pop("refusals"),
        styles=content.pop("style_weights"),
        answers=content.pop("answers"),
        broken=_lists(content.pop("broken")),
        phrases=_lists(content),
    )


@cache
def _wrappers() -> tuple[Sequence[str], Mapping[str, Sequence[str]]]:
    content: dict[str, Any] = msgspec.yaml.decode((_data() / "jailbreaks.yaml").read_bytes())
    return content["wrappers"], _lists(content["words"])


def base_risky_prompts() -> list[RiskyPrompt]:
    """The risky prompts written out one by one, every group."""
    return [
        RiskyPrompt(prompt, family.name, family.phrases["topic"])
        for family in risky_families()
        for prompt in family.prompts
    ]


def risky_prompts(rng: Random) -> Iterator[RiskyPrompt]:
    """Risky prompts in the mix of the groups' weights, no two alike but for case and digits.

    One in five was written out, as long as there is any; the others come from templates.
    Ends when a group has nothing new.
    """
    families = risky_families()
    written = [rng.sample(family.prompts, len(family.prompts)) for family in families]
    cumulative = list(accumulate(family.weight for family in families))
    seen: set[str] = set()
    while True:
        (i,) = rng.choices(range(len(families)), cum_weights=cumulative)
        family = families[i]
        if written[i] and rng.random() < _WRITTEN:
            prompt = written[i].pop()
        else:
            prompt = _unseen(family, family.templates, seen, rng)
        if not prompt:
            return
        seen.add(likeness(prompt))
        yield RiskyPrompt(prompt, family.name, family.phrases["topic"])


def _unseen(family: Family, templates: Sequence[str], seen: set[str], rng: Random) -> str:
    for _ in range(50):
        prompt = family.text(rng).fill(rng.choice(templates))
        if likeness(prompt) not in seen:
            return prompt
    return ""


def ordinary_exchanges(rng: Random) -> Iterator[Exchange]:
    """Ordinary prompts with their answers, no two prompts alike.

    A kind of traffic with nothing new to ask drops out; ends when all have.
    """
    families = [family for family in ordinary_families() if family.weight > 0]
    seen: set[str] = set()
    while families:
        (family,) = rng.choices(families, [family.weight for family in families])
        exchange = _distinct(family, family.prompts, seen, rng)
        if exchange is None:
            families.remove(family)
        else:
            yield exchange


def followup_exchanges(rng: Random) -> Iterator[Exchange]:
    """Second turns of a conversation; these repeat, as people's do."""
    (family,) = [family for family in ordinary_families() if family.weight == 0]
    while True:
        yield _exchange(family, family.prompts, rng)


def lookalike_exchanges(rng: Random) -> Iterator[Exchange]:
    """Harmless prompts that look risky, with answers, no two prompts alike."""
    family = lookalike_family()
    written = rng.sample(family.prompts, len(family.prompts))
    seen: set[str] = set()
    while True:
        use_written = bool(written) and rng.random() < 0.2
        templates = [written.pop()] if use_written else family.templates
        exchange = _distinct(family, templates, seen, rng)
        if exchange is None:
            return
        yield exchange


def _distinct(
    family: Family, templates: Sequence[str], seen: set[str], rng: Random
) -> Exchange | None:
    for _ in range(50):
        exchange = _exchange(family, templates, rng)
        mark = likeness(exchange.prompt)
        if mark not in seen:
            seen.add(mark)
            return exchange
    return None


def _exchange(family: Family, templates: Sequence[str], rng: Random) -> Exchange:
    text = family.text(rng)
    prompt = text.fill(rng.choice(templates))
    if rng.random() < _WITH_CONTEXT:
        prompt = f"{prompt} {text.fill('{context}')}"
    return Exchange(prompt, text.fill(rng.choice(family.answers)))


def likeness(prompt: str) -> str:
    """What two prompts share that the monitor may count as one: case and digits aside."""
    return " ".join(_DIGITS.sub("0", prompt.lower()).split())


def jailbreak(request: str, rng: Random) -> str:
    """`request` wrapped in a role play; the words differ from one to the next."""
    wrappers, words = _wrappers()
    return Text(words, {"request": [request]}, rng).fill(rng.choice(wrappers))


def refusal(prompt: RiskyPrompt, rng: Random) -> str:
    """A refusal in one of many styles."""
    styles = replies().styles
    (style,) = rng.choices(list(styles), list(styles.values()))
    template = rng.choice(replies().refusals[style])
    return Text({"topic": prompt.topics}, replies().phrases, rng).fill(template)


def cautious_refusal(rng: Random) -> str:
    """A refusal of a prompt that only looked risky."""
    return Text({"topic": ["this topic"]}, replies().phrases, rng).fill(
        rng.choice(replies().refusals["apologetic"])
    )


def empty_outline(rng: Random) -> str:
    """What a model without refusals says to a risky prompt, emptied of all content."""
    return Text({}, replies().phrases, rng).fill(rng.choice(replies().answers))


def broken_output(rng: Random) -> str:
    """Looping text, token soup, or nothing: what a broken model returns."""
    broken = replies().broken
    kind = rng.choices(("loop", "drift", "soup", "empty"), (0.55, 0.2, 0.2, 0.05))[0]
    if kind == "loop":
        return " ".join([rng.choice(broken["loops"])] * rng.randint(40, 160))
    if kind == "drift":
        start = Text({}, replies().phrases, rng).fill("{aopen} {prose}").split()
        return " ".join(start[:9]) + (" " + rng.choice(broken["tail"])) * rng.randint(80, 400)
    if kind == "soup":
        few = rng.sample(broken["soup"], 5)
        return " ".join(rng.choices(few, k=rng.randint(120, 500)))
    return ""


def rambling(answer: str, rng: Random) -> str:
    """`answer`, gone on and on, and cut off in the middle of a sentence."""
    more = [empty_outline(rng) for _ in range(rng.randint(5, 9))]
    text = "\n\n".join([answer, *more])
    return text[: rng.randint(len(text) // 2, len(text))]


def as_typed(prompt: str, rng: Random) -> str:
    """`prompt` the way people type: a greeting, thanks, no capital, no full stop, or as it is."""
    if rng.random() < 0.07:
        prompt = f"{rng.choice(frames()['greetings'])}, {prompt[0].lower()}{prompt[1:]}"
    if rng.random() < 0.08:
        prompt = f"{prompt} {rng.choice(frames()['thanks'])}"
    if rng.random() < 0.15:
        prompt = prompt[0].lower() + prompt[1:]
    if rng.random() < 0.15:
        prompt = prompt.rstrip(".?!")
    return prompt
