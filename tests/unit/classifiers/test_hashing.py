"""Hashing: what is trained on must be what is served, whatever the batch."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest

from classifiers.hashing import Hasher, Tokens, bucket
from classifiers.text import fold

TEXTS = [
    "",
    " ",
    "a",
    "I can't help with that.",
    "I can’t help with that.",
    "It's a test, isn't it? (Yes!)",
    "naïve café — 東京 и кот 🙂🙂",
    "nul\0byte inside",
    "trailing space ",
    "word " * 300,
    "x" * 5000,
    "\ud800 lone surrogate",
    "1234 5678 don't",
    "네",
    "죄송하지만 그 요청은 도와드릴 수 없습니다.",
    "Python의 print 함수는, 쉽게 말해 '출력'입니다 ㅎㅎ",
]

_MASK = (1 << 64) - 1
_SECOND, _THIRD = 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9


def slow_bucket(value: int, bits: int) -> int:
    mixed = ((value ^ (value >> 32)) * 0x9E3779B97F4A7C15) & _MASK
    return mixed >> (64 - bits)


def slow_token(token: bytes) -> int:
    return sum((byte + 1) * pow(0x100000001B3, j, 1 << 64) for j, byte in enumerate(token)) & _MASK


def rotated(value: int) -> int:
    return ((value << 29) | (value >> 35)) & _MASK


def slow_grams(text: str, hasher: Hasher) -> list[int]:
    """The reference: one text, one n-gram at a time, in plain Python."""
    folded = fold([text], hasher.limit)[:-1]
    hashes = [0x27D4EB2F165667C5]
    hashes += [slow_token(t) for t in re.findall(rb"[a-z0-9'\x80-\xff]+", folded)]
    values = list(hashes)
    for first, second in pairwise(hashes):
        if hasher.words > 1:
            values.append((first * _SECOND + rotated(second)) & _MASK)
    for first, second, third in zip(hashes, hashes[1:], hashes[2:], strict=False):
        if hasher.words > 2:
            pair = first * _SECOND + rotated(second)
            values.append((pair * _THIRD + rotated(third)) & _MASK)
    if hasher.chars:
        squeezed = re.sub(rb"[^a-z0-9'\x80-\xff]+", b" ", folded).lstrip()
        for i in range(len(squeezed) - hasher.chars + 1):
            packed = int.from_bytes(squeezed[i : i + hasher.chars], "little")
            values.append((packed * _SECOND) & _MASK)
    return sorted(slow_bucket(value, hasher.bits) for value in values)


def slow_syllables(text: str, hasher: Hasher) -> list[int]:
    """The reference for syllables: after a zero, every one and its followers in plain Python."""
    kept = re.findall(r"[a-z0-9'가-힣]", fold([text], hasher.limit).decode())
    points = [0, *map(ord, kept)]
    values = []
    for size in range(2, hasher.syllables + 1):
        for start in range(len(points) - size + 1):
            value = points[start]
            for grown, point in enumerate(points[start + 1 : start + size], 2):
                value = (value * _SECOND + point + grown) & _MASK
            values.append(value)
    return sorted(slow_bucket(value, hasher.bits) for value in values)


@pytest.mark.parametrize("hasher", [Hasher(300, 0, 17, 0, 4), Hasher(20, 0, 12, 0, 2)])
def test_korean_weights_mean_the_same_syllables_everywhere(hasher: Hasher) -> None:
    grams = hasher(TEXTS)
    assert len(grams) == len(TEXTS)
    for i, text in enumerate(TEXTS):
        row = grams.buckets[grams.starts[i] : grams.starts[i + 1]]
        assert sorted(row[row != grams.null].tolist()) == slow_syllables(text, hasher), repr(text)
        alone = hasher([text])
        np.testing.assert_array_equal(row, alone.buckets)


@pytest.mark.parametrize("hasher", [Hasher(600, 3, 18), Hasher(400, 2, 17, 4), Hasher(1500, 1, 12)])
def test_weights_trained_on_one_machine_mean_the_same_words_everywhere(hasher: Hasher) -> None:
    grams = hasher(TEXTS)
    for i, text in enumerate(TEXTS):
        row = grams.buckets[grams.starts[i] : grams.starts[i + 1]]
        assert sorted(row[row != grams.null].tolist()) == slow_grams(text, hasher), repr(text)


def test_a_record_is_hashed_alike_whatever_batch_it_came_in() -> None:
    hasher = Hasher(400, 2, 17, 4)
    together = hasher(TEXTS)
    for i, text in enumerate(TEXTS):
        alone = hasher([text])
        row = together.buckets[together.starts[i] : together.starts[i + 1]]
        np.testing.assert_array_equal(row, alone.buckets)


@pytest.mark.parametrize("hasher", [Hasher(600, 3, 10), Hasher(300, 0, 10, 0, 4)])
def test_training_counts_are_the_sums_that_serving_makes(hasher: Hasher) -> None:
    table = np.random.default_rng(0).integers(-127, 128, (hasher.buckets + 1, 3)).astype(np.int8)
    table[-1] = 0
    grams = hasher(TEXTS)
    served = grams.sums(table) / np.sqrt(np.maximum(grams.sizes(), 1))[:, None]
    trained = grams.matrix() @ table[:-1].astype(np.float64)
    np.testing.assert_allclose(served, trained, rtol=1e-5, atol=1e-4)


def test_the_begin_of_text_tells_i_can_from_i_can_further_on() -> None:
    hasher = Hasher(600, 3, 20)
    start, later = (set(hasher([text]).buckets.tolist()) for text in ("i can", "so i can"))
    assert start - later


def test_no_n_gram_reaches_from_one_record_into_the_next() -> None:
    hasher = Hasher(600, 3, 20)
    pair = hasher(["alpha beta", "gamma delta"])
    joined = set(hasher(["beta gamma"]).buckets.tolist()) - set(hasher(["beta"]).buckets.tolist())
    bigram = joined - set(hasher(["gamma"]).buckets.tolist())
    assert not bigram & set(pair.buckets.tolist())


def test_only_the_head_of_a_text_is_read() -> None:
    hasher = Hasher(100, 3, 18)
    short, long = hasher(["a b c " * 20]), hasher(["a b c " * 2_000_000])
    np.testing.assert_array_equal(short.buckets, long.buckets)


def test_typographic_and_spelled_out_contractions_are_one_phrase() -> None:
    forms = ["I can't", "I can’t", "I cannot", "I can not", "i CAN`T"]
    assert len({fold([form], 100) for form in forms}) == 1
    assert fold(["I’m unable to"], 100) == fold(["I am not able to"], 100)


def test_chat_tags_do_not_hide_the_beginning() -> None:
    plain = fold(["I cannot help."], 100)
    for tag in ("<s> ", "[INST] ", "<|assistant|>\n", "assistant: ", "\n\n  "):
        assert fold([tag + "I cannot help."], 100) == plain


def test_buckets_spread_evenly() -> None:
    words = [f"word{i}" for i in range(4096)]
    tokens = Tokens.read(fold([" ".join(words)], 10**6))
    used = np.bincount(bucket(tokens.hashes, 8), minlength=256)
    assert used.min() > 0
    assert used.max() < 45
