"""Head A for Korean: the same recipe on syllables instead of words.

Labels are those of K-OverRefusal, made by a language model (gpt-oss-safeguard-120b; of 639 answers
that it judged twice it called ten both). ``compliance`` answers the request and ``refusal`` does
not, with or without words of refusal: a warning about the law and nothing else is a refusal.
``deflection`` (6 %) answers something else and is left out, as partial refusals are in English.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import Final

from classifiers.hashing import Hasher
from classifiers.scripts import Script, script
from classifiers.training.corpus import Row, family
from classifiers.training.refusals import Example, distinct, fit, short
from classifiers.weights import Head

HASHER: Final = Hasher(limit=300, words=0, bits=17, syllables=4)

_LABELS: Final = {"refuse": True, "comply": False}


def examples(corpus: dict[str, list[Row]]) -> list[Example]:
    """Answers in Korean that were labelled refused or complied."""
    return distinct(
        [
            Example(
                row["source"],
                family(row["model"]),
                row["prompt"],
                row["response"],
                _LABELS[row["label"]],
            )
            for row in corpus["refusal"]
            if row["lang"] == "ko"
            and row["label"] in _LABELS
            and script(row["response"]) is Script.HANGUL
        ]
    )


def train(
    corpus: dict[str, list[Row]], excluded: Callable[[Example], bool] = lambda _: False
) -> Head:
    """The Korean head from the corpus, without the examples that `excluded` names."""
    rows = [row for row in examples(corpus) if not excluded(row)]
    return fit([*rows, *augmented(rows)], hasher=HASHER)


def augmented(rows: Sequence[Example], made: float = 0.1, seed: int = 0) -> list[Example]:
    """Extra examples: other endings, refusals of answered prompts, short exchanges."""
    draw = random.Random(seed)
    extra = []
    for row in rows:
        if row.refused:
            text = swapped(row.response, draw)
            if text:
                extra.append(row._replace(response=text))
        elif row.prompt and draw.random() < made:
            extra.append(row._replace(response=refusal_of(row.prompt, draw), refused=True))
    return [*extra, *short(SHORT_REFUSALS, SHORT_ANSWERS)]


_CANNOT: Final = re.compile(r"(드릴|할|줄) ?수(?:는|가)? ?없(?:습니다|어요)")
_STEMS: Final = {"드릴": "드리", "할": "하", "줄": "주"}
_ENDINGS: Final = (
    "기 어렵습니다",
    "기 어려워요",
    "기 힘듭니다",
    "기는 곤란합니다",
    "지 않겠습니다",
    "지 않을게요",
    "지 못합니다",
    "지 못해요",
    "지 않습니다",
    "기 어려운 점 양해 부탁드립니다",
)
_SORRY: Final = re.compile(
    r"^(?:죄송합니다만|죄송합니다|죄송하지만|죄송해요)[,.]? ?(?:하지만 |그러나 )?"
)
_OPENINGS: Final = (
    "",
    "",
    "죄송하지만 ",
    "죄송합니다. ",
    "미안하지만 ",
    "유감스럽지만 ",
    "안타깝지만 ",
    "안타깝게도 ",
    "송구하지만 ",
    "양해 부탁드립니다. ",
    "말씀은 이해하지만 ",
    "AI로서 ",
)
_TOPICS: Final = (
    "{}에 대해서는 ",
    "'{}'라는 요청에는 ",
    "'{}'라는 질문에는 ",
    "문의하신 '{}' 건에 대해서는 ",
    "이 요청은 ",
    "그런 내용은 ",
    "요청하신 내용은 ",
    "이 주제에 대해서는 ",
    "그 부분은 ",
)
_STANCES: Final = (
    "도와드릴 수 없습니다",
    "도와드릴 수 없어요",
    "답변드릴 수 없습니다",
    "답변드리기 어렵습니다",
    "안내해 드릴 수 없습니다",
    "제공할 수 없습니다",
    "도와줄 수 없어요",
    "도와드리지 않습니다",
    "도움을 드리기 어렵습니다",
    "말씀드릴 수 없습니다",
    "작성하지 않겠습니다",
    "거절하겠습니다",
    "응할 수 없습니다",
    "설명해 드리지 않을게요",
    "답하지 못합니다",
)
_CLOSINGS: Final = (
    "",
    "",
    "",
    "불법이기 때문입니다.",
    "다른 질문이 있으시면 말씀해 주세요.",
    "다른 주제로 이야기해 볼까요?",
    "누군가 다칠 수 있습니다.",
    "제 지침에 어긋납니다.",
    "힘드시다면 주변의 도움을 받으세요.",
    "대신 합법적인 방법을 찾아보세요.",
)

SHORT_REFUSALS: Final = (
    "도와드릴 수 없습니다.",
    "그건 도와줄 수 없어요.",
    "그건 못 도와줘.",
    "그런 요청은 들어줄 수 없어.",
    "답변을 드리기 어렵습니다.",
    "그 질문에는 대답하지 않겠습니다.",
    "그 요청은 거절하겠습니다.",
    "이 요청에는 응할 수 없습니다.",
    "요청을 처리할 수 없습니다.",
    "이 요청은 정책에 위배됩니다.",
    "이용 정책에 어긋나는 내용입니다.",
    "그 내용은 제공하지 않습니다.",
    "말씀드리기 곤란합니다.",
    "그런 글은 쓰지 않을게요.",
    "이 주제는 다룰 수 없습니다.",
    "다른 이야기를 하면 좋겠어요.",
    "그 부분은 도움을 드리기 힘듭니다.",
    "저는 그런 일을 돕지 않습니다.",
    "그런 건 알려 줄 수 없어요.",
    "해당 작업은 수행할 수 없습니다.",
    "허용되지 않는 요청입니다.",
    "죄송하지만 안 됩니다.",
    "미안하지만 그건 안 돼요.",
    "답변이 제한된 주제입니다.",
    "그건 할 수 없습니다.",
)

SHORT_ANSWERS: Final = (
    "네.",
    "아니요.",
    "아니요, 그렇지 않습니다.",
    "네, 맞습니다.",
    "물론이죠!",
    "서울입니다.",
    "42입니다.",
    "좋은 아침이에요!",
    "도움이 되어 기쁩니다.",
    "네, 도와드리겠습니다.",
    "도와드릴 수 있습니다.",
    "물론 도와드릴게요.",
    "천만에요.",
    "0으로 나눌 수 없습니다.",
    "그 기차는 오늘 탈 수 없으니 버스를 타세요.",
    "비 때문에 경기를 할 수 없었습니다.",
    "이 맛은 잊을 수 없어요.",
    "혼동을 드려 죄송합니다. 정답은 12입니다.",
    "불편을 드려 죄송합니다. 수정한 코드입니다.",
    "힘드셨겠어요. 잠시 산책을 해 보세요.",
    "안타깝게도 매진되었으니 다음 공연을 예매하세요.",
    "그곳에 주차하는 것은 불법입니다.",
    "요청이 승인되었습니다.",
    "저는 취향이 없지만 많은 분이 첫 번째를 좋아합니다.",
    "AI라서 의견은 없지만 주요 주장은 다음과 같습니다.",
    "변호사는 아니지만 보통 14일 안에 반품할 수 있습니다.",
    "정확히는 모르지만 일곱 개쯤일 것 같습니다.",
    "짧은 시를 써 보았습니다.",
    "다음과 같이 하면 됩니다.",
    "먼저 재료를 준비하세요.",
    "더 이상 동의할 수 없을 만큼 맞는 말입니다.",
    "솔직히 쉽지는 않지만 조금씩 시작해 보세요.",
)


def swapped(response: str, draw: random.Random) -> str | None:
    """A refusal with another ending and another apology; ``None`` where it has neither."""
    head = response[: HASHER.limit]
    if not _CANNOT.search(head) and not _SORRY.match(head):
        return None
    ending = draw.choice(_ENDINGS)
    text = _CANNOT.sub(lambda found: _STEMS[found[1]] + ending, response, count=1)
    return _SORRY.sub(draw.choice(_OPENINGS), text, count=1)


def refusal_of(prompt: str, draw: random.Random) -> str:
    """A refusal of `prompt`, half of the time in the prompt's own words."""
    task = " ".join(prompt.split())[:80].rstrip(".?! ")
    topic = draw.choice(_TOPICS).format(task)
    parts = draw.choice(_OPENINGS), topic, draw.choice(_STANCES), ". ", draw.choice(_CLOSINGS)
    return "".join(parts).strip()
