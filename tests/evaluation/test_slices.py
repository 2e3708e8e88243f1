"""Slices: every figure is that of the part's rows alone, gaps are paired, and chance is not taken for a difference."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn import metrics as reference

from modwright.evaluation.binary import Metric
from modwright.evaluation.metrics import evaluate_split
from modwright.evaluation.rates import Rate
from modwright.evaluation.scored import scored_split
from modwright.evaluation.slices import COMPARED, DECISION, differences, evaluate_slices
from modwright.evaluation.slices_report import headline, slices_json, slices_section
from modwright.evaluation.slicing import Slicing, by_column
from modwright.evaluation.thresholds import OperatingPoint
from modwright.schema import Schema, Target, TargetKind, text_input

MULTI = Target.create("moderation", TargetKind.MULTI_LABEL, ["insult", "threat", "safe"])
SINGLE = Target.create("tone", TargetKind.SINGLE_LABEL, ["kind", "rude", "hostile"], negative=["kind"])
SCHEMA = Schema((MULTI, SINGLE))
POINT = OperatingPoint("default", "", {"moderation": {"insult": 0.5, "threat": 0.4}, "tone": {}})


def drawn(n=400, seed=0, *, unknown=0.1, schema=SCHEMA):
    """A split of scores that the labels were drawn from, some of them unknown."""
    rng = np.random.default_rng(seed)
    multi, tone = rng.random((n, 3)), rng.dirichlet([2, 1, 1], n)
    labels = {
        "moderation": (rng.random((n, 3)) < multi).astype(float),
        "tone": np.eye(3)[(tone.cumsum(1) > rng.random((n, 1))).argmax(1)],
    }
    for values in labels.values():
        values[rng.random(values.shape) < unknown] = np.nan
    scores = {"moderation": multi, "tone": tone}
    inputs = [text_input(f"row {row}") for row in range(n)]
    return scored_split("test", schema, inputs, labels, scores, POINT)


def halves(n=400):
    """Three rows in four are `a`."""
    return by_column("half", ["b" if row % 4 == 0 else "a" for row in range(n)])


def test_each_part_has_the_figures_of_its_rows_alone():
    split, slicing = drawn(), halves()
    for found in evaluate_slices(split, [slicing], resamples=0):
        for place in range(2):
            rows = slicing.rows(place)
            alone = evaluate_split(
                SCHEMA,
                *(
                    {name: part[name][rows] for name in part}
                    for part in (split.scores, split.labels, split.flagged)
                ),
                resamples=0,
            ).targets[found.target]
            for label, parts in found.parts.items():
                expected = alone.decision if label == DECISION else alone.labels[label].metrics
                for name, interval in expected.items():
                    if name != "flagged":  # there of all rows, here of known ones
                        assert parts[place].metrics[name].value == pytest.approx(
                            interval.value, nan_ok=True
                        ), name
                if label != DECISION:
                    assert parts[place].positives == alone.labels[label].positives
                    assert parts[place].negatives == alone.labels[label].negatives
                assert parts[place].known == expected[Metric.F1].n


def test_false_alarms_and_gaps_are_scikit_learns():
    split, slicing = drawn(), halves()
    found = evaluate_slices(split, [slicing], resamples=0)[0]
    assert slicing.parts == ("a", "b")
    part, known = slicing.rows(1), ~np.isnan(split.labels["moderation"][:, 0])
    rates = []
    for rows in (known & part, known):
        truth, flagged = split.labels["moderation"][rows, 0] > 0.5, split.flagged["moderation"][rows, 0]
        rates.append(reference.confusion_matrix(truth, flagged, normalize="true")[0, 1])
    figures = found.parts["insult"][1]
    assert figures.metrics[Rate.FALSE_POSITIVE].value == pytest.approx(rates[0])
    assert figures.gaps[Rate.FALSE_POSITIVE].value == pytest.approx(rates[0] - rates[1])
    assert figures.gaps[Metric.ROC_AUC].low is None  # no resamples


def test_labels_that_are_never_flagged_have_no_part_and_the_decision_comes_first():
    multi, single = evaluate_slices(drawn(), [halves()], resamples=0)
    assert list(multi.parts) == [DECISION, "insult", "threat"]
    assert list(single.parts) == [DECISION, "rude", "hostile"]
    two = Schema((Target.create("moderation", TargetKind.MULTI_LABEL, ["insult"]),))
    split = drawn()
    alone = scored_split(
        "test",
        two,
        split.inputs,
        {"moderation": split.labels["moderation"][:, :1]},
        {"moderation": split.scores["moderation"][:, :1]},
        POINT,
    )
    assert list(evaluate_slices(alone, [halves()], resamples=0)[0].parts) == ["insult"]


def test_gaps_cover_the_true_difference_and_are_narrower_than_two_unpaired_ones():
    split, slicing = drawn(1500, seed=3, unknown=0.0), halves(1500)
    found = evaluate_slices(split, [slicing], resamples=200)[0]
    figures = found.parts["insult"][0]
    gap = figures.gaps[Metric.ROC_AUC]
    assert gap.low < 0 < gap.high
    width = figures.metrics[Metric.ROC_AUC].high - figures.metrics[Metric.ROC_AUC].low
    assert gap.high - gap.low < 0.8 * width  # the part is three quarters of all rows


def test_a_part_that_is_worse_is_found_and_parts_that_are_alike_are_not():
    split, slicing = drawn(2000, seed=5, unknown=0.0), halves(2000)
    alike = evaluate_slices(split, [slicing], resamples=200)
    clear, made = differences(alike)
    assert (
        made == 2 * len(COMPARED) * 6 - 2 * 2
    )  # two parts, three columns a target; a decision has no ROC-AUC
    assert len(clear) <= 5  # two by chance
    nothing = evaluate_slices(split, [slicing], resamples=0)
    assert headline({"test": nothing}) == ""  # no intervals, nothing compared
    labels = {name: values.copy() for name, values in split.labels.items()}
    worse = slicing.rows(1)
    labels["moderation"][worse, 0] = 1 - labels["moderation"][worse, 0]
    turned = scored_split("test", SCHEMA, split.inputs, labels, split.scores, POINT)
    found = evaluate_slices(turned, [slicing], resamples=200)
    clear, _ = differences(found)
    first = clear[0]
    assert first.worse
    told = headline({"test": found})
    assert told.startswith("It does clearly worse in half: b (ROC-AUC of insult 0.1")
    assert f"Of {made} comparisons, about 1 would look so by chance alone." in told
    assert "clearly worse on test in half: b" in headline({"test": found, "other": alike})
    assert (first.figures.part, first.figures.label, first.metric) == ("b", "insult", Metric.ROC_AUC)
    assert first.gap.high < -0.3


def test_too_few_rows_are_not_compared():
    split = drawn(400, unknown=0.0)
    slicing = by_column("rare", ["rare" if row < 12 else "frequent" for row in range(400)])
    found = evaluate_slices(split, [slicing], resamples=100)[0]
    rare = found.parts["insult"][1]
    assert min(rare.positives, rare.negatives) < 10
    assert "judged from 10 on" in rare.note
    assert not rare.rests_on_enough(Metric.ROC_AUC)
    assert not any(one.figures.part == "rare" and one.metric == Metric.ROC_AUC for one in found.compared())
    many = found.parts["insult"][0]
    assert all(many.rests_on_enough(metric) for metric in COMPARED)


def test_false_alarms_need_negatives_only():
    split = drawn(400, unknown=0.0)
    labels = {name: values.copy() for name, values in split.labels.items()}
    part = halves().rows(1)
    labels["moderation"][part, 0] = 0.0
    found = evaluate_slices(
        scored_split("test", SCHEMA, split.inputs, labels, split.scores, POINT), [halves()], resamples=50
    )[0].parts["insult"][1]
    assert found.rests_on_enough(Rate.FALSE_POSITIVE)
    assert not found.rests_on_enough(Rate.RECALL)
    assert found.metrics[Rate.RECALL].value is None


def test_one_part_alone_is_compared_with_nothing():
    one = Slicing("c", ("a",), np.zeros(400, dtype=np.int64))
    found = evaluate_slices(drawn(), [one], resamples=20)
    assert differences(found) == ([], 0)
    assert headline({"test": found}) == ""
    section = slices_section({"test": found})
    assert [table.title for table in section.tables] == ["What differs clearly"]
    assert section.notes[0] == "By c all rows are in one part: a."


def test_a_part_without_known_rows_has_no_figures():
    split = drawn(60)
    split.labels["moderation"][:30] = np.nan
    slicing = by_column("c", ["a"] * 30 + ["b"] * 30)
    figures = evaluate_slices(split, [slicing], resamples=20)[0].parts["insult"][slicing.parts.index("a")]
    assert figures.note == "no known rows"
    assert all(found.value is None and found.n == 0 for found in figures.metrics.values())


def test_the_seed_decides():
    split = drawn(200)
    first, again, other = (
        evaluate_slices(split, [halves(200)], resamples=30, seed=seed) for seed in (1, 1, 2)
    )
    assert slices_json({"test": first}) == slices_json({"test": again}) != slices_json({"test": other})


def test_the_data_are_of_the_promised_form():
    data = json.loads(
        json.dumps(slices_json({"test": evaluate_slices(drawn(), [halves()], resamples=20)}), allow_nan=False)
    )
    found = data["splits"]["test"]["half"]["moderation"]
    assert [part["part"] for part in found["parts"]] == ["a", "b"]
    assert [part["rows"] for part in found["parts"]] == [300, 100]
    assert set(found["parts"][0]) == {"part", "rows", "decision", "labels"}
    assert set(found["all"]["labels"]) == {"insult", "threat"}
    insult = found["parts"][0]["labels"]["insult"]
    assert set(insult) == {"positives", "negatives", "enough", "note", "metrics", "gaps"}
    assert set(insult["gaps"]) == set(COMPARED)
    assert set(insult["metrics"]) == {*Metric, *Rate}
    assert set(found["parts"][0]["decision"]["gaps"]) == {Rate.RECALL, Rate.FALSE_POSITIVE}
    assert data["settings"]["min_evidence"] == 10


def test_the_section_has_what_differs_first_and_a_table_for_each_slicing_and_target():
    found = evaluate_slices(drawn(), [halves(), by_column("rare", ["x"] * 12 + ["y"] * 388)], resamples=20)
    section = slices_section({"test": found})
    assert section.key == "slices"
    titles = [table.title for table in section.tables]
    assert titles == [
        "What differs clearly",
        "by half, moderation",
        "by half, tone",
        "by rare, moderation",
        "by rare, tone",
    ]
    parts = section.tables[3]
    assert parts.columns[:4] == ("part", "label", "rows", "positive")
    assert [row[:2] for row in parts.rows[:3]] == [
        ("all rows", "any label"),
        ("y", "any label"),
        ("x", "any label"),
    ]
    assert [parts.rows[place][0] for place in parts.thin] == ["x"] * len(parts.thin) != []
    two = slices_section({"validation": found, "test": found})
    assert len(two.tables) == 10
    assert two.tables[0].title == "What differs clearly, validation"


def test_a_target_of_many_labels_shows_its_decision_and_says_where_the_rest_is():
    target = Target.create("moderation", TargetKind.MULTI_LABEL, [f"l{place}" for place in range(8)])
    rng = np.random.default_rng(0)
    scores = {"moderation": rng.random((80, 8))}
    labels = {"moderation": (rng.random((80, 8)) < 0.3).astype(float)}
    point = OperatingPoint("default", "", {"moderation": dict.fromkeys(target.labels, 0.5)})
    split = scored_split("test", Schema((target,)), [text_input("x")] * 80, labels, scores, point)
    found = evaluate_slices(split, [halves(80)], resamples=0)
    table = slices_section({"test": found}).tables[1]
    assert [row[0] for row in table.rows] == ["all rows", "a", "b"]
    assert "metrics.json" in table.note
    assert (
        len(slices_json({"test": found})["splits"]["test"]["half"]["moderation"]["parts"][0]["labels"]) == 8
    )
