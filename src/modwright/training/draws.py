"""The random states of a run, apart from everybody else's: its own while it computes, the caller's again afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import torch


class Draws:
    """The states of torch's and numpy's global generators as one run has left them, as tensors by name."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        self.state = dict(state)

    @classmethod
    def seeded(cls, seed: int) -> Self:
        """Return the states right after seeding; the caller's are as before."""
        outside = _now()
        torch.manual_seed(seed)
        np.random.seed(seed)
        inside = _now()
        _set(outside)
        return cls(inside)

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Draw from these states; where the block raises they stay as they were at its beginning."""
        outside = _now()
        _set(self.state)
        try:
            yield
            self.state = _now()
        finally:
            _set(outside)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Draw from these states and leave them, and the caller's, as they are."""
        outside = _now()
        _set(self.state)
        try:
            yield
        finally:
            _set(outside)

    def names(self) -> dict[str, None]:
        """Return the names of the states, as `Parallel.load` takes them."""
        return dict.fromkeys(self.state)


def _now() -> dict[str, Any]:
    name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    assert name == "MT19937"
    state = {
        "draws/torch": torch.get_rng_state(),
        "draws/numpy": torch.from_numpy(np.asarray(keys).astype(np.int64)),
        "draws/numpy-position": torch.tensor([position, has_gauss], dtype=torch.int64),
        "draws/numpy-gauss": torch.tensor([gauss], dtype=torch.float64),
    }
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        state["draws/cuda"] = torch.cuda.get_rng_state()
    return state


def _set(state: Mapping[str, Any]) -> None:
    torch.set_rng_state(state["draws/torch"])
    position, has_gauss = (int(value) for value in state["draws/numpy-position"])
    keys = state["draws/numpy"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", keys, position, has_gauss, float(state["draws/numpy-gauss"][0])))
    if "draws/cuda" in state:
        torch.cuda.set_rng_state(state["draws/cuda"])
