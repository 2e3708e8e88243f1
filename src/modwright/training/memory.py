"""Telling that the memory was too small, as processors and GPUs say it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from modwright.errors import TrainingError

_WORDS = ("not enough memory", "out of memory", "can't allocate memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory could not be had."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _WORDS)


@contextmanager
def memory_told(doing: str, remedy: str) -> Iterator[None]:
    """Turn such an error, where nothing can be computed in smaller parts, into a TrainingError with a remedy."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(f"out of memory {doing}: {error}", remedy=remedy) from error
