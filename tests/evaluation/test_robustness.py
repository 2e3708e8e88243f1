"""Drops are those of the very rows, paired with how they scored before; rows that do not change cost nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import recall_score, roc_auc_score

from modwright.evaluation.other_scripts import benign_sentences, measure_false_alarms
from modwright.evaluation.perturbations import PERTURBATIONS, Perturbation, chosen
from modwright.evaluation.rates import Rate
from modwright.evaluation.robustness import MeanScore, measure_robustness, thinned
from modwright.evaluation.robustness_report import robustness_json, robustness_section, summary
from modwright.evaluation.scored import scored_split
from modwright.evaluation.slices import DECISION
from modwright.evaluation.thresholds import OperatingPoint
from modwright.schema import Schema, Target, TargetKind, pair_input, text_input
from modwright.testing import TINY_SCHEMA, WordClassifier

POINT = OperatingPoint("default", "by hand", {"moderation": {"insult": 0.5, "threat": 0.5}, "tone": {}})
#: Hides the first letter of one insult, and of nothing else.
HIDING = Perturbation("leetspeak", "a letter hidden", lambda text, rng: text.replace("donkey", "d0nkey"))


class Counting:
    """Scores as the stand-in classifier does, and counts the inputs."""

    def __init__(self):
        self.asked = []

    def __call__(self, inputs):
        self.asked.append(len(inputs))
        return WordClassifier().predict_proba(inputs).values


def split_of(inputs, labels, **more):
    scorer = Counting()
    scores = {name: values.copy() for name, values in scorer(inputs).items()}
    return scored_split("test", TINY_SCHEMA, inputs, labels, scores, POINT, **more)


def rows(n=60, seed=0):
    """Return inputs and labels: every third a donkey, every third a goose, every third harmless."""
    words = ["a donkey", "a silly goose", "a quiet river"]
    inputs = [text_input(f"{words[row % 3]} number {row}") for row in range(n)]
    moderation = np.zeros((n, 3))
    insult = np.arange(n) % 3 < 2
    moderation[insult, 0] = 1.0
    moderation[~insult, 2] = 1.0
    tone = np.stack([~insult, insult], axis=1).astype(float)
    return inputs, {"moderation": moderation, "tone": tone}


def effect_of(found, label="insult", target="moderation"):
    (effect,) = [one for one in found.effects if (one.target, one.label) == (target, label)]
    return effect


def test_what_is_hidden_is_lost():
    split = split_of(*rows())
    effect = effect_of(measure_robustness(split, Counting(), [HIDING], resamples=200, seed=1))
    assert effect.positives == 40
    assert effect.negatives == 20
    assert effect.changed == 20
    assert effect.before[Rate.RECALL].value == 1.0
    assert effect.after[Rate.RECALL].value == 0.5
    change = effect.change[Rate.RECALL]
    assert change.value == -0.5
    assert -0.75 < change.low < -0.5 < change.high < -0.25
    assert effect.change[Rate.FALSE_POSITIVE].value == 0.0
    assert effect.change[MeanScore.POSITIVES].value == pytest.approx(-0.4)
    assert effect.change[MeanScore.NEGATIVES].value == 0.0
    assert effect.enough


def test_figures_are_scikit_learns_on_the_perturbed_scores():
    rng = np.random.default_rng(5)
    inputs, labels = rows(90)
    labels["moderation"][:, 0] = rng.random(90) < 0.4

    def noisy(values):
        return {
            name: np.random.default_rng(len(values)).random(
                (len(values), len(TINY_SCHEMA.target(name).labels))
            )
            for name in TINY_SCHEMA.names
        }

    scores = {name: rng.random((90, len(TINY_SCHEMA.target(name).labels))) for name in TINY_SCHEMA.names}
    split = scored_split("test", TINY_SCHEMA, inputs, labels, scores, POINT)
    everything = Perturbation("case", "all of it", lambda text, rng: text.upper())
    effect = effect_of(measure_robustness(split, noisy, [everything], resamples=0, seed=1))
    truth, after = labels["moderation"][:, 0] > 0.5, noisy(inputs)["moderation"][:, 0]
    before = scores["moderation"][:, 0]
    assert effect.before["roc_auc"].value == pytest.approx(roc_auc_score(truth, before))
    assert effect.after["roc_auc"].value == pytest.approx(roc_auc_score(truth, after))
    assert effect.after[Rate.RECALL].value == pytest.approx(recall_score(truth, after >= 0.5))
    assert effect.change["roc_auc"].value == pytest.approx(
        roc_auc_score(truth, after) - roc_auc_score(truth, before)
    )
    assert effect.change["roc_auc"].low is None


def test_only_changed_rows_are_scored_again():
    split, scorer = split_of(*rows()), Counting()
    unseen = Perturbation("case", "nothing", lambda text, rng: text)
    found = measure_robustness(split, scorer, [HIDING, unseen], resamples=0, seed=1)
    assert scorer.asked == [20]
    still = [one for one in found.effects if one.perturbation == "case"]
    assert all(one.changed == 0 for one in still)
    assert all(change.value in (0.0, None) for one in still for change in one.change.values())


def test_the_decision_is_measured_where_there_are_several_labels():
    found = measure_robustness(split_of(*rows()), Counting(), [HIDING], resamples=0, seed=1)
    assert effect_of(found, DECISION).change[Rate.RECALL].value == -0.5
    names = [(one.target, one.label) for one in found.effects]
    assert names == [("moderation", ""), ("moderation", "insult"), ("moderation", "threat"), ("tone", "rude")]
    assert effect_of(found, "rude", "tone").change[Rate.RECALL].value == -0.5
    assert effect_of(found, "threat").before[Rate.RECALL].value is None
    assert not effect_of(found, "threat").enough


def topics(n=60, many=8):
    """Return a split of one single-label target without negative labels, and what scores a donkey as the last topic."""
    schema = Schema((Target.create("topic", TargetKind.SINGLE_LABEL, [f"topic {k}" for k in range(many)]),))

    def scorer(inputs):
        scores = np.full((len(inputs), many), 0.1 / (many - 1))
        donkey = ["donkey" in value[-1].content for value in inputs]
        scores[np.arange(len(inputs)), np.where(donkey, many - 1, 0)] = 0.9
        return {"topic": scores}

    inputs, _ = rows(n)
    labels = np.zeros((n, many))
    labels[np.arange(n), [many - 1 if row % 3 == 0 else 0 for row in range(n)]] = 1.0
    point = OperatingPoint("default", "by hand", {"topic": {}})
    return scored_split("test", schema, inputs, {"topic": labels}, scorer(inputs), point), scorer


def test_where_every_text_gets_a_label_no_decision_is_measured():
    """That something is flagged is then always true: the labels are shown, however many, and no false alarms."""
    split, scorer = topics()
    found = measure_robustness(split, scorer, [HIDING], resamples=50, seed=1)
    assert [one.label for one in found.effects] == [f"topic {k}" for k in range(8)]
    scripts = measure_false_alarms(split.schema, split.point, scorer)
    assert scripts == ()
    section = robustness_section({"test": found}, scripts, [])
    assert [table.title for table in section.tables] == [f"topic {k}" for k in range(8)]
    assert "lower recall of 'topic 7' from 1.00 to 0.00" in section.headline


def test_a_target_of_many_labels_shows_its_decision_where_it_has_one():
    labels = [f"label {k}" for k in range(8)]
    schema = Schema((Target.create("moderation", TargetKind.MULTI_LABEL, labels),))
    inputs, _ = rows()
    point = OperatingPoint("default", "by hand", {"moderation": dict.fromkeys(labels, 0.5)})
    values = {"moderation": np.zeros((60, 8))}
    split = scored_split("test", schema, inputs, values, values, point)
    found = measure_robustness(
        split, lambda some: {"moderation": np.zeros((len(some), 8))}, [HIDING], resamples=0, seed=1
    )
    section = robustness_section({"test": found}, (), [])
    assert [table.title for table in section.tables] == ["is anything flagged"]


def test_unknown_labels_are_left_out():
    inputs, labels = rows()
    labels["moderation"][:30, 0] = np.nan
    effect = effect_of(
        measure_robustness(split_of(inputs, labels), Counting(), [HIDING], resamples=0, seed=1)
    )
    assert (effect.positives, effect.negatives, effect.changed) == (20, 10, 10)


def test_only_the_last_turn_is_changed():
    seen = []

    def scorer(inputs):
        seen.extend(inputs)
        return WordClassifier().predict_proba(inputs).values

    inputs = [pair_input("a donkey", "no donkey"), pair_input("a donkey", "no goose")]
    labels = {"moderation": np.zeros((2, 3)), "tone": np.asarray([[1.0, 0.0]] * 2)}
    measure_robustness(split_of(inputs, labels), scorer, [HIDING], resamples=0, seed=1)
    assert seen == [pair_input("a donkey", "no d0nkey")]


def test_rows_are_drawn_by_group():
    inputs, labels = rows()
    alone = effect_of(
        measure_robustness(split_of(inputs, labels), Counting(), [HIDING], resamples=300, seed=1)
    )
    groups = [str(row % 6) for row in range(60)]
    grouped = split_of(inputs, labels, groups=groups)
    effect = effect_of(measure_robustness(grouped, Counting(), [HIDING], resamples=300, seed=1))

    def width(one):
        return one.change[Rate.RECALL].high - one.change[Rate.RECALL].low

    assert width(effect) > 1.5 * width(alone)


def test_many_rows_are_thinned_out():
    split = split_of(*rows(), ids=[f"row-{n}" for n in range(60)])
    few = thinned(split, 25, seed=3)
    assert len(few) == 25
    assert thinned(split, 60, seed=3) is split
    places = [int(name.split("-")[1]) for name in few.ids]
    assert places == sorted(set(places))
    assert (few.scores["moderation"] == split.scores["moderation"][places]).all()
    found = measure_robustness(split, Counting(), [HIDING], resamples=0, seed=3, most_rows=25)
    assert (found.rows, found.of) == (25, 60)


def test_progress_is_told():
    told = []
    measure_robustness(
        split_of(*rows()),
        Counting(),
        chosen(["case", "emoji"]),
        resamples=0,
        seed=1,
        progress=lambda *arguments: told.append(arguments),
    )
    assert told == [(1, 2), (2, 2)]


def test_benign_sentences_are_the_same_many_in_each_language():
    found = benign_sentences()
    assert len(found) >= 12
    assert {len(texts) for texts in found.values()} == {10}
    assert len({text for texts in found.values() for text in texts}) == 10 * len(found)


def test_false_alarms_count_what_is_flagged():
    def scorer(inputs):
        scores = {"moderation": np.zeros((len(inputs), 3)), "tone": np.asarray([[1.0, 0.0]] * len(inputs))}
        cyrillic = [any("а" <= letter <= "я" for letter in value[-1].content) for value in inputs]
        scores["moderation"][cyrillic, 1] = 0.9
        return scores

    found = {(one.language, one.target): one for one in measure_false_alarms(TINY_SCHEMA, POINT, scorer)}
    russian = found["Russian (Cyrillic)", "moderation"]
    assert russian.flagged.value == 1.0
    assert russian.flagged.low < 0.8
    assert russian.labels == {"threat": 10}
    others = [one for (language, _), one in found.items() if not language.startswith("Russian")]
    assert all(one.flagged.value == 0.0 and not one.labels for one in others)
    assert found["Russian (Cyrillic)", "tone"].flagged.value == 0.0


def test_data_and_section_say_what_was_found():
    split = split_of(*rows())
    found = {
        "test": measure_robustness(split, Counting(), list(PERTURBATIONS.values()), resamples=50, seed=1)
    }
    scripts = measure_false_alarms(TINY_SCHEMA, POINT, Counting())
    data = robustness_json(found, scripts, [], seed=1)
    json.dumps(data, allow_nan=False)
    drop = data["splits"]["test"]["perturbations"]["leetspeak"]["moderation"]["labels"]["insult"]
    assert drop["change"]["recall"]["value"] < -0.2
    assert set(data["splits"]["test"]["perturbations"]) == set(PERTURBATIONS)
    section = robustness_section(found, scripts, [])
    assert len(section.tables) == 6  # the decision, three labels, two targets in other scripts
    assert "Mean scores" not in section.tables[0].note  # the decision has none
    table = section.tables[1]
    assert "Mean scores" in table.note
    assert table.title == "insult, moderation"
    assert table.rows[0][0] == "as they are"
    assert len(table.rows) == 1 + len(PERTURBATIONS)
    assert section.tables[2].thin == tuple(range(1 + len(PERTURBATIONS)))  # no threat is known
    assert "lower recall" in section.headline
    assert section.to_json()


def test_without_intervals_nothing_is_clear():
    found = measure_robustness(split_of(*rows()), Counting(), [HIDING], resamples=0, seed=1)
    assert effect_of(found).change[Rate.RECALL].value == -0.5
    assert summary("test", found) == ""


def test_a_model_that_loses_nothing_is_said_to():
    calm = Perturbation("case", "nothing", lambda text, rng: text)
    found = measure_robustness(split_of(*rows()), Counting(), [calm], resamples=20, seed=1)
    assert summary("test", found) == "test: no disguise lowers recall clearly."
