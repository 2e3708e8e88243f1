"""Near-duplicates of millions of texts, quickly: a coarse MinHash index proposes pairs, the true similarity decides.

The similarity is the one that curation removes by (`modwright.data.near`), so what is found here it would find, too. The
index is coarser, and may miss a pair of short texts: its shingles are the eight bytes from each word's first on, which
hold how the next word begins, or from each character on in scripts that write no blanks. One index answers for all rows
(Broder 1997, "On the resemblance and containment of documents").
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modwright.data.columnar import pl
from modwright.data.near import Likeness, similarities
from modwright.errors import MissingExtraError
from modwright.schema import IntArray

#: Twelve bands of four: a pair of similarity 0.8 is met in 99.8 % of cases, one of 0.5 in 54 % and then verified away.
_BANDS, _ROWS_OF_BAND = 12, 4
_SIGNATURE = _BANDS * _ROWS_OF_BAND
#: A text of fewer shingles is so short that one word makes it another.
_MIN_SHINGLES = 6
_SHINGLE_BYTES = 8
_BLANK, _BREAK, _WIDE = 0x20, 0x0A, 0xE0
_CHUNK_ROWS = 50_000
#: Proposed pairs whose signatures agree less are not verified, and at most so many are, the likeliest first.
_PROMISING = 0.55
MOST_PAIRS = 100_000

HashArray = NDArray[np.uint64]


def alike_pairs(texts: pl.Series, likeness: Likeness, *, seed: int = 0) -> tuple[IntArray, IntArray]:
    """Return pairs of near-duplicates: rows of the earlier (P,) and of the later (P,).

    A cluster of many alike texts gives a chain of pairs, not all of them; of very many pairs, the `MOST_PAIRS` likeliest
    are looked at.

    Args:
        texts: (N,) normalised texts, all different.
        likeness: what counts as a near-duplicate.
        seed: of the MinHash permutations.
    """
    rows = _candidates(texts, likeness.threshold, seed)
    chosen = texts.gather(rows)
    first, second = _met(chosen, seed)
    kept = similarities(chosen, first, second, likeness) >= likeness.threshold - 1e-12
    return rows[first[kept]], rows[second[kept]]


def _rensa() -> Any:
    try:
        import rensa
    except ImportError:
        raise MissingExtraError("data", "looking for near-duplicates") from None
    return rensa


def _candidates(texts: pl.Series, threshold: float, seed: int) -> IntArray:
    """Return the rows, ascending, that share a band with another row."""
    hashes, sizes, rows = [], [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for start in range(0, len(texts), _CHUNK_ROWS):
        flat, counts = word_starts(texts[start : start + _CHUNK_ROWS])
        kept = counts >= _MIN_SHINGLES
        hashes.append(flat[np.repeat(kept, counts)])
        sizes.append(counts[kept])
        rows.append(start + np.flatnonzero(kept))
    counts = np.concatenate(sizes)
    if not len(counts):
        return np.zeros(0, dtype=np.int64)
    matrix = _digest(np.concatenate(hashes), counts, seed)
    flags = _rensa().RMinHashLSH(threshold, _SIGNATURE, _BANDS).query_duplicate_flags_matrix_one_shot(matrix)
    return np.concatenate(rows)[np.array(flags, dtype=np.bool_)].astype(np.int64)


def _digest(flat: HashArray, counts: IntArray, seed: int) -> Any:
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.uint64)
    return _rensa().RMinHash.digest_matrix_from_flat_token_hashes(flat, offsets, _SIGNATURE, seed)


def _met(texts: pl.Series, seed: int) -> tuple[IntArray, IntArray]:
    """Return pairs of rows (P,), (P,) that share a band: each with the one before and the first of its bucket."""
    parts = [np.zeros((0, _SIGNATURE), dtype=np.uint32)]
    for start in range(0, len(texts), _CHUNK_ROWS):
        digest = _digest(*word_starts(texts[start : start + _CHUNK_ROWS]), seed)
        parts.append(np.array(digest.to_rows(), dtype=np.uint32))
    signatures = np.concatenate(parts)
    keys = _band_keys(signatures)
    number = max(1, len(keys))
    codes = [first * number + second for first, second in map(_bucket_pairs, keys.T)]
    first, second = np.divmod(np.unique(np.concatenate(codes)), number)
    return _likeliest(signatures, first, second)


def _likeliest(
    signatures: NDArray[np.uint32], first: IntArray, second: IntArray
) -> tuple[IntArray, IntArray]:
    """Return the pairs whose signatures agree most, no more than are worth verifying."""
    steps = range(0, len(first), _CHUNK_ROWS)
    slices = [slice(start, start + _CHUNK_ROWS) for start in steps]
    agreed = [np.mean(signatures[first[some]] == signatures[second[some]], axis=1) for some in slices]
    agreement = np.concatenate(agreed) if agreed else np.zeros(0)
    order = np.argsort(-agreement, kind="stable")[:MOST_PAIRS]
    kept = order[agreement[order] >= _PROMISING]
    return first[kept], second[kept]


def _band_keys(signatures: NDArray[np.uint32]) -> HashArray:
    shaped = signatures.astype(np.uint64).reshape(-1, _BANDS, _ROWS_OF_BAND)
    keys = np.zeros(shaped.shape[:2], dtype=np.uint64)
    for place in range(_ROWS_OF_BAND):
        keys = _mixed(keys ^ shaped[:, :, place])
    return keys


def _bucket_pairs(keys: HashArray) -> tuple[IntArray, IntArray]:
    order = np.argsort(keys, kind="stable").astype(np.int64)
    new = np.append(True, keys[order][1:] != keys[order][:-1])[: len(order)]
    same = np.flatnonzero(~new)
    head = np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))
    return np.concatenate([order[same - 1], order[head[same]]]), np.concatenate([order[same], order[same]])


def word_starts(texts: pl.Series) -> tuple[HashArray, IntArray]:
    """Return the hashes of the shingles of all normalised texts (S,), and the number of each text's (N,)."""
    joined = "\n".join(texts.str.replace_all("\n", " ", literal=True).to_list()) + "\n"
    data = np.frombuffer(joined.encode() + b"\n" * _SHINGLE_BYTES, dtype=np.uint8)
    ends = np.cumsum(texts.str.len_bytes().to_numpy().astype(np.int64) + 1)
    body = data[: int(ends[-1])] if len(ends) else data[:0]
    apart = (body == _BLANK) | (body == _BREAK)
    after = np.append(True, apart[:-1])[: len(body)]
    starts = np.flatnonzero(~apart & (after | (body >= _WIDE)))
    window = np.lib.stride_tricks.sliding_window_view(data, _SHINGLE_BYTES)[starts]
    window = np.where(np.maximum.accumulate(window == _BREAK, axis=1), np.uint8(0), window)
    counts = np.diff(np.searchsorted(starts, ends), prepend=0).astype(np.int64)
    return _mixed(np.ascontiguousarray(window).view("<u8")[:, 0].astype(np.uint64)), counts


def _mixed(values: HashArray) -> HashArray:
    """Return 64-bit values spread over all bits (the finaliser of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
