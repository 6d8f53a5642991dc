"""Public prompts for training: the right files or none, and an error that tells what to do."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import pytest

from classifiers.training import public
from classifiers.training.prompts import Kind, read
from classifiers.training.public import PublicError, Source


def _source(content: bytes, **changed: object) -> Source:
    source = Source(
        "asked", "some/where", "c0ffee", "data/asked.jsonl", hashlib.sha256(content).hexdigest(),
        "MIT", public._field("prompt"),
    )  # fmt: skip
    return source._replace(**changed)


def _served(root: Path, content: bytes) -> str:
    file = root / "some/where/c0ffee/data/asked.jsonl"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    return root.as_uri() + "/"


CONTENT = b"".join(
    json.dumps({"prompt": text}).encode() + b"\n"
    for text in ("Name a river.", "Name a river. ", "Two\u2028lines", "", "Sum 2 and 3.")
)


def test_public_prompts_are_fetched_once_and_each_counts_once(tmp_path: Path) -> None:
    host = _served(tmp_path / "host", CONTENT)
    rows = public.rows(_source(CONTENT), tmp_path / "kept", host)
    assert [row["prompt"] for row in rows] == ["Name a river.", "Two\u2028lines", "Sum 2 and 3."]
    assert {(row["source"], row["licence"]) for row in rows} == {("public/asked", "MIT")}
    again = public.rows(_source(CONTENT), tmp_path / "kept", "file:///nowhere/")
    assert again == rows


def test_a_changed_file_is_never_trained_on(tmp_path: Path) -> None:
    host = _served(tmp_path / "host", CONTENT + b"\n")
    with pytest.raises(PublicError, match=r"asked: sha256 .*, expected .*; delete it to fetch"):
        public.rows(_source(CONTENT), tmp_path / "kept", host)


def test_a_machine_without_network_is_told_which_file_to_save_where(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    with pytest.raises(PublicError) as told:
        public.rows(_source(CONTENT), kept, (tmp_path / "host").as_uri() + "/")
    assert "some/where/c0ffee/data/asked.jsonl cannot be fetched" in str(told.value)
    assert f"save it as {kept / 'asked'}" in str(told.value)
    assert not (kept / "asked").exists()


def test_a_large_source_gives_the_same_prompts_every_time(tmp_path: Path) -> None:
    host = _served(tmp_path / "host", CONTENT)
    one = public.rows(_source(CONTENT, limit=2), tmp_path / "kept", host)
    assert len(one) == 2
    assert public.rows(_source(CONTENT, limit=2), tmp_path / "kept", host) == one


def test_every_format_is_read_as_what_the_user_typed() -> None:
    instruction = {"instruction": "Sort these.", "input": "3 1 2"}
    assert public._instructions(json.dumps([instruction]).encode()) == ["Sort these.\n3 1 2"]
    task = {"instruction": "Sort these.", "instances": [{"input": ""}]}
    assert public._tasks(json.dumps(task).encode()) == ["Sort these."]
    said = {"chosen": "\n\nHuman: Who are you?\n\nAssistant: A model.\n\nHuman: And then?"}
    packed = gzip.compress(json.dumps(said).encode())
    assert public._first_turns(packed) == ["Who are you?"]


def test_only_permissive_licences_and_pinned_files() -> None:
    assert {source.licence for source in public.SOURCES} <= {"MIT", "Apache-2.0", "CC-BY-4.0"}
    assert all(len(source.commit) == 40 and len(source.sha256) == 64 for source in public.SOURCES)
    names = [source.name for source in public.SOURCES]
    assert len(set(names)) == len(names)


def test_prompts_of_red_teams_are_never_taught_as_ordinary() -> None:
    rows = [
        {"source": "public/a", "licence": "MIT", "prompt": "Name a river.", "ordinary": True},
        {"source": "public/b", "licence": "MIT", "prompt": "Ruin their paint.", "ordinary": False},
    ]
    files = ("refusal", "prompt_category", "response_harm", "pairs", "benign")
    prompts = read({**{name: [] for name in files}, "public": rows})
    kinds = {prompt.text: prompt.kind for prompt in prompts}
    assert kinds["Name a river."] is Kind.ORDINARY
    assert kinds["Ruin their paint."] is Kind.UNLABELLED
