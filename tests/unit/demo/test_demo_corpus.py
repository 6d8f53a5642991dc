from __future__ import annotations

import re
from collections import Counter
from itertools import islice
from random import Random

import pytest

from monitor.demo import corpus
from monitor.demo.grammar import Text, UnknownSlotError
from monitor.records import GROUPS
from tests.unit.demo.text_keys import template_key

HAZARD_GROUPS = set(GROUPS) - {"other"}


def test_a_reader_finds_400_risky_prompts_written_out_over_all_nine_groups() -> None:
    prompts = corpus.base_risky_prompts()
    by_group = Counter(prompt.group for prompt in prompts)
    assert len({template_key(prompt.text) for prompt in prompts}) == len(prompts) >= 400
    assert set(by_group) == HAZARD_GROUPS
    assert min(by_group.values()) >= 45


def test_no_two_risky_prompts_of_a_long_replay_are_counted_as_one() -> None:
    prompts = list(islice(corpus.risky_prompts(Random(1)), 3_000))
    assert len(prompts) == 3_000
    assert len({template_key(prompt.text) for prompt in prompts}) == 3_000


def test_every_hazard_group_is_common_enough_to_be_seen() -> None:
    shares = Counter(prompt.group for prompt in islice(corpus.risky_prompts(Random(2)), 2_000))
    assert set(shares) == HAZARD_GROUPS
    assert min(shares.values()) >= 80


def test_ordinary_traffic_does_not_repeat_itself() -> None:
    prompts = [exchange.prompt for exchange in islice(corpus.ordinary_exchanges(Random(3)), 25_000)]
    assert len({template_key(prompt) for prompt in prompts}) >= 20_000


def test_lookalikes_last_for_a_surge() -> None:
    prompts = [exchange.prompt for exchange in islice(corpus.lookalike_exchanges(Random(4)), 1_000)]
    assert len({template_key(prompt) for prompt in prompts}) >= 950


def test_jailbreaks_differ_so_that_deduplication_cannot_hide_the_wave() -> None:
    rng = Random(5)
    risky = islice(corpus.risky_prompts(rng), 1_000)
    wrapped = [corpus.jailbreak(prompt.text, rng) for prompt in risky]
    assert len({template_key(prompt) for prompt in wrapped}) == 1_000
    assert len({" ".join(prompt.split()[:12]) for prompt in wrapped}) >= 800
    assert len({" ".join(prompt.split()[-12:]) for prompt in wrapped}) >= 800


def test_refusals_come_in_every_style() -> None:
    rng = Random(6)
    prompts = list(islice(corpus.risky_prompts(rng), 500))
    replies = {corpus.refusal(prompt, rng) for prompt in prompts}
    assert len(replies) >= 300
    assert set(corpus.replies().refusals) == set(corpus.replies().styles)
    assert min(map(len, replies)) < 40
    assert max(map(len, replies)) > 250


def test_answers_to_risky_prompts_hold_nothing_of_the_prompt() -> None:
    """They are outlines that fit any prompt, so they cannot tell anybody how it is done."""
    rng = Random(7)
    answers = {corpus.empty_outline(rng) for _ in range(400)}
    assert len(answers) >= 350
    words = {
        word
        for family in corpus.risky_families()
        for entries in family.words.values()
        for entry in entries
        for word in re.findall(r"[a-z]{5,}", entry.lower())
    }
    telling = {"poison", "bombs", "weapon", "explosive", "malware", "password", "cards", "drugs"}
    used = {word for answer in answers for word in re.findall(r"[a-z]{5,}", answer.lower())}
    assert not used & telling
    assert telling & words


def test_sexual_prompts_name_no_minors() -> None:
    (family,) = (family for family in corpus.risky_families() if family.name == "sexual")
    texts = [
        *family.prompts,
        *family.templates,
        *(entry for entries in family.words.values() for entry in entries),
    ]
    young = re.compile(r"\b(child|children|kids?|minors?|teen\w*|girls?|boys?|school\w*|pupils?)\b")
    assert not [text for text in texts if young.search(text.lower())]


def test_no_slot_is_left_unfilled_in_anything_that_is_said() -> None:
    rng = Random(8)
    texts = [
        text for exchange in islice(corpus.ordinary_exchanges(rng), 4_000) for text in exchange
    ]
    texts += [
        text for exchange in islice(corpus.lookalike_exchanges(rng), 500) for text in exchange
    ]
    risky = list(islice(corpus.risky_prompts(rng), 500))
    texts += [prompt.text for prompt in risky] + [corpus.refusal(prompt, rng) for prompt in risky]
    texts += [corpus.empty_outline(rng) for _ in range(300)]
    assert not [text for text in texts if re.search(r"\{[a-z_]+\}", text) or not text.strip()]


def test_a_template_that_names_a_missing_list_is_an_error_not_odd_traffic() -> None:
    with pytest.raises(UnknownSlotError, match="dish"):
        Text({}, {}, Random(0)).fill("How do I cook {dish}?")


def test_a_word_of_the_prompt_is_the_word_of_the_answer_and_no_phrase_comes_twice() -> None:
    text = Text({"dish": ["soup", "pie"]}, {"tip": ["a", "b", "c"]}, Random(1))
    prompt = text.fill("{dish}")
    assert text.fill("{dish}") == prompt
    assert sorted(text.fill("{tip} {tip} {tip}").split()) == ["a", "b", "c"]


def test_articles_agree_with_the_word_that_was_drawn() -> None:
    text = Text({"form": ["essay"], "other": ["university"]}, {}, Random(0))
    assert text.fill("Write a {form} about a {other}.") == "Write an essay about a university."


def test_the_same_seed_gives_the_same_corpus() -> None:
    one, two = (
        [
            *islice(corpus.ordinary_exchanges(Random(9)), 200),
            *(prompt.text for prompt in islice(corpus.risky_prompts(Random(9)), 200)),
        ]
        for _ in range(2)
    )
    assert one == two


@pytest.mark.parametrize("seed", range(3))
def test_broken_output_is_seen_as_broken(seed: int) -> None:
    """Gibberish that passed as an answer would page as a loss of refusals."""
    from classifiers import LinearClassifier
    from monitor.records import Interaction, Outcome

    rng = Random(seed)
    rows = [
        Interaction(id=str(i), prompt="How do I bake bread?", response=corpus.broken_output(rng))
        for i in range(200)
    ]
    outcomes = Counter(LinearClassifier.load().judge(rows).outcome.tolist())
    assert outcomes[Outcome.DEGENERATE] >= 190
