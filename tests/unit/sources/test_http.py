"""Records that are posted: what is answered 202 is counted once, whatever happens after."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest

from monitor.sources import Position, PositionConflict, Source, SourceError, open_source
from monitor.sources.http import HttpSettings, HttpSource
from monitor.sources.journal import Journal
from monitor.sources.receiver import ModelChange, records_of, when
from monitor.sources.segments import Item
from tests.unit.sources.contract import Reading, SeekableContract, read_all

TOKEN = "t0ken-of-the-test"


class Failed(Exception):
    """What a store raises."""


class Receiving:
    """A started source and a client of it."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.changes: list[ModelChange] = []
        self.fail = False
        more = {k: settings.pop(k) for k in ("clock", "max_record_bytes") if k in settings}
        settings = {"journal": folder / "journal", "segment_bytes": 500} | settings
        self.source = HttpSource(
            "http://127.0.0.1:0",
            HttpSettings(**settings),
            announce=self._announce,
            failures=(Failed,),
            **more,
        )

    def _announce(self, change: ModelChange) -> None:
        if self.fail:
            raise Failed("the database is away")
        self.changes.append(change)

    def start(self, positions: Mapping[int, Position] | None = None) -> Receiving:
        self.source.start(positions or {})
        self.client = httpx2.Client(
            base_url=f"http://127.0.0.1:{self.source.port}", timeout=10, trust_env=False
        )
        return self

    def post(self, content: bytes, path: str = "/v1/interactions", **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(path, content=content, headers=named)

    def close(self) -> None:
        self.client.close()
        self.source.close()


@pytest.fixture
def receiving(tmp_path: Path) -> Iterator[Callable[..., Receiving]]:
    made: list[Receiving] = []

    def make(**settings: Any) -> Receiving:
        made.append(Receiving(tmp_path, **settings).start())
        return made[-1]

    yield make
    for one in made:
        one.close()


class TestContract(SeekableContract):
    """What every source promises."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> Iterator[None]:
        self.folder = tmp_path
        self.sources: list[HttpSource] = []
        yield
        for source in self.sources:
            source.close()

    def make(self) -> Source:
        settings = HttpSettings(journal=self.folder / "journal", segment_bytes=300)
        self.sources.append(HttpSource("http://127.0.0.1:0", settings))
        return self.sources[-1]

    def write(self, values: Sequence[bytes]) -> None:
        listening = [source for source in self.sources if source.port]
        if listening:
            url = f"http://127.0.0.1:{listening[-1].port}/v1/interactions"
            assert httpx2.post(url, content=b"\n".join(values)).status_code == 202
            return
        with closing(Journal(self.folder / "journal", segment_bytes=300)) as journal:
            for start in range(0, len(values), 4):
                journal.append([Item(v) for v in values[start : start + 4]], at=1.0)


RECORDS = [b'{"id":"a","response":"1"}', b'{"id":"b","response":"2"}']


@pytest.mark.parametrize(
    "body",
    [
        b"\n".join(RECORDS),
        b"\r\n".join(RECORDS) + b"\n\n",
        b"[" + b",".join(RECORDS) + b"]",
        gzip.compress(b"\n".join(RECORDS), mtime=0),
    ],
)
def test_records_may_come_as_lines_or_as_an_array_packed_or_not(
    receiving: Callable[..., Receiving], body: bytes
) -> None:
    one = receiving(clock=lambda: 1_800_000_000.0)
    packed = {"Content_Encoding": "gzip"} if body.startswith(b"\x1f") else {}
    answer = one.post(body, **packed)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 2, "rejected": []})
    reading = read_all(one.source)
    assert reading.values == RECORDS
    assert {record.ingest for record in reading.records} == {1_800_000_000.0}


def test_one_object_over_several_lines_is_one_record() -> None:
    assert records_of(b'{\n  "id": "a",\n  "response": "x"\n}') == [
        b'{   "id": "a",   "response": "x" }'
    ]


def test_what_cannot_be_a_record_is_named_and_becomes_a_dead_letter(
    receiving: Callable[..., Receiving],
) -> None:
    one = receiving(max_record_bytes=100)
    body = b"\n".join(
        [RECORDS[0], b"not json", b"[1]", b'{"id":"' + b"x" * 100 + b'"}', RECORDS[1]]
    )
    answer = one.post(body)
    assert answer.status_code == 202
    assert answer.json() == {
        "accepted": 2,
        "rejected": [
            {"index": 1, "reason": "not_json"},
            {"index": 2, "reason": "not_an_object"},
            {"index": 3, "reason": "too_large"},
        ],
    }
    reading = read_all(one.source)
    assert reading.values == RECORDS
    assert [(r.offset, r.reason) for r in reading.rejected] == [
        (1, "not_json"), (2, "not_an_object"), (3, "too_large"),
    ]  # fmt: skip


def test_a_request_that_is_sent_again_under_its_key_counts_once(
    receiving: Callable[..., Receiving],
) -> None:
    one = receiving()
    first = one.post(b"\n".join(RECORDS), Idempotency_Key="k1")
    again = one.post(b"\n".join(RECORDS), Idempotency_Key="k1")
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert one.post(b"\n".join(RECORDS), Idempotency_Key="k2").status_code == 202
    assert read_all(one.source).values == RECORDS * 2
    assert one.post(RECORDS[0], Idempotency_Key="k1").status_code == 400


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {}, 400),
        (b"  \n ", {}, 400),
        (b"[]", {}, 400),
        (RECORDS[0], {"Content_Encoding": "br"}, 400),
        (RECORDS[0], {"Content_Encoding": "gzip"}, 400),
        (gzip.compress(RECORDS[0], mtime=0)[:-4], {"Content_Encoding": "gzip"}, 400),
        (RECORDS[0], {"Idempotency_Key": "x" * 300}, 400),
        (b" " * 2000, {}, 413),
        (gzip.compress(b" " * 100_000, mtime=0), {"Content_Encoding": "gzip"}, 413),
    ],
)
def test_a_bad_request_is_refused_and_nothing_of_it_kept(
    receiving: Callable[..., Receiving], body: bytes, headers: dict[str, str], status: int
) -> None:
    one = receiving(max_body_bytes=1500)
    assert one.post(body, **headers).status_code == status
    assert one.source.lag() == {0: 0}


def test_who_does_not_know_the_token_learns_nothing_and_sends_nothing(
    receiving: Callable[..., Receiving],
) -> None:
    one = receiving(token=TOKEN)
    for authorization in ("", "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x"):
        answer = one.post(RECORDS[0], Authorization=authorization)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert TOKEN not in answer.text
    assert one.post(RECORDS[0], "/v1/events").status_code == 401
    assert one.source.lag() == {0: 0}
    assert one.post(RECORDS[0], Authorization=f"Bearer {TOKEN}").status_code == 202


def test_strangers_on_other_machines_need_a_token_unless_somebody_says_so(tmp_path: Path) -> None:
    for url in ("http://:8080", "http://0.0.0.0:8080", "http://10.0.0.1:8080"):
        with pytest.raises(SourceError, match="token_file"):
            open_source(url)
    HttpSource("http://:8080", HttpSettings(anonymous=True))
    HttpSource("http://:8080", HttpSettings(token=TOKEN))
    assert TOKEN not in repr(HttpSettings(token=TOKEN))


def test_other_paths_and_methods_are_told_what_there_is(
    receiving: Callable[..., Receiving],
) -> None:
    one = receiving()
    assert one.post(b"{}", "/v2/interactions").status_code == 404
    got = one.client.get("/v1/interactions")
    assert (got.status_code, got.headers["Allow"]) == (405, "POST")


def test_while_too_much_waits_senders_are_asked_to_come_back(
    receiving: Callable[..., Receiving],
) -> None:
    one = receiving(max_pending_bytes=100)
    statuses = [one.post(RECORDS[0]).status_code for _ in range(8)]
    assert statuses[-1] == 429
    accepted = statuses.count(202)
    refused = one.post(RECORDS[0])
    assert int(refused.headers["Retry-After"]) > 0
    assert len(read_all(one.source).values) == accepted
    assert one.post(RECORDS[0]).status_code == 202


def test_what_waits_is_known_after_a_restart(tmp_path: Path) -> None:
    one = Receiving(tmp_path, max_pending_bytes=100).start()
    while one.post(RECORDS[0]).status_code == 202:
        pass
    waiting = one.source.lag()
    one.close()
    two = Receiving(tmp_path, max_pending_bytes=100).start()
    assert two.source.lag() == waiting
    assert two.post(RECORDS[0]).status_code == 429
    two.close()


def test_a_disk_that_fails_is_answered_503_and_nothing_is_promised(
    receiving: Callable[..., Receiving], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = receiving()
    import os

    def full(_: int, __: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "write", full)
        answer = one.post(RECORDS[0])
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert one.source.lag() == {0: 0}
    assert one.post(RECORDS[0]).status_code == 202


def test_segments_the_store_has_are_removed(
    receiving: Callable[..., Receiving], tmp_path: Path
) -> None:
    one = receiving()
    for _ in range(40):
        assert one.post(b"\n".join(RECORDS)).status_code == 202
    many = len(list((tmp_path / "journal").glob("*.journal")))
    one.source.acknowledge(read_all(one.source).positions)
    assert len(list((tmp_path / "journal").glob("*.journal"))) < many


def test_a_journal_that_is_gone_is_told_as_lost_and_one_that_is_another_is_refused(
    tmp_path: Path,
) -> None:
    one = Receiving(tmp_path / "gone").start({0: Position(50)})
    reading = Reading().poll(one.source)
    assert reading.lost == {0: 0}
    assert one.post(RECORDS[0]).status_code == 202
    after = read_all(one.source)
    assert (after.offsets, after.lost) == ([50], {})
    one.close()
    two = Receiving(tmp_path / "gone")
    with pytest.raises(PositionConflict, match="counted 60"):
        two.source.start({0: Position(60)})
    two.source.close()


def test_an_address_that_is_taken_is_said_with_its_fix(
    receiving: Callable[..., Receiving], tmp_path: Path
) -> None:
    one = receiving()
    other = HttpSource(f"http://127.0.0.1:{one.source.port}", HttpSettings(journal=tmp_path / "j2"))
    with pytest.raises(SourceError, match="port that is free"):
        other.start({})
    other.close()


def test_a_client_that_sends_its_body_in_drops_holds_nobody_up(
    receiving: Callable[..., Receiving],
) -> None:
    one = receiving()
    slow = [socket.create_connection(("127.0.0.1", one.source.port)) for _ in range(20)]
    for connection in slow:
        connection.sendall(
            b"POST /v1/interactions HTTP/1.1\r\nHost: x\r\nContent-Length: 90\r\n\r\n{"
        )
    assert one.post(RECORDS[0]).status_code == 202
    for connection in slow:
        connection.close()


def test_many_senders_at_once_lose_nothing(receiving: Callable[..., Receiving]) -> None:
    one = receiving()
    statuses: list[int] = []

    def send(n: int) -> None:
        for i in range(15):
            body = json.dumps({"id": f"{n}-{i}", "response": "x"}).encode()
            statuses.append(one.post(body).status_code)

    threads = [threading.Thread(target=send, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [202] * 90
    ids = [json.loads(value)["id"] for value in read_all(one.source, 7).values]
    assert sorted(ids) == sorted(f"{n}-{i}" for n in range(6) for i in range(15))


CHANGE = {"deployment": "chat", "kind": "adapter", "by": "ci", "artifact": "m@2", "reason": "T-1"}


def test_changes_are_noted_with_who_and_why_and_when(
    receiving: Callable[..., Receiving],
) -> None:
    one = receiving()
    timed = CHANGE | {"at": "2026-01-31T09:00:00+01:00"}
    answer = one.post(json.dumps([CHANGE, timed]).encode(), "/v1/events")
    assert (answer.status_code, answer.json()) == (202, {"accepted": 2, "rejected": []})
    assert [(c.kind, c.by, c.reason) for c in one.changes] == [("adapter", "ci", "T-1")] * 2
    assert when(one.changes[1], 0.0) == "2026-01-31T08:00:00Z"
    assert when(one.changes[0], 1_800_000_000.0) == "2027-01-15T08:00:00Z"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "deploy", "by": "x"}, "deployment"),
        (CHANGE | {"kind": "secret-kind"}, "kind: cannot be read; send deploy, adapter, prompt or"),
        (CHANGE | {"at": "tomorrow"}, "at: cannot be read; send RFC 3339"),
        (CHANGE | {"by": ""}, "by"),
        (CHANGE | {"at": "2026-01-31T09:00:00"}, "time zone"),
        (CHANGE | {"artifact": "x" * 600}, "artifact"),
        (CHANGE | {"reason": "a\nb"}, "reason"),
        ([1], "cannot be read"),
    ],
)
def test_a_change_that_cannot_be_noted_is_refused_by_field_and_never_quoted(
    receiving: Callable[..., Receiving], change: Any, said: str
) -> None:
    one = receiving()
    answer = one.post(json.dumps(change).encode(), "/v1/events")
    assert answer.status_code == 400
    assert said in answer.json()["error"]
    assert "secret-kind" not in answer.text
    assert one.changes == []


def test_a_store_that_is_away_makes_senders_of_changes_try_again(
    receiving: Callable[..., Receiving],
) -> None:
    one = receiving()
    one.fail = True
    answer = one.post(json.dumps(CHANGE).encode(), "/v1/events")
    assert (answer.status_code, one.changes) == (503, [])
    assert "Retry-After" in answer.headers


class Unflushed(HttpSource):
    """Hands a restart nothing: the journal is not consulted."""

    def start(self, positions: Mapping[int, Position]) -> None:
        super().start(positions)
        inbox = self._inbox
        assert inbox._journal is not None
        assert inbox._reader is not None
        inbox._next = inbox._reader.next = inbox._journal.end


def test_the_contract_notices_a_source_that_forgets_what_waited(tmp_path: Path) -> None:
    class Broken(TestContract):
        def make(self) -> Source:
            settings = HttpSettings(journal=self.folder / "journal", segment_bytes=300)
            self.sources.append(Unflushed("http://127.0.0.1:0", settings))
            return self.sources[-1]

    check = Broken()
    check.folder, check.sources = tmp_path, []
    with pytest.raises(AssertionError):
        check.test_records_arrive_once_and_in_order()
    for source in check.sources:
        source.close()
