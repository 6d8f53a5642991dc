"""What people wrote, and who they are, leaves the process by no way that nobody asked for."""

from __future__ import annotations

import json
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.pipeline.places import Place, Record, changed, healthy

MARKS = {
    "prompt": "quokka-prompt-2207",
    "response": "quokka-response-2207",
    "user": "quokka-user-2207",
    "conversation": "quokka-conversation-2207",
    "client": "quokka-client-2207",
    "system_prompt": "quokka-system-2207",
    "chat_template": "quokka-template-2207",
    "reasoning_content": "quokka-reasoning-2207",
    "attribute": "quokka-attribute-2207",
    "attribute name": "quokka-name-2207",
    "unknown field": "quokka-unknown-2207",
    "risk": "quokka-risk-2207",
    "malformed": "quokka-malformed-2207",
}
SHOWN = "acme-8b"
"""The model's name is in alerts and the store: finding it proves that the search works."""


def marked(record: Record, number: int) -> Record:
    """`record` with a mark in every field that may hold something private."""
    return record | {
        "prompt": f"{record['prompt']} {MARKS['prompt']}",
        "response": f"{record['response']} {MARKS['response']}",
        "user": f"{MARKS['user']}-{number}",
        "conversation": f"{MARKS['conversation']}-{number}" if number % 2 else "",
        "client": f"{MARKS['client']}-{number}",
        "reasoning_content": MARKS["reasoning_content"],
        "attributes": {MARKS["attribute name"]: MARKS["attribute"]},
        "extra": MARKS["unknown field"],
        "risk": MARKS["risk"],
    }


def malformed() -> list[bytes]:
    """Lines that cannot be read, each with a mark where it is wrong."""
    mark = MARKS["malformed"]
    good = {"prompt": mark, "response": mark}
    return [
        f'{{"prompt": "{mark}'.encode(),
        f"{mark} not json".encode(),
        b'{"prompt": "\xff' + mark.encode() + b'"}',
        json.dumps(good | {"prompt": {mark: mark}}).encode(),
        json.dumps(good | {"user": [mark]}).encode(),
        json.dumps(good | {"adapters": {mark: mark}}).encode(),
        json.dumps(good | {"system_prompt": [mark], "deployment": "demo-chat"}).encode(),
        json.dumps({mark: mark}).encode(),
        json.dumps([mark]).encode(),
        json.dumps(good | {"response": mark * 300_000}).encode(),
        json.dumps({"request": mark, "response": {"choices": mark}}).encode(),
        json.dumps({"standard_logging_object": {"messages": mark}}).encode(),
        json.dumps({"attributes": {"gen_ai.system": mark, "gen_ai.prompt": [mark]}}).encode(),
    ]


def private_traffic() -> list[object]:
    rows: list[object] = []
    for i, record in enumerate(changed(3_500)):
        row = marked(record, i)
        if i % 20 == 0:
            row |= {"system_prompt": MARKS["system_prompt"],
                    "chat_template": MARKS["chat_template"]}  # fmt: skip
        rows.append(row)
        if i % 200 == 0:
            rows.append(malformed()[i // 200 % len(malformed())])
    return rows


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module", params=["text", "json"])
def spoken(
    request: pytest.FixtureRequest, armed_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, bytes]]:
    """Everything a run over private traffic left or said, by where."""
    place = Place(tmp_path_factory.mktemp("private"))
    place.path("store.db").write_bytes((armed_store / "store.db").read_bytes())
    place.write("private.jsonl", private_traffic())
    port = free_port()
    before = ("--log-level", "debug", "--log-format", request.param)
    process = place.start("private.jsonl", "--follow", "--listen", f"127.0.0.1:{port}",
                          "--report", str(place.path("report.html")), before=before)  # fmt: skip
    try:
        place.wait_for_verdicts(3_500)
        place.wait_for("the page", lambda: "Unalignment" in place.opened())
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            metrics = answer.read()
        # While it runs, the newest pages of the database are in its log.
        alive = {f"live {p.name}": p.read_bytes() for p in place.folder.glob("store.db*")}
        ran = place.stop(process)
    finally:
        place.close()
    assert ran.code == 0
    assert sum(ran.summary["dead_lettered"].values()) == 18
    said = {"/metrics": metrics, "stdout": ran.out.encode(), "log": ran.err.encode(), **alive}
    for path in place.folder.iterdir():
        if path.name != "private.jsonl":
            said[path.name] = path.read_bytes()
    for words in (("alerts", "list"), ("alerts", "list", "--output", "json"),
                  ("baseline", "list", "--output", "json")):  # fmt: skip
        said[" ".join(words)] = place.on_store(*words).out.encode()
    return said


def leaks(said: dict[str, bytes]) -> list[str]:
    return [
        f"{what} in {where}"
        for where, raw in said.items()
        for what, mark in MARKS.items()
        if mark.encode() in raw.lower()
    ]


def test_nothing_private_is_said_anywhere(spoken: dict[str, bytes]) -> None:
    assert leaks(spoken) == []


def test_the_search_looks_where_something_is_said(spoken: dict[str, bytes]) -> None:
    places = ["/metrics", "stdout", "log", "alerts.jsonl", "verdicts.jsonl", "report.html",
              "store.db", "live store.db-wal", "alerts list --output json"]  # fmt: skip
    assert [where for where in places if SHOWN.encode() not in spoken[where]] == []
    assert spoken["dead-letters.jsonl"].count(b"\n") == 18


def test_no_other_file_is_left_behind(spoken: dict[str, bytes]) -> None:
    left = {name for name in spoken if "." in name and not name.startswith("live ")}
    known = {"alerts.jsonl", "verdicts.jsonl", "dead-letters.jsonl", "report.html", "store.db",
             "log.txt"}  # fmt: skip
    assert left - {"store.db-wal", "store.db-shm", "store.db.lock"} == known


def test_the_learning_window_holds_no_text(empty: Place) -> None:
    empty.write("new.jsonl", [marked(record, i) for i, record in enumerate(healthy(0, 300))])
    empty.run("new.jsonl")
    assert empty.rows("SELECT count(*) FROM windows")[0][0] > 0
    assert leaks({"store.db": empty.path("store.db").read_bytes()}) == []


def test_two_stores_do_not_know_each_others_keys(empty: Place, armed: Place) -> None:
    """Hashes of a user are of no use without the secret."""
    other = Place(empty.folder / "other")
    other.folder.mkdir()
    for place in (armed, other):
        place.write("a.jsonl", healthy(10_500, 10_700))
    armed.run("a.jsonl")
    other.run("a.jsonl", "--baseline-window", "50")
    ours, theirs = (
        {row for (row,) in place.rows("SELECT key FROM seen")} for place in (armed, other)
    )
    assert ours
    assert theirs
    assert not ours & theirs


def test_text_asked_for_is_found(empty: Place) -> None:
    """The dead letters say what they were told to say; so the search above can find it."""
    config = empty.config("privacy: {include_text: true}\n")
    empty.write("bad.jsonl", malformed()[:3])
    empty.run("bad.jsonl", before=config)
    assert leaks({"dead-letters.jsonl": empty.path("dead-letters.jsonl").read_bytes()}) == [
        "malformed in dead-letters.jsonl"
    ]
    others = {p.name: p.read_bytes() for p in empty.folder.glob("store.db*")}
    assert leaks(others) == []


def test_classify_says_nothing_of_the_text(empty: Place) -> None:
    path = empty.write("some.jsonl", [*private_traffic()[:50], *malformed()])
    ran = empty.cli("--log-level", "debug", "classify", str(path),
                    "--dead-letters", str(empty.path("dead.jsonl")))  # fmt: skip
    assert ran.code == 5
    said = {"out": ran.out, "err": ran.err, "dead": empty.path("dead.jsonl").read_text()}
    assert leaks({where: text.encode() for where, text in said.items()}) == []
