"""The `[data]` section: strict, overridable, alone or beside a training recipe."""

from __future__ import annotations

import pytest

from modwright.errors import RecipeError
from modwright.recipe import load_data_recipe, load_recipe, shipped_data_recipes, shipped_recipes

SMALL = '[data]\n[[data.sources]]\nfrom = "rows.csv"\nsplit = "train"\n'


def write(tmp_path, text):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", shipped_data_recipes())
def test_every_shipped_data_recipe_loads_and_says_what_it_is(name):
    recipe = load_data_recipe(name)
    assert recipe.sources
    assert recipe.steps
    assert {source.split for source in recipe.sources} == {"train", "validation", "test"}


def test_data_recipes_and_training_recipes_lie_on_shelves_of_their_own():
    assert set(shipped_data_recipes()) & set(shipped_recipes()) == {"civil-comments"}, (
        "one builds, one trains"
    )
    assert load_recipe("civil-comments").data is None
    with pytest.raises(RecipeError, match="no recipe 'civil-comments-notebook'"):
        load_recipe("civil-comments-notebook")
    with pytest.raises(RecipeError, match="no recipe 'civil-coments'") as caught:
        load_data_recipe("civil-coments")
    assert "did you mean 'civil-comments" in (caught.value.remedy or "")


def test_the_notebooks_recipe_does_what_the_notebook_does_to_every_split():
    recipe = load_data_recipe("civil-comments-notebook")
    cap, rare, _ = recipe.steps
    assert (cap.step, cap.splits, cap.parameters) == ("cap", "all", {"zero_share": 0.1, "max_share": 0.2})
    assert (rare.step, rare.parameters) == ("rare_labels", {"min_share": 0.01, "over": "all"})
    assert recipe.threshold == "> 0.5"
    assert [(source.shuffle_seed, source.take) for source in recipe.sources] == [
        (42, 1_000_000),
        (42, 50_000),
        (42, 50_000),
    ]


def test_the_recipe_to_train_with_leaves_test_rows_alone():
    assert all(step.splits is None for step in load_data_recipe("civil-comments").steps)


def test_overrides_reach_into_lists(tmp_path):
    path = write(tmp_path, SMALL + '[[data.steps]]\nstep = "cap"\n')
    overrides = ["data.sources.0.take=7", "data.steps.0.max_share=0.4", "data.seed=5", "data.text=comment"]
    recipe = load_data_recipe(path, overrides)
    assert recipe.sources[0].take == 7
    assert recipe.steps[0].parameters == {"max_share": 0.4}
    assert (recipe.seed, recipe.text) == (5, "comment")


def test_a_training_recipe_may_carry_data_and_stays_the_same_model(tmp_path):
    from modwright.pipeline.writing import recipe_hash

    text = 'extends = "fast"\n' + SMALL
    path = write(tmp_path, text)
    assert load_data_recipe(path).sources[0].source == "rows.csv"
    recipe = load_recipe(path)
    assert recipe.data is not None
    assert recipe_hash(recipe) == recipe_hash(load_recipe("fast"))


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        ("seed = 1", "has no \\[data\\] section", "data.sources"),
        ("[data]", "'data.sources' is missing", "shipped"),
        (SMALL + "takes = 3", "unknown key 'data.sources.0.takes'", "did you mean 'take'?"),
        (SMALL.replace("[data]\n", '[data]\ntxt = "c"\n'), "unknown key 'data.txt'", "did you mean 'text'?"),
        (SMALL + "shuffle_buffer = 3", "shuffle_buffer needs a shuffle_seed", None),
        (SMALL + "[data.split]\nseed = 1\nfractions = {a = 0.5, b = 0.4}", "fractions sum to 0.9", None),
        (SMALL.replace("[data]\n", '[data]\nprompt = "c"\n'), "prompt and response go together", None),
        (SMALL.replace('"train"', '"../train"'), "data.sources.0.split", None),
    ],
)
def test_what_is_wrong_is_named(text, message, remedy, tmp_path):
    with pytest.raises(RecipeError, match=message) as caught:
        load_data_recipe(write(tmp_path, text))
    assert (remedy or "") in (caught.value.remedy or "")


def test_an_override_of_no_table_is_an_error(tmp_path):
    with pytest.raises(RecipeError, match=r"there is no table 'data\.sources\.3'"):
        load_data_recipe(write(tmp_path, SMALL), ["data.sources.3.take=1"])
