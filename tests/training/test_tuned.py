"""Cross-fitting around the loop: honest out of fold, right about what is held out, and it goes on after a kill."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_tasks import TinyFamily, small_recipe, weights_of

from modwright.errors import DataError, RecipeError
from modwright.evaluation.decisions import DecidedOn, decide
from modwright.testing import TINY_SCHEMA, tiny_rows
from modwright.training.dealing import deal
from modwright.training.events import Looked, Resumed, RunStarted, Stage, Step, Warned, follow
from modwright.training.history import best_together
from modwright.training.looking import Look
from modwright.training.rows import TrainingRows
from modwright.training.tuned import fit_tuned

ROWS, OTHERS = tiny_rows(60), tiny_rows(40, seed=9)
FOLDS, HOLDOUT = "validation.method=folds", "validation.method=holdout"
BEST = "validation.keep=best"


def fitted(*overrides, rows=ROWS, recipe=None, family=None, **more):
    """Return the fit, its family and its events."""
    family, events = family or TinyFamily(), []
    recipe = recipe or small_recipe(*overrides)
    result = follow(fit_tuned(recipe, TINY_SCHEMA, rows, family, **more), events.append)
    return result, family, events


def decided_on(raw, rows, name):
    """The decisions that raw scores of rows lead to, as the recipe says."""
    more = {"weights": rows.weights, "groups": rows.groups, "decided_on": DecidedOn(name, len(rows.inputs))}
    return decide(small_recipe(), TINY_SCHEMA, raw, rows.labels, **more)


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


def everything(result, family):
    """What decides a score, comparable."""
    scores = {name: values.tobytes() for name, values in result.unseen.scores.items()}
    return (
        weights_of(family.tasks[-1]),
        result.decisions,
        result.unseen.name,
        scores,
    )


def relabelled(change):
    labels = {name: values.copy() for name, values in ROWS.labels.items()}
    change(labels)
    return TrainingRows(ROWS.inputs, labels, ROWS.weights, ROWS.groups)


def test_out_of_fold_scores_come_of_models_that_have_not_seen_the_group():
    result, family, events = fitted(FOLDS)
    assert [event.name for event in of(RunStarted, events)] == [
        *(f"fold {number} of 3" for number in (1, 2, 3)),
        "final",
    ]
    *folds, final = family.tasks
    assert len(final.rows.inputs) == 60
    raw = {name: np.full(values.shape, np.nan) for name, values in ROWS.labels.items()}
    for task in folds:
        held = [row for row, group in enumerate(ROWS.groups) if group not in set(task.rows.groups)]
        assert len(held) + len(task.rows.inputs) == 60
        for name, values in task.scores([ROWS.inputs[row] for row in held], exact=True).items():
            raw[name][held] = values
    decisions = decided_on(raw, ROWS, "out_of_fold")
    assert result.decisions == decisions
    assert set(decisions.points) == {"default", "strict", "lenient"}
    for name, values in decisions.calibrated(raw).items():
        assert np.array_equal(result.unseen.scores[name], values)
    assert (result.unseen.name, len(result.unseen.rows.inputs)) == ("out_of_fold", 60)
    assert result.classifier.words is final


def test_the_final_run_is_as_long_as_the_folds_were_at_their_best(monkeypatch):
    best = iter([8, 5, 5])  # steps of the best looks in runs of 10 (40 rows in steps of 8, two epochs)
    wanted = {}

    def scripted(self, scores):
        run = wanted[self] = wanted.get(self) or [next(best), -1]
        run[1] += 1
        return Look(1.0, {}, float([0, 5, 8, 10][run[1]] == run[0]))

    monkeypatch.setattr("modwright.training.tuned.Judge.look", scripted)
    recipe = small_recipe(FOLDS, "training.epochs=2")
    monkeypatch.setattr("modwright.training.plan.Plan.looks_at", lambda plan, step: step in (0, 5, 8, 10))
    _, _, events = fitted(recipe=recipe)
    runs = of(RunStarted, events)
    assert [run.steps for run in runs[:3]] == [10, 10, 10]
    assert runs[3].steps == 8  # half of 16
    last = of(Step, events)[-1]
    assert (last.number, last.epoch) == (8, 1.0)
    assert last.learning_rate > 0.3 * 0.02  # the schedule is that of the whole run


class Recorded:
    """A family whose looks have scripted values, run after run, and are recorded."""

    def __init__(self, monkeypatch, values):
        self.values, self.scores = values, []

        def look(judge, scores):
            run = next((one for one in self.scores if one[0] is judge), None)
            if run is None:
                run = (judge, [])
                self.scores.append(run)
            run[1].append(scores)
            return Look(1.0, {}, self.values[len(self.scores) - 1][len(run[1]) - 1])

        monkeypatch.setattr("modwright.training.tuned.Judge.look", look)


@pytest.mark.parametrize(
    ("values", "place"),
    [
        (
            [(0, 3, 1, 0), (0, 1, 3, 0), (0, 2, 1, 0)],
            1,
        ),  # 6, 5: the second look of all, although fold 2 liked its third
        ([(5, 4, 1, 0), (5, 4, 6, 0), (5, 4, 1, 0)], 0),
        ([(0, 0, 0, 1)] * 3, 3),
    ],
)
def test_one_look_is_chosen_for_all_folds_and_none_chooses_its_own(monkeypatch, values, place):
    recorded = Recorded(monkeypatch, values)
    result, _, events = fitted(FOLDS, BEST)
    raw = {name: np.zeros(known.shape) for name, known in ROWS.labels.items()}
    recipe = small_recipe(FOLDS, BEST)
    fold = deal(recipe, TINY_SCHEMA, ROWS)
    for held, (_, looks) in enumerate(recorded.scores):
        for name in raw:
            raw[name][fold == held] = looks[place][name]
    decisions = decided_on(raw, ROWS, "out_of_fold")
    assert result.decisions == decisions
    for name, values in decisions.calibrated(raw).items():
        assert np.array_equal(result.unseen.scores[name], values)
    assert of(RunStarted, events)[-1].steps == 8 * place
    assert ["together" in warned.message for warned in of(Warned, events)] == [True] * (place == 0)


@pytest.mark.parametrize("stop", [12, 40])
def test_the_scores_of_earlier_looks_are_there_after_a_kill(monkeypatch, tmp_path, stop):
    """The look that is chosen may lie before the checkpoint that a run goes on from, or in a fold that is done."""
    recipe, early = (
        small_recipe(FOLDS, BEST, "checkpoints.every_steps=1"),
        staticmethod(lambda scores: Look(1.0, {}, 0.0)),
    )
    monkeypatch.setattr("modwright.training.tuned.Judge.look", early)
    straight, family, _ = fitted(recipe=recipe)
    for number, _ in enumerate(fit_tuned(recipe, TINY_SCHEMA, ROWS, TinyFamily(), checkpoints=tmp_path)):
        if number == stop:
            break
    again, other, events = fitted(recipe=recipe, checkpoints=tmp_path)
    assert everything(again, other) == everything(straight, family)
    assert of(Resumed, events)
    assert of(RunStarted, events)[-1].steps == 0


def test_folds_that_end_early_are_compared_where_all_of_them_were():
    assert best_together([[0.0, 2.0, 3.0, 9.0], [0.0, 1.0, 0.5]]) == 2
    assert best_together([[1.0, 1.0], [1.0, 1.0]]) == 0
    assert best_together([[0.0]]) == 0


def test_keep_last_trains_all_epochs_on_all_rows():
    _, _, events = fitted(FOLDS, "validation.keep=last")
    assert of(RunStarted, events)[-1].steps == 24


def test_a_validation_split_is_only_measured_beside_folds():
    alone, family, _ = fitted(FOLDS)
    beside, other, events = fitted(FOLDS, validation=OTHERS)
    assert everything(alone, family) == everything(beside, other)
    assert of(Looked, events[events.index(of(RunStarted, events)[-1]) :])


def test_a_held_out_part_is_carved_by_group():
    result, family, _ = fitted(HOLDOUT, "validation.share=0.3")
    (task,) = family.tasks
    held = result.unseen.rows
    assert result.unseen.name == "held_out"
    assert 12 <= len(held.inputs) <= 24
    assert len(held.inputs) + len(task.rows.inputs) == 60
    assert not set(held.groups) & set(task.rows.groups)
    assert result.decisions == decided_on(task.scores(held.inputs, exact=True), held, "held_out")


def test_a_given_validation_split_is_the_held_out_part():
    result, family, events = fitted(HOLDOUT, validation=OTHERS)
    assert result.unseen.name == "validation"
    assert len(result.unseen.rows.inputs) == 40
    assert len(family.tasks[0].rows.inputs) == 60
    assert min(event.loss for event in of(Looked, events)) < 0.7


def test_fewer_groups_than_folds_are_fewer_folds_and_one_is_an_error():
    groups = ["a" if row < 30 else "b" for row in range(60)]
    two = TrainingRows(ROWS.inputs, ROWS.labels, ROWS.weights, groups)
    _, _, events = fitted(FOLDS, rows=two)
    assert [event.name for event in of(RunStarted, events)] == ["fold 1 of 2", "fold 2 of 2", "final"]
    one = TrainingRows(ROWS.inputs, ROWS.labels, ROWS.weights, ["a"] * 60)
    for method in (FOLDS, HOLDOUT):
        with pytest.raises(DataError, match="1 groups"):
            fitted(method, rows=one)


@pytest.mark.parametrize("method", [FOLDS, HOLDOUT])
def test_rows_that_can_teach_or_judge_nothing_are_an_error(method):
    def only_positives(labels):
        labels["tone"][:] = np.nan
        labels["moderation"][:] = np.nan
        labels["moderation"][:, 0] = 1.0

    with pytest.raises(DataError, match="no label with both a positive and a negative"):
        fitted(method, rows=relabelled(only_positives))


def test_a_given_validation_that_can_judge_nothing_is_an_error():
    """Its loss would be 0 at every look, and the weights of before training would be kept."""
    unknown = {name: np.full_like(values, np.nan) for name, values in OTHERS.labels.items()}
    unlabelled = TrainingRows(OTHERS.inputs, unknown, OTHERS.weights, OTHERS.groups)
    for validation in (unlabelled, OTHERS.take(np.arange(0))):
        with pytest.raises(DataError, match=r"'validation'.*no label with both"):
            fitted(HOLDOUT, validation=validation)


def test_a_label_seen_in_one_fold_only_is_said():
    def one_threat(labels):
        labels["moderation"][:, 1] = 0.0
        labels["moderation"][7, 1] = 1.0

    _, _, events = fitted(FOLDS, rows=relabelled(one_threat))
    (warned,) = of(Warned, events)
    assert "moderation/threat" in warned.message
    assert "insult" not in warned.message


def best_untrained(truth, scores, seen=[]):  # noqa: B006 - a memory over calls is the point
    seen.append(0)
    return -float(len(seen))


def test_training_that_never_helps_is_said():
    _, family, events = fitted(HOLDOUT, f"validation.metric={__name__}:best_untrained")
    (warned,) = of(Warned, events)
    assert "before training" in warned.message
    fresh = TinyFamily().task(family.tasks[0].rows, 42)
    assert weights_of(family.tasks[0]) == weights_of(fresh)


def test_an_unknown_metric_is_an_error_before_a_step():
    family = TinyFamily()
    with pytest.raises(RecipeError, match="macro_acu"):
        fitted(FOLDS, "validation.metric=macro_acu", family=family)
    assert all(not task.sizes for task in family.tasks)


@pytest.mark.parametrize(
    ("method", "name", "size"), [("folds", "out_of_fold", 60), ("holdout", "validation", 40)]
)
def test_a_model_that_is_not_trained_is_only_calibrated(method, name, size):
    recipe = small_recipe("adapter.method=none", f"validation.method={method}", name="llm")
    result, family, events = fitted(recipe=recipe, validation=OTHERS)
    assert not of(Step, events)
    assert (result.unseen.name, len(result.unseen.rows.inputs)) == (name, size)
    assert len(family.tasks) == 1
    assert result.calibration["tone"].slopes != (1.0,)


@pytest.fixture(scope="module")
def undisturbed():
    result, family, events = fitted(FOLDS, "training.epochs=1")
    return everything(result, family), len(events)


@given(stops=st.lists(st.integers(0, 75), min_size=1, max_size=3))
@settings(max_examples=5)
def test_stopped_anywhere_and_called_again_it_ends_the_same(tmp_path_factory, undisturbed, stops):
    folder = tmp_path_factory.mktemp("checkpoints")
    recipe = small_recipe(FOLDS, "training.epochs=1")
    for stop in stops:
        for number, _ in enumerate(fit_tuned(recipe, TINY_SCHEMA, ROWS, TinyFamily(), checkpoints=folder)):
            if number == stop:
                break
    result, family, _ = fitted(recipe=recipe, checkpoints=folder)
    assert everything(result, family) == undisturbed[0]


def test_a_finished_fold_is_not_trained_again_unless_its_scores_are_damaged(tmp_path):
    recipe = small_recipe(FOLDS, "training.epochs=1")
    before, family, _ = fitted(recipe=recipe, checkpoints=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["final", "fold-0", "fold-1", "fold-2"]
    assert [path.name for path in (tmp_path / "fold-1").iterdir()] == ["result"]
    again, other, events = fitted(recipe=recipe, checkpoints=tmp_path)
    assert everything(again, other) == everything(before, family)
    assert len(other.tasks) == 1
    assert len([event for event in of(Stage, events) if "trained before" in event.name]) == 3
    assert of(Resumed, events)[0].step == 8
    (tmp_path / "fold-1" / "result" / "scores.safetensors").write_bytes(b"damaged")
    mended, third, _ = fitted(recipe=recipe, checkpoints=tmp_path)
    assert everything(mended, third) == everything(before, family)
    assert len(third.tasks) == 2


def test_other_rows_or_another_recipe_use_nothing_that_is_there(tmp_path):
    recipe = small_recipe(FOLDS, "training.epochs=1")
    fitted(recipe=recipe, checkpoints=tmp_path)
    rows = TrainingRows(ROWS.inputs, ROWS.labels, ROWS.weights * 2, ROWS.groups)
    _, family, events = fitted(recipe=recipe, rows=rows, checkpoints=tmp_path)
    assert len(family.tasks) == 4
    assert not of(Resumed, events)
    _, family, _ = fitted(FOLDS, "training.epochs=1", "seed=43", rows=rows, checkpoints=tmp_path)
    assert len(family.tasks) == 4


def test_another_validation_split_judges_anew(tmp_path):
    recipe = small_recipe(HOLDOUT, "training.epochs=1")
    fitted(recipe=recipe, validation=OTHERS, checkpoints=tmp_path)
    _, _, events = fitted(recipe=recipe, validation=OTHERS, checkpoints=tmp_path)
    assert of(Resumed, events)
    _, _, events = fitted(recipe=recipe, validation=tiny_rows(40, seed=10), checkpoints=tmp_path)
    assert not of(Resumed, events)
    assert any("another run" in warned.message for warned in of(Warned, events))
