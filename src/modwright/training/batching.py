"""Which items a step sees, and how they are computed: pure functions of lengths, seed and epoch; numpy only.

Items of like length stand together in a step, so that little is padded: shuffled items are sorted by length within
pools of several steps, and the steps are shuffled again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modwright.schema import IntArray


def epoch_steps(lengths: IntArray, *, rows: int, pool: int, seed: int, epoch: int) -> list[IntArray]:
    """Return the items of every step of one epoch: every one of M items exactly once.

    Args:
        lengths: (M,) tokens of each item.
        rows: items of a step; the last one of the shuffle may have fewer.
        pool: steps' worth of shuffled items that are sorted by length.
        seed: of the run.
        epoch: from 0.
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(lengths))
    steps: list[IntArray] = []
    for start in range(0, len(order), rows * pool):
        some = order[start : start + rows * pool]
        some = some[np.argsort(lengths[some], kind="stable")]
        steps += [some[at : at + rows] for at in range(0, len(some), rows)]
    return [steps[number] for number in rng.permutation(len(steps))]


def steps_per_epoch(items: int, rows: int) -> int:
    """Return how many steps `epoch_steps` gives."""
    return -(-items // rows)


def micro_batches(items: IntArray, lengths: IntArray, max_tokens: int) -> list[IntArray]:
    """Cut one step's items, longest first, into parts of at most `max_tokens` padded tokens, or of one item.

    Args:
        items: (B,) item numbers.
        lengths: (M,) tokens of each item.
        max_tokens: longest item times items of a part.
    """
    ordered = items[np.argsort(-lengths[items], kind="stable")]
    parts, at = [], 0
    while at < len(ordered):
        longest = max(1, int(lengths[ordered[at]]))
        parts.append(ordered[at : at + max(1, max_tokens // longest)])
        at += len(parts[-1])
    return parts


def padded_tokens(part: IntArray, lengths: IntArray) -> int:
    """Return what a part costs: its longest item times its items."""
    return int(lengths[part].max()) * len(part)


@dataclass(frozen=True, slots=True)
class Part:
    """Items that one process computes at once; where `counts` is false only so that all processes do equally often."""

    items: IntArray
    counts: bool = True


def parts_of_rank(
    items: IntArray, lengths: IntArray, max_tokens: int, *, rank: int = 0, world: int = 1
) -> list[Part]:
    """Return what one of `world` processes computes of a step: all get equally many parts, every item counts once."""
    ordered = items[np.argsort(-lengths[items], kind="stable")]
    dealt = [micro_batches(ordered[one::world], lengths, max_tokens) for one in range(world)]
    number = max(len(parts) for parts in dealt)
    mine = dealt[rank]
    while len(mine) < number and any(len(part) > 1 for part in mine):
        largest = max(range(len(mine)), key=lambda at: len(mine[at]))
        part = mine[largest]
        mine[largest : largest + 1] = [part[: len(part) // 2], part[len(part) // 2 :]]
    idle = [Part(ordered[-1:], counts=False)] * (number - len(mine))
    return [Part(part) for part in mine] + idle
