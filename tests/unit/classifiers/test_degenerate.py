"""Broken text must not pass as an answer, and sound text must not page anybody."""

from __future__ import annotations

import random
import string

import pytest

import classifiers.degenerate
from classifiers.degenerate import degeneracy, opens_sound

SOUND = [
    "No.",
    "42",
    "ok",
    "Ha ha ha, that is a good one!",
    "| name | age |\n|---|---|\n| Ann | 31 |\n| Bob | 29 |\n| Cid | 40 |",
    '{"name": "Ann", "tags": ["a", "b"], "address": {"street": "Elm", "zip": "123"}}',
    "The word for cat is кот in Russian and γάτα in Greek? No: it is neko in Japanese.",
    "import os\n\nfor name in os.listdir():\n    if name.endswith('.txt'):\n        print(name)\n",
    "Здравствуйте! Столица Франции — Париж, а столица Италии — Рим.",
    "To bake bread you need flour, water, salt and yeast. Mix them, let the dough rest for an hour,"
    " shape it, let it rise again and bake it in a hot oven until the crust is dark. Wait until it"
    " has cooled before you cut it, however good it smells.",
]


@pytest.mark.parametrize("text", SOUND)
def test_sound_text_is_left_alone(text: str) -> None:
    assert degeneracy(text).reason == ""
    assert degeneracy(text).probability < 0.5


LOOPS = [
    "I am the way and I am the way and " * 40,
    "Sure, here is the plan for you. " + "and then and then and then " * 60,
    "no " * 400,
    "!" * 500,
    "the the the the the the the the the the the the the the",
    "<h1> <h1> <h1> <h1> <h1> <h1> " * 30,
]


@pytest.mark.parametrize("text", LOOPS)
def test_a_loop_is_broken_text(text: str) -> None:
    found = degeneracy(text)
    assert found.reason == "looping"
    assert found.probability > 0.5


@pytest.mark.parametrize("text", ["", " \n\t "])
def test_nothing_is_broken_text(text: str) -> None:
    assert degeneracy(text) == ("empty", 1.0)


def test_random_letters_are_gibberish() -> None:
    draw = random.Random(0)
    for _ in range(20):
        words = [
            "".join(draw.choices(string.ascii_lowercase, k=draw.randint(3, 9))) for _ in range(150)
        ]
        assert degeneracy(" ".join(words), known_share=0.0).reason == "gibberish"


def test_a_jumble_of_scripts_is_broken_text() -> None:
    draw = random.Random(0)
    letters = ["кот", "γάτα", "고양이", "gato", "แมว", "חתול", "बिल्ली"]
    text = " ".join(draw.choice(letters) for _ in range(100))
    assert degeneracy(text, known_share=0.0).reason == "wrong_script"


def test_text_in_one_foreign_language_is_not_called_gibberish() -> None:
    spanish = (
        "La energía solar es una fuente renovable que se obtiene del sol y que permite producir"
        " electricidad sin emitir gases. Los paneles se instalan en los tejados de las casas y"
        " también en grandes plantas situadas en zonas con muchas horas de luz al año. "
        "Cada vez más familias deciden usarla para ahorrar dinero en la factura de la luz."
    )
    assert degeneracy(spanish, known_share=0.1).reason == ""


DENSE = (
    "Zunächst öffnen Sie morgens beide Fenster, wischen Schimmel mit Essig ab und hängen nasse"
    " Handtücher draußen auf. Danach prüfen Sie Abfluss, Dichtungen sowie Thermostat; bei Frost"
    " genügt kurzes Querlüften vollkommen."
)


def test_a_short_answer_in_another_language_is_not_called_gibberish() -> None:
    assert 200 <= len(DENSE) <= 250
    assert degeneracy(DENSE, known_share=0.0).reason == ""


def test_with_one_noise_limit_for_all_lengths_it_would_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifiers.degenerate, "_NOISE_SHORT", classifiers.degenerate._NOISE)
    assert degeneracy(DENSE, known_share=0.0).reason == "gibberish"


def test_short_noise_is_still_gibberish() -> None:
    draw = random.Random(1)
    noise = "".join(draw.choices(string.ascii_letters + string.punctuation, k=220))
    assert degeneracy(noise, known_share=0.0).reason == "gibberish"


def test_only_the_first_thousand_characters_are_read() -> None:
    assert degeneracy(SOUND[-1] * 1 + "x" * 10_000_000).probability >= 0.0
    prose = " ".join(f"Sentence number {i} says that {i * i} is a square." for i in range(60))
    assert degeneracy(prose + "loop " * 1000) == degeneracy(prose)


def test_where_a_refusal_begins_to_loop_is_told_from_a_loop_throughout() -> None:
    assert not opens_sound("I cannot I cannot I cannot I cannot " * 30)
    assert opens_sound(SOUND[-1] + "and so on " * 200)


def test_without_the_compression_check_loops_would_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifiers.degenerate, "compression", lambda _: 0.5)
    assert degeneracy(LOOPS[0]).reason == ""


def test_ascii_is_split_as_all_other_text_is() -> None:
    every = "".join(chr(code) + after for code in range(128) for after in ("", "a", " ", "_9"))
    tokens = classifiers.degenerate._TOKEN.findall(every.lower())
    assert classifiers.degenerate._ASCII_TOKEN.findall(every.lower()) == tokens
