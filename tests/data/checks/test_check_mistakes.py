"""Likely label errors: flipped labels are found, sound ones are not, unknown ones are not judged."""

from __future__ import annotations

import numpy as np
import pytest

from modwright.data.checks import label_errors
from modwright.data.columnar import pl
from modwright.data.dataset import make_dataset
from modwright.data.tables import MESSAGES_TYPE
from modwright.errors import UsageError
from modwright.schema import Schema, Target, TargetKind

ROWS = 200


def dataset(kind, values, labels=("a", "b", "c")):
    number = len(values)
    frame = pl.DataFrame(
        {"id": [f"i{row}" for row in range(number)], "text": [f"text {row}" for row in range(number)]}
    ).with_columns(
        messages=pl.lit(None, dtype=MESSAGES_TYPE),
        weight=pl.lit(1.0),
        group=pl.lit(None, dtype=pl.String),
        source=pl.lit("f.csv:") + pl.int_range(2, number + 2).cast(pl.String),
    )
    columns = [pl.Series(f"t/{label}", values[:, place]).fill_nan(None) for place, label in enumerate(labels)]
    schema = Schema((Target("t", kind, tuple(labels)),))
    return make_dataset(schema, {"train": frame.with_columns(columns)}, {})


def truth_and_scores(seed=0):
    rng = np.random.default_rng(seed)
    truth = np.eye(3)[rng.integers(0, 3, ROWS)]
    scores = np.abs(truth - rng.uniform(0.0, 0.4, truth.shape))  # 0.6 to 1 where it holds, else 0 to 0.4
    return truth, scores


def test_flipped_labels_of_a_multi_label_target():
    truth, scores = truth_and_scores()
    given = truth.copy()
    given[[3, 50], 1] = 1 - given[[3, 50], 1]
    scores[[3, 50], 1] = truth[[3, 50], 1] * 0.96 + 0.02
    found = label_errors(dataset(TargetKind.MULTI_LABEL, given), "train", {"t": scores})
    assert sorted(found.rows["id"].to_list()) == ["i3", "i50"]
    assert set(found.rows["label"]) == {"b"}
    assert found.rows.columns == ["id", "source", "target", "label", "given", "predicted", "likely"]
    (finding,) = found.findings
    assert (finding.code, finding.rows, sorted(finding.places)) == (
        "likely_label_error",
        2,
        ["f.csv:5", "f.csv:52"],
    )


def test_swapped_classes_of_a_single_label_target():
    truth, scores = truth_and_scores()
    scores[10] = truth[10] * 0.94 + 0.02
    scores /= scores.sum(axis=1, keepdims=True)
    given = truth.copy()
    given[10] = np.roll(given[10], 1)
    found = label_errors(dataset(TargetKind.SINGLE_LABEL, given), "train", {"t": scores}).rows
    assert found["id"].to_list() == ["i10"]
    assert found["likely"].to_list() == ["abc"[int(truth[10].argmax())]]
    assert found["label"].to_list() == ["abc"[int(given[10].argmax())]]


@pytest.mark.parametrize("kind", list(TargetKind))
def test_sound_labels_are_left_alone(kind):
    truth, scores = truth_and_scores()
    found = label_errors(dataset(kind, truth), "train", {"t": scores / scores.sum(axis=1, keepdims=True)})
    assert found.findings == []
    assert len(found.rows) == 0


def test_unknown_labels_and_rare_ones_are_not_judged():
    truth, scores = truth_and_scores()
    truth[:, 0] = np.nan
    truth[:, 1] = 0.0
    truth[0, 1] = 1.0
    assert label_errors(dataset(TargetKind.MULTI_LABEL, truth), "train", {"t": 1 - scores}).rows[
        "label"
    ].unique().to_list() in ([], ["c"])


def test_scores_of_another_shape_are_refused():
    truth, scores = truth_and_scores()
    with pytest.raises(UsageError, match="shape"):
        label_errors(dataset(TargetKind.MULTI_LABEL, truth), "train", {"t": scores[:5]})
