"""Hashed n-grams of a batch of texts: one code path for training and for serving.

Tokens are runs of the bytes ``[a-z0-9']`` and of bytes from 0x80 on. A token's hash is a
polynomial over its bytes modulo 2^64, taken from differences of running sums, so a whole batch
is hashed by a handful of NumPy operations. An n-gram's hash is a multiplicative combination of
its tokens' hashes (for Korean: of its syllables); its bucket is the top bits of the product with
an odd constant (Dietzfelbinger et al., "A reliable randomized algorithm for the closest-pair
problem", 1997).

Everything is integer arithmetic: a text's buckets never depend on the batch it came in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from classifiers.text import fold

_PRIME: Final = 0x100000001B3
_PRIME_INVERSE: Final = pow(_PRIME, -1, 1 << 64)
_MIX: Final = 0x9E3779B97F4A7C15
_SECOND: Final = 0xC2B2AE3D27D4EB4F
_THIRD: Final = 0x165667B19E3779F9
_BOS: Final = 0x27D4EB2F165667C5
_MASK: Final = (1 << 64) - 1

_TOKEN_BYTE: Final = np.zeros(256, dtype=bool)
_TOKEN_BYTE[list(b"abcdefghijklmnopqrstuvwxyz0123456789'")] = True
_TOKEN_BYTE[0x80:] = True

_SYLLABLE_POINT: Final = np.zeros(0x10000, dtype=bool)
_SYLLABLE_POINT[:0x80] = _TOKEN_BYTE[:0x80]
_SYLLABLE_POINT[0xAC00:0xD7A4] = True


@dataclass(frozen=True, slots=True)
class Grams:
    """Buckets of the n-grams of a batch, row after row; repeats are kept.

    Attributes:
        buckets: ``(N,)``; `null` stands for "no n-gram here" and is skipped.
        starts: ``(rows + 1,)``, row i is ``buckets[starts[i]:starts[i + 1]]``, never empty.
        null: the number of buckets, which is no bucket.
    """

    buckets: NDArray[np.uint32]
    starts: NDArray[np.int64]
    null: int

    def __len__(self) -> int:
        return len(self.starts) - 1

    def sizes(self) -> NDArray[np.int64]:
        """n-grams per row, ``(rows,)``."""
        real = (self.buckets != self.null).astype(np.int64)
        sizes: NDArray[np.int64] = np.add.reduceat(real, self.starts[:-1])
        return sizes

    def sums(self, table: NDArray[np.int8]) -> NDArray[np.int32]:
        """Sum of the rows of `table` ``(null + 1, ...)`` over each text's n-grams; exact."""
        picked = np.take(table, self.buckets, axis=0)
        sums: NDArray[np.int32] = np.add.reduceat(picked, self.starts[:-1], axis=0, dtype=np.int32)
        return sums

    def matrix(self) -> csr_matrix:
        """Counts divided by the square root of the number of n-grams, ``(rows, null)``."""
        weights = np.repeat(1 / np.sqrt(np.maximum(self.sizes(), 1)), np.diff(self.starts))
        keep = self.buckets != self.null
        kept = np.concatenate([[0], np.cumsum(keep)])[self.starts]
        matrix = csr_matrix(
            (weights[keep].astype(np.float32), self.buckets[keep].astype(np.int32), kept),
            shape=(len(self), self.null),
        )
        matrix.sum_duplicates()
        return matrix


@dataclass(frozen=True, slots=True)
class Hasher:
    """Which n-grams of the first `limit` characters go into 2^`bits` buckets.

    Word n-grams of lengths 1 to `words` include a virtual begin-of-text token, so that
    "<begin> i can" differs from "i can" further on. With `chars` the text's n-grams of that many
    bytes (gaps between tokens squeezed to one space) are added.

    With `syllables` there are no words: n-grams of 2 to that many Hangul syllables, Latin letters
    and digits, a begin-of-text mark among them. Spaces do not count, because Korean endings decide
    and writers differ in what they write apart.
    """

    limit: int
    words: int
    bits: int
    chars: int = 0
    syllables: int = 0

    @property
    def buckets(self) -> int:
        return 1 << self.bits

    def __call__(self, texts: Sequence[str]) -> Grams:
        """n-grams of each text, in order. `texts` must not be empty."""
        folded = fold(texts, self.limit)
        return self._syllables(folded) if self.syllables else self.grams(Tokens.read(folded))

    def grams(self, tokens: Tokens) -> Grams:
        """n-grams of texts already folded to `limit` and split."""
        words = self._words(tokens)
        if not self.chars:
            return words
        return _side_by_side(words, self._chars(tokens))

    def _words(self, tokens: Tokens) -> Grams:
        hashes, starts = tokens.hashes, tokens.starts
        n = len(hashes)
        row_end = np.zeros(n + 1, dtype=bool)
        row_end[starts[1:]] = True
        grams = np.full((n, self.words), self.buckets, dtype=np.uint32)
        grams[:, 0] = self._bucket(hashes)
        if self.words > 1 and n > 1:
            pairs = hashes[:-1] * np.uint64(_SECOND) + _rotated(hashes[1:])
            inside = ~row_end[1:n]
            grams[:-1, 1] = np.where(inside, self._bucket(pairs), self.buckets)
            if self.words > 2 and n > 2:
                triples = pairs[:-1] * np.uint64(_THIRD) + _rotated(hashes[2:])
                inside = inside[:-1] & inside[1:]
                grams[:-2, 2] = np.where(inside, self._bucket(triples), self.buckets)
        return Grams(grams.reshape(-1), starts * self.words, self.buckets)

    def _chars(self, tokens: Tokens) -> Grams:
        text, starts = tokens.squeezed, tokens.squeezed_starts
        n = len(text)
        grams = np.full(n, self.buckets, dtype=np.uint32)
        size = self.chars
        if n >= size:
            packed = np.zeros(n - size + 1, dtype=np.uint64)
            broken = np.zeros(n - size + 1, dtype=bool)
            for k in range(size):
                part = text[k : n - size + 1 + k]
                packed |= part.astype(np.uint64) << np.uint64(8 * k)
                broken |= part == 0
            grams[: n - size + 1] = np.where(
                broken, self.buckets, self._bucket(packed * np.uint64(_SECOND))
            )
        return Grams(grams, starts, self.buckets)

    def _syllables(self, folded: bytes) -> Grams:
        text = np.frombuffer(folded.decode("utf-8").encode("utf-32-le"), dtype="<u4")
        kept = _SYLLABLE_POINT[np.minimum(text, 0xFFFF)] | (text == 0)
        # The NUL that ended a text now leads it: the begin-of-text mark.
        points = np.roll(text[kept], 1).astype(np.uint64)
        leads = points == 0
        n = len(points)
        grams = np.full((n, self.syllables - 1), self.buckets, dtype=np.uint32)
        hashes, crosses = points, np.zeros(n, dtype=bool)
        for size in range(2, min(self.syllables, n) + 1):
            hashes = hashes[:-1] * np.uint64(_SECOND) + points[size - 1 :] + np.uint64(size)
            crosses = crosses[:-1] | leads[size - 1 :]
            grams[: len(hashes), size - 2] = np.where(crosses, self.buckets, self._bucket(hashes))
        starts = np.append(np.flatnonzero(leads), n) * (self.syllables - 1)
        return Grams(grams.reshape(-1), starts, self.buckets)

    def _bucket(self, hashes: NDArray[np.uint64]) -> NDArray[np.uint32]:
        return bucket(hashes, self.bits)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token hashes of folded texts, each text led by the begin-of-text token.

    Attributes:
        hashes: ``(T,)``.
        starts: ``(rows + 1,)``, text i is ``hashes[starts[i]:starts[i + 1]]``.
        squeezed: the bytes with every gap between tokens squeezed to one space; NUL ends a text.
        squeezed_starts: ``(rows + 1,)`` into `squeezed`.
    """

    hashes: NDArray[np.uint64]
    starts: NDArray[np.int64]
    squeezed: NDArray[np.uint8]
    squeezed_starts: NDArray[np.int64]

    @classmethod
    def read(cls, folded: bytes) -> Tokens:
        """Tokens of what `classifiers.text.fold` returned."""
        text = np.frombuffer(folded, dtype=np.uint8)
        inside = _TOKEN_BYTE[text]
        ends_text = text == 0
        rows = int(np.count_nonzero(ends_text))
        step = np.diff(inside.astype(np.int8), prepend=0)
        first = np.flatnonzero(step == 1)
        last = np.flatnonzero(step == -1)
        words = _token_hashes(text, inside, first, last)

        text_ends = np.flatnonzero(ends_text)
        before = np.searchsorted(first, text_ends)
        starts = np.zeros(rows + 1, dtype=np.int64)
        starts[1:] = before + np.arange(1, rows + 1)
        hashes = np.empty(len(words) + rows, dtype=np.uint64)
        lead = np.zeros(len(hashes), dtype=bool)
        lead[starts[:-1]] = True
        hashes[lead] = _BOS
        hashes[~lead] = words

        gap = ~inside
        keep = inside | ends_text
        keep[1:] |= gap[1:] & inside[:-1]
        squeezed = np.where(gap & ~ends_text, np.uint8(32), text)[keep]
        squeezed_starts = np.zeros(rows + 1, dtype=np.int64)
        squeezed_starts[1:] = np.flatnonzero(squeezed == 0) + 1
        return cls(hashes, starts, squeezed, squeezed_starts)


def bucket(hashes: NDArray[np.uint64], bits: int) -> NDArray[np.uint32]:
    """One of 2^`bits` buckets for each hash."""
    mixed = (hashes ^ (hashes >> np.uint64(32))) * np.uint64(_MIX)
    return (mixed >> np.uint64(64 - bits)).astype(np.uint32)


def _token_hashes(
    text: NDArray[np.uint8],
    inside: NDArray[np.bool_],
    first: NDArray[np.int64],
    last: NDArray[np.int64],
) -> NDArray[np.uint64]:
    """sum over a token's bytes of (byte + 1) P^j, j from 0, modulo 2^64."""
    powers, inverses = _powers(_ceil_power(len(text)))
    terms = (text.astype(np.uint64) + np.uint64(1)) * powers[: len(text)]
    running = np.zeros(len(text) + 1, dtype=np.uint64)
    np.cumsum(terms, out=running[1:])
    return (running[last] - running[first]) * inverses[first]


def _rotated(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return (hashes << np.uint64(29)) | (hashes >> np.uint64(35))


def _side_by_side(left: Grams, right: Grams) -> Grams:
    """Rows of `left` followed by those of `right`."""
    starts = left.starts + right.starts
    buckets = np.empty(int(starts[-1]), dtype=np.uint32)
    into_left = np.repeat(right.starts[:-1], np.diff(left.starts))
    into_right = np.repeat(left.starts[1:], np.diff(right.starts))
    buckets[np.arange(len(left.buckets)) + into_left] = left.buckets
    buckets[np.arange(len(right.buckets)) + into_right] = right.buckets
    return Grams(buckets, starts, left.null)


def _ceil_power(n: int) -> int:
    return 1 << max(12, (n - 1).bit_length())


@lru_cache(maxsize=4)
def _powers(n: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """P^0 .. P^(n-1) and their inverses modulo 2^64."""
    powers = np.full(n, _PRIME, dtype=np.uint64)
    inverses = np.full(n, _PRIME_INVERSE, dtype=np.uint64)
    powers[0] = inverses[0] = 1
    return np.cumprod(powers), np.cumprod(inverses)
