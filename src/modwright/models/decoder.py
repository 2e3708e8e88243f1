"""A causal LM run over prompts in parts: what many prompts share is computed once, and logits only where they are read.

The head of the prompts is computed once for a whole batch and its keys and values are given to every row. A row's body is
followed by its endings side by side: each token sees the head, the body, and its own ending up to itself, and counts its
position from there, as if every ending stood alone behind the body. Padding on either side is seen by nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modwright.errors import MissingExtraError, SourceError
from modwright.models.gguf import quiet

try:
    import torch as torch  # whoever runs a causal LM takes torch from here, where its absence has a name
except ImportError:
    raise MissingExtraError("train", "running a causal LM (torch is missing)") from None

#: Largest difference from the model's own forward pass that running in parts may show, in logits, relative to their size.
TOLERANCE = 1e-3
#: The parent of a segment that stands right behind the head.
HEAD = -1


@dataclass(frozen=True, slots=True)
class Segment:
    """Tokens that follow another segment of their row, or the head."""

    ids: Sequence[int]
    parent: int = HEAD


@dataclass(frozen=True, slots=True)
class States:
    """Hidden states of a batch.

    Attributes:
        flat: (P + B * T, D) of the head's tokens and of every row's, padding included.
        ends: per row, per segment: the row of `flat` after which the next token is told.
        begins: per row, per segment: the row of `flat` of its first token.
        head_ends: per row: the row of `flat` of its head's last token; meaningless without a head.
    """

    flat: Any
    ends: list[list[int]]
    begins: list[list[int]]
    head_ends: list[int]


@dataclass(frozen=True, slots=True)
class _Laid:
    ids: NDArray[np.int64]  # (B, T)
    positions: NDArray[np.int64]  # (B, T)
    seen: NDArray[np.bool_]  # (B, T, T)
    ends: list[list[int]]  # HEAD, or the place in the row
    begins: list[list[int]]


class Decoder:
    """Wraps a transformers causal LM.

    Args:
        model: from `load_causal`, perhaps with adapters in it.
        constant: the weights do not change any more, so heads are computed once and kept.
    """

    def __init__(self, model: Any, *, constant: bool) -> None:
        self.model = model
        self._constant = constant
        self._kept: dict[tuple[int, ...], Any] = {}
        self._trunk = model.get_decoder() if hasattr(model, "get_decoder") else model.base_model
        config = model.config.get_text_config()
        self._softcap = getattr(config, "final_logit_softcapping", None)
        self._window, self._by_type = _sliding(config)
        #: Whether a batch computes its head once; gradient checkpointing cannot, it needs every key again.
        self.shares_head = True

    @property
    def _device(self) -> Any:
        return next(self.model.parameters()).device

    @property
    def width(self) -> int:
        """Return D."""
        return int(self.model.config.get_text_config().hidden_size)

    def states(
        self, head: Sequence[int], rows: Sequence[Sequence[Segment]], *, pad_left: bool = False
    ) -> States:
        """Run a batch of rows behind one head.

        Args:
            head: P tokens that stand before every row.
            rows: B of them; a row's segments in order, parents before their children.
            pad_left: on which side shorter rows are padded; it changes nothing.
        """
        if head and not self.shares_head:
            return self._whole(head, rows, pad_left)
        past, before = self._head(tuple(head)) if head else (None, None)
        laid = _lay_out(rows, len(head), pad_left)
        states = self._run(laid, past, len(head))
        flat = states.reshape(-1, states.shape[-1])
        if before is not None:
            flat = torch.cat([before[0].to(flat.dtype), flat])
        return States(flat, *_in_flat(laid, len(head)), [len(head) - 1] * len(rows))

    def logits(self, states: Any, tokens: Sequence[int]) -> Any:
        """Return (M, K) logits of K tokens after M states (M, D), in float32; no other token's is computed."""
        layer = self.model.get_output_embeddings()
        chosen = torch.tensor(list(tokens), dtype=torch.long, device=states.device)
        bias = None if layer.bias is None else layer.bias[chosen].float()
        return self._capped(torch.nn.functional.linear(states.float(), layer.weight[chosen].float(), bias))

    def vocabulary_logits(self, states: Any) -> Any:
        """Return (M, V) logits of every token after a few states (M, D)."""
        return self._capped(self.model.get_output_embeddings()(states))

    def check(self, head: Sequence[int], endings: Sequence[Sequence[int]]) -> None:
        """Compare with the model's own forward pass on one small row.

        Raises:
            SourceError: this architecture does something that running in parts does not.
        """
        body = list(head[-3:]) or list(endings[0][:3])
        rows = [[Segment(body), *(Segment(ending, 0) for ending in endings[:2])]]
        tokens = sorted({*body, *(token for ending in endings[:2] for token in ending)})
        with torch.inference_mode():
            states = self.states(head, rows)
            for ending, end in zip(endings[:2], states.ends[0][1:], strict=False):
                ids = torch.tensor([[*head, *body, *ending]], device=self._device)
                wanted = self.model(input_ids=ids, use_cache=False).logits[:, -1, tokens].float()
                found = self.logits(states.flat[end : end + 1], tokens)
                drift = float((found - wanted).abs().max() / wanted.abs().max().clamp(min=1.0))
                if not drift <= TOLERANCE:
                    raise SourceError(
                        f"the architecture {self.model.config.model_type} gives other logits in parts than whole: "
                        f"they differ by {drift:.2g}, {TOLERANCE:g} is allowed",
                        remedy="take a base of another architecture (Llama, Qwen, Gemma, Mistral and their like)",
                    )

    def _whole(self, head: Sequence[int], rows: Sequence[Sequence[Segment]], pad_left: bool) -> States:
        """Run rows that carry the head themselves."""
        shifted = [[Segment(head), *(Segment(part.ids, part.parent + 1) for part in row)] for row in rows]
        found = self.states((), shifted, pad_left=pad_left)
        return States(
            found.flat,
            [ends[1:] for ends in found.ends],
            [begins[1:] for begins in found.begins],
            [ends[0] for ends in found.ends],
        )

    def _head(self, head: tuple[int, ...]) -> Any:
        """Return keys and values per layer and the states (1, P, D) of a head."""
        if head in self._kept:
            return self._kept[head]
        from transformers import DynamicCache

        cache = DynamicCache()
        states = self._run(_lay_out([[Segment(head)]], 0, False), cache, 0)
        found = [(layer.keys, layer.values) for layer in cache.layers], states
        if self._constant:
            self._kept[head] = found
        return found

    def _run(self, laid: _Laid, past: Any, before: int) -> Any:
        from transformers import DynamicCache

        if isinstance(past, list):
            n = len(laid.ids)
            past = DynamicCache([(k.expand(n, -1, -1, -1), v.expand(n, -1, -1, -1)) for k, v in past])
        output = self._trunk(
            input_ids=torch.from_numpy(laid.ids).to(self._device),
            position_ids=torch.from_numpy(laid.positions).to(self._device),
            attention_mask=self._masks(laid, before),
            past_key_values=past,
            use_cache=past is not None,
        )
        return output.last_hidden_state

    def _masks(self, laid: _Laid, before: int) -> Any:
        """Return (B, 1, T, before + T) added to attention: 0 where seen; two of them where some layers see a window."""
        n, length = laid.ids.shape
        seen = np.concatenate([np.ones((n, length, before), dtype=np.bool_), laid.seen], axis=2)
        full = _added(seen).to(self._device)
        if self._window is None:
            return full
        columns = np.concatenate([np.tile(np.arange(before), (n, 1)), laid.positions], axis=1)
        near = laid.positions[:, :, None] - columns[:, None, :] < self._window
        sliding = _added(seen & near).to(self._device)
        return {"full_attention": full, "sliding_attention": sliding} if self._by_type else sliding

    def _capped(self, logits: Any) -> Any:
        return logits if self._softcap is None else torch.tanh(logits / self._softcap) * self._softcap


def load_causal(folder: Path, *, attention: str) -> Any:
    """Load a causal LM in float32 from config.json and safetensors; every weight must be there.

    Args:
        folder: with config.json and safetensors.
        attention: "sdpa" to score, "eager" to train: the fused backward pass is slow on CPUs.

    Raises:
        SourceError: unknown to transformers, or a weight is missing, left over or of another shape.
    """
    try:
        from transformers import AutoModelForCausalLM
    except ImportError:
        raise MissingExtraError("train", "loading a causal LM (transformers is missing)") from None
    try:
        with quiet():
            model, info = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=torch.float32,
                attn_implementation=attention,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
            )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise SourceError(f"transformers cannot load this base: {error}", where=str(folder)) from None
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if info.get(what):
            raise SourceError(
                f"the weights do not fit the config: {what.replace('_', ' ')} {sorted(map(str, info[what]))[:3]}",
                where=str(folder),
            )
    return model.eval()


def _sliding(config: Any) -> tuple[int | None, bool]:
    """Return the width of a sliding window, and whether layers say by type which of them have it."""
    types = getattr(config, "layer_types", None)
    window = getattr(config, "sliding_window", None)
    if types is not None:
        return (int(window), True) if window and "sliding_attention" in types else (None, False)
    return (int(window), False) if window and getattr(config, "use_sliding_window", True) else (None, False)


def _lay_out(rows: Sequence[Sequence[Segment]], before: int, pad_left: bool) -> _Laid:
    lengths = [sum(len(part.ids) for part in row) for row in rows]
    n, longest = len(rows), max(1, *lengths)
    laid = _Laid(
        np.zeros((n, longest), dtype=np.int64),
        np.zeros((n, longest), dtype=np.int64),
        np.broadcast_to(np.eye(longest, dtype=np.bool_), (n, longest, longest)).copy(),
        [],
        [],
    )
    for number, row in enumerate(rows):
        _lay_row(laid, number, row, before, longest - lengths[number] if pad_left else 0)
    return laid


def _lay_row(laid: _Laid, number: int, row: Sequence[Segment], before: int, place: int) -> None:
    """Write one row's segments side by side from a place on."""
    ends: list[int] = []
    begins: list[int] = []
    stops: list[int] = []
    for part in row:
        size = len(part.ids)
        begin, stop = place, place + size
        first = before if part.parent == HEAD else stops[part.parent]
        laid.ids[number, begin:stop] = part.ids
        laid.positions[number, begin:stop] = np.arange(first, first + size)
        laid.seen[number, begin:stop, begin:stop] = np.tri(size, dtype=np.bool_)
        parent = part.parent
        while parent != HEAD:
            size_of = len(row[parent].ids)
            laid.seen[number, begin:stop, begins[parent] : begins[parent] + size_of] = True
            parent = row[parent].parent
        begins.append(begin)
        stops.append(first + size)
        ends.append(stop - 1 if size else (HEAD if part.parent == HEAD else ends[part.parent]))
        place = stop
    laid.ends.append(ends)
    laid.begins.append(begins)


def _in_flat(laid: _Laid, before: int) -> tuple[list[list[int]], list[list[int]]]:
    """Return places in rows as rows of the flat states; HEAD is the head's last token."""
    length = laid.ids.shape[1]

    def moved(row: int, place: int) -> int:
        return before - 1 if place == HEAD else before + row * length + place

    ends = [[moved(row, place) for place in places] for row, places in enumerate(laid.ends)]
    begins = [[moved(row, place) for place in places] for row, places in enumerate(laid.begins)]
    return ends, begins


def _added(seen: NDArray[np.bool_]) -> Any:
    hidden = np.float32(np.finfo(np.float32).min)
    return torch.from_numpy(np.where(seen, np.float32(0.0), hidden)[:, None])
