"""Near-duplicates: pairs of texts whose shingles overlap at least so much, found by MinHash, proven by counting.

MinHash signatures (Broder 1997, "On the resemblance and containment of documents") are cut into bands; texts that
agree on a whole band are candidates (Leskovec, Rajaraman and Ullman, "Mining of massive datasets", chapter 3), and
of a candidate pair the true Jaccard similarity is counted. So no pair below the threshold is ever reported; one at
the threshold is missed with a probability below `MISS_PROBABILITY`, one above it more rarely, unless more than a few
texts share their bands (`near_pairs` says what holds then).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

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
_ALL_PAIRS_UP_TO = 24  # texts that share a band's key; of more, each meets the first, and in as many orders
_ORDERS = 128
_BESIDE = 4  # so many on either side; so few crowded texts are all compared with one another:
_CROWD = 1_000
#: Pairs of a text that are looked at, those met most often; fewer where there would be more than so many in all.
_MOST_MET, _LEAST_MET, _MOST_IN_ALL = 1_000, 32, 1 << 26
#: Of these, the pairs of a text that are verified: the likeliest, and those with the earliest texts.
_LIKELIEST, _EARLIEST = 16, 8
_SKETCH_BITS, _SKETCHES_AT_ONCE = 2_048, 1_024
#: Pairs verified at once (twice as many owners fit above 48 bits of hash), and bytes of their texts.
_PAIRS_AT_ONCE = 32_768
_BYTES_AT_ONCE = 1 << 23
_HASHES_AT_ONCE = 1 << 20
_OWNER_SHIFT, _HASH_SHIFT, _HASH_MASK = np.uint64(48), np.uint64(16), np.uint64((1 << 48) - 1)
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

    Texts that share a band's key with few others are compared with all of those. Where many do (a template, a common
    preamble), each is compared with the first of them and, in many orders by signature, with those beside
    it, where texts that share what is rare stand together. Of a text's pairs
    over all bands and orders the 1,000 met most often are looked at (fewer where that were more than 67 million), and of
    those that can reach the threshold the 16 likeliest and the 8 with the earliest texts are verified. So a pair that
    shares little that is rare, among hundreds of texts hardly less alike than itself, can be missed.

    Args:
        keys: (N, bands + 32) from `band_keys`, of texts that all differ.
        texts: gives the normalised texts of some numbers.
        likeness: the threshold.
    """
    slots = np.ascontiguousarray(keys[:, -_SLOT_WORDS:]).view(np.uint8)
    codes = _met_most(_met(keys[:, :-_SLOT_WORDS], slots), slots, likeness)
    pairs = np.stack([codes // max(len(keys), 1), codes % max(len(keys), 1)], axis=1)
    if not len(pairs):
        return pairs
    involved, where = np.unique(pairs, return_inverse=True)
    where, content = where.reshape(pairs.shape), texts(involved)
    kept = _worth_verifying(where, content, likeness)
    pairs, (first, second) = pairs[kept], where[kept].T
    return pairs[similarities(content, first, second, likeness) >= likeness.threshold - 1e-12]


def _met(bands: NDArray[np.uint32], slots: NDArray[np.uint8]) -> Iterator[IntArray]:
    """Yield the codes (smaller number * N + larger) of the pairs that meet in a band, then in an order by signature."""
    number = len(bands)
    crowded = np.zeros(number, dtype=bool)
    for column in bands.T:
        pairs, crowd = _candidates(column)
        crowded[crowd] = True
        yield pairs[:, 0] * number + pairs[:, 1]
    rows = np.flatnonzero(crowded)
    if 0 < len(rows) <= _CROWD:
        first, second = np.triu_indices(len(rows), 1)
        yield rows[first] * number + rows[second]
    elif len(rows):
        for order in _orders(slots[rows]):
            pairs = _beside(rows[order])
            yield pairs[:, 0] * number + pairs[:, 1]


def _orders(slots: NDArray[np.uint8]) -> Iterator[IntArray]:
    """Yield orders (N,) of signatures: by the eight slots from every slot on."""
    for start in range(0, _PERMUTATIONS, _PERMUTATIONS // _ORDERS):
        columns = np.arange(start, start + 8) % _PERMUTATIONS
        key = np.ascontiguousarray(slots[:, columns]).view(">u8")[:, 0]
        yield np.argsort(key, kind="stable").astype(np.int64)


def _beside(order: IntArray) -> IntArray:
    """Return the (C, 2) pairs, the smaller number first, of those that stand beside each other."""
    pairs = [np.stack([order[:-step], order[step:]], axis=1) for step in range(1, _BESIDE + 1)]
    return np.sort(np.concatenate(pairs), axis=1)


def _met_most(met: Iterator[IntArray], slots: NDArray[np.uint8], likeness: Likeness) -> IntArray:
    """Return the codes, ascending, of the promising pairs that are among the most often met of one of their texts."""
    codes, meetings = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    waiting: list[IntArray] = []
    most = min(_MOST_MET, max(_LEAST_MET, _MOST_IN_ALL // max(len(slots), 1)))
    for found in met:
        waiting.append(found)
        if sum(map(len, waiting)) > _MOST_IN_ALL // 4:
            codes, meetings = _bounded(*_counted(codes, meetings, waiting), slots, likeness, most)
            waiting = []
    return _bounded(*_counted(codes, meetings, waiting), slots, likeness, most)[0]


def _counted(codes: IntArray, meetings: IntArray, waiting: list[IntArray]) -> tuple[IntArray, IntArray]:
    """Return different codes, ascending, and how often each is there."""
    fresh, counts = np.unique(np.concatenate([codes[:0], *waiting]), return_counts=True)
    if not len(codes):
        return fresh, counts.astype(np.int64)
    every, where = np.unique(np.concatenate([codes, fresh]), return_inverse=True)
    sums = np.bincount(where, weights=np.concatenate([meetings, counts]), minlength=len(every))
    return every, sums.astype(np.int64)


def _bounded(
    codes: IntArray, meetings: IntArray, slots: NDArray[np.uint8], likeness: Likeness, most: int
) -> tuple[IntArray, IntArray]:
    """Return the promising pairs that are among the `most` most often met of one of their texts."""
    number = max(len(slots), 1)
    pairs = np.stack([codes // number, codes % number], axis=1)
    kept = np.flatnonzero(_promising(pairs, slots, likeness))
    kept = kept[_foremost(pairs[kept], -meetings[kept, None].repeat(2, axis=1), most)]
    return codes[kept], meetings[kept]


def _foremost(pairs: IntArray, ranks: IntArray | FloatArray, most: int) -> BoolArray:
    """Return (P,) whether a pair is among the `most` of one of its texts; ranks (P, 2), lowest first, are each text's."""
    degree = np.bincount(pairs.ravel())
    many = degree > most
    chosen = ~(many[pairs[:, 0]] & many[pairs[:, 1]])
    which = np.flatnonzero(many[pairs.ravel()])
    ends = pairs.ravel()[which]
    order = which[np.lexsort((ranks.ravel()[which], ends))]
    sizes = degree[many]
    place = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    chosen[order[place < most] // 2] = True
    return chosen


def _worth_verifying(pairs: IntArray, texts: pl.Series, likeness: Likeness) -> IntArray:
    """Return the numbers of the pairs that can reach the threshold, the foremost of each text.

    Two sets differ in at least as many elements as the parities of their elements' counts by hash differ in bits (as in
    Mitzenmacher, Pagh and Pham 2014, "Efficient estimation for high similarities using odd sketches").
    """
    sketches, size = _odd_sketches(texts, likeness)
    found = [np.zeros(0)]
    for start in range(0, len(pairs), _PROMISES_AT_ONCE):
        left, right = pairs[start : start + _PROMISES_AT_ONCE].T
        apart = np.bitwise_count(sketches[left] ^ sketches[right]).sum(axis=1, dtype=np.int64)
        both = size[left] + size[right]
        found.append((both - apart) / (both + apart))
    highest = np.concatenate(found)
    kept = np.flatnonzero(highest >= likeness.threshold - 1e-12)
    likeliest = _foremost(pairs[kept], -highest[kept, None].repeat(2, axis=1), _LIKELIEST)
    return kept[likeliest | _foremost(pairs[kept], pairs[kept][:, ::-1], _EARLIEST)]


def _odd_sketches(texts: pl.Series, likeness: Likeness) -> tuple[NDArray[np.uint64], IntArray]:
    """Return (N, 32) words whose bits tell whether an odd number of shingles have that hash, and the sets' sizes."""
    sketches, sizes = [], []
    for start in range(0, len(texts), _SKETCHES_AT_ONCE):
        hashes, size = _sets(texts.slice(start, _SKETCHES_AT_ONCE), likeness)
        owner = np.repeat(np.arange(len(size)), size)
        bits = owner * _SKETCH_BITS + (hashes % np.uint64(_SKETCH_BITS)).astype(np.int64)
        odd = np.bincount(bits, minlength=len(size) * _SKETCH_BITS).astype(np.uint8) & 1
        sketches.append(np.packbits(odd).view(np.uint64).reshape(len(size), -1))
        sizes.append(size)
    return np.concatenate(sketches), np.concatenate(sizes)


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


def _candidates(column: NDArray[np.uint32]) -> tuple[IntArray, IntArray]:
    """Return (C, 2) candidate pairs of a band, and the numbers of the texts whose key is shared by many."""
    order = np.argsort(column, kind="stable").astype(np.int64)
    sizes = np.unique(column[order], return_counts=True)[1]
    place = np.arange(len(column)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    size = np.repeat(sizes, sizes)
    large = np.flatnonzero((size > _ALL_PAIRS_UP_TO) & (place > 0))
    found = [np.stack([order[large - place[large]], order[large]], axis=1)]
    for step in range(1, min(int(sizes.max(initial=1)), _ALL_PAIRS_UP_TO)):
        having = np.flatnonzero((place >= step) & (size <= _ALL_PAIRS_UP_TO))
        found.append(np.stack([order[having - step], order[having]], axis=1))
    return np.sort(np.concatenate(found), axis=1), order[size > _ALL_PAIRS_UP_TO]


def similarities(texts: pl.Series, first: IntArray, second: IntArray, likeness: Likeness) -> FloatArray:
    """Return the (P,) true Jaccard similarities of pairs' sets of shingles.

    Args:
        texts: (N,) normalised texts.
        first: (P,) numbers of texts; in ascending order fewest sets are made twice.
        second: (P,) the other text's.
        likeness: what shingles are.
    """
    lengths = texts.str.len_bytes().to_numpy()
    parts, start = [np.zeros(0)], 0
    while start < len(first):
        count = _PAIRS_AT_ONCE
        while True:
            some = slice(start, start + count)
            rows, where = np.unique(np.concatenate([first[some], second[some]]), return_inverse=True)
            if count == 1 or int(lengths[rows].sum()) <= _BYTES_AT_ONCE:
                break
            count //= 2
        parts.append(_overlaps(*_sets(texts.gather(rows), likeness), where.reshape(2, -1)))
        start += count
    return np.concatenate(parts)


def _sets(texts: pl.Series, likeness: Likeness) -> tuple[NDArray[np.uint64], IntArray]:
    """Return every text's set of shingles, one after the other, each as a hash of 48 bits, and the (N,) sizes."""
    hashes, offsets = shingles(texts, likeness.unit, likeness.size)
    codes = np.sort(_owned(hashes >> _HASH_SHIFT, np.diff(offsets)))
    codes = codes[np.append(True, codes[1:] != codes[:-1])[: len(codes)]]
    return codes & _HASH_MASK, np.bincount((codes >> _OWNER_SHIFT).astype(np.int64), minlength=len(texts))


def _overlaps(hashes: NDArray[np.uint64], size: IntArray, sides: IntArray) -> FloatArray:
    """Return the (P,) Jaccard similarities of the sets with the numbers sides (2, P)."""
    begin = np.cumsum(size) - size
    ends = np.cumsum(size[sides].sum(axis=0))
    overlap = np.zeros(sides.shape[1], dtype=np.int64)
    pieces = np.flatnonzero(np.diff(ends // _HASHES_AT_ONCE, prepend=0))
    for start, stop in pairwise([0, *pieces[pieces > 0].tolist(), len(overlap)]):
        both = [_owned(hashes[_ranges(begin[side], size[side])], size[side]) for side in sides[:, start:stop]]
        together = np.sort(np.concatenate(both), kind="stable")  # which merges what is in order
        shared = (together[1:][together[1:] == together[:-1]] >> _OWNER_SHIFT).astype(np.int64)
        overlap[start:stop] = np.bincount(shared, minlength=stop - start)
    return np.asarray(overlap / (size[sides].sum(axis=0) - overlap), dtype=np.float64)


def _owned(hashes: NDArray[np.uint64], counts: IntArray) -> NDArray[np.uint64]:
    """Return hashes of 48 bits below the number of whose they are: owner n has the next counts[n]."""
    owner = np.repeat(np.arange(len(counts), dtype=np.uint64), counts)
    return np.asarray((owner << _OWNER_SHIFT) | hashes, dtype=np.uint64)


def _ranges(begin: IntArray, size: IntArray) -> IntArray:
    """Return begin[0] .. begin[0] + size[0] - 1, begin[1] .. and so on."""
    ends = np.cumsum(size)
    numbers = np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(begin - (ends - size), size)
    return np.asarray(numbers, dtype=np.int64)


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
