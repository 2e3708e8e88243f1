"""What every label of every window weighs: masks, soft labels, class weights, targets' weights, windows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modwright.errors import RecipeError
from modwright.models.heads import probabilities
from modwright.schema import Schema, Target, TargetKind, text_input
from modwright.testing import tiny_encoder_recipe
from modwright.training.documents import Documents
from modwright.training.encoder import TargetLoss
from modwright.training.rows import TrainingRows
from modwright.training.window_cells import make_cells

MANY = Target.create("many", TargetKind.MULTI_LABEL, ("a", "b", "c"))
ONE = Target.create("one", TargetKind.SINGLE_LABEL, ("x", "y", "z"), negative=("x",))
SCHEMA = Schema((MANY, ONE))
NAN = np.nan
LABELS = {
    "many": np.array([[1, 0, 0.7], [0, NAN, 1], [NAN, NAN, NAN], [1, 1, 0]]),
    "one": np.array([[0, 1, 0], [1, 0, 0], [0.2, 0.5, 0.3], [NAN, NAN, NAN]]),
}
WEIGHTS = np.array([1.0, 2.0, 0.5, 4.0])
STARTS = np.array([0, 1, 3, 4])  # the second row has two windows
LOGITS = np.random.default_rng(5).normal(size=(5, 6))


def cells(*overrides):
    rows = TrainingRows([text_input("x")] * 4, LABELS, WEIGHTS, list("abcd"))
    documents = Documents.of(STARTS, 5, WEIGHTS)
    return make_cells(tiny_encoder_recipe("x", *overrides), SCHEMA, rows, documents)


def loss(found):
    """Return the loss of all windows, as the trainer sums it."""
    logits = torch.from_numpy(LOGITS.astype(np.float32))
    parts = (logits[:, :3], logits[:, 3:])
    return [float(TargetLoss(one)(part, torch.arange(5))) for one, part in zip(found, parts, strict=True)]


def binary(logits, truth):
    p = probabilities(logits, TargetKind.MULTI_LABEL)
    return -(truth * np.log(p) + (1 - truth) * np.log(1 - p))


def categorical(logits, truth):
    return -(truth * np.log(probabilities(logits, TargetKind.SINGLE_LABEL))).sum(axis=1)


OWNER = np.array([0, 1, 1, 2, 3])
SHARE = np.array([1.0, 1.0, 1.0, 0.5, 4.0])
TRUTH = np.nan_to_num(LABELS["many"])[OWNER]
KNOWN = ~np.isnan(LABELS["many"])[OWNER]
KNOWN_ROW = np.array([1, 1, 1, 1, 0.0])
ROW_TRUTH = np.nan_to_num(LABELS["one"])[OWNER]


def test_the_loss_is_numpys_masked_and_shared_by_windows():
    wanted = [
        (binary(LOGITS[:, :3], TRUTH) * KNOWN * SHARE[:, None]).sum() / 3,
        (categorical(LOGITS[:, 3:], ROW_TRUTH) * SHARE * KNOWN_ROW).sum(),
    ]
    found = cells("loss.class_weights=none", "loss.soft_labels=true", "loss.smoothing=0")
    assert loss(found) == pytest.approx(wanted, rel=1e-5)
    weights = [(one.weight * one.scale).sum() for one in found]
    assert weights == pytest.approx([(KNOWN * SHARE[:, None]).sum() / 3, (SHARE * KNOWN_ROW).sum()])


def test_hard_labels_and_smoothing():
    found = cells("loss.soft_labels=false", "loss.smoothing=0.1")
    hard = (TRUTH > 0.5) * 0.9 + 0.05
    of_row = np.eye(3)[ROW_TRUTH.argmax(axis=1)] * 0.9 + 0.1 / 3
    wanted = [
        (binary(LOGITS[:, :3], hard) * KNOWN * SHARE[:, None]).sum() / 3,
        (categorical(LOGITS[:, 3:], of_row) * SHARE * KNOWN_ROW).sum(),
    ]
    assert loss(found) == pytest.approx(wanted, rel=1e-5)


def test_a_table_of_class_weights_counts_where_the_label_holds():
    found = cells("loss.class_weights={b=3.0, y=5.0}")
    p = probabilities(LOGITS[:, :3], TargetKind.MULTI_LABEL)
    sides = -(TRUTH * np.array([1, 3.0, 1]) * np.log(p) + (1 - TRUTH) * np.log(1 - p))
    wanted = [
        (sides * KNOWN * SHARE[:, None]).sum() / 3,
        (categorical(LOGITS[:, 3:], ROW_TRUTH * [1, 5.0, 1]) * SHARE * KNOWN_ROW).sum(),
    ]
    assert loss(found) == pytest.approx(wanted, rel=1e-5)


def test_balanced_sides_weigh_alike_and_the_sum_stays():
    many, one = cells("loss.class_weights=balanced")
    weight = many.weight * many.factor
    held, rest = (weight * many.truth).sum(axis=0), (weight * (1 - many.truth)).sum(axis=0)
    np.testing.assert_allclose(held, rest)
    np.testing.assert_allclose(held + rest, many.weight.sum(axis=0))
    of_labels = (one.weight * one.factor * one.truth).sum(axis=0)
    np.testing.assert_allclose(of_labels, one.weight[:, 0].sum() / 3)


def test_targets_have_weights_and_losses_of_their_own():
    plain = loss(cells())
    weighted = loss(cells("targets={many={weight=2.5}, one={weight=0.0}}"))
    assert weighted == pytest.approx([2.5 * plain[0], 0.0], rel=1e-6)
    as_binary = loss(cells('targets={one={loss="binary"}}'))
    wanted = (binary(LOGITS[:, 3:], ROW_TRUTH) * (SHARE * KNOWN_ROW)[:, None]).sum() / 3
    assert as_binary == pytest.approx([plain[0], wanted], rel=1e-5)


def test_a_positive_documents_weight_goes_to_its_best_window():
    many, _ = cells()
    logits = np.zeros((5, 3))
    logits[2, 2] = 1.0  # of the second document's windows the second says `c`
    focused = many.focused(Documents.of(STARTS, 5, WEIGHTS), logits, tiny_rule())
    assert focused.weight[1:3, 2].tolist() == [0.0, 2.0]
    assert focused.weight[1:3, 0].tolist() == [1.0, 1.0]  # it has not `a`: no window has
    assert focused.weight[1:3, 1].tolist() == [0.0, 0.0]  # nobody knows about `b`


def tiny_rule():
    from modwright.models.windows import SingleLabelRule

    return SingleLabelRule.WORST


@pytest.mark.parametrize(
    ("override", "where", "hint"),
    [
        ("targets={mony={weight=1.0}}", "targets.mony", "'many'"),
        ('targets={many={loss="categorical"}}', "targets.many.loss", "binary"),
        ("loss.class_weights={q=2.0}", "loss.class_weights", "known: a, b, c, x, y, z"),
        ("targets={many={class_weights={x=2.0}}}", "targets.many.class_weights", "known: a, b, c"),
    ],
)
def test_what_a_schema_does_not_have(override, where, hint):
    with pytest.raises(RecipeError) as caught:
        cells(override)
    assert caught.value.where == where
    assert hint in str(caught.value)
