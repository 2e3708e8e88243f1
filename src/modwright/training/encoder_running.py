"""An encoder over rows of tokens: batches, arithmetic, and the states of frozen layers, which are computed once.

With frozen embeddings, frozen lowest layers and no dropout those layers give the same for a text in every epoch; kept,
they save their share of every step and look. They are computed in batches that follow from the rows alone, so that a
resumed run trains on the very same states.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from modwright.models.encoder_inputs import TokenRows
from modwright.models.runtime import length_batches
from modwright.models.trunk import EncoderModel, split, tensors
from modwright.recipe import EncoderRecipe
from modwright.schema import Float32Array, IntArray
from modwright.training.precision import autocast

#: Rows scored at once at most, whatever their tokens: beyond that a batch is only larger, not faster.
_MOST_ROWS = 64
#: States of frozen layers are kept where they take no more than this.
_MOST_KEPT_BYTES = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Kept:
    """The states of all rows after the frozen layers.

    Attributes:
        states: (tokens of all rows, D), row after row.
        rows: whose they are.
    """

    states: Any
    rows: TokenRows

    def batch(self, items: Sequence[int] | IntArray) -> Any:
        """Return (B, T, D) of some rows, zeros where a row has no token."""
        lengths = self.rows.lengths
        parts = [self.states[self.rows.ends[item] - lengths[item] : self.rows.ends[item]] for item in items]
        return torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)


class Runner:
    """Runs a model.

    Args:
        model: frozen as the recipe says.
        recipe: of the family encoder.
        dtype: of products, where float32 is not asked for.
    """

    def __init__(self, model: EncoderModel, recipe: EncoderRecipe, dtype: Any) -> None:
        self._model, self._dtype = model, dtype
        self._max_tokens = recipe.batches.max_tokens
        base = recipe.base
        constant = base.freeze_embeddings and not base.dropout and not base.attention_dropout
        self._halves = split(model.trunk, base.freeze_layers) if constant else None

    def keep(self, rows: TokenRows) -> Kept | None:
        """Return the states of rows after the frozen layers; None where none are frozen or there is no room for them."""
        width = int(self._model.trunk.config.hidden_size)
        size = len(rows.ids) * width * self._dtype.itemsize
        if self._halves is None or not len(rows.ends) or size > _MOST_KEPT_BYTES:
            return None
        states = torch.empty((len(rows.ids), width), dtype=self._dtype)
        lengths = rows.lengths
        with self._scoring(self._dtype, torch.no_grad):
            for items in _batches(rows, self._max_tokens):
                batch = self._batch(rows, items)
                for item, found in zip(items, self._halves.lower(batch), strict=True):
                    end = rows.ends[item]
                    states[end - lengths[item] : end] = found[: lengths[item]].to(self._dtype)
        return Kept(states, rows)

    def logits(self, rows: TokenRows, items: Sequence[int] | IntArray, kept: Kept | None) -> Any:
        """Return logits (B, L over all targets) of some rows, in the arithmetic and mode around."""
        states, mask = self._states(rows, items, kept)
        return self._model.logits(self._model.pooled(states, mask))

    def all_logits(self, rows: TokenRows, kept: Kept | None, *, exact: bool) -> Float32Array:
        """Return logits (W, L over all targets) of all rows; exact ones in float32 and without padding."""
        if exact:
            batches = length_batches(rows.lengths.tolist(), self._max_tokens)
            return self._all(rows, batches, torch.float32, lambda items: self.logits(rows, items, None))
        batches = list(_batches(rows, self._max_tokens))
        return self._all(rows, batches, self._dtype, lambda items: self.logits(rows, items, kept))

    def all_pooled(self, rows: TokenRows, kept: Kept | None, items: IntArray) -> Float32Array:
        """Return pooled features (W, D) of some rows, zeros for the others."""
        batches = list(_batches(rows, self._max_tokens, items))
        return self._all(
            rows, batches, self._dtype, lambda items: self._model.pooled(*self._states(rows, items, kept))
        )

    def _all(
        self, rows: TokenRows, batches: Sequence[Sequence[int]], dtype: Any, compute: Callable[[Any], Any]
    ) -> Float32Array:
        with self._scoring(dtype, torch.inference_mode):
            parts = [compute(items).float().cpu().numpy() for items in batches]
        width = parts[0].shape[1] if parts else self._model.head.out_features
        result = np.zeros((len(rows.ends), width), dtype=np.float32)
        for items, part in zip(batches, parts, strict=True):
            result[items] = part
        return result

    def _states(self, rows: TokenRows, items: Sequence[int] | IntArray, kept: Kept | None) -> tuple[Any, Any]:
        """Return the last states (B, T, D) of some rows and their mask (B, T)."""
        batch = self._batch(rows, items)
        if kept is None or self._halves is None:
            states = self._model.trunk(**batch).last_hidden_state
        else:
            states = self._halves.upper(kept.batch(items).to(self._device), batch)
        return states, batch["attention_mask"]

    def _batch(self, rows: TokenRows, items: Sequence[int] | IntArray) -> dict[str, Any]:
        return tensors(rows.batch(items), self._device, types=self._model.takes_types)

    @property
    def _device(self) -> Any:
        return self._model.head.weight.device

    @contextmanager
    def _scoring(self, dtype: Any, gradients: Callable[[], Any]) -> Iterator[None]:
        training = self._model.training
        self._model.eval()
        try:
            with gradients(), autocast(dtype, self._device):
                yield
        finally:
            self._model.train(training)


def _batches(rows: TokenRows, max_tokens: int, items: IntArray | None = None) -> Iterator[list[int]]:
    """Yield rows of like length, at most `max_tokens` with padding (or one row): a pure function of lengths and items."""
    lengths = rows.lengths
    batch: list[int] = []
    some = np.arange(len(lengths)) if items is None else items
    for row in some[np.argsort(lengths[some], kind="stable")].tolist():
        if batch and (len(batch) == _MOST_ROWS or lengths[row] * (len(batch) + 1) > max_tokens):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
