"""What names of models lead to, and what a request can and cannot reach through them."""

import pytest

from modwright.errors import ModelNotFoundError, RequestError
from modwright.jobs.naming import HOSTED, choose, known_models, model_id, override_lines, recipe_of, slug
from modwright.jobs.specs import JobSpec, TrainingFile
from modwright.recipe import load_recipe, shipped_recipes


def spec(model="fast", **changes):
    return JobSpec(model, (TrainingFile("a"),), **changes)


@pytest.mark.parametrize("model", HOSTED)
def test_hosted_names_train_the_recipe_balanced(model):
    assert choose(model, None, {}).recipe == "balanced"


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_recipe_can_be_asked_for_by_its_name(name):
    assert recipe_of(spec(name), {}) == load_recipe(name)


@pytest.mark.parametrize(
    ("model", "recipe", "trains", "base"),
    [
        ("minilm", None, "balanced", "all-MiniLM-L6-v2"),
        ("sentence-transformers/all-mpnet-base-v2", None, "balanced", "all-mpnet-base-v2"),
        ("smollm2", None, "llm", "SmolLM2-135M-Instruct"),
        ("mpnet", "civil-comments", "civil-comments", "all-mpnet-base-v2"),
        ("minilm", "fast", "fast", "all-MiniLM-L6-v2"),
        ("gpt-4o-mini", "fast", "fast", "all-MiniLM-L6-v2"),
    ],
)
def test_a_base_is_trained_by_a_recipe_of_its_kind(model, recipe, trains, base):
    assert choose(model, recipe, {}).recipe == trains
    assert recipe_of(spec(model, recipe=recipe), {}).base_names == (base,)


def test_the_operators_names_come_first(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text('extends = "fast"\nseed = 7\n')
    aliases = {"ministral-3b-latest": "fast", "ours": str(own), "fast": "balanced", "small": "minilm"}
    assert choose("ministral-3b-latest", None, aliases).recipe == "fast"
    assert recipe_of(spec("ours"), aliases).seed == 7
    assert choose("fast", None, aliases).recipe == "balanced"
    assert choose("small", None, aliases).recipe == "balanced"
    assert {"ours", "small", "gpt-4o", "minilm", "fast"} <= {*known_models(aliases)}


@pytest.mark.parametrize(
    "model", ["balancd", "/etc/passwd", "../fast", "http://host/x", "owner/name@main", ""]
)
def test_no_other_name_is_a_model(model):
    with pytest.raises(ModelNotFoundError):
        choose(model, None, {})


@pytest.mark.parametrize(
    ("model", "recipe", "told"),
    [
        ("fast", "/etc/passwd", "unknown recipe"),
        ("minilm", "llm", "cannot train"),
        ("mpnet", "fast", "reads chosen layers"),
    ],
)
def test_a_recipe_that_cannot_be(model, recipe, told):
    with pytest.raises(RequestError, match=told):
        choose(model, recipe, {})


def test_overrides_are_laid_over_the_recipe():
    given = {"head.folds": 3, "head.c": [0.5, 1.0], "window.single_label": "mean", "embedding.cache": False}
    recipe = recipe_of(spec(overrides=given), {})
    assert (recipe.head.folds, recipe.head.c, recipe.window.single_label) == (3, [0.5, 1.0], "mean")
    assert recipe.embedding.cache is False


@pytest.mark.parametrize(
    "text", ["a = 1", 'quoted "text"', "two\nlines", "\t", "\\", "'", "[x]", "ü😀", "true", "5", "\x7f"]
)
def test_a_text_stays_that_text(text):
    kept = recipe_of(spec("llm", overrides={"prompt.separator": text}), {})
    assert kept.prompt.separator == text


@pytest.mark.parametrize(
    ("overrides", "where"),
    [
        ({"base.name": "/root/base"}, "overrides"),
        ({"base.name": "owner/name@main"}, "overrides"),
        ({"data.sources": ["/etc"]}, "overrides.data.sources"),
        ({"data": "x"}, "overrides.data"),
        ({"extends": "/etc/passwd"}, "overrides.extends"),
        ({"optimizer.learning_rat": 1.0}, "overrides.optimizer.learning_rat"),
        ({"optimizer.learning_rate": float("inf")}, "overrides.optimizer.learning_rate"),
        ({"training.epochs": None}, "overrides.training.epochs"),
        ({"a b": 1}, "overrides"),
    ],
)
def test_overrides_reach_nothing_beyond_the_recipe(overrides, where):
    with pytest.raises(RequestError) as caught:
        recipe_of(spec("balanced", overrides=overrides), {})
    assert caught.value.where == where


def test_keys_that_only_fit_together_are_taken_together():
    given = {"window.min_tokens": 300, "window.max_tokens": 400}
    assert recipe_of(spec(overrides=given), {}).window.max_tokens == 400
    with pytest.raises(RequestError, match="above max_tokens"):
        recipe_of(spec(overrides={"window.min_tokens": 300}), {})


def test_lines_are_those_of_the_command_line():
    assert override_lines({"a.b": 1, "c": "d"}) == {"a.b": "a.b=1", "c": 'c="d"'}


def test_the_name_of_a_finished_model():
    job = "cbe076ac-1f2e-4c53-9d0a-6a5a3c1b2d3e"
    plain = model_id("ministral-3b-latest", "8e2706f0-1111", job, 1_744_761_600.0)
    assert plain == "ft:classifier:ministral-3b-latest:8e2706f0:20250416:cbe076ac"
    assert model_id("m", "p", job, 0.5, "our goose/1!") == "ft:classifier:m:our-goose-1:19700101:cbe076ac"
    assert model_id("m", "project", job, 0.5, "///") == "ft:classifier:m:project:19700101:cbe076ac"
    assert slug("Ä-b:c") == "b-c"
