"""all-MiniLM-L6-v2: the meaning of a sentence as 384 numbers, in numpy.

Holds the six layers and the reader of their weights. The weights are mapped from the file, never
copied: pages are shared between processes and the system may drop them. Must not hold what is done
with the numbers (`retrieval`). Import it where it is used: it needs numpy, and `tokenizers` to
load.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon.errors import ModelError
from antiphon.models.blas import use_one_blas_thread
from antiphon.models.store import Store

__all__ = ["MiniLM", "load_minilm"]

_MODEL = "minilm"
_LAYERS = 6
_HEADS = 12
_SIZE = 384
_LONGEST = 128
"""Tokens of a text that are read.

Source: the model was trained on 128 tokens at most (its model card).
"""
_TOKENS_AT_ONCE = 512
"""Tokens that go through the layers together: as many as make no array above 4 MB."""

_Array = NDArray[np.float32]


class MiniLM:
    """Turns sentences into points: the nearer, the more alike in meaning.

    May be used by several threads at once.

    Args:
        weights: The model's safetensors file.
        tokenizer: Its tokenizer.json.

    Raises:
        ModelError: A file is not what it should be, or `tokenizers` is not installed.
    """

    def __init__(self, weights: Path, tokenizer: Path) -> None:
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise ModelError(
                _MODEL, "needs the library tokenizers: pip install 'antiphon[local]'"
            ) from error
        self._weights = _read_safetensors(weights)
        try:
            self._tokenizer: Any = Tokenizer.from_file(str(tokenizer))
        # The library raises a bare Exception for a file that it cannot read.
        except Exception as error:
            raise ModelError(_MODEL, f"{tokenizer} is no tokenizer file") from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_LONGEST)
        use_one_blas_thread()

    def embed(self, texts: Sequence[str]) -> _Array:
        """Place each text.

        Computes for 6 ms on a short sentence, 0.2 s on sixty: call it off the loop.

        Args:
            texts: Any number of texts; what is beyond 128 tokens of a text is not read.

        Returns:
            float32 of length 1, shape (texts, 384): the scalar product of two is their likeness,
            1 for the same text, about 0 for unrelated ones.
        """
        found = np.empty((len(texts), _SIZE), np.float32)
        batch: list[list[int]] = []
        first, tokens = 0, 0
        for number, text in enumerate(texts):
            ids = self._tokenizer.encode(text).ids
            if batch and tokens + len(ids) > _TOKENS_AT_ONCE:
                found[first:number] = self._run(batch)
                batch, first, tokens = [], number, 0
            batch.append(ids)
            tokens += len(ids)
        if batch:
            found[first:] = self._run(batch)
        return found

    def _run(self, batch: Sequence[Sequence[int]]) -> _Array:
        """Run all layers on texts laid end to end: no padding, and each weight is read once."""
        ends = np.cumsum([len(ids) for ids in batch])
        spans = [slice(int(end) - len(ids), int(end)) for ids, end in zip(batch, ends, strict=True)]
        tokens = np.concatenate([np.asarray(ids) for ids in batch])
        places = np.concatenate([np.arange(len(ids)) for ids in batch])
        x = self._weights["embeddings.word_embeddings.weight"][tokens]
        x += self._weights["embeddings.position_embeddings.weight"][places]
        x += self._weights["embeddings.token_type_embeddings.weight"][0]
        x = self._normalise(x, "embeddings.LayerNorm")
        for layer in range(_LAYERS):
            x = self._layer(x, f"encoder.layer.{layer}.", spans)
        means = np.stack([x[span].mean(axis=0) for span in spans])
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        return means

    def _layer(self, x: _Array, prefix: str, spans: Sequence[slice]) -> _Array:
        attention = f"{prefix}attention."
        query, key, value = (
            self._linear(x, f"{attention}self.{name}").reshape(len(x), _HEADS, -1)
            for name in ("query", "key", "value")
        )
        query *= np.float32((_SIZE / _HEADS) ** -0.5)
        mixed = np.empty_like(value)
        for span in spans:
            scores = query[span].transpose(1, 0, 2) @ key[span].transpose(1, 2, 0)
            scores -= scores.max(axis=-1, keepdims=True)
            np.exp(scores, out=scores)
            scores /= scores.sum(axis=-1, keepdims=True)
            mixed[span] = (scores @ value[span].transpose(1, 0, 2)).transpose(1, 0, 2)
        x = x + self._linear(mixed.reshape(len(x), _SIZE), f"{attention}output.dense")
        x = self._normalise(x, f"{attention}output.LayerNorm")
        inner = _gelu(self._linear(x, f"{prefix}intermediate.dense"))
        return self._normalise(
            x + self._linear(inner, f"{prefix}output.dense"), f"{prefix}output.LayerNorm"
        )

    def _linear(self, x: _Array, name: str) -> _Array:
        y: _Array = x @ self._weights[f"{name}.weight"].T
        y += self._weights[f"{name}.bias"]
        return y

    def _normalise(self, x: _Array, name: str) -> _Array:
        x = x - x.mean(axis=-1, keepdims=True)
        x /= np.sqrt((x * x).mean(axis=-1, keepdims=True) + np.float32(1e-12))
        x *= self._weights[f"{name}.weight"]
        x += self._weights[f"{name}.bias"]
        return x


def load_minilm(store: Store | None = None) -> MiniLM:
    """Load the model from the store. Blocks for 0.1 s: call it in a thread.

    Args:
        store: Where the files lie; this user's store unless given.

    Raises:
        ModelError: A file is missing or damaged, or a library is not installed.
    """
    store = store or Store()
    return MiniLM(store.path(_MODEL, "model.safetensors"), store.path(_MODEL, "tokenizer.json"))


def _gelu(x: _Array) -> _Array:
    """Gaussian error linear unit, by its tanh form, which differs by 0.0005 at most.

    Source: D. Hendrycks, K. Gimpel, Gaussian Error Linear Units, 2016 (arXiv:1606.08415).
    """
    y = x * x
    y *= np.float32(0.044715)
    y += np.float32(1)
    y *= x
    y *= np.float32((2 / np.pi) ** 0.5)
    np.tanh(y, out=y)
    y += np.float32(1)
    y *= x
    y *= np.float32(0.5)
    return y


def _read_safetensors(path: Path) -> dict[str, _Array]:
    """Map the float32 arrays of a safetensors file.

    Source: the format's description: 8 bytes with the header's size, little-endian; the header,
    JSON: name to dtype, shape and the two offsets in what follows; the arrays' bytes.
    """
    try:
        with path.open("rb") as opened:
            mapped = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        begin = 8 + int.from_bytes(mapped[:8], "little")
        header = json.loads(mapped[8:begin])
        return {
            name: np.frombuffer(
                mapped,
                "<f4",
                count=(entry["data_offsets"][1] - entry["data_offsets"][0]) // 4,
                offset=begin + entry["data_offsets"][0],
            ).reshape(entry["shape"])
            for name, entry in header.items()
            if name != "__metadata__" and entry["dtype"] == "F32"
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ModelError(_MODEL, f"{path} cannot be read as safetensors") from error
