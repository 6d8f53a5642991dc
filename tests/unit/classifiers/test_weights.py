"""Weights: changed or missing ones are refused, and no text is in them."""

from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from classifiers import LinearClassifier, WeightsError, versions
from classifiers.hashing import Hasher
from classifiers.weights import DIRECTORY, Head, Weights, load, save


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DIRECTORY, tmp_path / "weights"))


def test_every_version_of_the_manifest_loads() -> None:
    assert len(versions()) >= 1
    for version, digest in versions().items():
        assert LinearClassifier.load(version).identity == f"linear@sha256:{digest}"


def test_weights_changed_by_one_bit_are_refused(copied: Path) -> None:
    file = next(copied.glob(f"linear-{load().version}.npz"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(WeightsError, match=rf"{file.name}: sha256 .*reinstall") as error:
        load(directory=copied)
    assert "\n" not in str(error.value)


def test_missing_weights_are_one_clear_line(copied: Path) -> None:
    for file in copied.glob("*.npz"):
        file.unlink()
    with pytest.raises(WeightsError, match=r"cannot be read .*; reinstall"):
        load(directory=copied)


def test_a_damaged_manifest_is_one_clear_line(copied: Path) -> None:
    (copied / "manifest.json").write_text("{")
    with pytest.raises(WeightsError, match=r"manifest\.json: cannot be read"):
        load(directory=copied)


def test_an_unknown_version_names_those_that_ship() -> None:
    with pytest.raises(WeightsError, match="no version '99'; versions that ship: "):
        load("99")


def test_a_pickle_in_the_weights_is_never_opened(tmp_path: Path) -> None:
    with zipfile.ZipFile(DIRECTORY / f"linear-{load().version}.npz") as archive:
        for name in archive.namelist():
            array = np.lib.format.read_array(io.BytesIO(archive.read(name)), allow_pickle=False)
            assert array.dtype != object


def test_weights_hold_numbers_and_no_training_text() -> None:
    """A readable run of words would have to survive as bytes of an int8 table."""
    weights = load()
    for head in weights.heads.values():
        assert head.table.dtype == np.int8
        raw = head.table.astype(np.uint8).tobytes()
        for word in (b"sorry", b"cannot", b"illegal", b"refuse"):
            assert word not in raw
    with zipfile.ZipFile(DIRECTORY / f"linear-{weights.version}.npz") as archive:
        others = [n for n in archive.namelist() if not n.endswith("table.npy")]
        assert sum(archive.getinfo(n).file_size for n in others if "known" not in n) < 4000


def small() -> Weights:
    hasher = Hasher(limit=10, words=1, bits=4)
    table = np.arange(16, dtype=np.float64).reshape(16, 1)
    head = Head.quantise(hasher, table, np.array([0.5]))
    return Weights("x", {"refused": head}, np.zeros(1 << 20, dtype=bool))


def test_the_same_weights_are_saved_as_the_same_bytes(tmp_path: Path) -> None:
    first, second = (save(small(), tmp_path / name) for name in ("a", "b"))
    assert first == second == versions(tmp_path / "a")["x"]


def test_saved_weights_come_back_equal(tmp_path: Path) -> None:
    save(small(), tmp_path)
    before, after = small().heads["refused"], load("x", tmp_path).heads["refused"]
    np.testing.assert_array_equal(before.table, after.table)
    assert (before.scale, before.hasher) == (after.scale, after.hasher)


def test_the_previous_version_stays_loadable_when_a_new_one_is_saved(tmp_path: Path) -> None:
    save(small(), tmp_path)
    newer = small()
    save(Weights("y", newer.heads, newer.known), tmp_path)
    assert load("x", tmp_path).version == "x"
    assert load(None, tmp_path).version == "y"
