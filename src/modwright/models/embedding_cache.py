"""Embeddings kept by content hash, so that the same text is never embedded twice with the same base.

One folder per base and layers; every call adds one safetensors file, written aside and renamed, named by its
content. A process that dies leaves no half file behind that a later one would read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from modwright.files import locked
from modwright.schema import Float32Array


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


class EmbeddingCache:
    """The cached embeddings of one base.

    Args:
        folder: where the files lie; made when first written.
        width: D, features per text; files of another width are passed over.
    """

    def __init__(self, folder: Path, width: int) -> None:
        self._folder = folder
        self._width = width
        self._known: dict[bytes, Float32Array] | None = None

    def _load(self) -> dict[bytes, Float32Array]:
        if self._known is None:
            self._known = {}
            for path in sorted(self._folder.glob("*.safetensors")):
                try:
                    tensors = load_file(path)
                    keys, values = tensors["keys"], tensors["values"]
                except Exception:  # a damaged cache file is no reason to fail: it is removed and made again
                    path.unlink(missing_ok=True)
                    continue
                if values.ndim == 2 and values.shape == (len(keys), self._width):
                    self._known.update(
                        (key.tobytes(), value) for key, value in zip(keys, values, strict=True)
                    )
        return self._known

    def get(self, texts: Sequence[str]) -> dict[int, Float32Array]:
        """Return row number to embedding (D,) for the texts that are known."""
        known = self._load()
        found = ((row, known.get(_key(text))) for row, text in enumerate(texts))
        return {row: value for row, value in found if value is not None}

    def put(self, texts: Sequence[str], values: Float32Array) -> None:
        """Keep embeddings (N, D) of N texts."""
        keys = [_key(text) for text in texts]
        known = self._load()
        known.update(zip(keys, values, strict=True))
        packed = np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, 32)
        name = hashlib.sha256(b"".join(sorted(keys))).hexdigest()[:32]
        self._folder.mkdir(parents=True, exist_ok=True)
        final = self._folder / f"{name}.safetensors"
        with locked(final):  # another run may be at the same texts
            staging = self._folder / f".{name}.partial"
            save_file({"keys": packed, "values": np.ascontiguousarray(values)}, staging)
            staging.replace(final)
