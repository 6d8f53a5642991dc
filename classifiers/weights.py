"""Weights on disk: int8 tables in an uncompressed-text-free ``.npz``, pinned by sha256.

``weights/manifest.json`` names every version that ships and its digest. A file that is missing
or was changed is refused: a baseline is only comparable with verdicts of the very same weights.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from classifiers.hashing import Grams, Hasher

DIRECTORY: Final = Path(__file__).parent / "weights"
SCHEMA: Final = "backslide.weights/1"
NAME: Final = "linear"

TEMPERATURE: Final = 1.25
"""P(refused) = sigmoid(z / 1.25): a head trained on easy rows is too sure of hard ones."""

KOREAN: Final = "refused_ko"
"""Name of the head that reads Korean responses; `linear-1` and `linear-2` have none."""

KNOWN_BITS: Final = 20
"""Words that the heads can read are kept as a set of 2^20 buckets."""


class WeightsError(Exception):
    """The weights cannot be used; the message is one line and names the file and the fix."""


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A linear model of hashed n-grams: ``bias + scale * sum(table) / sqrt(n-grams)``.

    Attributes:
        table: int8 ``(buckets + 1, columns)``; the last row is zero (no n-gram).
        scale: logit per unit of `table`.
        bias: float64 ``(columns,)``.
    """

    hasher: Hasher
    table: NDArray[np.int8]
    scale: float
    bias: NDArray[np.float64]

    def logits(self, grams: Grams) -> NDArray[np.float64]:
        """``(rows, columns)``; integer sums first, so no row depends on its neighbours."""
        sums = grams.sums(self.table).astype(np.float64)
        root = np.sqrt(np.maximum(grams.sizes(), 1).astype(np.float64))
        logits: NDArray[np.float64] = sums * self.scale / root[:, None] + self.bias
        return logits

    @classmethod
    def quantise(
        cls, hasher: Hasher, weights: NDArray[np.float64], bias: NDArray[np.float64]
    ) -> Head:
        """int8 with one global scale max|w| / 127; `weights` is ``(buckets, columns)``."""
        scale = float(np.abs(weights).max()) / 127 or 1.0
        table = np.zeros((hasher.buckets + 1, weights.shape[1]), dtype=np.int8)
        table[:-1] = np.rint(weights / scale).astype(np.int8)
        return cls(hasher, table, scale, np.asarray(bias, dtype=np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Everything the linear classifier needs."""

    version: str
    heads: Mapping[str, Head]
    known: NDArray[np.bool_]
    """``(2^20,)``: buckets of the words that are common in text the heads can read."""
    digest: str = ""


class _Header(msgspec.Struct, frozen=True):
    schema: str
    version: str
    heads: dict[str, dict[str, float]]


def save(weights: Weights, directory: Path) -> str:
    """Write ``linear-<version>.npz`` and its line in the manifest; returns the sha256.

    The same weights give the same bytes: members are stored in order with a fixed date.
    """
    header = _Header(
        SCHEMA,
        weights.version,
        {
            name: {
                "limit": head.hasher.limit,
                "words": head.hasher.words,
                "bits": head.hasher.bits,
                "chars": head.hasher.chars,
                "syllables": head.hasher.syllables,
                "scale": head.scale,
            }
            for name, head in weights.heads.items()
        },
    )
    arrays: dict[str, NDArray[np.generic]] = {
        "header": np.frombuffer(msgspec.json.encode(header), dtype=np.uint8),
        "known": np.packbits(weights.known),
    }
    for name, head in weights.heads.items():
        arrays[f"{name}.table"] = head.table
        arrays[f"{name}.bias"] = head.bias
    content = _archive(arrays)
    digest = hashlib.sha256(content).hexdigest()
    file = f"{NAME}-{weights.version}.npz"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / file).write_bytes(content)
    path = directory / "manifest.json"
    manifest = _manifest(directory) if path.exists() else _Manifest("", {})
    manifest.default = weights.version
    manifest.versions[weights.version] = _Version(file, digest)
    encoded = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    path.write_bytes(encoded + b"\n")
    return digest


def load(version: str | None = None, directory: Path = DIRECTORY) -> Weights:
    """The weights of `version` (the manifest's default if ``None``; an identity also names one).

    Raises:
        WeightsError: unknown version, missing or changed file.
    """
    manifest = _manifest(directory)
    entry = _entry(manifest, version or manifest.default)
    path = directory / entry.file
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"classifier weights {path.name}: cannot be read ({error.strerror}); reinstall"
            " backslide or run `make train`"
        ) from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != entry.sha256:
        raise WeightsError(
            f"classifier weights {path.name}: sha256 {digest[:12]}... is not the"
            f" {entry.sha256[:12]}... of manifest.json; the file was changed or damaged,"
            " reinstall backslide or run `make train`"
        )
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        header = msgspec.json.decode(arrays["header"].tobytes(), type=_Header)
        heads = {name: _head(arrays, name, spec) for name, spec in header.heads.items()}
        known = np.unpackbits(arrays["known"]).astype(bool)
    return Weights(header.version, heads, known, digest)


def versions(directory: Path = DIRECTORY) -> Mapping[str, str]:
    """Version -> sha256 of every version that ships."""
    return {name: entry.sha256 for name, entry in _manifest(directory).versions.items()}


def _head(arrays: Mapping[str, NDArray[np.generic]], name: str, spec: Mapping[str, float]) -> Head:
    hasher = Hasher(
        limit=int(spec["limit"]),
        words=int(spec["words"]),
        bits=int(spec["bits"]),
        chars=int(spec["chars"]),
        syllables=int(spec.get("syllables", 0)),
    )
    table = np.ascontiguousarray(arrays[f"{name}.table"]).astype(np.int8, copy=False)
    bias = arrays[f"{name}.bias"].astype(np.float64, copy=False)
    return Head(hasher, table, spec["scale"], bias)


class _Version(msgspec.Struct, frozen=True):
    file: str
    sha256: str


class _Manifest(msgspec.Struct):
    default: str
    versions: dict[str, _Version]


def _manifest(directory: Path) -> _Manifest:
    path = directory / "manifest.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise WeightsError(
            f"classifier weights {path.name}: cannot be read ({type(error).__name__}); reinstall"
            " backslide or run `make train`"
        ) from None


def _entry(manifest: _Manifest, wanted: str) -> _Version:
    digest = wanted.partition("+")[0].rpartition("sha256:")[2]
    for version, entry in manifest.versions.items():
        if wanted == version or digest == entry.sha256:
            return entry
    known = ", ".join(manifest.versions) or "none"
    raise WeightsError(f"classifier weights: no version {wanted!r}; versions that ship: {known}")


def _archive(arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, member.getvalue(), compresslevel=9)
    return out.getvalue()
