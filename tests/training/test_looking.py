"""Looks: the loss, metrics by name against scikit-learn, a user's own function, and errors that help."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from modwright.errors import DataError, RecipeError, TrainingError
from modwright.schema import Schema, Target, TargetKind
from modwright.testing import TINY_SCHEMA, tiny_rows
from modwright.training.looking import Judge, names
from modwright.training.rows import TrainingRows

ROWS = tiny_rows(80, seed=3)


def noisy(rows=ROWS, noise=0.6, seed=0):
    rng = np.random.default_rng(seed)
    found = {}
    for name, truth in rows.labels.items():
        values = np.clip(np.nan_to_num(truth) + rng.normal(0, noise, truth.shape), 0.01, 3.0)
        found[name] = values / values.sum(axis=1, keepdims=True) if name == "tone" else values / 3.1
    return found


def prefers_insults(truth, scores):
    """A user's own metric: the name by which the recipe finds it is this module's."""
    return float(scores["moderation"][:, 0].mean()) + 0 * len(truth)


def fails(truth, scores):
    raise KeyError("nothing")


def returns_nothing(truth, scores):
    return float("nan")


def test_standard_metrics_are_scikit_learns():
    scores = noisy()
    look = Judge(TINY_SCHEMA, ROWS, "macro_auc").look(scores)
    columns = [("moderation", 0), ("moderation", 1), ("tone", 1)]  # safe and kind are negative labels
    pairs = [(ROWS.labels[name][:, at] > 0.5, scores[name][:, at]) for name, at in columns]
    assert look.metrics["macro_auc"] == pytest.approx(np.mean([roc_auc_score(*pair) for pair in pairs]))
    assert look.metrics["macro_ap"] == pytest.approx(
        np.mean([average_precision_score(*pair) for pair in pairs])
    )
    best = [max(f1_score(y, s >= cut) for cut in s) for y, s in pairs]
    assert look.metrics["macro_f1"] == pytest.approx(np.mean(best))
    assert look.metrics["accuracy"] == (ROWS.labels["tone"].argmax(1) == scores["tone"].argmax(1)).mean()
    assert look.value == look.metrics["macro_auc"]


def test_the_loss_is_the_mean_over_targets_and_lower_is_better():
    good, bad = (Judge(TINY_SCHEMA, ROWS, "loss").look(noisy(noise=noise, seed=4)) for noise in (0.1, 2.0))
    assert good.loss < bad.loss
    assert good.value == -good.loss > bad.value


def test_one_label_or_target_can_be_the_metric():
    scores = noisy()
    look = Judge(TINY_SCHEMA, ROWS, "moderation/threat/auc").look(scores)
    expected = roc_auc_score(ROWS.labels["moderation"][:, 1], scores["moderation"][:, 1])
    assert look.value == pytest.approx(expected) == look.metrics["moderation/threat/auc"]
    assert "moderation/insult/auc" not in look.metrics
    by_target = Judge(TINY_SCHEMA, ROWS, "tone/macro_auc").look(scores)
    assert by_target.value == pytest.approx(roc_auc_score(ROWS.labels["tone"][:, 1], scores["tone"][:, 1]))


def test_a_function_of_the_users_own():
    metric = f"{__name__}:prefers_insults"
    scores = noisy()
    look = Judge(TINY_SCHEMA, ROWS, metric).look(scores)
    assert look.value == look.metrics[metric] == pytest.approx(scores["moderation"][:, 0].mean())


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("macro_acu", "did you mean 'macro_auc'?"),
        ("moderation/thread/auc", "did you mean 'moderation/threat/auc'?"),
        ("no_such_package.module:function", "cannot be imported"),
        (f"{__name__}:no_such_function", "cannot be imported"),
        (f"{__name__}:ROWS", "expected a function"),
    ],
)
def test_an_unknown_metric_is_an_error_that_helps(metric, words):
    with pytest.raises(RecipeError) as caught:
        Judge(TINY_SCHEMA, ROWS, metric)
    assert words in str(caught.value)
    assert "validation.metric" in str(caught.value)


@pytest.mark.parametrize(("name", "words"), [("fails", "KeyError"), ("returns_nothing", "finite number")])
def test_a_function_that_fails_is_the_recipes_error(name, words):
    judge = Judge(TINY_SCHEMA, ROWS, f"{__name__}:{name}")
    with pytest.raises(RecipeError, match=words):
        judge.look(noisy())


def test_rows_that_leave_the_metric_undefined_say_so():
    schema = Schema((Target.create("bird", TargetKind.MULTI_LABEL, ["goose"]),))
    rows = TrainingRows(ROWS.inputs, {"bird": np.ones((80, 1))}, np.ones(80), ROWS.groups)
    scores = {"bird": np.full((80, 1), 0.5)}
    assert Judge(schema, rows, "loss").look(scores).metrics == {}
    with pytest.raises(DataError, match="undefined"):
        Judge(schema, rows, "macro_auc").look(scores)


def test_unknown_cells_are_left_out():
    truth = {name: values.copy() for name, values in ROWS.labels.items()}
    truth["moderation"][:40, 0] = np.nan
    rows = TrainingRows(ROWS.inputs, truth, ROWS.weights, ROWS.groups)
    scores = noisy()
    look = Judge(TINY_SCHEMA, rows, "moderation/insult/ap").look(scores)
    assert look.value == pytest.approx(
        average_precision_score(truth["moderation"][40:, 0], scores["moderation"][40:, 0])
    )


def test_scores_that_are_no_numbers_end_the_run():
    scores = noisy()
    scores["tone"][3, 1] = np.nan
    with pytest.raises(TrainingError, match="tone"):
        Judge(TINY_SCHEMA, ROWS, "loss").look(scores)


def test_names_hold_every_metric_once_and_no_negative_label():
    found = names(TINY_SCHEMA)
    assert len(found) == len(set(found))
    assert "moderation/safe/auc" not in found
    assert {"loss", "macro_f1", "tone/accuracy", "tone/rude/f1"} <= set(found)
