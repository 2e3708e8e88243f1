"""A grid trains each member once, compares them on unseen rows, reports failures and goes on after a kill."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from modwright.errors import DataError, RecipeError, UsageError
from modwright.pipeline import grid as module
from modwright.pipeline.grid import member_name, plan_grid, run_grid
from modwright.pipeline.grid_figures import Figures, criterion_of, read_figures
from modwright.pipeline.run_folder import EVENTS, open_run, run_folder_of
from modwright.recipe import load_recipe
from modwright.training.event_log import read_lines
from modwright.training.events import Looked, RunStarted, Step


def ignore(*_):
    pass


@pytest.fixture
def grid(tmp_path, recipe, new_home, dataset):
    """Run a grid over the tiny recipe; returns the result and the places that were begun."""
    path = tmp_path / "recipe.toml"
    path.write_text(recipe.to_toml())
    settings = new_home(tmp_path / "home")

    def run(*overrides, out=tmp_path / "grid"):
        begun = []
        members = plan_grid(str(path), overrides, out)
        keys = module.varied(overrides)
        result = run_grid(
            members,
            keys,
            dataset,
            out,
            settings,
            on_event=ignore,
            on_member=lambda place, member: begun.append(member.folder.name),
        )
        return result, begun

    return run


def test_members_stand_beside_each_other_and_unseen_rows_say_which_is_best(grid, tmp_path, dataset):
    result, begun = grid("training_steps=1,40")
    assert begun == ["training_steps=1", "training_steps=40"]
    few, many = (one.figures for one in result.members)
    assert few.rows == many.rows == "out_of_fold"
    losses = [figures.metrics["log_loss"] for figures in (few, many)]
    assert losses[0] != losses[1]
    assert result.best == losses.index(min(losses))
    assert many.seconds > 0
    assert few.loss_before is None
    assert many.loss_after is not None
    data = json.loads((tmp_path / "grid" / "grid.json").read_text())
    assert data["best"] == begun[result.best]
    assert [one["values"] for one in data["members"]] == [{"training_steps": "1"}, {"training_steps": "40"}]
    metrics = json.loads((tmp_path / "grid" / "training_steps=40" / "metrics.json").read_text())
    targets = metrics["summary"]["out_of_fold"].values()
    assert data["members"][1]["metrics"]["log_loss"] == pytest.approx(
        sum(one["macro"]["log_loss"]["value"] for one in targets) / len(targets)
    )
    without = {**metrics, "summary": {"out_of_fold": metrics["summary"]["out_of_fold"]}}
    assert "test" in metrics["summary"]  # which says nothing about which is best
    (tmp_path / "grid" / "training_steps=40" / "metrics.json").write_text(json.dumps(without))
    assert read_figures(result.members[1].member.folder, result.members[1].member.recipe, 0.0) == many


def test_what_is_trained_is_left_as_it_is(grid, tmp_path):
    first, _ = grid("training_steps=1,3")
    seconds = [one.figures.seconds for one in first.members]
    before = (tmp_path / "grid" / "training_steps=3" / "artifact.json").stat()
    again, _ = grid("training_steps=1,3,5")
    assert [one.unchanged for one in again.members] == [True, True, False]
    assert [one.figures.seconds for one in again.members[:2]] == seconds
    assert (tmp_path / "grid" / "training_steps=3" / "artifact.json").stat() == before


def test_one_that_fails_is_reported_and_the_others_go_on(grid, monkeypatch, tmp_path):
    real = module.train

    def sometimes(recipe, *arguments, **keywords):
        if recipe.training.training_steps == 1:
            raise DataError("no rows left", file="data")
        if recipe.training.training_steps == 2:
            raise ValueError("odd")
        return real(recipe, *arguments, **keywords)

    monkeypatch.setattr(module, "train", sometimes)
    result, begun = grid("training_steps=1,2,3")
    assert len(begun) == 3
    assert [one.error for one in result.members] == ["data: no rows left", "ValueError: odd", None]
    assert result.best == 2
    data = json.loads((tmp_path / "grid" / "grid.json").read_text())
    assert [one["state"] for one in data["members"]] == ["failed", "failed", "done"]


def test_a_killed_grid_says_what_there_is_and_goes_on(grid, monkeypatch, tmp_path):
    real, calls = module.train, []

    def until_killed(recipe, *arguments, **keywords):
        calls.append(recipe.training.training_steps)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(recipe, *arguments, **keywords)

    monkeypatch.setattr(module, "train", until_killed)
    with pytest.raises(KeyboardInterrupt):
        grid("training_steps=1,3")
    assert len(json.loads((tmp_path / "grid" / "grid.json").read_text())["members"]) == 1
    result, _ = grid("training_steps=1,3")
    assert [one.unchanged for one in result.members] == [True, False]


def test_a_wrong_value_is_an_error_before_anything_starts(grid, tmp_path):
    with pytest.raises(RecipeError, match="training_steps"):
        grid("training_steps=3,0")
    assert not (tmp_path / "grid").exists()


@pytest.mark.parametrize("held", ["notes.txt", "artifact.json", "grid.json"])
def test_a_folder_of_something_else_is_refused(grid, tmp_path, held):
    out = tmp_path / "grid"
    out.mkdir()
    (out / held).write_text('{"mine": 1}')
    with pytest.raises(UsageError, match="grid"):
        grid("training_steps=1,3")
    assert [path.name for path in out.iterdir()] == [held]


def test_names_are_safe_and_tell_members_apart():
    assert member_name({"epochs": "3", "learning_rate": "5e-5"}) == "epochs=3,learning_rate=5e-5"
    odd = [member_name({key: "1"}) for key in ("a/b", "a b", "../a", "k" * 300, "k" * 301)]
    assert len(set(odd)) == len(odd)
    assert all("/" not in name and len(name) < 140 for name in odd)


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        (["loss"], ("log_loss", False)),
        (["macro_auc", "macro_auc"], ("roc_auc", True)),
        (["moderation/insult/f1"], ("f1", True)),
        (["macro_auc", "macro_f1"], ("log_loss", False)),
        (["package.module:mine"], ("log_loss", False)),
    ],
)
def test_members_are_compared_by_what_their_recipes_ask_for(metrics, expected):
    recipes = [load_recipe("balanced", [f"validation.metric={json.dumps(metric)}"]) for metric in metrics]
    assert criterion_of(recipes) == expected


def test_losses_before_and_after_are_those_of_the_folds(tmp_path, trained, recipe):
    out = tmp_path / "model"
    out.mkdir()
    (out / "metrics.json").write_bytes((trained.folder / "metrics.json").read_bytes())
    tuned = load_recipe("balanced", ["validation.keep=best"])
    with open_run(out, {}, tuned, ignore) as run:
        for name, losses in (("fold 1 of 2", (0.7, 0.5, 0.6, 0.9)), ("fold 2 of 2", (0.8, 0.6, 0.4, 0.7))):
            run.on_event(RunStarted(name, 2))
            best = 9.0
            for step, loss in enumerate(losses):
                if step:
                    run.on_event(Step(step, loss))
                run.on_event(Looked(step, float(step), loss, {}, loss < best))
                best = min(best, loss)
        run.on_event(RunStarted("final", 2))
        run.on_event(Looked(0, 0.0, 99.0, {}, True))
        run.finish()
    assert read_lines(run_folder_of(out) / EVENTS)
    figures = read_figures(out, tuned, 1.0)
    # The second look is the best of one fold and the third of the other; together it is the third.
    assert (figures.loss_before, figures.loss_after) == (pytest.approx(0.75), pytest.approx(0.5))
    last = load_recipe("balanced", ["validation.keep=last"])
    assert read_figures(out, last, 1.0).loss_after == pytest.approx(0.8)


def test_without_enough_evidence_the_validation_loss_says_which_is_best(tmp_path):
    members = plan_grid("balanced", ["epochs=1,2,3"], tmp_path)
    nothing = dict.fromkeys(("f1", "roc_auc", "log_loss"))
    figures = [Figures("held_out", 0.7, loss, nothing, 1.0) for loss in (0.6, 0.4, 0.5)]
    found = [module.MemberResult(*both) for both in zip(members, figures, strict=True)]
    result = module._result(tmp_path, ["epochs"], members, found)
    assert (result.best, result.criterion) == (1, ("validation_loss", False))
    evident = [replace(one, metrics={**nothing, "log_loss": one.loss_before}) for one in figures[:1]]
    found[0] = module.MemberResult(members[0], evident[0])
    result = module._result(tmp_path, ["epochs"], members, found)
    assert (result.best, result.criterion) == (0, ("log_loss", False))
