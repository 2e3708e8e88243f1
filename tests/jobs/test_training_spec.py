"""What a job asks for, as the recipe that trains."""

from __future__ import annotations

import dataclasses

import pytest

from modwright.errors import ModelNotFoundError, RecipeError, RequestError
from modwright.jobs.specs import Hyperparameters, Integration, JobSpec, LossFunction, TargetSpec, TrainingFile
from modwright.jobs.training_spec import filled_hyperparameters, plan_job
from modwright.recipe import load_recipe

ASKED = Hyperparameters(
    training_steps=200,
    learning_rate=5e-5,
    weight_decay=0.1,
    warmup_fraction=0.05,
    seq_len=16384,
    batch_size=8,
    seed=7,
)


def spec(model="balanced", *, validation=("b",), **more):
    return JobSpec(model, (TrainingFile("a"),), validation, **more)


def test_hyperparameters_reach_a_fine_tuned_recipe():
    plan = plan_job(spec(hyperparameters=ASKED), {}, 800)
    recipe = plan.recipe
    assert (recipe.training.training_steps, recipe.training.epochs) == (200, 2)  # 100 steps an epoch
    assert (recipe.optimizer.learning_rate, recipe.optimizer.weight_decay) == (5e-5, 0.1)
    assert (recipe.optimizer.warmup, recipe.batches.rows, recipe.seed) == (0.05, 8, 7)
    assert (recipe.window.max_tokens, recipe.window.min_tokens) == (16384, 32)
    assert (recipe.validation.method, recipe.validation.every) == ("holdout", 25)
    assert plan.ignored == ()
    assert recipe.trackers.wandb is None


@pytest.mark.parametrize(("rows", "steps"), [(10, 200), (801, 1), (100_000, 7)])
@pytest.mark.parametrize("validation", [(), ("b",)])
def test_there_are_epochs_enough_for_the_steps(rows, steps, validation):
    plan = plan_job(
        spec(validation=validation, hyperparameters=Hyperparameters(training_steps=steps)), {}, rows
    )
    learned = rows if validation else int(rows * (1 - plan.recipe.validation.share))
    per_epoch = max(1, -(-learned // plan.recipe.batches.rows))
    assert plan.recipe.training.epochs * per_epoch >= steps
    assert plan.recipe.training.training_steps == steps


def test_epochs_may_be_a_fraction():
    half = plan_job(spec(hyperparameters=Hyperparameters(epochs=1.5, batch_size=10)), {}, 1000).recipe
    assert (half.training.epochs, half.training.training_steps) == (2, 150)
    whole = plan_job(spec(hyperparameters=Hyperparameters(epochs=2.0)), {}, 1000).recipe
    assert (whole.training.epochs, whole.training.training_steps) == (2, None)
    both = plan_job(spec(hyperparameters=Hyperparameters(epochs=2.0, training_steps=9)), {}, 1000).recipe
    assert (both.training.epochs, both.training.training_steps) == (2, 9)


def test_what_a_frozen_family_has_no_use_for_is_told():
    targets = (TargetSpec("moderation", ("safe",), weight=3.0),)
    asked = dataclasses.replace(ASKED, epochs=2.0)
    wandb = (Integration("mine"),)
    plan = plan_job(spec("fast", hyperparameters=asked, targets=targets, integrations=wandb), {}, 800)
    assert (plan.recipe.training.training_steps, plan.recipe.seed) == (200, 7)
    for name in (
        "learning_rate",
        "weight_decay",
        "warmup_fraction",
        "epochs",
        "batch_size",
        "seq_len",
        "wandb",
    ):
        assert sum(name in told for told in plan.ignored) == 1, name
    assert any("'moderation'" in told for told in plan.ignored)
    assert plan.recipe.training.learning_rate is None  # the trainer would tell it a second time
    assert plan_job(spec("fast"), {}, 800).ignored == ()


def test_targets_get_their_weight_and_loss():
    targets = (
        TargetSpec('odd "name"\n', ("a", "b"), 0.5, LossFunction.MULTI_CLASS),
        TargetSpec("tone", ("kind", "rude"), 1.0, LossFunction.SINGLE_CLASS),
        TargetSpec("plain", ("x",)),
    )
    recipe = plan_job(spec(targets=targets), {}, 800).recipe
    assert recipe.targets['odd "name"\n'].weight == 0.5
    assert recipe.targets['odd "name"\n'].loss == "binary"
    assert recipe.targets["tone"].loss == "categorical"
    assert "plain" not in recipe.targets


def test_the_jobs_own_overrides_are_laid_over_all():
    own = {"optimizer.learning_rate": 0.5, "validation.method": "folds", "batches.pool": 4}
    recipe = plan_job(spec(hyperparameters=ASKED, overrides=own), {}, 800).recipe
    assert (recipe.optimizer.learning_rate, recipe.validation.method, recipe.batches.pool) == (
        0.5,
        "folds",
        4,
    )
    assert recipe.optimizer.weight_decay == 0.1


def test_a_tracker_is_named_in_the_recipe_and_its_mode_is_the_operators():
    integrated = spec(integrations=(Integration("mine", name="run"),))
    recipe = plan_job(integrated, {}, 800, wandb_mode="online").recipe
    assert (recipe.trackers.wandb, recipe.trackers.wandb_mode) == ("mine", "online")
    assert recipe.deciding() == plan_job(spec(), {}, 800).recipe.deciding()


def test_an_operators_path_is_not_told(tmp_path):
    path = tmp_path / "ours.toml"
    path.write_text(load_recipe("fast").to_toml(), encoding="utf-8")
    plan = plan_job(spec("tiny"), {"tiny": str(path)}, 10)
    assert plan.name == "ours"
    assert str(tmp_path) not in plan.sentence + plan.why
    assert "trains the recipe 'ours' (family frozen)" in plan.sentence


def test_what_cannot_be_is_an_error_with_its_place():
    with pytest.raises(ModelNotFoundError):
        plan_job(spec("no-such-model"), {}, 10)
    with pytest.raises(RequestError, match=r"training\.epoch"):
        plan_job(spec(overrides={"training.epoch": 3}), {}, 10)
    with pytest.raises(RecipeError):
        plan_job(spec(hyperparameters=Hyperparameters(learning_rate=-1.0)), {}, 10)


def test_hyperparameters_are_filled_in_as_they_are_used():
    plan = plan_job(spec(hyperparameters=Hyperparameters(learning_rate=1e-4)), {}, 1600)
    filled = filled_hyperparameters(
        spec().__class__("balanced", (TrainingFile("a"),)), plan.recipe, steps=300, epochs=3.0
    )
    assert filled["training_steps"] == 300
    assert filled["epochs"] == 3.0
    assert filled["learning_rate"] == 1e-4
    assert filled["batch_size"] == plan.recipe.batches.rows
    assert filled["seed"] == 42
    frozen = plan_job(spec("fast", hyperparameters=ASKED), {}, 10).recipe
    asked = spec("fast", hyperparameters=ASKED)
    assert filled_hyperparameters(asked, frozen, steps=200, epochs=1.0)["learning_rate"] == 5e-5
