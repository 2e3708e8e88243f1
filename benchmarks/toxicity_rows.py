"""Seed 002's labels on two labelled sets that fit each other: comments of Wikipedia and of news sites.

jigsaw/train_sample.csv says yes or no at natural rates; civil_comments/scores.csv has the share of annotators. Every
comment of the latter was called toxic by somebody, so one with a low share is no clean negative: there `toxic` is unknown
below one half. The zeros of `toxic` are all jigsaw's, which annotators did look at. The other labels were no reason to
be in the file, so their shares stand as they are.
"""

from __future__ import annotations

import csv
import functools
import math
from typing import Any

import numpy as np

from common import data_file
from modwright.schema import Schema, Target, TargetKind, text_input
from modwright.training.rows import TrainingRows

#: The four labels of seed 002, and `obscene`, which both sets have. Label to its column in civil_comments.
LABELS = {
    "toxic": "toxicity",
    "threat": "threat",
    "insult": "insult",
    "identity_hate": "identity_attack",
    "obscene": "obscene",
}
TARGET = Target.create("moderation", TargetKind.MULTI_LABEL, tuple(LABELS))
SCHEMA = Schema((TARGET,))
JIGSAW, CIVIL = "jigsaw", "civil_comments"
#: The same split for every seed of a training.
SPLIT_SEED = 7
SHARES = {"train": 0.7, "validation": 0.15, "test": 0.15}


@functools.cache
def splits(
    civil_rows: int, *, whole_rows_only: bool = False
) -> tuple[dict[str, TrainingRows], dict[str, Any]]:
    """Return split to rows, and split to the set of each row.

    Args:
        civil_rows: comments drawn of civil_comments, beside the 1,000 of jigsaw.
        whole_rows_only: leave out rows with an unknown label, for trainers that know no masks.
    """
    texts, values, sources = _jigsaw()
    drawn_texts, drawn_values = civil_comments(civil_rows)
    texts, values = texts + drawn_texts, np.concatenate([values, drawn_values])
    sources = np.array(sources + [CIVIL] * len(drawn_texts))
    order = np.random.default_rng(SPLIT_SEED).permutation(len(texts))
    ends = np.cumsum([round(share * len(texts)) for share in SHARES.values()])
    rows, of = {}, {}
    for name, part in zip(SHARES, np.split(order, ends[:-1]), strict=True):
        if whole_rows_only:
            part = part[~np.isnan(values[part]).any(axis=1)]
        rows[name] = _rows([texts[row] for row in part], values[part])
        of[name] = sources[part]
    return rows, of


def _rows(texts: list[str], values: np.ndarray) -> TrainingRows:
    return TrainingRows(
        [text_input(text) for text in texts], {TARGET.name: values}, np.ones(len(texts)), texts
    )


def _jigsaw() -> tuple[list[str], np.ndarray, list[str]]:
    with data_file("jigsaw/train_sample.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    values = np.array([[float(row[label]) for label in LABELS] for row in rows])
    return [row["comment_text"] for row in rows], values, [JIGSAW] * len(rows)


def civil_comments(count: int) -> tuple[list[str], np.ndarray]:
    """Return texts and values (N, 5) of comments drawn of civil_comments; `toxic` is NaN below one half."""
    with data_file("civil_comments/scores.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    chosen = np.random.default_rng(SPLIT_SEED).permutation(len(rows))[:count]
    values = np.array([[float(rows[row][column]) for column in LABELS.values()] for row in chosen])
    values[values[:, 0] < 0.5, 0] = math.nan
    return [rows[row]["text"] for row in chosen], values
