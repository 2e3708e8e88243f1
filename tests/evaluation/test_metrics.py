"""A split's evaluation: masks, evidence, macro averages, decisions, confusion, and the file it becomes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn import metrics as reference

from modwright.errors import UsageError
from modwright.evaluation.metrics import Metric, evaluate_split, metrics_json
from modwright.evaluation.reliability import ece_band
from modwright.evaluation.results import evidence_note
from modwright.evaluation.thresholds import flags as flagged_by
from modwright.schema import Schema, Target, TargetKind

MULTI = Target.create("moderation", TargetKind.MULTI_LABEL, ["insult", "rare", "safe", "threat"])
SINGLE = Target.create("tone", TargetKind.SINGLE_LABEL, ["safe", "rude", "hostile"])
SCHEMA = Schema((MULTI, SINGLE))
METRICS = {"f1", "precision", "recall", "roc_auc", "average_precision", "brier", "log_loss", "ece"}


def drawn(n=240, seed=0):
    """Scores, labels with unknown cells, and flags at 0.5; 'rare' holds four times."""
    rng = np.random.default_rng(seed)
    multi = rng.random((n, 4))
    tone = rng.dirichlet([2, 1, 1], n)
    labels = {
        "moderation": (rng.random((n, 4)) < multi).astype(float),
        "tone": np.eye(3)[(tone.cumsum(1) > rng.random((n, 1))).argmax(1)],
    }
    labels["moderation"][:, 1] = np.arange(n) < 4
    labels["moderation"][rng.random((n, 4)) < 0.1] = np.nan
    labels["moderation"][:4, 1] = 1.0
    labels["tone"][:20, 1] = np.nan
    scores = {"moderation": multi, "tone": tone}
    thresholds = {"moderation": dict.fromkeys(MULTI.flaggable, 0.5), "tone": {}}
    flags = {
        target.name: flagged_by(target, scores[target.name], thresholds[target.name]) for target in SCHEMA
    }
    return scores, labels, flags


def evaluated(**options):
    return evaluate_split(SCHEMA, *drawn(), resamples=50, **options)


def test_every_label_is_scikit_learns_on_its_known_rows():
    scores, labels, flags = drawn()
    found = evaluated().targets["moderation"].labels
    for i, label in enumerate(MULTI.labels):
        known = ~np.isnan(labels["moderation"][:, i])
        truth, p = labels["moderation"][known, i] > 0.5, scores["moderation"][known, i]
        assert found[label].known == found[label].metrics[Metric.F1].n == known.sum()
        assert found[label].unknown == 240 - known.sum()
        assert found[label].positives == truth.sum()
        assert found[label].metrics[Metric.ROC_AUC].value == pytest.approx(reference.roc_auc_score(truth, p))
        if label == "safe":
            assert found[label].metrics[Metric.F1].value is None
            assert found[label].confusion is None
        else:
            flagged = flags["moderation"][known, i]
            assert found[label].metrics[Metric.F1].value == pytest.approx(reference.f1_score(truth, flagged))
            assert np.array_equal(found[label].confusion, reference.confusion_matrix(truth, flagged))


def test_a_single_label_target_is_judged_one_against_the_rest_with_accuracy():
    scores, labels, _ = drawn()
    found = evaluated().targets["tone"]
    truth, chosen = labels["tone"][20:].argmax(1), scores["tone"][20:].argmax(1)
    assert found.known == 220
    assert np.array_equal(found.confusion, reference.confusion_matrix(truth, chosen))
    assert found.accuracy.value == pytest.approx(reference.accuracy_score(truth, chosen))
    per_class = reference.f1_score(truth, chosen, average=None)
    assert [label.metrics[Metric.F1].value for label in found.labels.values()] == pytest.approx(per_class)
    assert found.macro[Metric.F1].value == pytest.approx(per_class[1:].mean())  # 'safe' is negative


def test_too_few_positives_are_marked_and_left_out_of_macro_and_ranking():
    found = evaluated().targets["moderation"]
    rare = found.labels["rare"]
    assert not rare.enough
    assert "only 4 positives" in rare.note
    assert rare.metrics[Metric.F1].value is not None
    assert set(found.ranking) == {"insult", "threat"}
    expected = np.mean([found.labels[name].metrics[Metric.F1].value for name in ("insult", "threat")])
    assert found.macro[Metric.F1].value == pytest.approx(expected)


def test_a_label_without_known_rows_has_no_numbers():
    scores, labels, flags = drawn()
    labels["moderation"][:, 3] = np.nan
    found = evaluate_split(SCHEMA, scores, labels, flags, resamples=5).targets["moderation"].labels["threat"]
    assert found.note == "no known rows"
    assert found.curves is None
    assert all(interval.value is None and interval.n == 0 for interval in found.metrics.values())


def test_nothing_enough_leaves_the_macro_undefined():
    scores, labels, flags = drawn(n=12)
    found = evaluate_split(SCHEMA, scores, labels, flags, resamples=5).targets["moderation"]
    assert found.ranking == ()
    assert found.macro[Metric.F1].value is None


def test_the_decision_is_any_flag_against_any_label_where_all_are_known():
    _, labels, flags = drawn()
    columns = [MULTI.index(label) for label in MULTI.flaggable]
    values = labels["moderation"][:, columns]
    positive = (values > 0.5).any(axis=1)
    known = ~np.isnan(values).any(axis=1)  # certain positives alone would flatter
    flagged = flags["moderation"].any(axis=1)
    found = evaluated().targets["moderation"].decision
    assert found["f1"].n == known.sum()
    assert found["f1"].value == pytest.approx(reference.f1_score(positive[known], flagged[known]))
    assert found["accuracy"].value == pytest.approx(np.mean(positive[known] == flagged[known]))
    assert found["flagged"].value == pytest.approx(flagged.mean())
    assert found["flagged"].n == 240


def test_soft_labels_are_cut_by_the_schemas_rule_and_losses_are_held_against_their_value():
    target = Target.create("t", TargetKind.MULTI_LABEL, ["a"])
    scores, labels = np.array([[0.2], [0.6]]), np.array([[0.4], [0.8]])
    for above, positives in ((0.5, 1), (0.3, 2)):
        schema = Schema((target,), positive_above=above)
        label = (
            evaluate_split(schema, {"t": scores}, {"t": labels}, {"t": scores > 0.5}, resamples=0)
            .targets["t"]
            .labels["a"]
        )
        assert label.positives == positives
        assert label.metrics[Metric.BRIER].value == pytest.approx(0.04)


def test_groups_widen_the_interval_of_rows_that_resemble_each_other():
    scores, labels, flags = ({name: np.repeat(part[name], 5, axis=0) for name in part} for part in drawn(60))
    groups = [str(i // 5) for i in range(300)]
    widths = []
    for given in (None, groups):
        evaluation = evaluate_split(SCHEMA, scores, labels, flags, groups=given, resamples=200)
        interval = evaluation.targets["moderation"].labels["insult"].metrics[Metric.ROC_AUC]
        widths.append(interval.high - interval.low)
    assert evaluation.units == 60
    assert widths[1] > 1.7 * widths[0]


def test_the_seed_decides_and_values_do_not_depend_on_it():
    assert metrics_json({"test": evaluated(seed=1)}) == metrics_json({"test": evaluated(seed=1)})
    one, two = (evaluated(seed=seed).targets["tone"].labels["rude"].metrics[Metric.F1] for seed in (1, 2))
    assert one.value == two.value
    assert one.low != two.low


def test_the_file_has_the_promised_shape_and_no_nan():
    data = json.loads(json.dumps(metrics_json({"test": evaluated(), "train": evaluated()}), allow_nan=False))
    assert list(data["splits"]) == ["test", "train"]
    for target in SCHEMA:
        labels = data["splits"]["test"][target.name]
        assert tuple(labels) == target.labels
        for metrics in labels.values():
            assert set(metrics) == METRICS | {"prevalence"}
            for interval in metrics.values():
                assert set(interval) == {"value", "low", "high", "n"}
                if interval["low"] is not None:
                    assert interval["low"] <= interval["high"]
    assert data["evidence"]["test"]["moderation"]["rare"]["enough"] is False
    prevalence = data["splits"]["test"]["tone"]["rude"]["prevalence"]["value"]
    assert data["baselines"]["test"]["tone"]["rude"]["always_flag_f1"] == pytest.approx(
        2 * prevalence / (1 + prevalence)
    )
    assert data["confusion"]["test"]["tone"]["classes"]["labels"] == list(SINGLE.labels)
    assert "Kumar" in data["settings"]["ece"]
    assert data["settings"]["splits"]["test"]["resamples"] == 50


def test_values_lie_within_their_intervals():
    for target in evaluate_split(SCHEMA, *drawn(), resamples=300).targets.values():
        for label in target.labels.values():
            for metric, interval in label.metrics.items():
                if label.enough and interval.low is not None:
                    assert interval.low - 1e-9 <= interval.value <= interval.high + 1e-9, (
                        label.label,
                        metric,
                    )


def test_the_calibration_error_stands_beside_what_true_probabilities_show_by_chance():
    within = []
    for seed in range(20):
        scores, labels, flags = drawn(seed=seed)
        measured = evaluate_split(SCHEMA, scores, labels, flags, resamples=100)
        insult = measured.targets["moderation"].labels["insult"]
        known = ~np.isnan(labels["moderation"][:, 0])
        assert insult.ece_band == ece_band(scores["moderation"][known, 0], 100)
        within.append(insult.within_band)
        wrong = {**scores, "moderation": scores["moderation"] ** 3}
        turned = evaluate_split(SCHEMA, wrong, labels, flags, resamples=100).targets["moderation"]
        assert turned.labels["insult"].within_band is False
    assert sum(within) >= 17
    data = metrics_json({"test": evaluated()})["calibration"]["test"]["moderation"]["insult"]
    assert data == {"band": pytest.approx(0.06, abs=0.03), "within": True}
    without = evaluate_split(SCHEMA, *drawn(), resamples=0).targets["tone"].labels["rude"]
    assert (without.ece_band, without.within_band) == (None, None)


def test_soft_labels_and_rows_in_groups_have_no_band_of_chance():
    scores, labels, flags = drawn()
    labels["moderation"][7, 0] = 0.25
    found = evaluate_split(SCHEMA, scores, labels, flags, resamples=20).targets["moderation"].labels
    assert found["insult"].ece_band is None
    assert found["threat"].ece_band is not None
    groups = [str(row // 4) for row in range(240)]
    assert evaluated(groups=groups).targets["moderation"].labels["threat"].ece_band is None
    alone = [str(max(row, 3)) for row in range(240)]
    assert evaluated(groups=alone).targets["moderation"].labels["threat"].ece_band is not None


def test_without_rows_everything_is_undefined():
    empty = {target.name: np.zeros((0, len(target.labels))) for target in SCHEMA}
    flags = {name: values.astype(bool) for name, values in empty.items()}
    data = metrics_json({"test": evaluate_split(SCHEMA, empty, empty, flags)})
    assert data["splits"]["test"]["tone"]["rude"]["f1"] == {"value": None, "low": None, "high": None, "n": 0}
    json.dumps(data, allow_nan=False)


@pytest.mark.parametrize(
    ("part", "value", "found"),
    [
        (0, np.full((240, 3), 1.5), "outside 0..1"),
        (0, np.full((240, 3), np.nan), "NaN"),
        (1, np.full((240, 3), 2.0), "label is outside"),
        (1, np.zeros((240, 2)), "expected (240, 3)"),
        (2, np.zeros((3, 3), bool), "expected (240, 3)"),
    ],
)
def test_what_does_not_fit_is_refused(part, value, found):
    parts = list(drawn())
    parts[part]["tone"] = value
    with pytest.raises(UsageError) as error:
        evaluate_split(SCHEMA, *parts)
    assert found in str(error.value)
    assert "target 'tone'" in str(error.value)


def test_a_missing_target_is_named():
    scores, labels, flags = drawn()
    del labels["tone"]
    with pytest.raises(UsageError, match="target 'tone': has no labels"):
        evaluate_split(SCHEMA, scores, labels, flags)


@pytest.mark.parametrize(
    ("positives", "negatives", "told"),
    [
        (0, 0, "no known rows"),
        (0, 20, "no positives; judged from 10 on"),
        (1, 20, "only 1 positive; judged from 10 on"),
        (3, 0, "only 3 positives and no negatives; judged from 10 on"),
        (10, 10, ""),
    ],
)
def test_what_is_missing_to_judge_a_label_is_told_in_words(positives, negatives, told):
    assert evidence_note(positives, negatives) == told
