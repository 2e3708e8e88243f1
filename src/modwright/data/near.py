"""Near-duplicates: pairs of texts whose shingles overlap at least so much, found by MinHash, proven by counting.

MinHash signatures (Broder 1997, "On the resemblance and containment of documents") are cut into bands; texts that
agree on a whole band are candidates (Leskovec, Rajaraman and Ullman, "Mining of massive datasets", chapter 3), and
of a candidate pair the true Jaccard similarity is counted. So no pair below the threshold is ever reported; one at
the threshold is missed with a probability below `MISS_PROBABILITY`, one above it more rarely.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modwright.data.columnar import pl
from modwright.data.dataset import contents
from modwright.data.options import DEFAULT_NEAR
from modwright.data.shingles import Unit, shingles
from modwright.errors import MissingExtraError, UsageError
from modwright.schema import BoolArray, FloatArray, IntArray

MISS_PROBABILITY = 1e-6
_PERMUTATIONS = 128
_SIGNATURE_SEED = 42
_TEXTS_AT_ONCE = 4_096
_PAIRS_AT_ONCE = 4_096
_ALL_PAIRS_UP_TO = 24  # texts that share a band's key; of more, each meets the first and these before it:
_BEFORE = 4
_PAIR_BITS = 50
_SLOT_WORDS = _PERMUTATIONS // 4
_PROMISES_AT_ONCE = 100_000


@dataclass(frozen=True, slots=True)
class Likeness:
    """When two texts count as near-duplicates.

    Attributes:
        threshold: least Jaccard similarity of their sets of shingles, above 0 to 1.
        unit: what shingles are made of.
        size: units in a shingle. Longer ones make texts look less alike.
    """

    threshold: float = DEFAULT_NEAR
    unit: Unit = Unit.CHARACTERS
    size: int = 5

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1 or self.size < 1:
            raise UsageError(
                f"threshold is {self.threshold:g} and size {self.size}, expected one in 0..1 and one above 0"
            )
        object.__setattr__(self, "unit", Unit(self.unit))

    @property
    def band_rows(self) -> int:
        """Return the most signature slots in a band that keep the probability of a miss low enough."""
        fitting = [
            rows
            for rows in range(1, _PERMUTATIONS + 1)
            if (1 - self.threshold**rows) ** (_PERMUTATIONS // rows) < MISS_PROBABILITY
        ]
        return max(fitting, default=1)


def comparable(frame: pl.DataFrame) -> pl.Series:
    """Return (N,) what is compared of each row: the normalised text, or the turns with their roles."""
    return contents(frame).str.replace_all("\0", " ", literal=True)


def band_keys(texts: pl.Series, likeness: Likeness) -> NDArray[np.uint32]:
    """Return the (N, bands + 32) keys of normalised texts.

    Texts that share one of the first are candidates; the last 32 hold a byte of each signature slot.
    """
    try:
        from rensa import RMinHash
    except ImportError:
        raise MissingExtraError("data", "looking for near-duplicates") from None
    rows, parts = likeness.band_rows, []
    bands = _PERMUTATIONS // rows
    for piece in _slices(texts):
        hashes, offsets = shingles(piece, likeness.unit, likeness.size)
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(
            hashes, offsets.astype(np.uint64), _PERMUTATIONS, _SIGNATURE_SEED
        )
        signatures = np.array(matrix.to_rows(), dtype=np.uint64)
        folded = _folded(signatures[:, : bands * rows].reshape(len(piece), bands, rows))
        slots = (_mixed_bytes(signatures)).view(np.uint32)
        parts.append(np.concatenate([folded, slots], axis=1))
    return np.concatenate(parts) if parts else np.zeros((0, bands + _SLOT_WORDS), dtype=np.uint32)


def _mixed_bytes(signatures: NDArray[np.uint64]) -> NDArray[np.uint8]:
    with np.errstate(over="ignore"):
        return ((signatures * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(56)).astype(np.uint8)


def _slices(texts: pl.Series) -> Iterator[pl.Series]:
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        yield texts.slice(start, _TEXTS_AT_ONCE)


def _folded(signatures: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """Return (N, bands) keys of (N, bands, rows) signatures."""
    key = np.zeros(signatures.shape[:2], dtype=np.uint64)
    with np.errstate(over="ignore"):
        for column in range(signatures.shape[2]):
            key = (key ^ signatures[:, :, column]) * np.uint64(0x9E3779B97F4A7C15)
            key ^= key >> np.uint64(29)
    return (key >> np.uint64(32)).astype(np.uint32)


def near_pairs(
    keys: NDArray[np.uint32], texts: Callable[[IntArray], pl.Series], likeness: Likeness
) -> IntArray:
    """Return the (P, 2) pairs of near-duplicates, the smaller number first, ascending.

    Where more than a few texts share a band's key, each is compared with the first of them and with those shortly
    before it instead of with all.

    Args:
        keys: (N, bands + 32) from `band_keys`, of texts that all differ.
        texts: gives the normalised texts of some numbers.
        likeness: the threshold.
    """
    number = len(keys)
    codes = np.zeros(0, dtype=np.int64)
    for column in keys[:, :-_SLOT_WORDS].T:
        found = [pairs[:, 0] * number + pairs[:, 1] for pairs in _candidates(column)]
        codes = np.unique(np.concatenate([codes, *found]))
    pairs = np.stack([codes // max(number, 1), codes % max(number, 1)], axis=1)
    pairs = pairs[_promising(pairs, np.ascontiguousarray(keys[:, -_SLOT_WORDS:]).view(np.uint8), likeness)]
    near = _similarities(pairs, texts, likeness) >= likeness.threshold - 1e-12
    return pairs[near]


def _promising(pairs: IntArray, slots: NDArray[np.uint8], likeness: Likeness) -> BoolArray:
    """Return (P,) whether the signatures' bytes agree about as often as those of near-duplicates do.

    The share of equal slots estimates the similarity, and a byte of each is enough (Li and König 2010, "b-bit
    minwise hashing"); six standard deviations below the threshold are still looked at.
    """
    threshold = likeness.threshold
    least = threshold - 6 * math.sqrt(threshold * (1 - threshold) / _PERMUTATIONS)
    found = [np.zeros(0, dtype=bool)]
    for start in range(0, len(pairs), _PROMISES_AT_ONCE):
        left, right = pairs[start : start + _PROMISES_AT_ONCE].T
        found.append((slots[left] == slots[right]).mean(axis=1) >= least)
    return np.concatenate(found)


def _candidates(column: NDArray[np.uint32]) -> Iterator[IntArray]:
    """Yield (C, 2) candidate pairs of a band."""
    order = np.argsort(column, kind="stable")
    sizes = np.unique(column[order], return_counts=True)[1]
    starts = np.cumsum(sizes) - sizes
    place = np.arange(len(column)) - np.repeat(starts, sizes)
    size = np.repeat(sizes, sizes)
    found = []
    for step in range(1, min(int(sizes.max(initial=0)), _ALL_PAIRS_UP_TO + 1)):
        having = np.flatnonzero((place >= step) & ((size <= _ALL_PAIRS_UP_TO) | (step <= _BEFORE)))
        found.append(np.stack([order[having - step], order[having]], axis=1))
    large = np.flatnonzero((size > _ALL_PAIRS_UP_TO) & (place > _BEFORE))
    if len(large):
        found.append(np.stack([order[large - place[large]], order[large]], axis=1))
    if found:
        yield np.sort(np.concatenate(found), axis=1).astype(np.int64)


def _similarities(pairs: IntArray, texts: Callable[[IntArray], pl.Series], likeness: Likeness) -> FloatArray:
    """Return the (P,) true Jaccard similarities of pairs."""
    if not len(pairs):
        return np.zeros(0)
    involved, where = np.unique(pairs, return_inverse=True)
    where = where.reshape(pairs.shape)
    content = texts(involved)
    found = []
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        chosen = where[start : start + _PAIRS_AT_ONCE]
        left, right = (_sets(content[chosen[:, side]], likeness) for side in (0, 1))
        number = len(chosen)
        sizes = [
            np.bincount((codes >> _PAIR_BITS).astype(np.int64), minlength=number) for codes in (left, right)
        ]
        both = np.sort(np.concatenate([left, right]))
        shared = both[1:][both[1:] == both[:-1]] >> np.uint64(_PAIR_BITS)
        overlap = np.bincount(shared.astype(np.int64), minlength=number)
        found.append(overlap / (sizes[0] + sizes[1] - overlap))
    return np.concatenate(found)


def _sets(texts: pl.Series, likeness: Likeness) -> NDArray[np.uint64]:
    """Return every text's set of shingles, as its number in the upper bits over 50 bits of hash."""
    hashes, offsets = shingles(texts, likeness.unit, likeness.size)
    owner = np.repeat(np.arange(len(texts), dtype=np.uint64), np.diff(offsets))
    return np.unique((owner << np.uint64(_PAIR_BITS)) | (hashes >> np.uint64(64 - _PAIR_BITS)))


def components(number: int, pairs: IntArray) -> IntArray:
    """Return (N,) the smallest number that each of N things is joined with, over any chain of pairs."""
    lowest = np.arange(number, dtype=np.int64)
    while len(pairs):
        ends = lowest[pairs]
        pairs = pairs[ends[:, 0] != ends[:, 1]]
        if not len(pairs):
            break
        ends = np.sort(lowest[pairs], axis=1)
        np.minimum.at(lowest, ends[:, 1], ends[:, 0])
        while not np.array_equal(jumped := lowest[lowest], lowest):
            lowest = jumped
    return lowest
