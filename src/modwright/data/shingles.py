"""Overlapping pieces of texts as 64-bit numbers, without a loop over texts: what near-duplicates share."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from modwright.data.columnar import pl
from modwright.schema import IntArray

Hashes = NDArray[np.uint64]
_BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2^64
_BLANK = ord(" ")


class Unit(StrEnum):
    """What a shingle is a run of."""

    CHARACTERS = "characters"
    WORDS = "words"


def shingles(texts: pl.Series, unit: Unit, size: int) -> tuple[Hashes, IntArray]:
    """Return the shingles of normalised texts: every run of `size` units, of a shorter text the whole.

    Args:
        texts: (N,) texts with single blanks between words, no nulls.
        unit: characters, or words between blanks.
        size: units in a shingle.

    Returns:
        (S,) hashes, and (N + 1,) offsets: text n has the hashes from offsets[n] to offsets[n + 1], at least one.
    """
    lengths = texts.str.len_chars().to_numpy().astype(np.int64)
    ends = np.cumsum(lengths)
    joined = "".join(texts.to_list()).encode("utf-32-le", "surrogatepass")
    codes = np.frombuffer(joined, dtype="<u4").astype(np.uint64)
    if unit is Unit.WORDS:
        first, last, offsets = _word_runs(codes, ends - lengths, ends, size)
    else:
        first, last, offsets = _runs(ends - lengths, ends, size)
    return _substrings(codes, first, last), offsets


def _runs(starts: IntArray, ends: IntArray, size: int) -> tuple[IntArray, IntArray, IntArray]:
    """Return first and last (exclusive) of every run of `size` items inside [start, end), and the offsets."""
    number = np.maximum(ends - starts - size + 1, 1)
    offsets = np.concatenate([[0], np.cumsum(number)]).astype(np.int64)
    first = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], number)
    return first, np.minimum(first + size, np.repeat(ends, number)), offsets


def _word_runs(
    codes: Hashes, starts: IntArray, ends: IntArray, size: int
) -> tuple[IntArray, IntArray, IntArray]:
    inside = codes != _BLANK
    begins, stops = inside.copy(), inside.copy()
    within = np.ones(len(codes), dtype=bool)  # whether the character before belongs to the same text
    within[starts[starts < len(codes)]] = False
    begins[1:] &= ~(inside[:-1] & within[1:])
    stops[:-1] &= ~(inside[1:] & within[1:])
    word_start, word_end = np.flatnonzero(begins), np.flatnonzero(stops) + 1
    low, high = np.searchsorted(word_start, starts), np.searchsorted(word_start, ends)
    first, last, offsets = _runs(low.astype(np.int64), high.astype(np.int64), size)
    # A text without words has one empty run.
    empty = first >= last
    if not len(word_start):
        return np.zeros_like(first), np.zeros_like(first), offsets
    left = word_start[np.minimum(first, len(word_start) - 1)]
    right = word_end[np.maximum(last - 1, 0)]
    return np.where(empty, 0, left), np.where(empty, 0, right), offsets


def _substrings(codes: Hashes, first: IntArray, last: IntArray) -> Hashes:
    """Return a hash of every codes[first:last], equal for equal runs wherever they stand.

    Sums of mixed codes times powers of a base give the hash of any run as a difference (Karp and Rabin 1987),
    brought back to the front by the inverse power.
    """
    with np.errstate(over="ignore"):
        powers = _powers(_BASE, len(codes) + 1)
        sums = np.zeros(len(codes) + 1, dtype=np.uint64)
        np.cumsum(_mixed(codes + np.uint64(1)) * powers[:-1], out=sums[1:])
        back = _powers(pow(_BASE, -1, 2**64), len(codes) + 1)
        found: Hashes = _mixed((sums[last] - sums[first]) * back[first])
    return found


def _powers(base: int, number: int) -> Hashes:
    factors = np.full(number, base, dtype=np.uint64)
    factors[0] = 1
    return np.cumprod(factors, dtype=np.uint64)


def _mixed(values: Hashes) -> Hashes:
    """Spread the bits of 64-bit numbers (the finaliser of splitmix64)."""
    values = values ^ (values >> np.uint64(30))
    values = values * np.uint64(0xBF58476D1CE4E5B9)
    values = values ^ (values >> np.uint64(27))
    values = values * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
