"""The loss on whole sequences: every token of a prompt, its answer and the end token are learnt, as a language model's.

It is the loss of the agile-classifiers codelab (Mozes et al. 2023, "Towards Agile Text Classifiers for Everyone",
https://arxiv.org/abs/2302.06541), with what its batches repeat computed once: soft labels and questions are branches
behind one prompt, each with its share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from modwright.models.decoder import HEAD, Decoder, Segment, States, torch

#: Tokens whose logits over the whole vocabulary are there at once.
_CHUNK = 128


@dataclass(slots=True)
class Branches:
    """One row's segments, and what each of their tokens counts in its loss.

    Attributes:
        segments: parents before children.
        shares: per segment, the weight of each of its tokens.
    """

    segments: list[Segment] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)

    def add(self, ids: Sequence[int], parent: int, share: float) -> int:
        """Add a segment and return its number."""
        self.segments.append(Segment(ids, parent))
        self.shares.append(share)
        return len(self.segments) - 1

    @property
    def weight(self) -> float:
        """Return the sum of the tokens' weights."""
        return sum(len(part.ids) * share for part, share in zip(self.segments, self.shares, strict=True))


def sequence_loss(
    decoder: Decoder, head: Sequence[int], rows: Sequence[Branches], weights: Sequence[float]
) -> Any:
    """Return the sum over rows of a row's weight times the mean loss of its tokens, the head's among them.

    Args:
        decoder: being trained.
        head: P tokens before every row; its first one is told by nothing and not learnt.
        rows: B of them; the shares of a row's body are 1.
        weights: (B,) of the rows.
    """
    states = decoder.states(head, [row.segments for row in rows])
    per_token = [
        weight / max(1e-12, row.weight + max(0, len(head) - 1))
        for row, weight in zip(rows, weights, strict=True)
    ]
    places, tokens, factors = _head_tokens(decoder, states, head, per_token)
    for number, (row, factor) in enumerate(zip(rows, per_token, strict=True)):
        for part, (segment, share) in enumerate(zip(row.segments, row.shares, strict=True)):
            if not segment.ids or share <= 0:
                continue
            before = _before(states, number, segment, len(head))
            begin = states.begins[number][part]
            told = [before, *range(begin, begin + len(segment.ids) - 1)]
            first = 1 if before is None else 0
            places += told[first:]
            tokens += list(segment.ids[first:])
            factors += [factor * share] * (len(segment.ids) - first)
    return _cross_entropy(decoder, states.flat, places, tokens, factors)


def _head_tokens(
    decoder: Decoder, states: States, head: Sequence[int], per_token: Sequence[float]
) -> tuple[list[Any], list[int], list[float]]:
    """Return places, tokens and weights of the head's own tokens; a batch that shares its head learns it once."""
    if not head:
        return [], [], []
    ends = states.head_ends if not decoder.shares_head else states.head_ends[:1]
    weights = per_token if not decoder.shares_head else [sum(per_token)]
    size = len(head) - 1
    places = [place for end in ends for place in range(end - size, end)]
    return places, list(head[1:]) * len(ends), [weight for weight in weights for _ in range(size)]


def _before(states: States, row: int, segment: Segment, head: int) -> int | None:
    """Return the place that tells a segment's first token; None where nothing stands before it."""
    if segment.parent != HEAD:
        return states.ends[row][segment.parent]
    return states.head_ends[row] if head else None


def _cross_entropy(
    decoder: Decoder, flat: Any, places: Sequence[int], tokens: Sequence[int], factors: Sequence[float]
) -> Any:
    """Return the weighted sum of the tokens' cross-entropies over the vocabulary, a few tokens' logits at a time."""
    total = flat.new_zeros((), dtype=torch.float32)
    for begin in range(0, len(places), _CHUNK):
        some = slice(begin, begin + _CHUNK)
        total = total + torch.utils.checkpoint.checkpoint(
            _chunk,
            decoder,
            flat[list(places[some])],
            torch.tensor(tokens[some], device=flat.device),
            torch.tensor(factors[some], device=flat.device),
            use_reentrant=False,
        )
    return total


def _chunk(decoder: Decoder, states: Any, tokens: Any, factors: Any) -> Any:
    logits = decoder.vocabulary_logits(states).float()
    return (torch.nn.functional.cross_entropy(logits, tokens, reduction="none") * factors).sum()
