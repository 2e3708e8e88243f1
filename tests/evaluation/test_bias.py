"""Unintended bias: the published formulas on the same rows, evidence, and what a biased model looks like."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from modwright.errors import UsageError
from modwright.evaluation.bias import BiasMetric, Identity, evaluate_bias
from modwright.evaluation.bias_report import bias_json, bias_section, headline
from modwright.evaluation.rates import Rate
from modwright.evaluation.resampling import Resampler
from modwright.evaluation.scored import scored_split
from modwright.evaluation.thresholds import OperatingPoint
from modwright.schema import Schema, Target, TargetKind, text_input

TARGET = Target.create("moderation", TargetKind.MULTI_LABEL, ["insult", "safe"])
SCHEMA = Schema((TARGET,))
POINT = OperatingPoint("default", "", {"moderation": {"insult": 0.5}})


# The functions of the task's own evaluation, as it was published: data frame columns are arrays here.


def compute_auc(y_true, y_pred):
    try:
        return reference.roc_auc_score(y_true, y_pred) if 0 < y_true.sum() < len(y_true) else np.nan
    except ValueError:
        return np.nan


def compute_subgroup_auc(subgroup, label, score):
    return compute_auc(label[subgroup], score[subgroup])


def compute_bpsn_auc(subgroup, label, score):
    chosen = (subgroup & ~label) | (~subgroup & label)
    return compute_auc(label[chosen], score[chosen])


def compute_bnsp_auc(subgroup, label, score):
    chosen = (subgroup & label) | (~subgroup & ~label)
    return compute_auc(label[chosen], score[chosen])


def published_power_mean(series, p):
    total = sum(np.power(series, p))
    return np.power(total / len(series), 1 / p)


def get_final_metric(bias, overall_auc, power=-5, weight=0.25):
    bias_score = np.average([published_power_mean(bias[metric], power) for metric in BiasMetric])
    return weight * overall_auc + (1 - weight) * bias_score


PUBLISHED = {
    BiasMetric.SUBGROUP: compute_subgroup_auc,
    BiasMetric.BPSN: compute_bpsn_auc,
    BiasMetric.BNSP: compute_bnsp_auc,
}


def split_of(scores, labels, groups=None, schema=SCHEMA):
    """A split of one label's scores and labels (N,)."""
    both = {"moderation": np.stack([scores, 1 - scores], axis=1)}
    told = {"moderation": np.stack([labels, 1 - labels], axis=1)}
    return scored_split("test", schema, [text_input("x")] * len(scores), told, both, POINT, groups=groups)


def drawn(n=600, seed=0, identities=3):
    """Scores, labels and mentions of identities, all independent of who is mentioned."""
    rng = np.random.default_rng(seed)
    scores = rng.beta(2, 3, n)
    labels = (rng.random(n) < scores).astype(float)
    return scores, labels, [rng.random(n) < 0.25 for _ in range(identities)]


def named(mentioned):
    """Identities called 0, 1, …"""
    return [Identity.of_mentions(str(place), rows) for place, rows in enumerate(mentioned)]


def test_every_figure_is_the_published_one():
    scores, labels, mentioned = drawn()
    label = labels > 0.5
    found = evaluate_bias(split_of(scores, labels), named(mentioned), resamples=0)[0]
    bias = {metric: [] for metric in BiasMetric}
    for identity, rows in zip(found.identities, mentioned, strict=True):
        for metric, formula in PUBLISHED.items():
            bias[metric].append(formula(rows, label, scores))
            assert identity.metrics[metric].value == pytest.approx(bias[metric][-1])
        assert identity.metrics[BiasMetric.SUBGROUP].n == identity.rows == rows.sum()
        assert identity.metrics[BiasMetric.BPSN].n == (rows & ~label).sum() + (~rows & label).sum()
        assert identity.positives == (rows & label).sum()
    overall = reference.roc_auc_score(label, scores)
    assert found.overall.value == pytest.approx(overall)
    assert found.score.value == pytest.approx(get_final_metric(bias, overall))
    for metric in BiasMetric:
        assert found.means[metric].value == pytest.approx(published_power_mean(np.array(bias[metric]), -5))


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.1, 0.5, 0.9]) | st.floats(0, 1), st.booleans(), st.booleans()),
        min_size=1,
        max_size=30,
    )
)
def test_few_rows_and_ties_are_the_published_ones_too(rows):
    scores, label, mentioned = (np.array(part) for part in zip(*rows, strict=True))
    found = evaluate_bias(split_of(scores, label.astype(float)), named([mentioned]), resamples=0)[0]
    for metric, formula in PUBLISHED.items():
        value = found.identities[0].metrics[metric].value
        assert (np.nan if value is None else value) == pytest.approx(
            formula(mentioned, label, scores), nan_ok=True
        )
    flagged = scores >= 0.5
    for rate, kind in ((Rate.FALSE_POSITIVE, ~label), (Rate.RECALL, label)):
        for rates, where in (
            (found.identities[0].metrics, mentioned),
            (found.identities[0].others, ~mentioned),
        ):
            some = flagged[where & kind]
            assert rates[rate].value == (pytest.approx(some.mean()) if len(some) else None)


def test_the_intervals_are_those_of_a_naive_loop():
    scores, labels, mentioned = drawn(200)
    label, identities = labels > 0.5, mentioned[:2]
    split = split_of(scores, labels)
    found = evaluate_bias(split, named(identities), resamples=20, seed=4)[0]
    counts = np.concatenate(list(Resampler(200, split.groups, 20, 4).counts())).astype(int)
    scored = []
    for count in counts:
        s, y, subgroups = (
            np.repeat(scores, count),
            np.repeat(label, count),
            [np.repeat(m, count) for m in identities],
        )
        bias = {metric: [formula(m, y, s) for m in subgroups] for metric, formula in PUBLISHED.items()}
        scored.append(get_final_metric(bias, reference.roc_auc_score(y, s)))
    assert (found.score.low, found.score.high) == pytest.approx(tuple(np.quantile(scored, [0.025, 0.975])))


def test_unknown_mentions_and_unknown_labels_are_left_out():
    scores, labels, (mentioned, *_) = drawn()
    shares = np.where(mentioned, 0.8, 0.2)
    shares[:150] = np.nan
    labels[100:250] = np.nan
    found = evaluate_bias(
        split_of(scores, labels), [Identity.of_shares("a", shares, SCHEMA.positive_above)], resamples=0
    )[0].identities[0]
    kept = slice(250, None)
    for metric, formula in PUBLISHED.items():
        expected = formula(mentioned[kept], labels[kept] > 0.5, scores[kept])
        assert found.metrics[metric].value == pytest.approx(expected)


def test_a_share_of_one_half_is_no_mention():
    identity = Identity.of_shares("a", np.array([0.5, 0.51, np.nan, 0.0]), 0.5)
    assert identity.mentioned.tolist() == [False, True, False, False]
    assert identity.known.tolist() == [True, True, False, True]


def test_too_few_rows_are_shown_but_neither_ranked_nor_averaged():
    scores, labels, mentioned = drawn()
    rare = np.zeros(600, dtype=bool)
    rare[:9] = True
    everyone = np.ones(600, dtype=bool)
    found = evaluate_bias(split_of(scores, labels), named([*mentioned, rare, everyone]), resamples=20)[0]
    assert {one.identity for one in found.ranking} == {"0", "1", "2"}
    assert "judged from 10 on" in found.identities[3].note
    assert "without a mention" in found.identities[4].note
    without = evaluate_bias(split_of(scores, labels), named(mentioned), resamples=20)[0]
    assert found.score == without.score
    assert [one.worst for one in found.ranking] == sorted(one.worst for one in found.ranking)
    nobody = evaluate_bias(split_of(scores, labels), named([rare]), resamples=20)[0]
    assert nobody.score.value is None
    assert nobody.overall.value is not None
    assert not nobody.ranking
    assert headline({"test": [nobody]}).startswith("Too few rows mention any identity")


def biased(n=4000, shift=0.35):
    """A model that takes the mention of `0` for the label, and is fair to `1`."""
    scores, labels, mentioned = drawn(n, seed=1, identities=2)
    return split_of(np.clip(scores + shift * mentioned[0], 0, 1), labels), mentioned


def test_a_model_that_takes_a_mention_for_the_label_is_found_out():
    split, mentioned = biased()
    found = evaluate_bias(split, named(mentioned), resamples=200)[0]
    hit, fair = found.identities
    assert hit.metrics[BiasMetric.BPSN].high < fair.metrics[BiasMetric.BPSN].low
    assert hit.metrics[BiasMetric.BNSP].low > fair.metrics[BiasMetric.BNSP].high
    assert hit.is_clear(Rate.FALSE_POSITIVE)
    assert hit.gaps[Rate.FALSE_POSITIVE].low > 0.2
    assert not fair.is_clear(Rate.FALSE_POSITIVE)
    assert [one.identity for one in found.ranking] == ["0", "1"]
    told = "Rows without insult are clearly flagged more often where they mention: 0."
    assert headline({"test": [found]}) == bias_section({"test": [found]}, "").headline == told
    assert "more often on test where" in headline({"test": [found], "validation": [found]})


def test_a_model_that_hides_the_label_behind_a_mention_is_found_out():
    split, mentioned = biased(shift=-0.35)
    found = evaluate_bias(split, named(mentioned), resamples=200)[0]
    hit, fair = found.identities
    assert hit.metrics[BiasMetric.BNSP].high < fair.metrics[BiasMetric.BNSP].low
    assert hit.is_clear(Rate.RECALL)
    assert headline({"test": [found]}).startswith("No mention of 2 identities is clearly flagged more often")


def test_fair_scores_are_seldom_called_clear():
    clear = 0
    for seed in range(20):
        scores, labels, mentioned = drawn(400, seed=seed)
        found = evaluate_bias(split_of(scores, labels), named(mentioned), resamples=100)[0]
        clear += sum(
            one.is_clear(rate) for one in found.identities for rate in (Rate.FALSE_POSITIVE, Rate.RECALL)
        )
    assert clear <= 12  # of 120, about 6 by chance


def test_rows_of_a_group_are_drawn_together():
    scores, labels, mentioned = (np.repeat(part, 5, axis=-1) for part in map(np.asarray, drawn(120)))
    widths = []
    for groups in (None, [str(row // 5) for row in range(600)]):
        found = evaluate_bias(split_of(scores, labels, groups), named(mentioned), resamples=200)[0]
        widths.append(found.score.high - found.score.low)
    assert widths[1] > 1.6 * widths[0]


def test_a_single_label_target_is_judged_one_against_the_rest():
    target = Target.create("tone", TargetKind.SINGLE_LABEL, ["kind", "rude", "hostile"], negative=["kind"])
    rng = np.random.default_rng(0)
    scores = rng.dirichlet([2, 1, 1], 500)
    truth = (scores.cumsum(1) > rng.random((500, 1))).argmax(1)
    mentioned = rng.random(500) < 0.3
    point = OperatingPoint("default", "", {"tone": {}})
    split = scored_split(
        "test",
        Schema((target,)),
        [text_input("x")] * 500,
        {"tone": np.eye(3)[truth]},
        {"tone": scores},
        point,
    )
    rude, hostile = evaluate_bias(split, named([mentioned]), resamples=0)
    assert (rude.label, hostile.label) == ("rude", "hostile")
    expected = compute_bpsn_auc(mentioned, truth == 1, scores[:, 1])
    assert rude.identities[0].metrics[BiasMetric.BPSN].value == pytest.approx(expected)
    negatives = mentioned & (truth != 1)
    assert rude.identities[0].metrics[Rate.FALSE_POSITIVE].value == pytest.approx(
        (scores.argmax(1) == 1)[negatives].mean()
    )


def test_identities_that_do_not_fit_are_refused():
    split = split_of(*drawn()[:2])
    with pytest.raises(UsageError, match="'a' is named twice"):
        evaluate_bias(split, [Identity.of_mentions("a", np.zeros(600, dtype=bool))] * 2, resamples=0)
    with pytest.raises(UsageError, match="has 5 rows, expected 600"):
        evaluate_bias(split, [Identity.of_mentions("a", np.zeros(5, dtype=bool))], resamples=0)


def test_the_data_and_the_section_have_the_promised_form():
    scores, labels, mentioned = drawn()
    rare = np.arange(600) < 9
    nobody = np.zeros(600, dtype=bool)
    found = evaluate_bias(split_of(scores, labels), named([rare, *mentioned, nobody]), resamples=30)
    data = json.loads(json.dumps(bias_json({"test": found}), allow_nan=False))
    insult = data["splits"]["test"]["moderation"]["insult"]
    assert set(insult) == {"overall_auc", "means", "score", "ranking", "identities"}
    assert set(insult["means"]) == set(BiasMetric)
    assert set(insult["identities"]["0"]["metrics"]) == {*BiasMetric, Rate.RECALL, Rate.FALSE_POSITIVE}
    assert insult["identities"]["0"]["enough"] is False
    assert len(insult["ranking"]) == 3
    section = bias_section({"test": found}, "Mentions are made up.")
    scores_table, identities = section.tables
    assert scores_table.rows[0][0] == "insult"
    assert scores_table.rows[0][-1] == 3
    assert [row[0] for row in identities.rows][-1] == "0"
    assert identities.thin == (3,)
    assert identities.title == "By identity: insult"
    assert identities.note.endswith("Not mentioned: 4.")
    assert "Mentions are made up." in section.notes
    assert section.to_json()["tables"][1]["thin"] == [3]
