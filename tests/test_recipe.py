"""Recipes: every default stated once and explained, every mistake named with the nearest right thing."""

from __future__ import annotations

import tomllib
import types
import typing
from importlib import resources

import pytest
from pydantic import BaseModel

from modwright.errors import RecipeError
from modwright.recipe import Recipe, load_recipe, shipped_recipes


def fast_text():
    return (resources.files("modwright") / "recipes" / "fast.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_loads_and_says_what_it_is(name):
    recipe = load_recipe(name)
    assert recipe.bases
    text = (resources.files("modwright") / "recipes" / f"{name}.toml").read_text(encoding="utf-8")
    assert text.startswith(f"# {name}: ")


def keys_of(model, prefix=""):
    """Yield every key path of a pydantic model, lists of tables by their item."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        for _ in range(2):
            arguments = typing.get_args(inner)
            if typing.get_origin(inner) in (list, typing.Annotated) and arguments:
                inner = arguments[0]
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from keys_of(inner, f"{prefix}{name}.")
        else:
            optional = typing.get_origin(field.annotation) in (types.UnionType, typing.Union)
            yield f"{prefix}{name}", optional


def explained():
    """Return the keys that fast.toml states or explains, each with whether a comment stands above it."""
    found, table, commented = {}, "", False
    for line in fast_text().splitlines():
        text = line.strip()
        if not text:
            commented = False
        elif text.startswith("#"):
            commented = True
            words = text.removeprefix("#").split()
            if words and words[1:4] == ["is", "not", "stated:"]:
                found[table + words[0]] = True
        elif text.startswith("["):
            table = text.strip("[]") + "."
        else:
            found[table + text.split("=")[0].strip()] = commented
    return found


def test_fast_states_every_key_there_is_under_a_comment():
    found = explained()
    keys = dict(keys_of(Recipe))
    assert len(keys) > 20
    assert set(found) == set(keys)
    assert [key for key, commented in found.items() if not commented] == []


def test_no_key_but_optional_ones_has_a_default_in_code():
    stated = tomllib.loads(fast_text())
    for key, optional in keys_of(Recipe):
        *path, last = key.split(".")
        model, table = Recipe, stated
        for part in path:
            model = (
                typing.get_args(model.model_fields[part].annotation)[0]
                if part == "bases"
                else model.model_fields[part].annotation
            )
            table = table[part][0] if part == "bases" else table[part]
        assert model.model_fields[last].is_required() is not optional
        assert (last in table) is not optional


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("seed=7", lambda r: r.seed == 7),
        ("head.folds=10", lambda r: r.head.folds == 10),
        ("window.overlap=0.25", lambda r: r.window.overlap == 0.25),
        ("head.c=[1.0, 4]", lambda r: r.head.c == [1.0, 4.0]),
        ("head.kinds=['linear']", lambda r: r.head.kinds == ["linear"]),
        ("embedding.cache=false", lambda r: r.embedding.cache is False),
        ("window.single_label=mean", lambda r: r.window.single_label == "mean"),
        ("window.single_label='mean'", lambda r: r.window.single_label == "mean"),
        (" training.learning_rate = 1e-3", lambda r: r.training.learning_rate == 1e-3),
        ('bases=[{name="x", layers=[0]}]', lambda r: [b.name for b in r.bases] == ["x"]),
        ("training={training_steps=5}", lambda r: r.training.training_steps == 5),
    ],
)
def test_overrides_of_every_type(override, read):
    assert not read(load_recipe("fast"))
    assert read(load_recipe("fast", [override]))


def test_the_last_override_holds():
    assert load_recipe("fast", ["seed=1", "seed=2"]).seed == 2


@pytest.mark.parametrize(
    ("override", "message", "remedy"),
    [
        ("head.fold=10", "unknown key 'head.fold'", "did you mean 'folds'?"),
        ("sead=1", "unknown key 'sead'", "did you mean 'seed'?"),
        ("heads.folds=1", "there is no table 'heads'", "did you mean 'head'?"),
        ("head.c.d=1", "there is no table 'head.c'", None),
        ("seed", "override is 'seed'", "key=value"),
        ("=3", "override is '=3'", "key=value"),
        ("seed=-1", "key 'seed' is -1", None),
        ("seed=abc", "key 'seed' is 'abc'", None),
        ("head.c=[]", "key 'head.c'", None),
        ("head.c=[0.0]", "key 'head.c.0' is 0.0", None),
        ("head.c=[inf]", "key 'head.c.0' is inf", None),
        ("head.gamma=[nan]", "key 'head.gamma.0' is nan", None),
        ("head.kinds=['forest']", "key 'head.kinds.0' is 'forest'", None),
        ("window.quantile=1.5", "key 'window.quantile' is 1.5", None),
        ("window.min_tokens=200", "min_tokens 200 is above max_tokens 128", None),
        ("family=causal", "key 'family' is 'causal'", None),
        ("bases=[]", "key 'bases'", None),
        ('bases=[{name="x", layers=[-1]}]', "key 'bases.0.layers.0' is -1", None),
        ('bases=[{name="x", layer=[1]}]', "", None),
        ('bases=[{name="x", layers=[1]}, {name="x", layers=[2]}]', "the base 'x' is named twice", None),
        ("training={}", "key 'training.training_steps' is missing", "state it"),
        ("extends=fast", "unknown key 'extends'", None),
    ],
)
def test_what_is_wrong_is_named(override, message, remedy):
    with pytest.raises(RecipeError) as caught:
        load_recipe("fast", [override])
    assert message in str(caught.value)
    assert (remedy or "") in (caught.value.remedy or "")


def test_an_unknown_key_in_a_list_of_tables_names_the_nearest(tmp_path):
    (tmp_path / "r.toml").write_text('extends = "fast"\n[[bases]]\nname = "x"\nlayers = [1]\nlayrs = [1]\n')
    with pytest.raises(RecipeError, match=r"unknown key 'bases\.0\.layrs'") as caught:
        load_recipe(str(tmp_path / "r.toml"))
    assert caught.value.remedy == "did you mean 'layers'?"
    assert str(tmp_path / "r.toml") in (caught.value.where or "")


def test_recipes_extend_shipped_ones_and_files_beside_them(tmp_path):
    (tmp_path / "below.toml").write_text('extends = "fast"\nseed = 7\n[head]\nfolds = 3\n')
    (tmp_path / "sub").mkdir()
    top = tmp_path / "sub" / "top.toml"
    top.write_text('extends = "../below.toml"\n[head]\nc = [2.0]\n')
    recipe, fast = load_recipe(str(top), ["head.max_landmarks=50"]), load_recipe("fast")
    assert (recipe.seed, recipe.head.folds, recipe.head.c, recipe.head.max_landmarks) == (7, 3, [2.0], 50)
    assert recipe.head.gamma == fast.head.gamma
    assert recipe.bases == fast.bases


def test_loops_broken_files_and_unknown_names_are_errors(tmp_path):
    loop = tmp_path / "loop.toml"
    loop.write_text('extends = "loop.toml"')
    with pytest.raises(RecipeError, match="recipes extend each other"):
        load_recipe(str(loop))
    loop.write_text("extends = 3")
    with pytest.raises(RecipeError, match="extends is 3"):
        load_recipe(str(loop))
    loop.write_text('extends = "nowhere.toml"')
    with pytest.raises(RecipeError, match="no recipe"):
        load_recipe(str(loop))
    loop.write_text("seed = ")
    with pytest.raises(RecipeError, match="is not TOML"):
        load_recipe(str(loop))
    loop.write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError, match="is not UTF-8"):
        load_recipe(str(loop))
    loop.write_text("seed = 1")
    with pytest.raises(RecipeError, match="is missing"):
        load_recipe(str(loop))
    with pytest.raises(RecipeError, match="no recipe 'fats'") as caught:
        load_recipe("fats")
    assert "did you mean 'fast'?" in (caught.value.remedy or "")


@pytest.mark.parametrize("name", shipped_recipes())
@pytest.mark.parametrize("overrides", [[], ["training.learning_rate=0.5", "seed=9"]])
def test_a_resolved_recipe_written_as_toml_is_the_same_recipe(name, overrides, tmp_path):
    recipe = load_recipe(name, overrides)
    (tmp_path / "resolved.toml").write_text(recipe.to_toml())
    assert load_recipe(str(tmp_path / "resolved.toml")) == recipe
