"""Two models on the same rows: scikit-learn's figures, exact tests, failures that count as wrong."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from modwright.errors import UsageError
from modwright.evaluation.comparison import Judged
from modwright.evaluation.disagreement import disagreements
from modwright.evaluation.mcnemar import holm, mcnemar_p
from modwright.evaluation.metrics import evaluate_split
from modwright.evaluation.paired import compare
from modwright.schema import Schema, Target, TargetKind

SCHEMA = Schema((Target.create("moderation", TargetKind.MULTI_LABEL, ("insult", "threat", "safe")),))
TONE = Schema((Target.create("tone", TargetKind.SINGLE_LABEL, ("kind", "rude"), negative=("kind",)),))
ROWS = 200


def judged(name, scores, *, hard=False, covered=None, failed=None, target="moderation"):
    """Return a model that flags from a half on."""
    flags = scores >= 0.5
    flags[:, -1] &= target != "moderation"  # safe is never flagged
    return Judged(
        name,
        {target: flags},
        None if hard else {target: scores},
        {target: np.ones(scores.shape[1], dtype=bool) if covered is None else np.array(covered)},
        np.zeros(len(scores), dtype=bool) if failed is None else failed,
    )


@pytest.fixture
def labels():
    truth = (np.random.default_rng(0).random((ROWS, 3)) < 0.4).astype(float)
    truth[:20, 0] = np.nan
    return {"moderation": truth}


def noisy(labels, seed, noise):
    """Return scores that follow the labels but for noise."""
    rng = np.random.default_rng(seed)
    truth = np.nan_to_num(labels["moderation"], nan=0.3)
    return np.clip(0.25 + 0.5 * truth + noise * rng.normal(size=truth.shape), 0, 1)


def test_the_figures_are_scikit_learns_and_the_difference_theirs(labels):
    one, other = judged("ours", noisy(labels, 1, 0.2)), judged("theirs", noisy(labels, 2, 0.5))
    found = compare(SCHEMA, labels, one, other, resamples=200).targets["moderation"]
    assert list(found.labels) == ["insult", "threat"]
    insult, known = found.labels["insult"], slice(20, None)
    truth = labels["moderation"][known, 0]
    for side, model in (("one", one), ("other", other)):
        scores, flags = model.scores["moderation"][known, 0], model.flags["moderation"][known, 0]
        assert getattr(insult.metrics["f1"], side).value == pytest.approx(sk.f1_score(truth, flags))
        assert getattr(insult.metrics["roc_auc"], side).value == pytest.approx(
            sk.roc_auc_score(truth, scores)
        )
        assert getattr(insult.metrics["brier"], side).value == pytest.approx(
            sk.brier_score_loss(truth, scores)
        )
    difference = insult.metrics["f1"]
    assert difference.difference.value == pytest.approx(difference.one.value - difference.other.value)
    assert difference.clear
    assert difference.difference.low > 0
    right = [(model.flags["moderation"][known, 0] == truth) for model in (one, other)]
    only = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    assert (insult.mcnemar.only_one, insult.mcnemar.only_other) == only
    assert insult.mcnemar.p == pytest.approx(exact(*only))
    both = sorted(label.mcnemar.p for label in found.labels.values())
    assert insult.mcnemar.holm == pytest.approx(
        min(1, 2 * both[0]) if insult.mcnemar.p == both[0] else max(2 * both[0], both[1])
    )
    assert found.mcnemar.holm == found.mcnemar.p
    assert (insult.positives, insult.negatives) == (int(truth.sum()), int(180 - truth.sum()))


def test_the_paired_interval_is_the_bootstraps(labels):
    """Drawn by hand with numpy from the same counts, and narrower than two intervals that know nothing of each other."""
    from modwright.evaluation.resampling import Resampler

    scores = noisy(labels, 1, 0.3)
    one, other = judged("a", scores), judged("b", np.clip(scores + 0.02, 0, 1))
    found = compare(SCHEMA, labels, one, other, resamples=100).targets["moderation"].labels["threat"].metrics
    truth = labels["moderation"][:, 1]
    drawn = []
    for counts in Resampler(ROWS, None, 100, 0).counts():
        for count in counts:
            f1 = [
                sk.f1_score(truth, model.flags["moderation"][:, 1], sample_weight=count)
                for model in (one, other)
            ]
            drawn.append(f1[0] - f1[1])
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert (found["f1"].difference.low, found["f1"].difference.high) == pytest.approx((low, high))
    assert high - low < 0.5 * (found["f1"].one.high - found["f1"].one.low)


def test_a_model_against_itself_differs_in_nothing(labels):
    one = judged("a", noisy(labels, 1, 0.3))
    found = compare(SCHEMA, labels, one, judged("b", noisy(labels, 1, 0.3)), resamples=50).targets[
        "moderation"
    ]
    for difference in (
        *found.labels["insult"].metrics.values(),
        *found.macro.values(),
        *found.decision.values(),
    ):
        assert (difference.difference.value, difference.difference.low, difference.difference.high) == (
            0,
            0,
            0,
        )
        assert not difference.clear
    assert found.mcnemar.p == found.labels["threat"].mcnemar.holm == 1.0
    assert disagreements(SCHEMA, labels, one, one) == []


def test_the_macro_average_is_that_of_the_labels(labels):
    one, other = judged("a", noisy(labels, 1, 0.2)), judged("b", noisy(labels, 2, 0.4))
    found = compare(SCHEMA, labels, one, other, resamples=50).targets["moderation"]
    values = [label.metrics["roc_auc"].difference.value for label in found.labels.values()]
    assert found.macro["roc_auc"].difference.value == pytest.approx(np.mean(values))
    assert found.decision["accuracy"].one.n == ROWS - 20


def test_a_row_without_an_answer_is_wrong(labels):
    scores, failed = noisy(labels, 1, 0.1), np.arange(ROWS) % 4 == 0
    one, other = judged("a", scores), judged("b", scores, failed=failed)
    found = compare(SCHEMA, labels, one, other, resamples=0)
    threat = found.targets["moderation"].labels["threat"]
    assert found.failed == (0, 50)
    assert "log_loss" not in threat.metrics
    right = ((scores[:, 1] >= 0.5) == (labels["moderation"][:, 1] > 0.5)) & ~failed
    assert threat.mcnemar.only_other == 0
    decision = found.targets["moderation"].decision["accuracy"]
    assert decision.other.value <= 0.76 < decision.one.value
    truth = labels["moderation"][:, 1]
    worst = np.where(failed, 1 - truth, scores[:, 1])
    assert threat.metrics["roc_auc"].other.value == pytest.approx(sk.roc_auc_score(truth, worst))
    flagged = np.where(failed, truth < 0.5, scores[:, 1] >= 0.5)
    assert threat.metrics["f1"].other.value == pytest.approx(sk.f1_score(truth, flagged))
    assert (flagged == (truth > 0.5)).sum() == right.sum()


def test_one_without_any_answer_has_failures_and_no_figures(labels):
    one = judged("a", noisy(labels, 1, 0.2))
    silent = judged(
        "b", noisy(labels, 1, 0.2), covered=[False] * 3, failed=np.ones(ROWS, dtype=bool), hard=True
    )
    found = compare(SCHEMA, labels, one, silent, resamples=10)
    assert (found.targets, found.failed, found.rows) == ({}, (0, ROWS), ROWS)


def test_one_that_only_says_yes_or_no_is_compared_by_decisions(labels):
    one, other = judged("a", noisy(labels, 1, 0.2)), judged("b", noisy(labels, 2, 0.4), hard=True)
    metrics = compare(SCHEMA, labels, one, other, resamples=10).targets["moderation"].labels["threat"].metrics
    assert set(metrics) == {"f1", "precision", "recall"}


def test_labels_that_one_does_not_know_are_left_out(labels):
    one = judged("a", noisy(labels, 1, 0.2))
    found = compare(
        SCHEMA, labels, one, judged("b", noisy(labels, 2, 0.4), covered=[True, False, False]), resamples=10
    )
    target = found.targets["moderation"]
    assert (list(target.labels), target.decision, target.mcnemar, target.macro) == (["insult"], {}, None, {})
    with pytest.raises(UsageError, match="no label in common"):
        compare(SCHEMA, labels, one, judged("b", noisy(labels, 2, 0.4), covered=[False] * 3), resamples=10)


def test_a_class_is_known_only_whole():
    truth = np.array([[0.0, 1.0], [1.0, np.nan], [1.0, 0.0], [0.0, 1.0]])
    scores = np.array([[0.2, 0.8], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]])
    one = judged("a", scores, target="tone")
    found = compare(TONE, {"tone": truth}, one, judged("b", scores[::-1].copy(), target="tone"), resamples=5)
    rude = found.targets["tone"].labels["rude"]
    assert (rude.positives, rude.negatives, rude.enough) == (2, 1, False)
    decision = found.targets["tone"].decision
    assert list(decision) == ["accuracy"]
    assert (decision["accuracy"].one.value, decision["accuracy"].other.value) == (
        pytest.approx(2 / 3),
        pytest.approx(1 / 3),
    )
    failed = judged("c", scores, failed=np.ones(4, dtype=bool), target="tone")
    found = compare(TONE, {"tone": truth}, one, failed, resamples=5).targets["tone"]
    assert (found.decision["accuracy"].other.value, found.mcnemar.only_one) == (0.0, 2)


MOOD = Schema(
    (
        Target.create(
            "tone", TargetKind.SINGLE_LABEL, ("kind", "plain", "rude", "hostile"), negative=("kind", "plain")
        ),
    )
)


def test_the_accuracy_of_classes_is_the_reports():
    """Soft labels count by their most probable one, and one negative label taken for another is a wrong class."""
    soft = [[0.1, 0.1, 0.4, 0.4], [0.0, 0.45, 0.35, 0.2], [0.0, 0.0, 0.0, 0.0], [np.nan, 0.0, 1.0, 0.0]]
    truth = np.array([*soft, [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
    scores = np.array([[0.1, 0.1, 0.5, 0.3], [0.1, 0.2, 0.6, 0.1], [0.7, 0.1, 0.1, 0.1]] * 2)
    flags = {"tone": np.eye(4, dtype=bool)[scores.argmax(axis=1)] & [False, False, True, True]}
    report = evaluate_split(MOOD, {"tone": scores}, {"tone": truth}, flags, resamples=20)
    sides = [
        Judged(name, flags, {"tone": values}, {"tone": np.ones(4, dtype=bool)}, np.zeros(6, dtype=bool))
        for name, values in (("a", scores), ("b", scores))
    ]
    found = compare(MOOD, {"tone": truth}, *sides, resamples=20).targets["tone"].decision["accuracy"]
    assert found.one == report.targets["tone"].accuracy
    assert (found.one.value, found.one.n) == (0.25, 4)


def test_a_class_named_without_scores():
    """Who only names labels says which negative one it means; of flags alone nobody knows, so nothing is compared."""
    truth = np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0]])
    scores = np.array([[0.9, 0.1, 0, 0], [0.9, 0.1, 0, 0], [0.1, 0.2, 0.7, 0]])
    flags = {"tone": np.array([[False] * 4, [False] * 4, [False, False, True, False]])}
    every, none = {"tone": np.ones(4, dtype=bool)}, np.zeros(3, dtype=bool)
    one = Judged("a", flags, {"tone": scores}, every, none)
    named = Judged("b", flags, None, every, none, {"tone": np.array([0, 1, 2])})
    found = compare(MOOD, {"tone": truth}, one, named, resamples=0).targets["tone"]
    accuracy = found.decision["accuracy"]
    assert (accuracy.one.value, accuracy.other.value) == (pytest.approx(2 / 3), 1.0)
    assert (found.mcnemar.only_one, found.mcnemar.only_other) == (0, 1)
    without = Judged("b", flags, None, {"tone": np.array([False, False, True, True])}, none)
    found = compare(MOOD, {"tone": truth}, one, without, resamples=0).targets["tone"]
    assert (found.decision, list(found.labels)) == ({}, ["rude", "hostile"])


def test_both_macro_averages_are_of_the_same_labels():
    """Precision is not defined for who never flags a label, and the other's of that label must not count alone."""
    truth = np.zeros((80, 3))
    truth[:40, :2] = 1.0
    ours = np.where(truth > 0, 0.9, 0.1)
    ours[40:60, 0] = 0.9  # insult: 40 of 60 flags are right, threat: all
    theirs = ours.copy()
    theirs[:, 1] = 0.0
    one, other = judged("a", ours), judged("b", theirs)
    found = compare(SCHEMA, {"moderation": truth}, one, other, resamples=50).targets["moderation"]
    assert found.labels["threat"].metrics["precision"].other.value is None
    macro = found.macro["precision"]
    assert macro.one.value == macro.other.value == pytest.approx(2 / 3)
    assert (macro.difference.value, macro.difference.low, macro.difference.high) == (0, 0, 0)
    assert found.macro["recall"].difference.value == 0.5


def test_without_known_rows_there_are_no_numbers(labels):
    nothing = {"moderation": np.full((ROWS, 3), np.nan)}
    one = judged("a", noisy(labels, 1, 0.2))
    threat = compare(SCHEMA, nothing, one, one, resamples=5).targets["moderation"].labels["threat"]
    assert threat.mcnemar is None
    assert threat.metrics["f1"].difference.value is None


def test_it_goes_into_json(labels):
    one, other = judged("a", noisy(labels, 1, 0.2)), judged("b", noisy(labels, 2, 0.4))
    data = compare(SCHEMA, labels, one, other, groups=["g"] * ROWS, resamples=10).to_json()
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert data["settings"]["units"] == 1
    assert set(data["targets"]["moderation"]["labels"]["insult"]["mcnemar"]) == {
        "only_one",
        "only_other",
        "p",
        "p_holm",
    }


def exact(only_one, only_other):
    """Return the p of the exact binomial test by its definition: all partings that are no likelier than this one."""
    n = only_one + only_other
    ways = [math.comb(n, k) for k in range(n + 1)]
    return float(Fraction(sum(way for way in ways if way <= ways[only_one]), 2**n))


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_exact_binomial_test(only_one, only_other):
    assert mcnemar_p(only_one, only_other) == pytest.approx(exact(only_one, only_other), rel=1e-9)


def test_mcnemar_of_many_rows():
    assert mcnemar_p(950, 1_080) == pytest.approx(exact(950, 1_080), rel=1e-9)
    assert mcnemar_p(0, 100_000) == 0.0
    assert mcnemar_p(50_000, 50_000) == 1.0


def test_holm_steps_down():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_rows_that_only_one_flags_come_first():
    labels = {"moderation": np.array([[1.0, 0, 0], [0, 0, 0], [0, np.nan, 0], [0, 0, 0], [0, 0, 0]])}
    one = np.array([[0.9, 0.1, 0.0], [0.05, 0.1, 1.0], [0.1, 0.55, 0.0], [0.2, 0.2, 0.0], [0.9, 0.1, 0.0]])
    other = np.array([[0.4, 0.1, 0.0], [0.45, 0.1, 0.0], [0.1, 0.45, 0.0], [0.2, 0.2, 0.0], [0.1, 0.1, 0.0]])
    failed = np.array([False, False, False, False, True])
    found = disagreements(SCHEMA, labels, judged("a", one), judged("b", other, failed=failed))
    assert [(item.row, item.label, item.flags) for item in found] == [
        (0, "insult", (True, False)),
        (2, "threat", (True, False)),
        (1, "insult", (False, False)),
    ]
    assert found[0].scores == (0.9, 0.4)
    assert [item.truth for item in found] == [1.0, None, 0.0]
    assert len(disagreements(SCHEMA, labels, judged("a", one), judged("b", other), most=1)) == 1
