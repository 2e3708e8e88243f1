"""Review bands: the promise holds exactly over exchangeable rows, what cannot be promised is said, the load is right."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modwright.errors import SchemaError, UsageError
from modwright.evaluation.cuts import NEVER
from modwright.evaluation.review import (
    ACT,
    LEFT_OUT,
    PASS,
    REVIEW,
    Expected,
    LabelBand,
    Promise,
    ReviewBand,
    TooFew,
    Verdict,
)
from modwright.evaluation.review_fit import fit_review
from modwright.evaluation.review_load import scaled_weights
from modwright.schema import Schema, Target, TargetKind

ONE = Target.create("m", TargetKind.MULTI_LABEL, ["insult"])
TWO = Target.create("m", TargetKind.MULTI_LABEL, ["insult", "safe", "threat"])
TONE = Target.create("tone", TargetKind.SINGLE_LABEL, ["safe", "rude", "cruel"])
TOPIC = Target.create("topic", TargetKind.SINGLE_LABEL, ["goose", "river", "table"])
SCORES = st.sampled_from([0.0, 0.1, 0.2, 0.2, 0.4, 0.5, 0.7, 0.9, 1.0])
RATES = st.sampled_from([0.1, 0.2, 1 / 3, 0.25, 0.5, 0.8])


def band_of(scores, positives, promise, groups=None, **options):
    """The band of one label, fitted without intervals."""
    found = fit_review(
        Schema((ONE,)),
        {"m": np.array(scores, float)[:, None]},
        {"m": np.array(positives, float)[:, None]},
        promise,
        groups=groups,
        resamples=0,
        **options,
    )
    return found, found.bands["m"]["insult"]


@settings(max_examples=150, deadline=None)
@given(st.lists(SCORES, min_size=2, max_size=9), st.booleans(), RATES)
def test_leaving_out_each_row_in_turn_keeps_the_promise_exactly(scores, positive, rate):
    """Any row of a class is as likely the one to come, so the errors over all choices are the promise's own."""
    promise = Promise(rate, rate)
    errors = 0
    for i, score in enumerate(scores):
        others = scores[:i] + scores[i + 1 :]
        found, _ = band_of(others, [positive] * len(others), promise)
        errors += int(found.decide(ONE, np.array([[score]]), {})[0][0] == (PASS if positive else ACT))
    assert errors / len(scores) <= rate + 1e-9


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(SCORES, min_size=1, max_size=3), min_size=2, max_size=6), st.booleans(), RATES)
def test_leaving_out_each_group_in_turn_keeps_the_promise_of_a_new_groups_text(groups, positive, rate):
    promise, errors = Promise(rate, rate), 0.0
    for i, held in enumerate(groups):
        others = [(str(j), score) for j, group in enumerate(groups) if j != i for score in group]
        names, scores = zip(*others, strict=True)
        found, _ = band_of(scores, [positive] * len(scores), promise, groups=names)
        codes = found.decide(ONE, np.array(held)[:, None], {})[0]
        errors += float((codes == (PASS if positive else ACT)).mean())
    assert errors / len(groups) <= rate + 1e-9


@settings(max_examples=120, deadline=None)
@given(st.lists(st.tuples(SCORES, st.booleans()), min_size=4, max_size=12), RATES, RATES, SCORES)
def test_both_promises_hold_together_whatever_cut_is_preferred(rows, misses, wrong, prefer):
    promise, errors = Promise(misses, wrong), {True: [], False: []}
    for i, (score, positive) in enumerate(rows):
        scores, positives = zip(*(rows[:i] + rows[i + 1 :]), strict=True)
        found, _ = band_of(scores, positives, promise, prefer={"m": {"insult": prefer}})
        code = found.decide(ONE, np.array([[score]]), {})[0][0]
        errors[positive].append(code == (PASS if positive else ACT))
    for positive, rate in ((True, misses), (False, wrong)):
        assert not errors[positive] or np.mean(errors[positive]) <= rate + 1e-9


def single_errors(target, is_wrong, promise, groups):
    """The share of texts of every true label that are wrong when each unit in turn is left out of the fit."""
    rng = np.random.default_rng(4)
    scores = rng.dirichlet([1, 1, 1], 60)
    truth = np.array([rng.choice(3, p=row) for row in scores])
    units = np.arange(60) if groups is None else np.array([int(name) for name in groups])
    wrong = {0: [], 1: [], 2: []}
    for unit in np.unique(units):
        kept, held = units != unit, units == unit
        found = fit_review(
            Schema((target,)),
            {target.name: scores[kept]},
            {target.name: np.eye(3)[truth[kept]]},
            promise,
            groups=None if groups is None else [str(one) for one in units[kept]],
            resamples=0,
        )
        texts, _ = found.decide(target, scores[held], {})
        for code, row, true in zip(texts, scores[held], truth[held], strict=True):
            wrong[true].append(is_wrong(code, row, true))
    return [np.mean(wrong[label]) for label in range(3)]


@pytest.mark.parametrize("groups", [None, [str(i // 2) for i in range(60)]])
def test_single_label_errors_of_every_true_label_keep_the_promise(groups):
    slack = 0 if groups is None else 0.1  # the rows of a group do not count alike here
    promise = Promise(0.3, 0.2)
    safe, rude, cruel = single_errors(
        TONE, lambda code, row, true: code == (PASS if true else ACT), promise, groups
    )
    assert safe <= 0.2 + slack
    assert max(rude, cruel) <= 0.3 + slack
    errors = single_errors(
        TOPIC, lambda code, row, true: code == ACT and row.argmax() != true, promise, groups
    )
    assert max(errors) <= 0.3 + slack


def test_cuts_are_the_order_statistics_of_theory():
    scores = [i / 100 for i in range(1, 40)]
    _, band = band_of(scores + [1 - s for s in scores], [True] * 39 + [False] * 39, Promise(0.1, 0.05))
    # 40 rows with the one to come: 4 of them may pass, so 3 beside it lie below the cut; 2 may be acted on
    assert band.low == 0.04
    assert band.high == np.nextafter(0.98, 2)
    assert (band.positives, band.negatives, band.note) == (39, 39, "")


def test_verdicts_at_the_cuts():
    _, band = band_of([0.3, 0.9], [True, False], Promise(0.5, 0.5))
    band = ReviewBand(Promise(0.5, 0.5), {"m": {"insult": replace(band, low=0.3, high=0.6)}}, {}, {})
    texts, labels = band.decide(ONE, np.array([[0.29], [0.3], [0.59], [0.6]]), {})
    assert [Verdict.of(code) for code in texts] == ["pass", "review", "review", "act"]
    assert labels[:, 0].tolist() == texts.tolist()
    assert Verdict.of(LEFT_OUT) is None


def test_labels_that_are_told_apart_leave_nothing_to_review():
    scores, positives = (
        np.r_[np.linspace(0.8, 0.9, 50), np.linspace(0.1, 0.2, 50)],
        [True] * 50 + [False] * 50,
    )
    found, band = band_of(scores, positives, Promise(0.05, 0.05))
    assert band.low == band.high == 0.5
    assert found.expected["m"].load.value == 0.0
    # 51 with the one to come: one beside it may be on the wrong side
    for prefer, cut in ((0.3, 0.3), (0.99, 0.8 + 0.1 / 49), (0.0, 0.2 - 0.1 / 49)):
        _, band = band_of(scores, positives, Promise(0.05, 0.05), prefer={"m": {"insult": prefer}})
        assert band.low == band.high == pytest.approx(cut)


def test_what_cannot_be_promised_is_said_and_never_decided():
    scores, positives = np.linspace(0, 1, 200), np.arange(200) >= 195
    for too_few, between in ((TooFew.REVIEW, REVIEW), (TooFew.LEAVE_OUT, LEFT_OUT)):
        found, band = band_of(scores, positives, Promise(0.05, 0.05, too_few))
        assert band.low == 0.0
        assert band.high < 1
        assert band.note == "5 with the label, 19 are needed to promise that at most 0.05 of them passes"
        texts, labels = found.decide(ONE, np.array([[0.0], [0.5], [1.0]]), {})
        assert labels[:, 0].tolist() == [between, between, ACT]
        assert texts.tolist() == [REVIEW, REVIEW, ACT]  # where no label says anything, a person decides
    _, band = band_of([0.1] * 3, [False] * 3, Promise(0.5, 0.05))
    assert (band.low, band.high) == (0.0, NEVER)
    assert band.note.count("needed") == 2


@pytest.mark.parametrize("count", [1, 3, 4, 9, 18, 19, 99])
@pytest.mark.parametrize("rate", [0.5, 0.2, 0.1, 0.05, 0.01])
def test_the_note_names_the_rows_that_are_needed(count, rate):
    _, band = band_of([0.5] * count, [True] * count, Promise(rate, 0.5))
    needed = round(1 / rate) - 1
    assert (band.low > 0) == (count >= needed)
    assert (f"{count} with the label, {needed} are needed" in band.note) == (count < needed)


def test_a_rare_label_left_out_lets_the_others_decide():
    rng = np.random.default_rng(0)
    scores = rng.random((400, 3))
    labels = (rng.random((400, 3)) < scores).astype(float)
    labels[:, 2] = np.arange(400) < 3
    promise = Promise(0.1, 0.1, TooFew.LEAVE_OUT)
    found = fit_review(Schema((TWO,)), {"m": scores}, {"m": labels}, promise, resamples=0)
    texts, verdicts = found.decide(TWO, scores, {})
    assert set(found.bands["m"]) == {"insult", "threat"}
    assert (verdicts[:, 1] == LEFT_OUT).all()  # a negative label judges nothing
    assert PASS in texts
    assert not np.isin(verdicts[:, 2], [PASS, REVIEW]).any()
    everything = replace(found, promise=replace(promise, too_few=TooFew.REVIEW))
    assert PASS not in everything.decide(TWO, scores, {})[0]


def test_the_text_takes_the_gravest_verdict():
    bands = {
        "insult": LabelBand(0.2, 0.8, "", 50, 50, None),
        "threat": LabelBand(0.4, 0.6, "", 50, 50, None),
    }
    found = ReviewBand(Promise(0.1, 0.1), {"m": bands}, {}, {})
    scores = np.array([[0.1, 1, 0.1], [0.3, 1, 0.1], [0.3, 1, 0.7], [0.9, 1, 0.5]])
    assert found.decide(TWO, scores, {})[0].tolist() == [PASS, REVIEW, ACT, ACT]
    assert found.decide(TWO, scores[:0], {})[0].shape == (0,)


def test_a_target_with_negative_labels_is_decided_by_the_probability_of_action():
    band = LabelBand(0.3, 0.75, "", 50, 50, None)
    found = ReviewBand(Promise(0.1, 0.1), {"tone": dict.fromkeys(TONE.labels, band)}, {}, {})
    scores = np.array([[0.71, 0.2, 0.09], [0.7, 0.1, 0.2], [0.26, 0.7, 0.04], [0.25, 0.3, 0.45]])
    texts, labels = found.decide(TONE, scores, {})
    assert texts.tolist() == [PASS, REVIEW, REVIEW, ACT]
    assert labels.tolist() == [
        [PASS, LEFT_OUT, LEFT_OUT],
        [REVIEW, LEFT_OUT, LEFT_OUT],
        [LEFT_OUT, REVIEW, LEFT_OUT],
        [LEFT_OUT, LEFT_OUT, ACT],
    ]


def test_a_target_without_negative_labels_is_decided_where_no_other_label_reaches_its_floor():
    bands = {
        "goose": LabelBand(0.3, 0.3, "", 50, 50, None),
        "river": LabelBand(0.2, 0.2, "", 50, 50, None),
        "table": LabelBand(NEVER, NEVER, "4 with the label", 4, 50, None),
    }
    found = ReviewBand(Promise(0.1, 0.1), {"topic": bands}, {}, {})
    scores = np.array([[0.9, 0.1, 0.0], [0.3, 0.6, 0.1], [0.15, 0.8, 0.05], [0.1, 0.1, 0.8], [0.5, 0.3, 0.2]])
    texts, labels = found.decide(TOPIC, scores, {})
    assert texts.tolist() == [ACT, REVIEW, ACT, REVIEW, REVIEW]
    assert labels[2].tolist() == [LEFT_OUT, ACT, LEFT_OUT]


def rare_third(target):
    """Rows whose third label holds for three of 403, all three told apart."""
    rng = np.random.default_rng(1)
    truth = np.r_[np.zeros(200, int), np.ones(200, int), np.full(3, 2)]
    scores = np.full((403, 3), 0.05)
    scores[np.arange(403), truth] = 0.8 + 0.1 * rng.random(403)
    return {target.name: scores / scores.sum(axis=1, keepdims=True)}, {target.name: np.eye(3)[truth]}


@pytest.mark.parametrize("too_few", TooFew)
def test_single_label_with_a_rare_label(too_few):
    for target, left_out in ((TONE, 0.0), (TOPIC, 3 / 403)):
        promise = Promise(0.05, 0.05, too_few)
        found = fit_review(Schema((target,)), *rare_third(target), promise, resamples=0)
        assert "3 with the label" in found.bands[target.name][target.labels[2]].note
        expected = found.expected[target.name]
        if too_few is TooFew.LEAVE_OUT:
            assert expected.load.value == pytest.approx(left_out)
        elif target is TOPIC:
            assert expected.load.value == 1.0
        else:  # nothing passes; what is surely to be acted on still is
            assert expected.misses.value == 0.0
            assert expected.load.value == pytest.approx(200 / 403, abs=0.03)


def test_what_single_labels_expect_is_counted_for_each_label():
    rng = np.random.default_rng(8)
    scores = rng.dirichlet([1, 1, 1], 900)
    truth = np.array([rng.choice(3, p=row) for row in scores])
    found = fit_review(
        Schema((TONE,)), {"tone": scores}, {"tone": np.eye(3)[truth]}, Promise(0.1, 0.05), resamples=0
    )
    texts, labels = found.decide(TONE, scores, {})
    safe, rude, _ = (found.bands["tone"][label].expected for label in TONE.labels)
    assert safe.misses.value == np.mean(texts[truth == 0] == ACT) <= 0.05
    assert safe.wrong_actions.value == np.mean(texts[truth != 0] == PASS)
    assert rude.misses.value == np.mean(texts[truth == 1] == PASS) <= 0.1
    assert rude.wrong_actions.value == np.mean(labels[truth != 1, 1] == ACT)
    whole = found.expected["tone"]
    assert (whole.misses.value, whole.wrong_actions.value) == (safe.wrong_actions.value, safe.misses.value)
    assert whole.load.value == safe.load.value == np.mean(texts == REVIEW)


def test_unknown_rows_are_left_aside():
    rng = np.random.default_rng(2)
    scores = rng.random(300)
    positives = (rng.random(300) < scores).astype(float)
    known, half = band_of(scores[:200], positives[:200], Promise(0.1, 0.1))[1], positives.copy()
    half[200:] = np.nan
    assert band_of(scores, half, Promise(0.1, 0.1))[1] == known
    nothing = band_of(scores, np.full(300, np.nan), Promise(0.1, 0.1))[1]
    assert nothing.expected is None
    assert nothing.note


def test_what_is_expected_is_counted():
    rng = np.random.default_rng(3)
    scores = rng.random(2000)
    positives = rng.random(2000) < scores
    found = fit_review(
        Schema((ONE,)),
        {"m": scores[:, None]},
        {"m": positives[:, None].astype(float)},
        Promise(0.1, 0.05),
    )
    texts = found.decide(ONE, scores[:, None], {})[0]
    expected = found.bands["m"]["insult"].expected
    assert expected.misses.value == np.mean(texts[positives] == PASS) <= 0.1
    assert expected.wrong_actions.value == np.mean(texts[~positives] == ACT) <= 0.05
    assert expected.load.value == pytest.approx(np.mean(texts == REVIEW))
    assert expected.load.low < expected.load.value < expected.load.high
    assert (expected.misses.n, expected.load.n) == (positives.sum(), 2000)
    assert expected.load_at(positives.mean()) == pytest.approx(expected.load.value)
    assert expected.load_at(1.0) == expected.load_with == np.mean(texts[positives] == REVIEW)
    assert found.expected["m"] == expected


def test_the_load_follows_the_stated_prevalence_and_the_cuts_do_not():
    rng = np.random.default_rng(5)
    scores = rng.random(3000) ** 0.5
    positives = rng.random(3000) < scores
    _, plain = band_of(scores, positives, Promise(0.05, 0.05))
    _, rare = band_of(scores, positives, Promise(0.05, 0.05), prevalence={"m": {"insult": 0.02}})
    assert (rare.low, rare.high) == (plain.low, plain.high)
    assert rare.expected.load.value == pytest.approx(plain.expected.load_at(0.02))
    assert rare.expected.misses.value == pytest.approx(plain.expected.misses.value)
    assert rare.expected.load.value != pytest.approx(plain.expected.load.value, abs=0.01)


def test_load_without_texts_of_a_kind_is_not_made_up():
    nothing = Expected(*[None] * 3, load_with=None, load_without=0.25)
    assert nothing.load_at(0.0) == 0.25
    assert nothing.load_at(0.1) is None


def test_weights_give_several_labels_their_stated_prevalence():
    rng = np.random.default_rng(6)
    held = rng.random((500, 3)) < [0.5, 0.3, 0.2]
    weights = scaled_weights(held, {0: 0.05, 2: 0.4})
    assert weights.mean() == pytest.approx(1)
    assert weights @ held[:, [0, 2]] / 500 == pytest.approx([0.05, 0.4])
    one = scaled_weights(held[:, :1], {0: 0.1})
    assert np.unique(one.round(9)).size == 2
    assert (scaled_weights(held, {}) == 1).all()
    assert (scaled_weights(np.zeros((4, 1), bool), {0: 0.5}) == 1).all()


def test_json_round_trip():
    rng = np.random.default_rng(7)
    scores = {"m": rng.random((200, 3)), "tone": rng.dirichlet([1, 1, 1], 200)}
    labels = {"m": (rng.random((200, 3)) < 0.3).astype(float), "tone": np.eye(3)[rng.integers(0, 3, 200)]}
    labels["m"][:, 2] = np.nan
    found = fit_review(
        Schema((TWO, TONE)),
        scores,
        labels,
        Promise(0.1, 0.02, TooFew.REVIEW),
        prevalence={"m": {"insult": 0.05}},
    )
    assert ReviewBand.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"promis": 1}, "did you mean 'promise'"),
        ({"promise": {"misses": 0.0, "wrong_actions": 0.1, "too_few": "review"}}, "expected above 0"),
        ({"promise": {"misses": 0.1, "wrong_actions": 0.1, "too_few": "few"}}, "malformed"),
        ({"promise": {"misses": "0.1", "wrong_actions": 0.1, "too_few": "review"}}, "finite number"),
        ({"prevalence": {"m": {"insult": 10**400}}}, "beyond every float"),
        ({"bands": {"m": {"insult": {"low": 0.9}}}}, "'expected' is missing"),
    ],
)
def test_json_of_another_shape_is_refused(change, message):
    found, _ = band_of([0.1, 0.9], [False, True], Promise(0.5, 0.5))
    with pytest.raises(SchemaError, match=message):
        ReviewBand.from_json(found.to_json() | change)


@pytest.mark.parametrize(
    "change",
    [
        {"low": float("nan")},
        {"low": "0.5"},
        {"low": 0.9, "high": 0.1},
        {"low": -(10**400)},
        {"positives": "x"},
    ],
)
def test_cuts_and_counts_that_make_no_band_are_refused(change):
    _, band = band_of([0.1, 0.9], [False, True], Promise(0.5, 0.5))
    with pytest.raises(SchemaError, match=r"low|positives is 'x', expected a whole number"):
        LabelBand.from_json(band.to_json() | change, "review")


@pytest.mark.parametrize("rates", [(0.0, 0.1), (0.1, 1.0), (float("nan"), 0.1)])
def test_shares_out_of_range_are_refused(rates):
    with pytest.raises(UsageError, match="expected above 0 and below 1"):
        Promise(*rates)


def test_no_text_passes_that_is_flagged_for_a_label_without_a_promise():
    """With four positives nothing can be promised of threats; where the rows flag one all the same, a person looks."""
    rng = np.random.default_rng(8)
    held = np.zeros((300, 3))
    held[:150, 0] = 1
    held[[1, 2, 200, 201], 2] = 1
    scores = np.clip(0.2 + 0.6 * held + rng.normal(0, 0.05, held.shape), 0, 1)
    thresholds = {"insult": 0.5, "threat": 0.6}
    found = fit_review(
        Schema((TWO,)),
        {"m": scores},
        {"m": held},
        Promise(0.05, 0.001),
        resamples=0,
        prefer={"m": thresholds},
    )
    assert not found.bands["m"]["threat"].promised
    texts = np.array([[0.1, 0.9, 0.1], [0.1, 0.9, 0.59], [0.1, 0.9, 0.6], [0.1, 0.9, 1.0]])
    codes, labels = found.decide(TWO, texts, thresholds)
    assert codes.tolist() == [PASS, PASS, REVIEW, REVIEW]
    assert labels[:, 2].tolist() == [LEFT_OUT, LEFT_OUT, REVIEW, REVIEW]
    flagged = scores[:, 2] >= 0.6
    assert found.bands["m"]["threat"].expected.load.value == pytest.approx(flagged.mean())


def test_no_text_passes_whose_most_probable_class_has_no_promise():
    band = LabelBand(0.8, 0.9, "", 50, 50, None)
    bands = {"safe": band, "rude": band, "cruel": replace(band, note="2 with the label")}
    texts = np.array([[0.3, 0.25, 0.45], [0.3, 0.45, 0.25], [0.6, 0.1, 0.3]])
    for too_few, expected in ((TooFew.LEAVE_OUT, [REVIEW, PASS, PASS]), (TooFew.REVIEW, [PASS, PASS, PASS])):
        found = ReviewBand(Promise(0.05, 0.05, too_few), {"tone": bands}, {"tone": None}, {})
        codes, labels = found.decide(TONE, texts, {})
        assert codes.tolist() == expected
        assert labels[0].tolist() == ([-1, -1, REVIEW] if expected[0] == REVIEW else [PASS, -1, -1])
