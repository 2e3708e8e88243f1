"""A dataset's rows under a model's schema: order, what is missing, what is foreign."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from modwright.data.dataset import make_dataset
from modwright.errors import DataError, SchemaError
from modwright.pipeline.rows import aligned_rows, rows_of, training_split
from modwright.schema import Schema, Target, TargetKind
from modwright.testing import MODERATION, TINY_SCHEMA, TONE, tiny_labels


def test_rows_are_inputs_labels_weights_and_groups(dataset):
    frame = dataset.splits["train"]
    rows = rows_of(frame, dataset.schema)
    texts = frame["text"].to_list()
    assert [value[-1].content for value in rows.inputs] == texts
    for name, expected in tiny_labels(texts).items():
        np.testing.assert_array_equal(rows.labels[name], expected)
    assert rows.weights.tolist() == [1.0] * len(frame)
    same = dict(zip(texts, rows.groups, strict=True))
    assert [same[text] for text in texts] == list(rows.groups), "equal texts share a group"
    assert len(set(rows.groups)) == len(set(texts))


def test_the_own_schema_changes_nothing(dataset):
    frame = dataset.splits["test"]
    aligned = aligned_rows(frame, dataset.schema, TINY_SCHEMA)
    plain = rows_of(frame, dataset.schema)
    assert aligned.foreign == ()
    for name in TINY_SCHEMA.names:
        np.testing.assert_array_equal(aligned.rows.labels[name], plain.labels[name])


def test_labels_come_in_the_models_order_and_the_unknown_is_nan(dataset):
    frame = dataset.splits["test"]
    moderation = Target.create("moderation", TargetKind.MULTI_LABEL, ("spam", "safe", "insult"))
    extra = Target.create("weather", TargetKind.MULTI_LABEL, ("rain",))
    aligned = aligned_rows(frame, dataset.schema, Schema((extra, moderation)))
    found = aligned.rows.labels
    assert set(aligned.foreign) == {"moderation/threat", "tone/kind", "tone/rude"}
    assert np.isnan(found["weather"]).all()
    assert np.isnan(found["moderation"][:, 0]).all()
    np.testing.assert_array_equal(found["moderation"][:, 1], frame["moderation/safe"].to_numpy())
    np.testing.assert_array_equal(found["moderation"][:, 2], frame["moderation/insult"].to_numpy())


def test_schemas_that_do_not_meet(dataset):
    frame = dataset.splits["test"]
    weather = Schema((Target.create("weather", TargetKind.MULTI_LABEL, ("rain",)),))
    with pytest.raises(SchemaError, match="targets moderation, tone, the model weather"):
        aligned_rows(frame, dataset.schema, weather)
    other = Target.create("tone", TargetKind.MULTI_LABEL, TONE.labels)
    with pytest.raises(SchemaError, match="single_label in the dataset and multi_label") as caught:
        aligned_rows(frame, dataset.schema, Schema((MODERATION, other)))
    assert caught.value.where == "target 'tone'"


def test_the_split_that_is_trained_on(dataset):
    assert training_split(dataset) == "train"
    frame = dataset.splits["test"]
    assert training_split(make_dataset(dataset.schema, {"all": frame}, {})) == "all"
    with pytest.raises(DataError, match="splits a, b and none is called 'train'") as caught:
        training_split(make_dataset(dataset.schema, {"a": frame, "b": frame}, {}))
    assert "--split" in caught.value.remedy


def test_a_file_without_one_of_the_classes_is_still_known():
    own = Target.create("tone", TargetKind.SINGLE_LABEL, ("kind", "rude"), negative=("kind",))
    model = Target.create("tone", TargetKind.SINGLE_LABEL, ("rude", "neutral", "kind"), negative=("kind",))
    frame = pl.DataFrame(
        {
            "id": ["a", "b", "c"],
            "text": ["a", "b", "c"],
            "messages": pl.Series(
                [None] * 3, dtype=pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
            ),
            "weight": [1.0] * 3,
            "group": pl.Series([None] * 3, dtype=pl.String),
            "tone/kind": [1.0, 0.3, None],
            "tone/rude": [0.0, 0.7, None],
        }
    )
    aligned = aligned_rows(frame, Schema((own,)), Schema((model,)))
    found = aligned.rows.labels["tone"]
    np.testing.assert_array_equal(found[:2], [[0.0, 0.0, 1.0], [0.7, 0.0, 0.3]])
    assert np.isnan(found[2]).all()
    assert aligned.absent == ("tone/neutral",)
