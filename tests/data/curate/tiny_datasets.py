"""Small datasets to curate."""

from __future__ import annotations

import numpy as np

from modwright.data.columnar import pl
from modwright.data.dataset import Dataset, make_dataset
from modwright.data.tables import MESSAGES_TYPE
from modwright.schema import Schema, Target, TargetKind


def make(splits, labels=("insult", "threat"), kind=TargetKind.MULTI_LABEL, negative=()) -> Dataset:
    """Build a dataset from split to (texts, (N, L) values, optional weights)."""
    schema = Schema((Target("moderation", kind, tuple(labels), negative),))
    frames = {}
    for split, (texts, values, *weights) in splits.items():
        number = len(texts)
        columns = np.asarray(values, dtype=np.float64).reshape(number, len(labels))
        frames[split] = pl.DataFrame(
            {
                "id": [f"{split}-{row}" for row in range(number)],
                "text": pl.Series(texts, dtype=pl.String),
                "messages": pl.Series([None] * number, dtype=MESSAGES_TYPE),
                "weight": pl.Series(weights[0] if weights else np.ones(number), dtype=pl.Float64),
                "group": pl.Series([None] * number, dtype=pl.String),
                "source": [f"made.csv:{row + 2}" for row in range(number)],
                **{
                    f"moderation/{label}": pl.Series(columns[:, c]).fill_nan(None)
                    for c, label in enumerate(labels)
                },
                "year": pl.Series([2000 + row % 7 for row in range(number)], dtype=pl.Int64),
            }
        )
    return make_dataset(schema, frames, {"sources": [], "steps": [{"step": "import"}]})


def random_dataset(number=400, seed=0, splits=("train", "validation", "test")) -> Dataset:
    """Build a dataset of random sentences, some of them twice, with labels of very different rates."""
    random = np.random.default_rng(seed)
    words = ["silly", "goose", "lovely", "day", "hide", "your", "shoes", "geese", "fly", "south", "today"]
    given = {}
    for place, split in enumerate(splits):
        rows = number // (1 + 2 * place)
        texts = [" ".join(random.choice(words, random.integers(1, 9))) for _ in range(rows)]
        values = (random.random((rows, 4)) < [0.3, 0.1, 0.02, 0.005]).astype(float)
        values[random.random(values.shape) < 0.02] = np.nan
        given[split] = (texts, values)
    return make(given, ("insult", "threat", "obscene", "spam"))
