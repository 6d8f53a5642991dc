"""Output files hold every line once, whenever a process died."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from monitor.pipeline.outputs import FileOutput, OutputError, open_output, output_key


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "alerts.jsonl"


def written(path: Path, *lines: str, stored: int | None = None) -> int:
    """Write and prepare `lines`, as a run that dies before its commit; the length."""
    with closing(FileOutput(str(path), stored)) as output:
        output.write(line.encode() for line in lines)
        length = output.prepare()
        assert length is not None
        return length


def test_lines_of_a_batch_that_was_not_committed_are_cut_off(path: Path) -> None:
    committed = written(path, "one", "two")
    written(path, "three", stored=committed)
    written(path, "three again", stored=committed)
    assert path.read_text() == "one\ntwo\nthree again\n"


def test_a_file_that_the_store_does_not_know_is_continued(path: Path) -> None:
    path.write_text("of somebody else\n")
    written(path, "one")
    assert path.read_text() == "of somebody else\none\n"


def test_a_file_that_became_shorter_is_continued_with_a_warning(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text("a\n")
    written(path, "b", stored=100)
    assert path.read_text() == "a\nb\n"
    assert "shorter than it was" in caplog.text


def test_a_discarded_batch_goes_out_of_the_open_file(path: Path) -> None:
    with closing(FileOutput(str(path), None)) as output:
        output.write([b"kept"])
        stored = output.prepare()
        output.committed()
        output.write([b"discarded"])
        output.prepare()
        output.cut(stored)
        output.write([b"next"])
        output.prepare()
    assert path.read_text() == "kept\nnext\n"


def test_without_a_stored_length_a_discarded_batch_goes_back_to_the_last_commit(
    path: Path,
) -> None:
    path.write_text("before\n")
    with closing(FileOutput(str(path), None)) as output:
        output.write([b"discarded"])
        output.cut(None)
        output.prepare()
    assert path.read_text() == "before\n"


def test_folders_are_made(tmp_path: Path) -> None:
    written(tmp_path / "new" / "folder" / "out.jsonl", "one")
    assert (tmp_path / "new" / "folder" / "out.jsonl").read_text() == "one\n"


def test_two_kinds_of_lines_cannot_share_a_file(path: Path) -> None:
    with closing(FileOutput(str(path), None)), pytest.raises(OutputError, match="a file of its"):
        FileOutput(str(path), None)


@pytest.mark.parametrize("name", ["", "/dev/null", "/dev/full"])
def test_what_is_no_regular_file_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"cannot be written|not a regular file") as caught:
        FileOutput(name or str(tmp_path), None)
    assert "\n" not in str(caught.value)


def test_the_store_knows_a_file_wherever_the_process_was_started(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    assert output_key(path.name) == output_key(str(path)) == str(path)


def test_standard_output_shows_a_line_only_once_it_is_stored(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    output = open_output("-", {})
    output.write([b"one"])
    assert output.prepare() is None
    assert capsysbinary.readouterr().out == b""
    output.committed()
    output.committed()
    assert capsysbinary.readouterr().out == b"one\n"
    output.write([b"discarded"])
    output.cut(None)
    output.committed()
    assert capsysbinary.readouterr().out == b""
