"""From the rows' prevalence to a recipe's: labels without rows, classes that share, soft labels."""

from __future__ import annotations

import numpy as np
import pytest

from modwright.errors import RecipeError
from modwright.evaluation.decisions import decide
from modwright.evaluation.deployment import deployed_prevalence, prior_shift, stated_prevalence
from modwright.recipe import load_recipe
from modwright.schema import Schema, Target, TargetKind

MULTI = Target.create("moderation", TargetKind.MULTI_LABEL, ["insult", "threat"])
SINGLE = Target.create("tone", TargetKind.SINGLE_LABEL, ["safe", "hate", "threat"])


def shift(target, labels, stated, weights=None):
    return prior_shift(target, np.asarray(labels, float), weights, stated, positive_above=0.5)


def test_a_class_without_rows_moves_as_the_others_that_are_not_named():
    labels = np.eye(3)[[0, 0, 1, 1]]  # nobody has seen a threat
    found = shift(SINGLE, labels, {"safe": 0.98})
    ratio = np.array(found.deployed) / np.array(found.fitted)
    assert ratio[2] == pytest.approx(ratio[1])
    assert ratio == pytest.approx([1.96, 0.04, 0.04], rel=1e-6)
    assert sum(found.fitted) == pytest.approx(1)
    assert sum(found.deployed) == pytest.approx(1)
    before = np.array([[0.5, 0.45, 0.05]])
    after = found.apply(SINGLE.kind, before)
    assert after[0, 2] < before[0, 2] * 0.05
    assert after[0, 1] / after[0, 2] == pytest.approx(9, rel=1e-6)


def test_a_named_class_without_rows_is_refused_with_its_name():
    with pytest.raises(RecipeError, match="no positives") as caught:
        shift(SINGLE, np.eye(3)[[0, 0, 1, 1]], {"threat": 0.1})
    assert caught.value.where == "deployment.prevalence.threat"


def test_the_classes_with_rows_may_be_all_there_are():
    labels = np.eye(3)[[0, 0, 1, 1]]
    found = shift(SINGLE, labels, {"safe": 0.9, "hate": 0.1})
    assert np.array(found.deployed[:2]) == pytest.approx([0.9, 0.1])
    assert found.deployed[2] / found.fitted[2] == pytest.approx(1)
    with pytest.raises(RecipeError, match="no row has any of the others"):
        shift(SINGLE, labels, {"safe": 0.9, "hate": 0.05})
    with pytest.raises(RecipeError, match="leaves nothing"):
        shift(SINGLE, np.eye(3)[[0, 1, 2]], {"safe": 0.9, "hate": 0.1})


def test_a_label_of_many_that_has_no_rows_stays_as_it_is():
    found = shift(MULTI, [[1, 0], [0, 0], [0, 0], [0, 0]], {"insult": 0.01})
    assert found.fitted == (0.25, 0.5)
    assert found.deployed == (0.01, 0.5)


def test_soft_labels_count_as_they_do_for_thresholds():
    labels = np.array([[0.9, 0.0], [0.6, 0.0], [0.4, 0.0], [0.2, 0.0], [0.1, 0.0]])
    assert shift(MULTI, labels, {"insult": 0.1}).fitted[0] == pytest.approx(2 / 5)
    found = shift(SINGLE, [[0.6, 0.4, 0.0], [0.6, 0.4, 0.0], [0.1, 0.5, 0.4], [0.0, 0.1, 0.9]], {"safe": 0.9})
    assert found.fitted == pytest.approx((0.5, 0.25, 0.25))


def test_the_prevalence_that_is_stated_is_that_of_the_rows_where_nothing_changes():
    """Stating the share that the thresholds count changes no score."""
    rng = np.random.default_rng(0)
    labels = {"moderation": rng.random((400, 2))}
    scores = {"moderation": np.clip(labels["moderation"] + rng.normal(0, 0.2, (400, 2)), 0.01, 0.99)}
    share = float((labels["moderation"][:, 0] > 0.5).mean())
    plain, stated = (
        decide(load_recipe("fast", some), Schema((MULTI,)), scores, labels)
        for some in ([], [f"deployment.prevalence.insult={share}"])
    )
    assert stated.calibrated(scores)["moderation"] == pytest.approx(plain.calibrated(scores)["moderation"])


def test_classes_that_hold_for_too_many_texts_are_refused_before_any_row_is_seen():
    schema = Schema((MULTI, SINGLE))
    with pytest.raises(RecipeError, match=r"sum to 1\.2"):
        stated_prevalence(load_recipe("fast", ["deployment.prevalence={safe=0.8, hate=0.4}"]), schema)
    asked = load_recipe("fast", ["deployment.prevalence={safe=0.8, hate=0.1, insult=0.9}"])
    assert stated_prevalence(asked, schema) == {
        "tone": {"safe": 0.8, "hate": 0.1},
        "moderation": {"insult": 0.9},
    }


def test_what_the_load_is_weighted_to_is_of_all_classes():
    found = shift(SINGLE, np.eye(3)[[0, 0, 1, 2]], {"safe": 0.9})
    assert deployed_prevalence(SINGLE, found, {"safe": 0.9}) == pytest.approx(
        {"safe": 0.9, "hate": 0.05, "threat": 0.05}
    )
