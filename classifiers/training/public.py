"""Public prompts under permissive licences, fetched by commit and checked by digest.

Ordinary requests of people and of other projects' writers: what the bin edges of witness 2 stand
on. Their texts never enter this repository; only weights learn from them.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.request import urlopen

from classifiers.training import corpus
from classifiers.training.corpus import Row

HOST: Final = "https://raw.githubusercontent.com/"

Parse = Callable[[bytes], list[str]]


class PublicError(Exception):
    """Public prompts cannot be had; the message is one line and names the file and the fix."""


class Source(NamedTuple):
    """One file of a public repository."""

    name: str
    repository: str
    commit: str
    path: str
    sha256: str
    licence: str
    parse: Parse
    ordinary: bool = True
    """Else its prompts are unlabelled text."""
    limit: int = 10_000
    """Prompts taken, drawn by a fixed seed."""


def _lines(content: bytes) -> list[Any]:
    return [json.loads(line) for line in content.splitlines()]


def _instruction(entry: Any) -> str:
    return "\n".join(part for part in (entry["instruction"], entry.get("input", "")) if part)


def _instructions(content: bytes) -> list[str]:
    return [_instruction(entry) for entry in json.loads(content)]


def _tasks(content: bytes) -> list[str]:
    return [
        _instruction({"instruction": task["instruction"], "input": task["instances"][0]["input"]})
        for task in _lines(content)
    ]


def _field(name: str) -> Parse:
    return lambda content: [str(entry[name]) for entry in _lines(content)]


def _first_turns(content: bytes) -> list[str]:
    dialogues = (str(entry["chosen"]) for entry in _lines(gzip.decompress(content)))
    return [d.split("\n\nHuman: ", 1)[1].split("\n\nAssistant:", 1)[0] for d in dialogues]


_ARENA: Final = ("lmarena/arena-hard-auto", "196f6b826783b3da7310e361a805fa36f0be83f3")
_TEACHER: Final = ("teknium1/GPTeacher", "481075123c29854bddb82655badeef6a438f2436")
_SELF: Final = ("yizhongw/self-instruct", "0b26ccaa415992100fa32df62d41b994cf928e23")

SOURCES: Final = (
    Source(
        "arena-hard-0.1", *_ARENA, "data/arena-hard-v0.1/question.jsonl",
        "2650242d2883f22b2abd498f273b6a7e02253cce533f5c91a858e1d44aa3002f",
        "Apache-2.0", _field("prompt"),
    ),
    Source(
        "arena-hard-2.0", *_ARENA, "data/arena-hard-v2.0/question.jsonl",
        "a75cef6623db6b27aec810497b059f0659705d7ff48dcbccc5bd5b130728ac73",
        "Apache-2.0", _field("prompt"),
    ),
    Source(
        "self-instruct-seed", *_SELF, "data/seed_tasks.jsonl",
        "7779004fa198fdf27cf70a159363879d8a26c53329e11b436af17b3941875f48",
        "Apache-2.0", _tasks,
    ),
    Source(
        "self-instruct-user", *_SELF, "human_eval/user_oriented_instructions.jsonl",
        "81d60a117db495cecedecd9193504fd07c5b5a42f6699ef6b0f9da10fc22f42e",
        "Apache-2.0", _tasks,
    ),
    Source(
        "gpteacher-roleplay", *_TEACHER,
        "Roleplay/roleplay-simple-deduped-roleplay-instruct.json",
        "b5d57a0d92162fd0b78988fe352e8512b435363919caf63efc3759d5a1555023",
        "MIT", _instructions,
    ),
    Source(
        "gpteacher-code", *_TEACHER, "Codegen/codegen-instruct.json",
        "8b0be81f22b86bccab30f573351b62efb3391da229d2ee817a65ce0abb08b29d",
        "MIT", _instructions, limit=1_200,
    ),
    Source(
        "gsm8k", "openai/grade-school-math", "3101c7d5072418e28b9008a6636bde82a006892c",
        "grade_school_math/data/train.jsonl",
        "17f347dc51477c50d4efb83959dbb7c56297aba886e5544ee2aaed3024813465",
        "MIT", _field("question"), limit=800,
    ),
    Source(
        "hh-red-team", "anthropics/hh-rlhf", "354e5c3cb8960630860dd5774a6ac2a58313bf4d",
        "harmless-base/test.jsonl.gz",
        "ebfaaed21162a4de120ae85366075b34425e2a6303fac59b99555002f7016f03",
        "MIT", _first_turns, ordinary=False,
    ),
)  # fmt: skip


def read_all(data: Path, directory: Path) -> dict[str, list[Row]]:
    """The corpus in `data` with the public prompts under ``public``.

    Raises:
        FileNotFoundError, PublicError
    """
    return {**corpus.read_all(data), "public": read(directory)}


def read(directory: Path, host: str = HOST) -> list[Row]:
    """Prompts of every source; files that `directory` lacks are fetched into it.

    Raises:
        PublicError: a file cannot be fetched, or is not the one the weights were trained on.
    """
    return [row for source in SOURCES for row in rows(source, directory, host)]


def rows(source: Source, directory: Path, host: str = HOST) -> list[Row]:
    """Prompts of one source, each once, in an order of their own.

    Raises:
        PublicError: as `read`.
    """
    path = directory / source.name
    if not path.exists():
        _fetch(source, path, host)
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != source.sha256:
        raise PublicError(
            f"{path}: sha256 {digest}, expected {source.sha256}; delete it to fetch it again"
        )
    found = list(dict.fromkeys(text.strip() for text in source.parse(content)))
    if len(found) > source.limit:
        found = random.Random(0).sample(found, source.limit)
    return [
        {
            "source": f"public/{source.name}",
            "licence": source.licence,
            "prompt": text,
            "ordinary": source.ordinary,
        }
        for text in found
        if text
    ]


def _fetch(source: Source, path: Path, host: str) -> None:
    address = f"{host}{source.repository}/{source.commit}/{source.path}"
    try:
        with urlopen(address, timeout=60) as answer:
            content: bytes = answer.read()
    except OSError as error:
        raise PublicError(
            f"training data: {address} cannot be fetched ({error}); save it as {path}"
        ) from None
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    part.replace(path)
