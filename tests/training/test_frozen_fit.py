"""Training a frozen classifier: repeatable, honest out of fold, and right for every shape of data."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from modwright.data.split import folds as dealt
from modwright.errors import DataError
from modwright.models.embedding_cache import EmbeddingCache
from modwright.models.windows import SingleLabelRule, WindowRule
from modwright.schema import Schema, Target, TargetKind, pair_input, text_input
from modwright.testing import (
    LABEL_WORDS,
    MODERATION,
    NEUTRAL_WORDS,
    TINY_SCHEMA,
    tiny_labels,
    tiny_recipe,
    tiny_rows,
    tiny_texts,
)
from modwright.training import frozen
from modwright.training.events import Chosen, Stage, Step, Warned, follow
from modwright.training.frozen import fit
from modwright.training.rows import TrainingRows

ROWS = tiny_rows(120)
GOOSE = Schema((Target.create("bird", TargetKind.MULTI_LABEL, ["goose"]),))


def trained(base, rows=ROWS, *overrides, schema=TINY_SCHEMA, **more):
    """Return the fit and its events."""
    events = []
    result = follow(fit(tiny_recipe("tiny", *overrides), schema, rows, [base], **more), events.append)
    return result, events


def rows_of(texts, labels, target="bird", weights=None, groups=None):
    labels = np.asarray(labels, dtype=float)
    labels = labels[:, None] if labels.ndim == 1 else labels
    inputs = [text_input(text) if isinstance(text, str) else text for text in texts]
    weights = np.ones(len(texts)) if weights is None else weights
    return TrainingRows(inputs, {target: labels}, weights, groups or [str(text) for text in texts])


def arrays(result):
    """Return everything that decides a score, as bytes by name."""
    found = {
        "landmarks": result.classifier.landmarks.tobytes(),
        "rule": repr(result.classifier.featuriser.rule),
    }
    for name, head in result.classifier.heads.items():
        found |= {f"{name} {key}": value.tobytes() for key, value in head.to_tensors(name).items()}
        found[f"{name} kind"] = repr((head.kind, head.gamma))
        found[f"{name} out of fold"] = result.unseen.scores[name].tobytes()
    return found | {"calibration": repr(result.calibration), "thresholds": repr(result.operating_point)}


def test_two_runs_are_the_same_to_the_bit_and_another_seed_is_not(tiny_base):
    first, events = trained(tiny_base)
    second, again = trained(tiny_base)
    assert arrays(first) == arrays(second)
    assert events == again
    assert arrays(trained(tiny_base, ROWS, "seed=43")[0]) != arrays(first)


def test_a_run_that_was_killed_while_it_embedded_ends_in_the_same_arrays(tiny_base, tmp_path):
    whole, _ = trained(tiny_base, caches=[EmbeddingCache(tmp_path / "one", tiny_base.width)])
    some = [value[-1].content for value in ROWS.inputs[::3]]
    tiny_base.embed(some, max_batch_tokens=32, cache=EmbeddingCache(tmp_path / "two", tiny_base.width))
    resumed, _ = trained(tiny_base, caches=[EmbeddingCache(tmp_path / "two", tiny_base.width)])
    assert arrays(whole) == arrays(resumed)


def test_several_targets_are_learnt_at_once_out_of_fold_and_on_new_texts(tiny_base):
    result, events = trained(tiny_base, tiny_rows(200))
    new = tiny_texts(100, seed=9)
    truth, scores = tiny_labels(new), result.classifier.predict_proba([text_input(text) for text in new])
    for target in TINY_SCHEMA:
        assert scores.values[target.name].shape == (100, len(target.labels))
        for label in range(len(target.labels)):
            own = tiny_rows(200).labels[target.name][:, label]
            assert roc_auc_score(own, result.unseen.scores[target.name][:, label]) > 0.9
            assert roc_auc_score(truth[target.name][:, label], scores.values[target.name][:, label]) > 0.9
    assert np.allclose(scores.values["tone"].sum(axis=1), 1.0)
    assert [event.target for event in events if isinstance(event, Chosen)] == ["moderation", "tone"]
    assert set(result.operating_point.thresholds["moderation"]) == {"insult", "threat"}


def test_steps_are_numbered_fall_and_measure_validation_every_25th_and_at_the_last(tiny_base):
    _, events = trained(tiny_base, ROWS, "head.c=[100000.0]", validation=tiny_rows(40, seed=1))
    steps = [event for event in events if isinstance(event, Step)]
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    assert len(steps) == 60, "it should not settle before the cap, or this shows too little"
    assert [step.number for step in steps if step.valid_loss is not None] == [25, 50, 60]
    assert all(np.isfinite(step.train_loss) for step in steps)
    assert steps[-1].train_loss < 0.7 * steps[0].train_loss
    assert isinstance(events[0], Stage)


def test_steps_end_where_every_target_has_settled_and_the_last_is_measured_once(tiny_base):
    _, events = trained(tiny_base, ROWS, "head.c=[0.01]", validation=tiny_rows(40, seed=1))
    steps = [event for event in events if isinstance(event, Step)]
    assert 1 < len(steps) < 25
    assert [step.number for step in steps if step.valid_loss is not None] == [len(steps)]


@pytest.mark.parametrize("most", [1, 2, 25])
def test_training_steps_caps_the_iterations(tiny_base, most):
    _, events = trained(tiny_base, ROWS, "head.c=[100000.0]", f"training.training_steps={most}")
    assert [event.number for event in events if isinstance(event, Step)] == list(range(1, most + 1))


def test_abreast_ends_with_the_longest_fit_and_keeps_what_settled():
    runs = list(frozen._abreast({"a": iter("xyz"), "b": iter("u")}, 10))
    assert runs == [
        ({"a": "x", "b": "u"}, False),
        ({"a": "y", "b": "u"}, False),
        ({"a": "z", "b": "u"}, True),
    ]
    drawn = []
    counting = (drawn.append(number) or number for number in range(100))
    assert [last for _, last in frozen._abreast({"a": counting}, 3)] == [False, False, True]
    assert drawn == [0, 1, 2], "no iteration beyond the cap"


def test_validation_rows_are_measured_and_nothing_is_chosen_on_them(tiny_base):
    plain, _ = trained(tiny_base)
    upside_down = tiny_rows(40, seed=2)
    flipped = dataclasses.replace(
        upside_down, labels={name: 1.0 - values for name, values in upside_down.labels.items()}
    )
    for validation in (upside_down, flipped):
        result, _ = trained(tiny_base, validation=validation)
        assert arrays(result) == arrays(plain)


def test_shuffled_labels_cannot_be_predicted_out_of_fold(tiny_base):
    """If scores out of fold leaked, this would be near 1."""
    rows = tiny_rows(300)
    order = np.random.default_rng(5).permutation(300)
    shuffled = dataclasses.replace(rows, labels={name: values[order] for name, values in rows.labels.items()})
    result, _ = trained(tiny_base, shuffled, "head.c=[1000.0]")
    for name, values in shuffled.labels.items():
        for label in range(values.shape[1]):
            assert 0.35 < roc_auc_score(values[:, label], result.unseen.scores[name][:, label]) < 0.65


def test_groups_never_straddle_folds(tiny_base):
    """Copies of a text share a random label: only a fold that holds a copy could know it."""
    rng = np.random.default_rng(3)
    texts = list(dict.fromkeys(tiny_texts(90, seed=4)))
    random = rng.integers(0, 2, len(texts)).astype(float)
    doubled, labels = texts * 3, np.tile(random, 3)
    grouped, _ = trained(tiny_base, rows_of(doubled, labels), "head.c=[10000.0]", schema=GOOSE)
    assert roc_auc_score(labels, grouped.unseen.scores["bird"][:, 0]) < 0.65
    apart = rows_of(doubled, labels, groups=[str(number) for number in range(len(doubled))])
    leaking, _ = trained(tiny_base, apart, "head.c=[10000.0]", "head.kinds=['rbf']", schema=GOOSE)
    assert roc_auc_score(labels, leaking.unseen.scores["bird"][:, 0]) > 0.75, "this is what a leak looks like"


def test_folds_are_dealt_by_the_rows_groups(tiny_base, monkeypatch):
    seen = []
    monkeypatch.setattr(frozen, "folds", lambda *args: seen.append(args) or dealt(*args))
    trained(tiny_base)
    ((groups, labels, number, seed),) = seen
    assert list(groups) == list(ROWS.groups)
    assert labels.shape == (120, 5)
    assert (number, seed) == (3, 42)


def test_a_learning_rate_is_ignored_with_a_warning(tiny_base):
    plain, quiet = trained(tiny_base)
    result, events = trained(tiny_base, ROWS, "training.learning_rate=0.1")
    assert any(isinstance(event, Warned) and "learning_rate" in event.message for event in events)
    assert not any(isinstance(event, Warned) for event in quiet)
    assert arrays(result) == arrays(plain)


def test_unknown_labels_are_left_out(tiny_base):
    labels = {name: values.copy() for name, values in ROWS.labels.items()}
    labels["moderation"][::2, 0] = np.nan
    labels["tone"][1::2] = np.nan
    result, events = trained(tiny_base, dataclasses.replace(ROWS, labels=labels))
    assert all(np.isfinite(values).all() for values in result.unseen.scores.values())
    assert all(np.isfinite(event.train_loss) for event in events if isinstance(event, Step))
    known = ~np.isnan(labels["moderation"][:, 0])
    truth, scores = ROWS.labels["moderation"][known, 0], result.unseen.scores["moderation"][known, 0]
    assert roc_auc_score(truth, scores) > 0.75


def test_labels_that_are_constant_or_wholly_unknown_and_tiny_data_can_be_fitted(tiny_base):
    schema = Schema(
        (Target.create("bird", TargetKind.MULTI_LABEL, ["goose", "never", "always", "nobody knows"]),)
    )
    texts = ["the goose", "my river", "goose near bread", "quiet house"]
    labels = np.array([[1, 0, 1, np.nan], [0, 0, 1, np.nan], [1, 0, 1, np.nan], [0, 0, 1, np.nan]])
    result, _ = trained(tiny_base, rows_of(texts, labels), "head.folds=10", schema=schema)
    scores = result.classifier.predict_proba([text_input("the goose"), text_input("")]).values["bird"]
    assert np.isfinite(scores).all()
    assert (scores[:, 1] < 0.4).all()
    assert (scores[:, 2] > 0.6).all()


def test_too_few_groups_for_two_folds_is_an_error_about_the_data(tiny_base):
    with pytest.raises(DataError, match="groups"):
        trained(tiny_base, rows_of(["goose", "goose"], [1, 0]), schema=GOOSE)
    with pytest.raises(DataError, match="groups"):
        trained(tiny_base, rows_of([], np.zeros((0, 1))), schema=GOOSE)


def test_a_conversation_is_judged_by_its_last_turn_in_its_context(tiny_base):
    """The label holds where exactly one of both turns has the word: neither turn alone tells."""
    rng = np.random.default_rng(1)
    inputs, labels = [], []
    for number in range(160):
        first, last = rng.integers(0, 2, 2)
        neutral = [str(word) for word in rng.choice(NEUTRAL_WORDS, 4)]
        inputs.append(
            pair_input(
                " ".join([neutral[0], "goose" if first else "river"]),
                " ".join([neutral[1], "donkey" if last else "table", str(number % 10)]),
            )
        )
        labels.append(float(first != last))
    groups = [str(number) for number in range(160)]
    rows = rows_of(inputs, labels, groups=groups)
    result, _ = trained(tiny_base, rows, "head.kinds=['rbf']", "head.c=[64.0]", schema=GOOSE)
    assert result.classifier.featuriser.uses_context
    assert roc_auc_score(labels, result.unseen.scores["bird"][:, 0]) > 0.9
    asked = [pair_input("the goose", "my table"), pair_input("the river", "my table")]
    scores = result.classifier.predict_proba(asked).values["bird"][:, 0]
    assert scores[0] > scores[1] + 0.15


def test_a_model_of_plain_texts_judges_the_last_turn_of_a_conversation(tiny_base):
    result, _ = trained(tiny_base)
    assert not result.classifier.featuriser.uses_context
    scores = result.classifier.predict_proba(
        [text_input("the silly goose"), pair_input("chase", "the silly goose")]
    )
    for values in scores.values.values():
        assert np.abs(values[0] - values[1]).max() < 1e-6


def test_a_planted_word_in_a_long_text_is_found_and_scored_as_alone(tiny_base):
    result, _ = trained(tiny_base, tiny_rows(300), "head.c=[64.0]")
    rng = np.random.default_rng(2)
    insult = MODERATION.index("insult")
    for word in LABEL_WORDS["insult"]:
        before, after = (" ".join(map(str, rng.choice(NEUTRAL_WORDS, 120))) for _ in range(2))
        text = f"{before} {word} {after}"
        clean, planted, alone = (
            text_input(value) for value in (f"{before} {after}", text, f"the {word} again")
        )
        scores = result.classifier.predict_proba([clean, planted, alone])
        values = scores.values["moderation"][:, insult]
        assert scores.windows[1] > 10
        begin, end = scores.spans["moderation"][1, insult]
        assert begin <= len(before) < end
        assert word in text[begin:end]
        assert values[1] > values[0] + 0.05
        assert values[1] > 0.4 * values[2]


def test_long_training_documents_teach_which_window_carries_the_label(tiny_base):
    """Every document is longer than a window, and only it as a whole has a label; chance is under a half."""
    rng = np.random.default_rng(7)
    texts, labels = [], []
    for number in range(300):
        words = [str(word) for word in rng.choice(NEUTRAL_WORDS, 30)]
        if number % 2:
            words[int(rng.integers(0, 30))] = str(rng.choice(LABEL_WORDS["insult"]))
        texts.append(" ".join(words))
        labels.append(number % 2)
    rows = rows_of(texts, labels)

    def found(rounds):
        """Return how often the deciding window is one that holds the word."""
        small = ("head.kinds=['linear']", "head.c=[16.0]", f"window.rounds={rounds}")
        result, _ = trained(tiny_base, rows, *small, schema=GOOSE)
        spans = result.classifier.predict_proba(rows.inputs[1::2]).spans["bird"][:, 0]
        shown = [set(text[begin:end].split()) for text, (begin, end) in zip(texts[1::2], spans, strict=True)]
        return np.mean([bool(words & set(LABEL_WORDS["insult"])) for words in shown])

    assert found(1) > 0.7
    assert found(2) > 0.7


def test_the_window_follows_the_training_texts_within_its_bounds(tiny_base):
    def tokens(*overrides):
        return trained(tiny_base, ROWS, *overrides)[0].classifier.featuriser.rule

    assert tokens() == WindowRule(16, 0.5, SingleLabelRule.WORST, (0.75, 0.5, 0.35))
    assert tokens("window.edges=[]").edges == ()
    assert tokens("window.min_tokens=8", "window.max_tokens=64", "window.quantile=0.01").tokens == 8
    assert tokens("window.min_tokens=40", "window.max_tokens=64").tokens == 40
    assert tokens("window.min_tokens=500", "window.max_tokens=500").tokens == 64, "the base takes no more"


def test_heads_are_chosen_on_some_rows_and_fitted_on_all(tiny_base):
    rows = tiny_rows(200)
    result, _ = trained(tiny_base, rows, "head.selection_rows=80")
    assert len(result.unseen.scores["moderation"]) == 200
    assert roc_auc_score(rows.labels["moderation"][:, 0], result.unseen.scores["moderation"][:, 0]) > 0.85


def test_weights_count(tiny_base):
    texts = ["the goose", "the river"] * 20
    labels = [1.0, 0.0] * 10 + [0.0, 1.0] * 10
    groups = [str(number) for number in range(40)]
    heavy = np.array([5.0] * 20 + [1.0] * 20)
    for weights, higher in ((heavy, 0), (heavy[::-1].copy(), 1)):
        result, _ = trained(tiny_base, rows_of(texts, labels, weights=weights, groups=groups), schema=GOOSE)
        scores = result.classifier.predict_proba([text_input(text) for text in texts[:2]]).values["bird"][
            :, 0
        ]
        assert scores.argmax() == higher


def test_a_fit_that_was_stopped_early_says_so(tiny_base):
    _, events = trained(tiny_base, ROWS, "head.c=[100000.0]", "training.training_steps=2")
    assert any(isinstance(event, Warned) and "training_steps = 2" in event.message for event in events)
    _, events = trained(tiny_base)
    assert not any(isinstance(event, Warned) for event in events)
