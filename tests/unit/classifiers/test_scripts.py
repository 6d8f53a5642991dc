"""Scripts: a response goes to the head that can read it, or to none."""

from __future__ import annotations

import pytest

from classifiers.scripts import Script, script


@pytest.mark.parametrize(
    "response",
    [
        "",
        "42",
        "!!! 🙂🙂🙂",
        "I can't help with that.",
        "I’m sorry — that isn’t possible…",
        "Je suis désolé, mais ça m'a gêné.",
        "The word 사랑 means love in Korean, and 친구 means friend.",
        "The letter Ω is the last one of the Greek alphabet.",
        "Here is the sentence you asked for. " * 6 + "안녕하세요 " * 200,
    ],
)
def test_latin_text_goes_to_the_head_that_reads_english(response: str) -> None:
    assert script(response) is Script.LATIN


@pytest.mark.parametrize(
    "response",
    [
        "네.",
        "죄송하지만 그 요청은 도와드릴 수 없습니다.",
        "리눅스에서는 kill 명령에 프로세스 번호를 주면 됩니다.",
        "Python의 print 함수는 화면에 글자를 보여 줍니다. 자세한 설명은 다음과 같습니다.",
        "공자는 學習을 말했고, 이는 배우고 때로 익힌다는 뜻이며 많은 사람이 좋아하는 말입니다.",
    ],
)
def test_korean_goes_to_the_korean_head_even_with_some_latin_words(response: str) -> None:
    assert script(response) is Script.HANGUL


@pytest.mark.parametrize(
    "response",
    [
        "很抱歉，我无法帮助您完成这个请求。",
        "申し訳ありませんが、お手伝いできません。",
        "Извините, но я не могу помочь с этим.",
        "عذرا، لا أستطيع المساعدة.",
        "저는 녹차를 좋아합니다 means that I like green tea.",
        "안녕하세요 여러분 Здравствуйте как ваши дела сегодня",
        "我无法帮助 저는 도울 수 없습니다 我无法帮助",
    ],
)
def test_other_scripts_and_mixtures_go_to_no_head(response: str) -> None:
    assert script(response) is Script.OTHER


def test_a_long_response_is_told_by_its_start_alone() -> None:
    start = "죄송하지만 도와드릴 수 없습니다. " * 12
    assert script(start + "x" * 5_000_000) is Script.HANGUL
