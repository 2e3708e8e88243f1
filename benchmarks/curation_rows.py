"""Synthetic rows with the columns and rates of civil_comments, and mild texts of about its lengths.

python benchmarks/curation_rows.py FOLDER ROWS SUFFIX
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

LABELS = ("toxicity", "severe_toxicity", "obscene", "threat", "insult", "identity_attack", "sexual_explicit")
#: Share of the rows above 0.5, about as in google/civil_comments; the others hold only in toxic rows here.
RATES = (0.080, 0.00002, 0.0053, 0.0025, 0.059, 0.0076, 0.0027)
SPLITS = {"train": 0.9, "validation": 0.05, "test": 0.05}
_WORDS = [
    "the",
    "a",
    "goose",
    "geese",
    "lake",
    "day",
    "road",
    "house",
    "garden",
    "river",
    "people",
    "council",
    "budget",
    "plan",
    "never",
    "always",
    "maybe",
    "think",
    "know",
    "see",
    "walk",
    "fly",
    "south",
    "north",
    "today",
    "tomorrow",
    "lovely",
    "silly",
    "bright",
    "slow",
    "quick",
    "old",
    "new",
    "other",
    "same",
    "better",
    "worse",
    "and",
    "but",
    "because",
    "while",
    "over",
    "under",
    "near",
    "far",
    "with",
    "without",
    "your",
    "my",
    "their",
    "our",
    "this",
    "that",
    "these",
    "those",
    "very",
    "quite",
    "rather",
]
_SENTENCES = 50_000
_CHUNK_ROWS = 200_000


def write_splits(folder: Path, rows: int, suffix: str) -> None:
    """Write one file per split, `rows` together; the same rows each time."""
    for place, (split, share) in enumerate(SPLITS.items()):
        number, random = round(rows * share), np.random.default_rng([rows, place])
        parts = [folder / f"{split}.{piece}.parquet" for piece, _ in enumerate(_pieces(number))]
        for path, size in zip(parts, _pieces(number), strict=True):
            _rows(size, random).write_parquet(path)
        lazy, whole = pl.scan_parquet(parts), folder / f"{split}{suffix}"
        lazy.sink_csv(whole) if suffix == ".csv" else lazy.sink_parquet(whole)
        for path in parts:
            path.unlink()


def _pieces(number: int) -> Iterator[int]:
    for start in range(0, number, _CHUNK_ROWS):
        yield min(_CHUNK_ROWS, number - start)


def _rows(number: int, random: np.random.Generator) -> pl.DataFrame:
    pool = _pool()
    counts = np.minimum(random.geometric(0.19, number), 16)  # sentences: 297 characters on average
    ends = np.cumsum(counts)
    owner = np.repeat(np.arange(number), counts)
    flat = pl.DataFrame({"row": owner, "sentence": pool.gather(random.integers(0, len(pool), int(ends[-1])))})
    texts = flat.group_by("row", maintain_order=True).agg(pl.col("sentence").str.join(" "))["sentence"]
    toxic = random.random(number) < RATES[0]
    scores = {}
    for label, rate in zip(LABELS, RATES, strict=True):
        held = toxic if label == "toxicity" else toxic & (random.random(number) < rate / RATES[0])
        low = np.where(random.random(number) < 0.7, 0.0, random.random(number) * 0.5)
        scores[label] = np.where(held, 0.5 + 0.5 * (1 - random.random(number)), low).round(6)
    return pl.DataFrame({"text": texts, **scores})


def _pool() -> pl.Series:
    random = np.random.default_rng(0)
    sizes = random.integers(4, 17, _SENTENCES)
    return pl.Series([" ".join(random.choice(_WORDS, size)) + "." for size in sizes])


if __name__ == "__main__":
    write_splits(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
